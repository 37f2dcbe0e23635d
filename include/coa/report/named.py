"""Rows about records with what people know them by: order number, customer, amount.
And in an order that people read."""

from __future__ import annotations

from psycopg import sql

from coa.fields.customers import customer_called
from coa.model import CUSTOMER, DETAIL, DETAIL_ORDER, LOADED, ORDER, ORDER_CUSTOMER
from coa.plan.amounts import money_of
from coa.staging.runs import SOURCE, Run
from coa.staging.tables import Table

NAMED_COLUMNS = ("order_number", "customer", "amount", "currency")


def named(run: Run, query: sql.Composable) -> sql.Composed:
    """SQL: the rows of `query` (sobject, source_id, ...) with `NAMED_COLUMNS`;
    empty ones where the source has no record.

    `amount`: of a detail its value in the source, of an order the sum over its details, as text with all its digits;
    `currency`: of that amount, several with a plus sign between them.
    """
    if not all(run.has_table(SOURCE, name) for name in LOADED):
        nothing = sql.SQL(", ").join(
            sql.SQL("NULL::text AS {}").format(sql.Identifier(n)) for n in NAMED_COLUMNS
        )
        return sql.SQL("SELECT q.*, {} FROM ({}) q").format(nothing, query)
    currency, value = money_of(run, Table.SOURCE)
    return sql.SQL(
        """SELECT q.*, o."Name" AS order_number, {called} AS customer,
                  CASE q.sobject WHEN {detail} THEN ({value})::text ELSE m.amount END AS amount,
                  CASE q.sobject WHEN {detail} THEN NULLIF({currency}, '') ELSE m.currency END AS currency
           FROM ({query}) q
           LEFT JOIN {details} x ON q.sobject = {detail} AND x."Id" = q.source_id
           LEFT JOIN {orders} o ON o."Id" = CASE q.sobject WHEN {order} THEN q.source_id
                                             WHEN {detail} THEN x.{parent} END
           LEFT JOIN {customers} c ON c."Id" = CASE q.sobject WHEN {customer} THEN q.source_id ELSE o.{of_customer} END
           LEFT JOIN LATERAL (SELECT sum({value})::text AS amount,
                                     string_agg(DISTINCT NULLIF({currency}, ''), '+') AS currency
                              FROM {details} x WHERE x.{parent} = q.source_id) m ON q.sobject = {order}"""
    ).format(
        query=query,
        called=customer_called(run, "c"),
        value=value,
        currency=currency,
        details=run.table(SOURCE, DETAIL),
        orders=run.table(SOURCE, ORDER),
        customers=run.table(SOURCE, CUSTOMER),
        detail=sql.Literal(DETAIL),
        order=sql.Literal(ORDER),
        customer=sql.Literal(CUSTOMER),
        parent=sql.Identifier(DETAIL_ORDER),
        of_customer=sql.Identifier(ORDER_CUSTOMER),
    )


def place_of(column: str = "sobject") -> sql.Composed:
    """SQL to sort by: customers, then orders, then their details, and whatever else comes after them."""
    return sql.SQL("COALESCE(array_position({}::text[], {}), {})").format(
        sql.Literal(list(LOADED)), sql.SQL(column), sql.Literal(len(LOADED) + 1)
    )
