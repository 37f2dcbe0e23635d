"""Values that Bulk CSV cannot carry arrive by REST, exactly: a text that is `#N/A`, carriage returns.

sObject Collections take 200 records a call and answer in request order, with HTTP 200 even if all
fail. Setting a field to a value is idempotent, so a lost answer is simply asked again.
"""

from __future__ import annotations

import logging
from typing import Any

from psycopg import sql

from coa.compare import parent_join
from coa.fieldmap import CarriedField
from coa.load.payload import value_of
from coa.load.results import TRANSIENT_CODES
from coa.load.work import Step
from coa.salesforce.session import Org
from coa.staging.runs import Run

log = logging.getLogger(__name__)

RECORDS_PER_CALL = 200
ROUNDS = 5


def send_exact(run: Run, org: Org, step: Step, fields: list[CarriedField]) -> None:
    """Writes the pending rows of `step` by REST: of each row the fields named in `changed`.

    Rows that the org refuses are recorded as rejected.
    """
    for _ in range(ROUNDS):
        rows = run.db.rows(_query(run, step, fields))
        if not rows:
            return
        for start in range(0, len(rows), RECORDS_PER_CALL):
            batch = rows[start : start + RECORDS_PER_CALL]
            records = [_record(step, r, fields) for r in batch]
            answers = org.send_json(
                "PATCH",
                "/composite/sobjects",
                {"allOrNone": False, "records": records},
                kind="rest_write",
                safe=True,
            )
            _apply(run, step, [str(r["source_id"]) for r in batch], answers)


def _query(run: Run, step: Step, fields: list[CarriedField]) -> sql.Composed:
    """At most some thousand rows at a time: source id, target id, changed, and the values."""
    columns, joins = [], []
    for n, one in enumerate(fields):
        if one.kind == "parent":
            joins.append(parent_join(run, step.sobject, one, sql.Identifier(f"p{n}")))
        columns.append(sql.SQL("{} AS {}").format(value_of(one, n), sql.Identifier(one.name)))
    return sql.SQL(
        """SELECT w.source_id, w.target_id, w.changed, {columns} FROM {work} w
           JOIN {desired} d ON d.source_id = w.source_id {joins}
           WHERE w.step = {step} AND w.sobject = {sobject} AND w.chunk_no = {chunk} AND w.state = 'pending'
           ORDER BY w.parent_id, w.source_id LIMIT 5000"""
    ).format(
        columns=sql.SQL(", ").join(columns),
        work=run.table("work"),
        desired=run.table("desired", step.sobject),
        joins=sql.SQL(" ").join(joins),
        step=sql.Literal(step.name),
        sobject=sql.Literal(step.sobject),
        chunk=sql.Literal(step.chunk_no),
    )


def _record(step: Step, row: dict[str, Any], fields: list[CarriedField]) -> dict[str, Any]:
    record: dict[str, Any] = {"attributes": {"type": step.sobject}, "id": row["target_id"]}
    for one in fields:
        if one.name in row["changed"]:
            value = row[one.name]
            record[one.name] = value == "true" if one.target.type == "boolean" and value else value
    return record


def _apply(run: Run, step: Step, source_ids: list[str], answers: list[dict[str, Any]]) -> None:
    accepted, refused = [], []
    for source_id, answer in zip(source_ids, answers, strict=True):
        if answer.get("success"):
            accepted.append(source_id)
            continue
        error = (answer.get("errors") or [{}])[0]
        code = str(error.get("statusCode") or error.get("errorCode") or "")
        if code not in TRANSIENT_CODES:
            refused.append((source_id, code, str(error.get("message", "")), error.get("fields") or []))
    with run.db.transaction() as connection:
        connection.execute(
            sql.SQL(
                "UPDATE {} SET state = 'accepted' WHERE step = %s AND sobject = %s AND source_id = ANY (%s)"
            ).format(run.table("work")),
            [step.name, step.sobject, accepted],
        )
        for source_id, code, message, names in refused:
            connection.execute(
                sql.SQL(
                    """UPDATE {} SET state = 'rejected', error_code = %s, error = %s
                       WHERE step = %s AND sobject = %s AND source_id = %s"""
                ).format(run.table("work")),
                [code, message, step.name, step.sobject, source_id],
            )
            connection.execute(
                """INSERT INTO coa.rejection (run_id, sobject, source_id, step, error_code, error, fields)
                   VALUES (%s, %s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING""",
                [run.run_id, step.sobject, source_id, step.name, code, message, " ".join(names)],
            )
    run.progress(step.name, step.sobject, done=len(accepted), rejected=len(refused))
