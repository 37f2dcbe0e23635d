"""The load stage: customers, lanes of order chunks, links between orders."""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor

from psycopg import sql

from coa.errors import RowsRejected, RunStopped
from coa.fields.saved import saved_carried
from coa.load.prepare import prepare_load
from coa.load.removal import remove
from coa.load.steps import load_chunk, load_customer_records, load_deferred_links
from coa.load.work import rejections
from coa.mapping.model import Mapping
from coa.salesforce.bulk import raise_worst
from coa.salesforce.session import Org
from coa.staging.runs import Run
from coa.staging.tables import Table

log = logging.getLogger(__name__)

__all__ = ["load_customers", "load_lanes", "load_links", "prepare_load"]


def load_customers(run: Run, target: Org, mapping: Mapping) -> None:
    """Raises `RowsRejected` when the org refused some and `on_row_failure` is stop."""
    _require_prepared(run)
    load_customer_records(run, target, saved_carried(run, mapping))
    stop_if_rejected(run)


def load_lanes(run: Run, target: Org, mapping: Mapping, lanes: list[int]) -> None:
    """Works off the chunks of these lanes, each lane in a thread of its own.

    Raises the first error of a lane when all have come to a stop; that a job is still at work is told
    only when there is nothing worse.
    """
    _require_prepared(run)
    carried = saved_carried(run, mapping)

    def work_off(lane: int) -> None:
        chunks = run.db.rows(
            sql.SQL(
                "SELECT chunk_no, orders FROM {} WHERE lane = %s AND done_at IS NULL ORDER BY chunk_no"
            ).format(run.table(Table.CHUNK)),
            [lane],
        )
        for chunk in chunks:
            stop_if_rejected(run)
            run.require_lease()
            log.info("lane %d: chunk %d, %d orders", lane, chunk["chunk_no"], chunk["orders"])
            load_chunk(run, target, carried, chunk["chunk_no"])
        stop_if_rejected(run)

    with ThreadPoolExecutor(max(1, len(lanes))) as pool:
        raise_worst([pool.submit(work_off, lane) for lane in lanes])


def load_links(run: Run, target: Org, mapping: Mapping) -> None:
    """Clone links and other links that may point at a record of a later chunk."""
    _require_prepared(run)
    for sobject, fields in saved_carried(run, mapping).items():
        load_deferred_links(run, target, sobject, fields)
    stop_if_rejected(run)
    if run.has_table(Table.DELETION):
        # Last of all: what is left has its links by now, nothing points at what goes.
        remove(run, target, run.table(Table.DELETION))
        stop_if_rejected(run)


def stop_if_rejected(run: Run) -> None:
    count = rejections(run)
    if count and run.params.on_row_failure == "stop":
        raise RowsRejected(
            f"The target refused {count} records; on_row_failure is stop.",
            next_step="see rejected_rows.csv, mend the causes, and run again: what is written stays and is known.",
        )


def _require_prepared(run: Run) -> None:
    """Fails closed: without `prepare_load` there was no check of the approval."""
    if not run.has_table(Table.CHUNK) or run.row["loaded_at"] is None:
        raise RunStopped(
            f"Run {run.run_id} was not prepared for loading.",
            state="not_approved",
            next_step="run the task that checks the approval first.",
        )
    run.require_lease()
