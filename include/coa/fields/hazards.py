"""Fields that must never be set on our records: Send_Order__c could submit a historical order again."""

from __future__ import annotations

from typing import Any

from psycopg import sql

from coa.findings.finding import Finding, finding
from coa.model import HAZARDS, SOURCE_ID
from coa.salesforce.composite import Read, granted, read_together, records_of
from coa.salesforce.session import Org
from coa.staging.runs import Run
from coa.staging.tables import Table

CODE = "hazard"


def find_hazards(run: Run) -> None:
    """Lists a difference of the kind `hazard` for each record that we created and in which such a field is
    set now.
    """
    for sobject, names in HAZARDS.items():
        for name in sorted(set(names) & set(run.columns(Table.VERIFY, sobject))):
            run.db.execute(
                sql.SQL(
                    """INSERT INTO coa.difference
                         (run_id, sobject, source_id, target_id, field, source_value, target_value, kind, reason)
                       SELECT {run}, {sobject}, l.source_id, t."Id", {name}, 'false', 'true', {code}, {reason}
                       FROM {ledgers} l JOIN {verify} t ON t."Id" = l.target_id
                       WHERE l.pair_id = {pair} AND l.sobject = {sobject} AND l.origin = 'inserted'
                         AND coa.canon_boolean(t.{field}) = 'true'"""
                ).format(
                    ledgers=run.ledger,
                    run=sql.Literal(run.run_id),
                    sobject=sql.Literal(sobject),
                    name=sql.Literal(name),
                    code=sql.Literal(CODE),
                    reason=sql.Literal(
                        "never set by the migration: it could send a historical order to Salesforce again"
                    ),
                    verify=run.table(Table.VERIFY, sobject),
                    pair=sql.Literal(run.pair_id),
                    field=sql.Identifier(name),
                )
            )


def ask_hazards(run: Run, target: Org) -> list[Finding]:
    """The same question, asked of the target in one call: of all records that have our migration key."""
    asked = [(sobject, name) for sobject, names in HAZARDS.items() for name in names]
    answers = read_together(
        target,
        [
            Read(soql=f"SELECT {SOURCE_ID} FROM {sobject} WHERE {name} = true AND {SOURCE_ID} != null")
            for sobject, name in asked
        ],
    )
    findings = []
    for (sobject, name), answer in zip(asked, answers, strict=True):
        ids = sorted(str(r[SOURCE_ID]) for r in records_of(target, granted(answer)))
        if ids:
            findings.append(_finding(sobject, name, ids))
    return findings


def planned_hazards(run: Run, kind: str) -> list[Finding]:
    """The same in an extract of the target, for the approval page."""
    findings = []
    for sobject, names in HAZARDS.items():
        for name in sorted(set(names) & set(run.columns(kind, sobject))):
            rows: list[dict[str, Any]] = run.db.rows(
                sql.SQL(
                    """SELECT l.source_id FROM {ledgers} l JOIN {} t ON t."Id" = l.target_id
                       WHERE l.pair_id = %s AND l.sobject = %s AND l.origin = 'inserted'
                         AND coa.canon_boolean(t.{}) = 'true' ORDER BY 1"""
                ).format(run.table(kind, sobject), sql.Identifier(name), ledgers=run.ledger),
                [run.pair_id, sobject],
            )
            if rows:
                findings.append(_finding(sobject, name, [str(r["source_id"]) for r in rows]))
    return findings


def _finding(sobject: str, name: str, ids: list[str]) -> Finding:
    return finding("warning", CODE, sobject=sobject, field=name, count=len(ids), examples=ids)
