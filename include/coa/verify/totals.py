"""Control totals of the moved orders, source beside target: orders, details, quantity and value.

The source side is counted from the source's extract, the target side from the fresh extract of the
target, with every detail that hangs on our orders there, expected or not.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from psycopg import sql

from coa.fields.field_map import FieldMapping
from coa.fields.saved import saved_carried
from coa.mapping.store import mapping_of
from coa.model import (
    CONTRACT,
    CURRENCY,
    DETAIL,
    DETAIL_ORDER,
    NS,
    ORDER,
    ORDER_CONTRACT,
    ORDER_TYPE,
    QUANTITY,
    RECEIVED_AT,
    STATUS,
)
from coa.plan.amounts import CURRENCIES, VALUE
from coa.staging.runs import SOURCE, TARGET, Run
from coa.staging.tables import Table
from coa.tabular import Kind

YEAR_FIELDS = ("CreatedDate", NS + "Date_Partner_Received_Customer_Order__c")


def year_field(carried: list[FieldMapping]) -> str:
    """The year of an order: of its creation, when that date is carried, else of the customer's order."""
    names = {one.name for one in carried}
    return next((n for n in YEAR_FIELDS if n in names), "CreatedDate")


def count_totals(run: Run, carried: list[FieldMapping]) -> None:
    """Writes `coa.total` anew. Currency '' = all currencies together, without a value."""
    year = year_field(carried)
    run.db.execute("DELETE FROM coa.total WHERE run_id = %s", [run.run_id])
    run.db.execute(_insert(run, SOURCE, _source_orders(run, year), _source_details(run)))
    run.db.execute(_insert(run, TARGET, _target_orders(run, year), _target_details(run)))


ORDER_COLUMNS = ("side", "order_id", "source_id", "status", "order_type", "contract", "year", "received_at",
                 "created_at", "currency", "details", "quantity", "value")  # fmt: skip
"""Columns of `orders.csv`; one row an order, side and currency of its details."""
ORDER_KINDS = dict.fromkeys(ORDER_COLUMNS, Kind.TEXT) | {
    "received_at": Kind.MOMENT,
    "created_at": Kind.MOMENT,
    "details": Kind.WHOLE,
    "quantity": Kind.NUMBER,
    "value": Kind.NUMBER,
}
"""Columns of `orders.parquet`."""


def order_rows(run: Run) -> Iterator[dict[str, Any]]:
    """The orders that the totals count, source and target; nothing where nothing was proved."""
    if not (run.has_table(Table.EXPECTED, ORDER) and run.has_table(Table.VERIFY, ORDER)):
        return
    year = year_field(saved_carried(run, mapping_of(run))[ORDER])
    for side, orders, details in (
        (SOURCE, _source_orders(run, year), _source_details(run)),
        (TARGET, _target_orders(run, year), _target_details(run)),
    ):
        yield from run.db.stream(
            sql.SQL(
                """WITH o AS ({orders}), {by_order}
                   SELECT {side} AS side, o.id AS order_id, o.source_id, o.status, o.order_type, o.contract, o.year,
                          o.received_at, o.created_at, COALESCE(x.currency, '') AS currency,
                          COALESCE(x.details, 0) AS details, COALESCE(x.quantity, 0) AS quantity, x.value
                   FROM o LEFT JOIN x ON x.order_id = o.id ORDER BY o.source_id, x.currency"""
            ).format(orders=orders, by_order=_BY_ORDER.format(details=details), side=sql.Literal(side))
        )


_BY_ORDER = sql.SQL(
    """x AS MATERIALIZED (
         SELECT order_id, currency, count(*) AS details, sum(quantity) AS quantity, sum(value) AS value
         FROM ({details}) y GROUP BY 1, 2)"""
)


def _insert(run: Run, side: str, orders: sql.Composed, details: sql.Composed) -> sql.Composed:
    return sql.SQL(
        """WITH o AS MATERIALIZED ({orders}),
                {by_order},
                a AS (SELECT order_id, sum(details) AS details, sum(quantity) AS quantity FROM x GROUP BY 1),
                l AS (SELECT o.id, v.dimension, COALESCE(v.label, '') AS label FROM o CROSS JOIN LATERAL (VALUES
                        ('all', ''), ('status', o.status), ('order_type', o.order_type), ('contract', o.contract),
                        ('year', o.year), ('record_currency', o.record_currency)) AS v (dimension, label)
                      WHERE v.dimension <> 'record_currency' OR v.label IS NOT NULL)
           INSERT INTO coa.total (run_id, side, dimension, label, currency, orders, details, quantity, value)
           SELECT {run}, {side}, l.dimension, l.label, '', count(*), COALESCE(sum(a.details), 0),
                  COALESCE(sum(a.quantity), 0), NULL
           FROM l LEFT JOIN a ON a.order_id = l.id GROUP BY 3, 4
           UNION ALL
           SELECT {run}, {side}, l.dimension, l.label, x.currency, count(DISTINCT l.id), sum(x.details),
                  COALESCE(sum(x.quantity), 0), COALESCE(sum(x.value), 0)
           FROM l JOIN x ON x.order_id = l.id WHERE x.currency <> '' GROUP BY 3, 4, 5"""
    ).format(
        orders=orders,
        by_order=_BY_ORDER.format(details=details),
        run=sql.Literal(run.run_id),
        side=sql.Literal(side),
    )


def _source_orders(run: Run, year: str) -> sql.Composed:
    # Contracts bear the target's names on both sides: on a merger they are recreated under other names.
    return sql.SQL(
        """SELECT e.source_id AS id, e.source_id, d.{status} AS status, d.{type} AS order_type,
                  c."Name" AS contract, left(s.{year}, 4) AS year, {currency} AS record_currency, {dates}
           FROM {expected} e JOIN {desired} d ON d.source_id = e.source_id JOIN {source} s ON s."Id" = e.source_id
           LEFT JOIN {contracts} c ON c."Id" = d.{contract} WHERE NOT e.rejected"""
    ).format(
        status=sql.Identifier(STATUS),
        type=sql.Identifier(ORDER_TYPE),
        contract=sql.Identifier(ORDER_CONTRACT),
        year=sql.Identifier(year),
        currency=_record_currency(run, "s"),
        dates=_dates(run, SOURCE, "s"),
        expected=run.table(Table.EXPECTED, ORDER),
        desired=run.table(Table.DESIRED, ORDER),
        source=run.table(SOURCE, ORDER),
        contracts=run.table(TARGET, CONTRACT),
    )


def _target_orders(run: Run, year: str) -> sql.Composed:
    return sql.SQL(
        """SELECT t."Id" AS id, e.source_id, t.{status} AS status, t.{type} AS order_type,
                  c."Name" AS contract, left(t.{year}, 4) AS year, {currency} AS record_currency, {dates}
           FROM {expected} e JOIN {verify} t ON t."Id" = e.target_id
           LEFT JOIN {contracts} c ON c."Id" = t.{contract}"""
    ).format(
        status=sql.Identifier(STATUS),
        type=sql.Identifier(ORDER_TYPE),
        contract=sql.Identifier(ORDER_CONTRACT),
        year=sql.Identifier(year),
        currency=_record_currency(run, "t"),
        dates=_dates(run, Table.VERIFY, "t"),
        expected=run.table(Table.EXPECTED, ORDER),
        verify=run.table(Table.VERIFY, ORDER),
        contracts=run.table(TARGET, CONTRACT),
    )


def _record_currency(run: Run, alias: str) -> sql.Composable:
    """What an order's amounts are in, where both orgs have several currencies;
    beside it stands that of its contract."""
    if any(CURRENCY not in run.columns(kind, ORDER) for kind in (SOURCE, Table.VERIFY)):
        return sql.SQL("NULL::text")
    return sql.SQL("NULLIF({}, '')").format(sql.Identifier(alias, CURRENCY))


def _dates(run: Run, kind: str, alias: str) -> sql.Composed:
    """When an order was received by Salesforce and when it was created, as far as the org shows it."""
    present = set(run.columns(kind, ORDER))
    return sql.SQL(", ").join(
        sql.SQL("{} AS {}").format(
            sql.Identifier(alias, field) if field in present else sql.SQL("NULL::text"), sql.Identifier(name)
        )
        for field, name in ((RECEIVED_AT, "received_at"), ("CreatedDate", "created_at"))
    )


def _source_details(run: Run) -> sql.Composed:
    return sql.SQL(
        """SELECT x.{parent} AS order_id, {amounts}
           FROM {source} x JOIN {expected} e ON e.source_id = x."Id" AND NOT e.rejected"""
    ).format(
        parent=sql.Identifier(DETAIL_ORDER),
        amounts=_amounts(run),
        source=run.table(SOURCE, DETAIL),
        expected=run.table(Table.EXPECTED, DETAIL),
    )


def _target_details(run: Run) -> sql.Composed:
    return sql.SQL("SELECT x.{} AS order_id, {} FROM {} x").format(
        sql.Identifier(DETAIL_ORDER), _amounts(run), run.table(Table.VERIFY, DETAIL)
    )


def _amounts(run: Run) -> sql.Composed:
    """Currency, quantity and value of a detail, as far as both orgs show them."""
    present = set(run.columns(SOURCE, DETAIL)) & set(run.columns(Table.VERIFY, DETAIL))

    def number(name: str) -> sql.Composable:
        if name not in present:
            return sql.SQL("NULL::numeric")
        return sql.SQL("NULLIF(x.{}, '')::numeric").format(sql.Identifier(name))

    currency: sql.Composable = sql.SQL("''")
    found = [n for n in CURRENCIES if n in present]
    if found:
        currency = sql.SQL("COALESCE({}, '')").format(
            sql.SQL(", ").join(sql.SQL("NULLIF(x.{}, '')").format(sql.Identifier(n)) for n in found)
        )
    return sql.SQL("{} AS currency, {} AS quantity, {} AS value").format(
        currency, number(QUANTITY), number(VALUE)
    )
