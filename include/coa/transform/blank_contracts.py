"""Details without contract terms, as versions of the app before 2.x wrote them: they take those of their order.

The target's rule Order_must_belong_to_contract_terms, which these versions did not have, refuses them blank. Blank is
not different: the order's own terms are what such a detail was sold under. Where the rule is off they stay blank.
"""

from __future__ import annotations

from psycopg import sql

from coa.model import DETAIL, DETAIL_CONTRACT, DETAIL_ORDER, ORDER, ORDER_CONTRACT
from coa.staging.runs import SOURCE, Run
from coa.staging.tables import Table

RULE = "Order_must_belong_to_contract_terms"


def fill_blank_contracts(run: Run, inactive_rules: frozenset[str]) -> int:
    """Fills `desired` of the details; how many."""
    carried = DETAIL_CONTRACT in run.columns(Table.DESIRED, DETAIL)
    if run.params.blank_contract != "from_order" or RULE in inactive_rules or not carried:
        return 0
    return run.db.execute(
        sql.SQL(
            """UPDATE {details} d SET {contract} = o.{order_contract} FROM {orders} o, {source} s
               WHERE o.source_id = d.{order} AND s."Id" = d.source_id AND d.{contract} IS NULL
                 AND NULLIF(s.{contract}, '') IS NULL AND o.{order_contract} IS NOT NULL"""
        ).format(
            details=run.table(Table.DESIRED, DETAIL),
            contract=sql.Identifier(DETAIL_CONTRACT),
            order_contract=sql.Identifier(ORDER_CONTRACT),
            orders=run.table(Table.DESIRED, ORDER),
            source=run.table(SOURCE, DETAIL),
            order=sql.Identifier(DETAIL_ORDER),
        )
    )


def is_filled() -> sql.Composed:
    """SQL over `s` and `d` of a detail: its contract terms come from its order."""
    return sql.SQL("NULLIF(s.{f}, '') IS NULL AND d.{f} IS NOT NULL").format(
        f=sql.Identifier(DETAIL_CONTRACT)
    )
