"""The state of a run's one pass: its row of `coa.one_pass`, and which way each order goes.

No row: one pass is not tried. A row that has ended: orders that were not created yet go the usual way, as
Drafts.
"""

from __future__ import annotations

from typing import Any

import psycopg
from psycopg import sql

from coa.model import DETAIL, ORDER
from coa.plan.one_pass import ONE_PASS
from coa.staging.database import Row
from coa.staging.runs import Run
from coa.staging.tables import Table


def one_pass_of(run: Run) -> Row | None:
    """The run's row of `coa.one_pass`; None where one pass is not tried."""
    return run.db.row("SELECT * FROM coa.one_pass WHERE run_id = %s", [run.run_id])


def is_open(run: Run) -> bool:
    """Whether orders that can be are created as they are."""
    found = one_pass_of(run)
    return found is not None and found["ended_at"] is None


def ended_late(run: Run) -> bool:
    """Whether a rule was switched on again that preflight had found off: what the canary showed is no
    longer valid.
    """
    found = one_pass_of(run)
    return found is not None and bool(found["seen_late"])


def end_one_pass(connection: psycopg.Connection[Row], run: Run, why: str, *, late: bool) -> bool:
    """Ends one pass for the rest of the run; False where it has ended before. `late`: see `ended_late`."""
    return bool(
        connection.execute(
            """UPDATE coa.one_pass SET ended_at = clock_timestamp(), why = %s, seen_late = %s
               WHERE run_id = %s AND ended_at IS NULL""",
            [why, late, run.run_id],
        ).rowcount
    )


def goes_one_pass(run: Run, order: sql.Composable) -> sql.Composed:
    """SQL: whether an order of the plan, given by its source id, is created as it is."""
    if not run.has_table(Table.ONE_PASS):
        return sql.SQL("false").format()
    return sql.SQL("EXISTS (SELECT FROM {} o WHERE o.source_id = {} AND o.way = {})").format(
        run.table(Table.ONE_PASS), order, sql.Literal(ONE_PASS)
    )


def of_one_pass(run: Run, sobject: str) -> sql.Composed:
    """SQL on the plan (alias `p`): whether a record is such an order, or a detail of one."""
    if sobject not in (ORDER, DETAIL):
        return sql.SQL("false").format()
    return goes_one_pass(run, sql.SQL("p.source_id" if sobject == ORDER else "p.parent_id"))


def count_ways(run: Run, *, created: bool = False) -> dict[str, int]:
    """Way -> orders; empty where one pass is not tried. `created`: those only that are in the target."""
    if not run.has_table(Table.ONE_PASS):
        return {}
    there = sql.SQL(
        """EXISTS (SELECT FROM coa.ledger l WHERE l.pair_id = {} AND l.sobject = {} AND l.source_id = o.source_id
             AND l.target_id IS NOT NULL)"""
    ).format(sql.Literal(run.pair_id), sql.Literal(ORDER))
    rows = run.db.rows(
        sql.SQL("SELECT way, count(*) AS n FROM {} o WHERE {} GROUP BY 1 ORDER BY 1").format(
            run.table(Table.ONE_PASS), there if created else sql.SQL("true")
        )
    )
    return {str(r["way"]): int(r["n"]) for r in rows}


def one_pass_document(run: Run) -> dict[str, Any]:
    """For `summary.json`: `state` (not_tried, used, ended), `orders` that went one pass, `todays_way`: the
    others by reason, `why` it ended.
    """
    found = one_pass_of(run)
    if found is None:
        return {"state": "not_tried", "orders": 0, "todays_way": {}, "why": ""}
    ways = count_ways(run, created=True)
    orders = ways.pop(ONE_PASS, 0)
    state = "used" if found["ended_at"] is None else "ended"
    return {"state": state, "orders": orders, "todays_way": ways, "why": found["why"]}
