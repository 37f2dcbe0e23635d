"""The value of the orders, by currency and by status: how much is moved, stays behind, or is gone.

One computation for the approval page, the migration page, the report and the case work. `source` is counted
from the source's records alone, the outcomes from the plan and from what happened to it. That they add up to it
shows that no amount was forgotten.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from psycopg import sql

from coa.codes import LEFT_OUT, WRITTEN
from coa.model import DETAIL, DETAIL_ORDER, NS, ORDER, STATUS
from coa.staging.fragments import ledger_of, list_of, same_record
from coa.staging.runs import SOURCE, TARGET, Run
from coa.staging.tables import Table
from coa.wording import escape_markdown

VALUE = NS + "Order_Detail_Value__c"
CURRENCIES = (NS + "pct_Currency__c", "CurrencyIsoCode")
OUTCOMES = ("moved", "blocked", "held", "refused", "open")
"""`moved`: in the target, or to be moved while nothing was written; `open`: planned, and the load did not get there."""
PLAN_AMOUNTS = "plan_amounts"
"""Event of a run: the amounts of its plan; data: plan_hash, amounts."""

Amounts = dict[str, list[dict[str, Any]]]


def amounts(run: Run) -> Amounts:
    """`currencies` (currency, `source`, a value for each outcome, `deleted`), `statuses` (the same by status and
    currency, without `deleted`), `orders` (status, `source` and each outcome as numbers of orders).

    Values are text with all their digits. Empty lists where there is no plan. `deleted`: in the target, and gone from
    the source.
    """
    if not run.has_table(Table.PLAN):
        return {"currencies": [], "statuses": [], "orders": []}
    values = _by_status(_source_values(run), _planned(run, _VALUES, DETAIL), ("status", "currency"))
    orders = _by_status(_source_orders(run), _planned(run, _ORDERS, ORDER), ("status",))
    return {
        "currencies": _currencies(values, _deleted(run)),
        "statuses": [_as_text(row) for row in values],
        "orders": [{k: v if k == "status" else int(v) for k, v in row.items()} for row in orders],
    }


def money_of(run: Run, kind: Table) -> tuple[sql.Composable, sql.Composable]:
    """SQL (currency, value) of a detail (alias `x`) in a table of extracted details."""
    present = set(run.columns(kind, DETAIL))
    currencies = [sql.SQL("NULLIF(x.{}, '')").format(sql.Identifier(n)) for n in CURRENCIES if n in present]
    currency = sql.SQL("COALESCE({}, '')").format(sql.SQL(", ").join([*currencies, sql.SQL("NULL::text")]))
    if VALUE not in present:
        return currency, sql.SQL("NULL::numeric")
    return currency, sql.SQL("NULLIF(x.{}, '')::numeric").format(sql.Identifier(VALUE))


_VALUES = """SELECT COALESCE(o.{status}, '') AS status, {currency} AS currency, {outcome} AS outcome,
                    COALESCE(sum({value}), 0) AS amount
             FROM {plan} p JOIN {details} x ON x."Id" = p.source_id LEFT JOIN {orders} o ON o."Id" = x.{parent} {joins}
             WHERE p.sobject = {sobject} GROUP BY 1, 2, 3"""
_ORDERS = """SELECT COALESCE(o.{status}, '') AS status, {outcome} AS outcome, count(*) AS amount
             FROM {plan} p JOIN {orders} o ON o."Id" = p.source_id {joins}
             WHERE p.sobject = {sobject} GROUP BY 1, 2"""


def _names(run: Run) -> dict[str, sql.Composable]:
    currency, value = money_of(run, Table.SOURCE)
    return {
        "status": sql.Identifier(STATUS),
        "parent": sql.Identifier(DETAIL_ORDER),
        "details": run.table(SOURCE, DETAIL),
        "orders": run.table(SOURCE, ORDER),
        "currency": currency,
        "value": value,
    }


def _source_values(run: Run) -> list[dict[str, Any]]:
    return run.db.rows(
        sql.SQL(
            """SELECT COALESCE(o.{status}, '') AS status, {currency} AS currency, COALESCE(sum({value}), 0) AS amount
               FROM {details} x LEFT JOIN {orders} o ON o."Id" = x.{parent} GROUP BY 1, 2"""
        ).format(**_names(run))
    )


def _source_orders(run: Run) -> list[dict[str, Any]]:
    return run.db.rows(
        sql.SQL(
            "SELECT COALESCE(o.{status}, '') AS status, count(*) AS amount FROM {orders} o GROUP BY 1"
        ).format(status=sql.Identifier(STATUS), orders=run.table(SOURCE, ORDER))
    )


def _planned(run: Run, query: str, sobject: str) -> list[dict[str, Any]]:
    outcome, joins = _outcome(run)
    return run.db.rows(
        sql.SQL(query).format(
            plan=run.table(Table.PLAN),
            sobject=sql.Literal(sobject),
            outcome=outcome,
            joins=joins,
            **_names(run),
        )
    )


def _outcome(run: Run) -> tuple[sql.Composed, sql.Composed]:
    """What became of a planned record (alias `p`), and the joins that tell."""
    joins = sql.SQL(
        """LEFT JOIN LATERAL (SELECT true AS refused FROM coa.rejection r WHERE r.run_id = {run}
             AND (({r_is_p})
               OR (p.sobject = {detail} AND r.sobject = {order} AND r.source_id = p.parent_id)) LIMIT 1) r ON true
           LEFT JOIN {ledgers} l ON {ledger}"""
    ).format(
        ledgers=run.ledger,
        ledger=ledger_of(run.pair_id, "p"),
        run=sql.Literal(run.run_id),
        detail=sql.Literal(DETAIL),
        order=sql.Literal(ORDER),
        r_is_p=same_record("r", "p"),
    )
    held = sql.SQL("false").format()
    if run.has_table(Table.CHANGED_SINCE_PLAN):
        held = sql.SQL(
            """p.action IN {written} AND EXISTS (
                 SELECT FROM {} h WHERE {h_is_p})"""
        ).format(run.table(Table.CHANGED_SINCE_PLAN), written=list_of(WRITTEN), h_is_p=same_record("h", "p"))
    begun = sql.Literal(run.record.loaded_at is not None)
    outcome = sql.SQL(
        """CASE WHEN p.action IN {left_out} THEN p.action WHEN {held} THEN 'held'
                WHEN r.refused THEN 'refused' WHEN {begun} AND l.target_id IS NULL THEN 'open' ELSE 'moved' END"""
    ).format(held=held, begun=begun, left_out=list_of(LEFT_OUT))
    return outcome, joins


def _deleted(run: Run) -> dict[str, Decimal]:
    """Currency -> what details are worth that stand in the target and are gone from the source."""
    if not run.has_table(Table.DELETION):
        return {}
    currency, value = money_of(run, Table.TARGET)
    rows = run.db.rows(
        sql.SQL(
            """SELECT {currency} AS currency, COALESCE(sum({value}), 0) AS amount
               FROM {deletion} g JOIN {details} x ON x."Id" = g.target_id WHERE g.sobject = {detail} GROUP BY 1"""
        ).format(
            currency=currency,
            value=value,
            deletion=run.table(Table.DELETION),
            details=run.table(TARGET, DETAIL),
            detail=sql.Literal(DETAIL),
        )
    )
    return {str(r["currency"]): r["amount"] for r in rows}


def _by_status(
    source: Iterable[dict[str, Any]], planned: Iterable[dict[str, Any]], key: tuple[str, ...]
) -> list[dict[str, Any]]:
    found: dict[tuple[str, ...], dict[str, Any]] = {}

    def row(of: dict[str, Any]) -> dict[str, Any]:
        names = tuple(of[name] for name in key)
        empty = dict.fromkeys(("source", *OUTCOMES), Decimal(0))
        return found.setdefault(names, {**dict(zip(key, names, strict=True)), **empty})

    for one in source:
        row(one)["source"] += one["amount"]
    for one in planned:
        row(one)[one["outcome"]] += one["amount"]
    return [found[names] for names in sorted(found)]


def _currencies(values: list[dict[str, Any]], deleted: dict[str, Decimal]) -> list[dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for currency in sorted({row["currency"] for row in values} | set(deleted)):
        rows = [row for row in values if row["currency"] == currency]
        sums = {n: sum((row[n] for row in rows), Decimal(0)) for n in ("source", *OUTCOMES)}
        found[currency] = _as_text(
            {"currency": currency, **sums, "deleted": deleted.get(currency, Decimal(0))}
        )
    return list(found.values())


def _as_text(row: dict[str, Any]) -> dict[str, Any]:
    return {name: str(value) if isinstance(value, Decimal) else value for name, value in row.items()}


# ---- for the approver --------------------------------------------------------------------------
TITLES = {
    "source": "in the source",
    "moved": "to move",
    "blocked": "blocked",
    "held": "held",
    "refused": "refused",
    "open": "not reached",
    "deleted": "gone from the source",
}


def titles(run: Run) -> dict[str, str]:
    """Titles of the columns: what was moved, once a load has begun."""
    return _titles(moved=run.record.loaded_at is not None)


def _titles(*, moved: bool) -> dict[str, str]:
    return TITLES | ({"moved": "moved"} if moved else {})


def amounts_shown(found: Amounts, *, moved: bool) -> dict[str, Any]:
    """The amounts as a page shows them: figures as text, `outcomes` as pairs of key and title. `moved`: a load has
    begun."""
    named = _titles(moved=moved)
    shown = {
        part: [{k: v if k in ("status", "currency") else _figure(v) for k, v in row.items()} for row in rows]
        for part, rows in found.items()
    }
    return {
        **shown,
        "outcomes": [(name, named[name]) for name in ("source", *OUTCOMES)],
        "deleted": named["deleted"],
    }


def amounts_markdown(found: Amounts) -> list[str]:
    """Lines of Markdown: order value by currency, then orders and value by status."""
    if not found["currencies"]:
        return []
    planned = ("source", "moved", "blocked", "held")
    lines = ["", "**Order value**", ""]
    lines += _table(["currency"], (*planned, "deleted"), found["currencies"])
    lines += ["", "**Orders by status**", ""]
    lines += _table(["status"], planned, found["orders"])
    lines += ["", "**Order value by status**", ""]
    lines += _table(["status", "currency"], planned, found["statuses"])
    return lines


def _table(keys: list[str], columns: Iterable[str], rows: list[dict[str, Any]]) -> list[str]:
    titles = [TITLES[name] for name in columns]
    lines = [f"| {' | '.join([*keys, *titles])} |", "|" + "---|" * len(keys) + "---:|" * len(titles)]
    for row in rows:
        labels = [_cell(row[key]) for key in keys]
        lines.append(f"| {' | '.join([*labels, *(_figure(row[name]) for name in columns)])} |")
    return lines


def _cell(text: str) -> str:
    """A picklist's value comes from the org: no Markdown of it takes effect."""
    return escape_markdown(text) or "(empty)"


def _figure(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{Decimal(value):,.2f}"
