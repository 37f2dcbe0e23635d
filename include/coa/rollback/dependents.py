"""What a roll-back leaves because something else stays: an order with its details, a record that others point
at.
"""

from __future__ import annotations

from psycopg import sql

from coa.model import CLONED_FROM, CUSTOMER, DETAIL, DETAIL_ORDER, ORDER, ORDER_CUSTOMER
from coa.reasons import reason
from coa.staging.runs import TARGET, Run
from coa.staging.tables import Table


def keep_what_belongs_together(run: Run) -> int:
    """One round: keeps orders of which a detail stays, and records that others still point at; gives the
    records changed.
    """
    plan = run.table(Table.ROLLBACK)
    orders, details = run.table(TARGET, ORDER), run.table(TARGET, DETAIL)
    going = (
        "EXISTS (SELECT FROM {p} x WHERE x.sobject = %s AND x.target_id = t.\"Id\" AND x.action = 'delete')"
    )
    unlinked = (
        "EXISTS (SELECT FROM {p} x WHERE x.sobject = %s AND x.target_id = t.\"Id\" AND x.action = 'restore' "
        "AND %s = ANY (x.changed))"
    )
    left = "action = 'left', reason_code = %s, reason = %s, next_step = %s"
    changed = 0
    for statement, columns, params in (
        (
            "UPDATE {p} o SET " + left + " "
            "WHERE o.sobject = %s AND o.action = 'delete' AND EXISTS ("
            "SELECT FROM {t} t WHERE t.{f} = o.target_id AND NOT " + going + ")",
            (details, DETAIL_ORDER),
            [*reason("order_incomplete:rollback"), ORDER, DETAIL],
        ),
        (
            "UPDATE {p} d SET " + left + " FROM {p} o WHERE d.sobject = %s AND d.action = 'delete' "
            "AND o.sobject = %s AND o.action = 'left' AND o.wanted = 'delete' AND o.target_id = d.parent_id",
            (details, DETAIL_ORDER),
            [*reason("parent_blocked:rollback"), DETAIL, ORDER],
        ),
        (
            "UPDATE {p} o SET " + left + " "
            "WHERE o.sobject = %s AND o.action = 'delete' AND EXISTS ("
            "SELECT FROM {t} t WHERE t.{f} = o.target_id AND NOT " + going + " AND NOT " + unlinked + ")",
            (orders, CLONED_FROM),
            [*reason("in_use:clone"), ORDER, ORDER, ORDER, CLONED_FROM],
        ),
        (
            "UPDATE {p} c SET " + left + " "
            "WHERE c.sobject = %s AND c.action = 'delete' AND EXISTS ("
            "SELECT FROM {t} t WHERE t.{f} = c.target_id AND NOT " + going + " AND NOT " + unlinked + ")",
            (orders, ORDER_CUSTOMER),
            [*reason("in_use:customer"), CUSTOMER, ORDER, ORDER, ORDER_CUSTOMER],
        ),
    ):
        if columns[1] not in run.columns(TARGET, DETAIL if columns[0] is details else ORDER):
            continue
        changed += run.db.execute(
            sql.SQL(statement).format(p=plan, t=columns[0], f=sql.Identifier(columns[1])), params
        )
    return changed
