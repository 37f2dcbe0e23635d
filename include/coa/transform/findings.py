"""What the data says before anything is written: each check is one or two set-based statements.

Findings about single records that cannot be moved come from the rules (`coa.transform.rules`) and are
counted when the plan stands; here are those about the orgs' catalogs, people and conventions.
"""

from __future__ import annotations

from typing import Any

from psycopg import sql

from coa.fields.field_map import FieldMapping
from coa.findings.finding import Finding, finding
from coa.mapping.model import Mapping
from coa.model import (
    CUSTOMER,
    CUSTOMER_ORG_ID,
    DRAFT,
    IN_FLIGHT,
    LOADED,
    ORDER,
    SOURCE_ID,
    STATUS,
)
from coa.staging.fragments import examples
from coa.staging.runs import SOURCE, TARGET, Run
from coa.transform.catalog_findings import check_catalog
from coa.transform.currency_findings import check_currency
from coa.transform.mapping_findings import check_mapping_used
from coa.transform.owners import check_owners


def data_findings(run: Run, carried: dict[str, list[FieldMapping]], mapping: Mapping) -> list[Finding]:
    """All findings on the data that was read, before any record gets its action."""
    return [
        *check_catalog(run),
        *check_currency(run, carried),
        *check_mapping_used(run, mapping),
        *_colliding_customers(run),
        *_duplicate_keys(run),
        *_earlier_migration(run),
        *_open_orders(run),
        *check_owners(run),
        *_ids_in_text(run, carried, mapping),
    ]


def groups(run: Run, query: sql.Composed, params: Any = None) -> tuple[int, list[str]]:
    """(records, up to ten ids) of a query that gives a column `id`."""
    found = run.db.row(
        sql.SQL("SELECT count(*) AS n, {examples} AS examples FROM ({}) q").format(
            query, examples=examples("id")
        ),
        params,
    )
    assert found is not None
    return int(found["n"]), list(found["examples"] or [])


def _colliding_customers(run: Run) -> list[Finding]:
    """Two customers for one org: ids of 15 and 18 characters name the same one, case matters."""
    findings = []
    for role in (SOURCE, TARGET):
        count, examples = groups(
            run,
            sql.SQL(
                """SELECT "Id" AS id FROM (SELECT "Id", count(*) OVER (PARTITION BY coa.org_key({org})) AS n
                   FROM {table} WHERE NULLIF({org}, '') IS NOT NULL) c WHERE n > 1"""
            ).format(org=sql.Identifier(CUSTOMER_ORG_ID), table=run.table(role, CUSTOMER)),
        )
        if count:
            findings.append(
                finding(
                    "warning",
                    f"customers_collide_{role}",
                    sobject=CUSTOMER,
                    field=CUSTOMER_ORG_ID,
                    count=count,
                    examples=examples,
                    role=role,
                )
            )
    return findings


def _duplicate_keys(run: Run) -> list[Finding]:
    """The org keeps the key unique as text; written by hand with 15 characters it can still be there twice."""
    findings = []
    for sobject in LOADED:
        count, examples = groups(
            run,
            sql.SQL(
                """SELECT "Id" AS id FROM (SELECT "Id", count(*) OVER (PARTITION BY coa.id18({key})) AS n
                   FROM {table} WHERE NULLIF({key}, '') IS NOT NULL) k WHERE n > 1"""
            ).format(key=sql.Identifier(SOURCE_ID), table=run.table(TARGET, sobject)),
        )
        if count:
            findings.append(
                finding(
                    "blocker",
                    "migration_key_duplicate",
                    sobject=sobject,
                    field=SOURCE_ID,
                    count=count,
                    examples=examples,
                )
            )
    return findings


def _earlier_migration(run: Run) -> list[Finding]:
    findings = []
    for sobject in LOADED:
        if SOURCE_ID not in run.columns(SOURCE, sobject):
            continue
        count, examples = groups(
            run,
            sql.SQL("""SELECT "Id" AS id FROM {} WHERE NULLIF({}, '') IS NOT NULL""").format(
                run.table(SOURCE, sobject), sql.Identifier(SOURCE_ID)
            ),
        )
        if count:
            findings.append(
                finding(
                    "note",
                    "earlier_migration",
                    sobject=sobject,
                    field=SOURCE_ID,
                    count=count,
                    examples=examples,
                )
            )
    return findings


def _open_orders(run: Run) -> list[Finding]:
    """Drafts, which could be submitted from both orgs, and orders on which Salesforce still reports."""
    findings = []
    for statuses, policy in (
        ((DRAFT,), run.params.draft_orders),
        (IN_FLIGHT, run.params.in_flight_orders),
    ):
        count, examples = groups(
            run,
            sql.SQL('SELECT "Id" AS id FROM {} WHERE {} = ANY ({})').format(
                run.table(SOURCE, ORDER), sql.Identifier(STATUS), sql.Literal(list(statuses))
            ),
        )
        if count:
            findings.append(
                finding(
                    "warning" if policy == "load" else "note",
                    f"draft_orders:{policy}" if statuses == (DRAFT,) else f"orders_in_flight:{policy}",
                    sobject=ORDER,
                    field=STATUS,
                    count=count,
                    examples=examples,
                    statuses=", ".join(statuses),
                )
            )
    return findings


def _ids_in_text(run: Run, carried: dict[str, list[FieldMapping]], mapping: Mapping) -> list[Finding]:
    """Text fields that hold ids of records which get another id: recognised by the source's key prefixes."""
    prefixes = sorted(
        {
            str(r["prefix"])
            for r in run.db.rows(
                """SELECT describe ->> 'keyPrefix' AS prefix FROM coa.describe
                   WHERE run_id = %s AND org = 'source' AND describe ->> 'keyPrefix' IS NOT NULL""",
                [run.run_id],
            )
        }
    )
    findings = []
    for sobject, fields in carried.items():
        texts = [
            one
            for one in fields
            if one.kind == "value" and one.source is not None and one.source.type in ("string", "textarea")
            and one.source.length >= 15 and one.rule.constant is None
        ]  # fmt: skip
        if not texts:
            continue
        counts = run.db.row(
            sql.SQL("SELECT {} FROM {} s").format(
                sql.SQL(", ").join(
                    sql.SQL(
                        """count(*) FILTER (WHERE s.{c} ~ '^[a-zA-Z0-9]{{15}}([A-Z0-5]{{3}})?$'
                           AND left(s.{c}, 3) = ANY ({p}) AND s.{c} ~ '[0-9]') AS {n}"""
                    ).format(
                        c=sql.Identifier(one.source.name if one.source else ""),
                        p=sql.Literal(prefixes),
                        n=sql.Identifier(one.name),
                    )
                    for one in texts
                ),
                run.table(SOURCE, sobject),
            )
        )
        for one in texts:
            count = int((counts or {}).get(one.name, 0))
            if count:
                findings.append(
                    finding("warning", "id_stored_as_text", sobject=sobject, field=one.name, count=count)
                )
    return findings
