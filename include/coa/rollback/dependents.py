"""What of a roll-back stays because something else does: an order with its details, what is still pointed at."""

from __future__ import annotations

from psycopg import sql

from coa.model import CLONED_FROM, CUSTOMER, DETAIL, DETAIL_ORDER, ORDER, ORDER_CUSTOMER
from coa.staging.runs import TARGET, Run
from coa.staging.tables import Table


def keep_what_belongs_together(run: Run) -> int:
    """One round: orders stay with what is left of them, and what others still point at stays; records changed."""
    plan = run.table(Table.ROLLBACK)
    orders, details = run.table(TARGET, ORDER), run.table(TARGET, DETAIL)
    going = (
        "EXISTS (SELECT FROM {p} x WHERE x.sobject = %s AND x.target_id = t.\"Id\" AND x.action = 'delete')"
    )
    unlinked = (
        "EXISTS (SELECT FROM {p} x WHERE x.sobject = %s AND x.target_id = t.\"Id\" AND x.action = 'restore' "
        "AND %s = ANY (x.changed))"
    )
    changed = 0
    for statement, columns, params in (
        (
            "UPDATE {p} o SET action = 'left', reason_code = 'order_incomplete', reason = 'A detail of it stays, or is "
            "not of this run.', next_step = 'see its details in the target.' "
            "WHERE o.sobject = %s AND o.action = 'delete' AND EXISTS ("
            "SELECT FROM {t} t WHERE t.{f} = o.target_id AND NOT " + going + ")",
            (details, DETAIL_ORDER),
            [ORDER, DETAIL],
        ),
        (
            "UPDATE {p} d SET action = 'left', reason_code = 'parent_blocked', reason = 'Its order stays.', "
            "next_step = 'see why its order stays.' FROM {p} o WHERE d.sobject = %s AND d.action = 'delete' "
            "AND o.sobject = %s AND o.action = 'left' AND o.wanted = 'delete' AND o.target_id = d.parent_id",
            (details, DETAIL_ORDER),
            [DETAIL, ORDER],
        ),
        (
            "UPDATE {p} o SET action = 'left', reason_code = 'in_use', reason = 'An order that stays was cloned from "
            "it.', next_step = 'roll back the later run first, or clear the link by hand.' "
            "WHERE o.sobject = %s AND o.action = 'delete' AND EXISTS ("
            "SELECT FROM {t} t WHERE t.{f} = o.target_id AND NOT " + going + " AND NOT " + unlinked + ")",
            (orders, CLONED_FROM),
            [ORDER, ORDER, ORDER, CLONED_FROM],
        ),
        (
            "UPDATE {p} c SET action = 'left', reason_code = 'in_use', reason = 'Orders that stay use it.', "
            "next_step = 'see why these orders stay.' "
            "WHERE c.sobject = %s AND c.action = 'delete' AND EXISTS ("
            "SELECT FROM {t} t WHERE t.{f} = c.target_id AND NOT " + going + " AND NOT " + unlinked + ")",
            (orders, ORDER_CUSTOMER),
            [CUSTOMER, ORDER, ORDER, ORDER_CUSTOMER],
        ),
    ):
        if columns[1] not in run.columns(TARGET, DETAIL if columns[0] is details else ORDER):
            continue
        changed += run.db.execute(
            sql.SQL(statement).format(p=plan, t=columns[0], f=sql.Identifier(columns[1])), params
        )
    return changed
