"""The load stage: customers, lanes of order chunks, links between orders."""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor

from psycopg import sql

from coa.approval import record as approval
from coa.errors import RowsRejected, RunStopped
from coa.fields.saved import saved_carried
from coa.load.canary_reuse import recheck
from coa.load.canary_state import canary_of, counts
from coa.load.observation import begin_to_watch
from coa.load.one_pass_state import one_pass_of
from coa.load.prepare import prepare_load
from coa.load.removal import remove
from coa.load.steps import load_chunk, load_customer_records, load_deferred_links
from coa.load.work import rejections
from coa.load_steps import CANARY_CHUNK, TRIAL_CHUNK, UNFINISHED_CHUNK
from coa.mapping.model import Mapping
from coa.policies import Policies
from coa.salesforce.bulk import raise_worst
from coa.salesforce.session import Org
from coa.staging.runs import Run
from coa.staging.tables import Table
from coa.wording import counted

log = logging.getLogger(__name__)

__all__ = ["load_canary", "load_customers", "load_lanes", "load_links", "prepare_load"]


def load_canary(run: Run, target: Org, mapping: Mapping) -> None:
    """Loads what an earlier run left unfinished, then the canary with its customers and links, observed at
    every step.

    Raises `RowsRejected` when the org refused some and `on_row_failure` is stop.
    """
    _require_prepared(run)
    carried = saved_carried(run, mapping)
    begin_to_watch(run, carried)
    if counts(run)["unfinished"]:
        load_chunk(run, target, carried, UNFINISHED_CHUNK)
    load_customer_records(run, target, carried, CANARY_CHUNK)
    if one_pass_of(run) is not None:
        load_chunk(run, target, carried, TRIAL_CHUNK)
    load_chunk(run, target, carried, CANARY_CHUNK)
    for sobject, fields in carried.items():
        load_deferred_links(run, target, sobject, fields, CANARY_CHUNK)
    stop_if_rejected(run)


def load_customers(run: Run, target: Org, mapping: Mapping) -> None:
    """Loads the new customers. Raises `RowsRejected` when the org refused some and `on_row_failure` is stop."""
    _require_prepared(run)
    require_proved_canary(run)
    load_customer_records(run, target, saved_carried(run, mapping))
    stop_if_rejected(run)


def load_lanes(run: Run, target: Org, mapping: Mapping, lanes: list[int]) -> None:
    """Works through the chunks of these lanes, each lane in a thread of its own.

    Raises the first error of a lane when all have stopped; `JobStillRunning` only when there is no other
    error.
    """
    _require_prepared(run)
    require_proved_canary(run)
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
            run.lease.require()
            log.info("lane %d: chunk %d, %d orders", lane, chunk["chunk_no"], chunk["orders"])
            load_chunk(run, target, carried, chunk["chunk_no"])
            recheck(run, chunk["chunk_no"])
        stop_if_rejected(run)

    with ThreadPoolExecutor(max(1, len(lanes))) as pool:
        raise_worst([pool.submit(work_off, lane) for lane in lanes])


def load_links(run: Run, target: Org, mapping: Mapping) -> None:
    """Clone links and other links that may point at a record of a later chunk."""
    _require_prepared(run)
    require_proved_canary(run)
    for sobject, fields in saved_carried(run, mapping).items():
        load_deferred_links(run, target, sobject, fields)
    stop_if_rejected(run)
    if run.has_table(Table.DELETION):
        # Last of all: what is left has its links by now, nothing points at what goes.
        remove(run, target, run.table(Table.DELETION))
        stop_if_rejected(run)


def require_proved_canary(run: Run) -> None:
    """Refuses to go on without a proved canary: an earlier task may have been marked as success by hand.

    Raises `RunStopped`: differences for a canary that is not proved, not_approved where the run ends with
    it.
    """
    canary = canary_of(run)
    if canary is None:
        return
    if not canary["proved"]:
        raise RunStopped(
            f"The canary of run {run.run_id} is not proved; nothing else is written.",
            state="differences",
            next_step="run the task that loads the canary first.",
        )
    if Policies(run.params).asks_after_canary:
        approval.require_canary_answer(run, str(run.record.plan_hash), canary["observed_hash"])
        if canary["resumed_at"] is None:
            raise RunStopped(
                f"Run {run.run_id} waited for an answer to its canary, and changes since then were not checked.",
                state="not_approved",
                next_step="run the task that loads the customers first.",
            )
    if Policies(run.params).ends_with_canary:
        raise RunStopped(
            f"Run {run.run_id} ends with its canary (canary_gate is only); nothing else is written.",
            state="not_approved",
            next_step="trigger a new run with another canary_gate to load the rest.",
        )


def stop_if_rejected(run: Run) -> None:
    """Raises `RowsRejected` when the org refused records and `on_row_failure` is `stop`."""
    count = rejections(run)
    if count and Policies(run.params).stops_at_refused_rows:
        raise RowsRejected(
            f"The target refused {counted(count, 'record')}; on_row_failure is stop.",
            next_step="see rejected_rows.csv, fix the causes, and run again: what was written stays and is known.",
        )


def _require_prepared(run: Run) -> None:
    """Refuses to load without `prepare_load`: otherwise the approval was not checked."""
    if not run.has_table(Table.CHUNK) or run.record.loaded_at is None:
        raise RunStopped(
            f"Run {run.run_id} was not prepared for loading.",
            state="not_approved",
            next_step="run the task that checks the approval first.",
        )
    run.lease.require()
