"""What carrying out a plan takes: API calls as preflight counts them,
hours at the speed that the pair was seen to have."""

from __future__ import annotations

from dataclasses import dataclass

from psycopg import sql

from coa.attachments import planned
from coa.codes import WRITTEN
from coa.model import DETAIL, ORDER
from coa.plan.rules_off import ASSUMED_ROWS_A_SECOND, rows_a_second
from coa.preflight.capacity import expected_calls
from coa.staging.fragments import list_of
from coa.staging.runs import Run
from coa.staging.tables import Table


@dataclass(frozen=True)
class Estimate:
    """`calls`: API calls on the target. `hours`: of its Bulk jobs together, as if no two ran at once;
    files not counted."""

    calls: int
    hours: float


def speed_of(run: Run) -> tuple[float, bool]:
    """Rows a second, and whether an earlier run on this pair has measured it."""
    measured = rows_a_second(run)
    return measured or ASSUMED_ROWS_A_SECOND, measured is not None


def estimate(run: Run, speed: float) -> Estimate:
    """For the plan of a run; `speed` in rows a second."""
    row = run.db.row(
        sql.SQL(
            """SELECT count(*) FILTER (WHERE sobject = %(order)s) AS orders,
                      count(*) FILTER (WHERE sobject = %(detail)s) AS details,
                      count(*) FILTER (WHERE sobject = %(order)s AND action = 'insert') AS released,
                      count(*) AS written,
                      (SELECT count(*) FROM {} WHERE step <> '') AS corrected
               FROM {} WHERE action IN {written}"""
        ).format(run.table(Table.EXPECTED_CORRECTIONS), run.table(Table.PLAN), written=list_of(WRITTEN)),
        {"order": ORDER, "detail": DETAIL},
    )
    assert row is not None
    orders, details = int(row["orders"]), int(row["details"])
    chunk = run.params.orders_a_chunk(orders)
    calls = expected_calls(orders, details, chunk, run.settings.rows_per_job)
    # A new order is written twice: as a Draft, and with its status.
    rows = int(row["written"]) + int(row["released"]) + int(row["corrected"])
    return Estimate(calls + planned.calls_needed(planned.counts(run)), rows / speed / 3600)
