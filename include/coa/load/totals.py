"""How many rows each step of a load will send, for whoever watches."""

from __future__ import annotations

from psycopg import sql

from coa.load.conditions import not_held_back
from coa.load.one_pass_state import of_one_pass
from coa.load_steps import CUSTOMERS, DETAILS, ORDERS, ORDERS_ONE_PASS, STATUSES
from coa.model import CUSTOMER, DETAIL, DRAFT, ORDER, STATUS
from coa.staging.runs import Run
from coa.staging.tables import Table


def set_totals(run: Run) -> None:
    """Totals of the run's progress, by the plan and by which way its orders go now."""
    one_pass = of_one_pass(run, ORDER)
    for step, sobject, condition in (
        (CUSTOMERS, CUSTOMER, sql.SQL("true").format()),
        (ORDERS_ONE_PASS, ORDER, one_pass),
        (ORDERS, ORDER, sql.SQL("NOT {}").format(one_pass)),
        (DETAILS, DETAIL, sql.SQL("true").format()),
    ):
        new = sql.SQL("p.action = 'insert' AND {} AND {}").format(not_held_back(run), condition)
        total = _count(run, sobject, new)
        if total or step != ORDERS_ONE_PASS:
            run.progress.add(step.name, sobject, total=total)
    released = sql.SQL(
        "((p.action = 'insert' AND p.status <> {} AND NOT {}) OR (p.action = 'update' AND {} = ANY (p.changed)))"
    ).format(sql.Literal(DRAFT), one_pass, sql.Literal(STATUS))
    run.progress.add(STATUSES.name, ORDER, total=_count(run, ORDER, released))


def _count(run: Run, sobject: str, condition: sql.Composed) -> int:
    return int(
        run.db.value(
            sql.SQL("SELECT count(*) FROM {} p WHERE p.sobject = %s AND {}").format(
                run.table(Table.PLAN), condition
            ),
            [sobject],
        )
    )
