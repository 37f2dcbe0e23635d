"""CurrencyIsoCode exists only where multi-currency is on, and decides what every amount means."""

from __future__ import annotations

from psycopg import sql

from coa.fields.field_map import FieldMapping
from coa.fields.saved import saved_describes
from coa.findings.finding import Finding, finding
from coa.model import CURRENCY, LOADED
from coa.staging.runs import SOURCE, TARGET, Run


def check_currency(run: Run, carried: dict[str, list[FieldMapping]]) -> list[Finding]:
    """Orgs that differ in multi-currency. Codes that the target lacks are found record by record
    (`currency_missing`)."""
    source, target = saved_describes(run, SOURCE), saved_describes(run, TARGET)
    findings = []
    for sobject in LOADED:
        here, there = CURRENCY in source[sobject].fields, CURRENCY in target[sobject].fields
        if here and not there:
            findings += _lost(run, sobject)
        given = any(f.name == CURRENCY for f in carried[sobject])
        if there and not here and not given:
            findings.append(finding("blocker", "currency_unknown", sobject=sobject, field=CURRENCY))
    return findings


def _lost(run: Run, sobject: str) -> list[Finding]:
    """The target knows one currency: amounts in any other would silently change their meaning."""
    rows = run.db.rows(
        sql.SQL(
            """SELECT NULLIF({f}, '') AS code, count(*) AS n, (array_agg("Id" ORDER BY "Id"))[1:3] AS examples
               FROM {t} WHERE NULLIF({f}, '') IS NOT NULL GROUP BY 1 ORDER BY 2 DESC"""
        ).format(f=sql.Identifier(CURRENCY), t=run.table(SOURCE, sobject))
    )
    if not rows:
        return []
    several = len(rows) > 1
    return [
        finding(
            "blocker" if several else "warning",
            "currency_not_carried:several" if several else "currency_not_carried",
            sobject=sobject,
            field=CURRENCY,
            count=sum(int(r["n"]) for r in rows),
            examples=[e for r in rows for e in r["examples"]],
            currencies=[f"{r['code']} ({r['n']})" for r in rows],
        )
    ]
