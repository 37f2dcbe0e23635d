"""Contract terms, products and pricebook entries: which find no counterpart, or several, or a different one."""

from __future__ import annotations

from psycopg import sql

from coa.findings.finding import Finding, finding
from coa.model import (
    CONTRACT,
    DETAIL,
    DETAIL_CONTRACT,
    DETAIL_PRODUCT,
    NS,
    ORDER,
    ORDER_CONTRACT,
    PRICEBOOK_ENTRY,
    PRODUCT,
    PRODUCT_CONTRACT,
    PRODUCT_ID,
)
from coa.staging.fragments import examples
from coa.staging.runs import SOURCE, TARGET, Run
from coa.staging.tables import Table

# Fields of the catalog whose display formulas on details read the current value: history shifts with them.
PRICE_FIELDS = tuple(
    NS + n for n in ("Pricing_Type__c", "Fixed_Price__c", "Floor_Price__c", "PNR__c", "Pricing_Unit__c")
)
# Fields of contract terms that decide which details the package takes, and in which money they count.
TERMS_FIELDS = tuple(
    NS + n
    for n in (
        "Allow_Cancellation_Terms_Override__c",
        "Allow_Contract_Length_Override__c",
        "Allow_Renewal_Length_Override__c",
        "Default_Contract_Currency__c",
        "Type__c",
    )
)
NUMBERS = frozenset(NS + n for n in ("Fixed_Price__c", "Floor_Price__c", "PNR__c"))


def check_catalog(run: Run) -> list[Finding]:
    """Findings on contract terms, products and prices that lack a counterpart or differ from it."""
    return [
        *_without_counterpart(run, CONTRACT, used_contracts(run), "contract"),
        *_without_counterpart(run, PRODUCT, used_products(run), "product"),
        *_without_counterpart(run, PRICEBOOK_ENTRY, None, "pricebook_entry"),
        *_different(run, PRODUCT, PRICE_FIELDS),
        *_different(run, CONTRACT, TERMS_FIELDS),
    ]


def used_contracts(run: Run) -> sql.Composed:
    """Source ids of the contract terms that orders and details use."""
    return sql.SQL("SELECT {} AS id FROM {} UNION SELECT {} FROM {}").format(
        sql.Identifier(ORDER_CONTRACT),
        run.table(SOURCE, ORDER),
        sql.Identifier(DETAIL_CONTRACT),
        run.table(SOURCE, DETAIL),
    )


def used_products(run: Run) -> sql.Composed:
    """SQL: the ids of products that details of the source name, as column `id`."""
    return sql.SQL("SELECT DISTINCT {} AS id FROM {}").format(
        sql.Identifier(DETAIL_PRODUCT), run.table(SOURCE, DETAIL)
    )


def candidates(run: Run, sobject: str) -> sql.Composed:
    """SQL for the number of target records that bear the natural key of the source record `s`."""
    if sobject == CONTRACT:
        condition = sql.SQL('t."Name" = s."Name"').format()
    elif sobject == PRICEBOOK_ENTRY:
        key = sql.Identifier(NS + "Pricebook_Entry_Id__c")
        condition = sql.SQL("coa.id18(t.{k}) = coa.id18(s.{k})").format(k=key)
    else:
        condition = sql.SQL(
            "t.{p} = s.{p} AND t.{c} = (SELECT m.target_id FROM {map} m WHERE m.source_id = s.{c})"
        ).format(
            p=sql.Identifier(PRODUCT_ID),
            c=sql.Identifier(PRODUCT_CONTRACT),
            map=run.table(Table.MAP, CONTRACT),
        )
    return sql.SQL("(SELECT count(*) FROM {} t WHERE {})").format(run.table(TARGET, sobject), condition)


def _without_counterpart(run: Run, sobject: str, used: sql.Composed | None, what: str) -> list[Finding]:
    only_used = sql.SQL('AND s."Id" IN ({})').format(used) if used else sql.SQL("").format()
    rows = run.db.rows(
        sql.SQL(
            """SELECT candidates > 1 AS ambiguous, count(*) AS n,
                      {examples} AS examples,
                      (array_agg(name ORDER BY name))[1:5] AS names
               FROM (SELECT s."Id" AS id, s."Name" AS name, {candidates} AS candidates
                     FROM {source} s LEFT JOIN {map} m ON m.source_id = s."Id"
                     WHERE m.source_id IS NULL {used}) q GROUP BY 1 ORDER BY 1"""
        ).format(
            candidates=candidates(run, sobject),
            source=run.table(SOURCE, sobject),
            map=run.table(Table.MAP, sobject),
            used=only_used,
            examples=examples("id", order_by="name"),
        )
    )
    return [
        finding(
            "warning",
            f"{what}_ambiguous" if r["ambiguous"] else f"{what}_not_found",
            sobject=sobject,
            count=int(r["n"]),
            examples=r["examples"],
            names=r["names"],
        )
        for r in rows
    ]


def _different(run: Run, sobject: str, names: tuple[str, ...]) -> list[Finding]:
    """Matched records whose values differ, one finding a field."""
    shared = set(run.columns(SOURCE, sobject)) & set(run.columns(TARGET, sobject))
    fields = [name for name in names if name in shared]
    if not fields:
        return []
    used = used_contracts(run) if sobject == CONTRACT else used_products(run)
    branches = sql.SQL(" UNION ALL ").join(
        sql.SQL(
            """SELECT {name} AS field, s."Id" AS id FROM {source} s JOIN {map} m ON m.source_id = s."Id"
               JOIN {target} t ON t."Id" = m.target_id
               WHERE {canon}(s.{f}) IS DISTINCT FROM {canon}(t.{f}) AND s."Id" IN ({used})"""
        ).format(
            name=sql.Literal(name),
            source=run.table(SOURCE, sobject),
            map=run.table(Table.MAP, sobject),
            target=run.table(TARGET, sobject),
            canon=sql.SQL("coa.canon_number" if name in NUMBERS else "coa.canon_text"),
            f=sql.Identifier(name),
            used=used,
        )
        for name in fields
    )
    rows = run.db.rows(
        sql.SQL(
            """SELECT field, count(*) AS n, {examples} AS examples
               FROM ({}) d GROUP BY 1 ORDER BY 1"""
        ).format(branches, examples=examples("id"))
    )
    return [
        finding(
            "warning",
            "catalog_price_differs" if sobject == PRODUCT else "contract_terms_differ",
            sobject=sobject,
            field=r["field"],
            count=int(r["n"]),
            examples=r["examples"],
        )
        for r in rows
    ]
