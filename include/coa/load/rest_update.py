"""Values that Bulk CSV cannot carry arrive by REST, exactly: a text that is `#N/A`, carriage returns.

sObject Collections take 200 records a call and answer in request order, with HTTP 200 even if all
fail. Setting a field to a value is idempotent, so a lost answer is simply asked again.
"""

from __future__ import annotations

from typing import Any

from psycopg import sql

from coa.fields.field_map import FieldMapping
from coa.load.observation import observe
from coa.load.payload import value_of
from coa.load.results import record_rejections
from coa.load.retry import is_transient, pause, reject_worn_out, release_deferred, require_outcomes
from coa.load_steps import Step
from coa.salesforce.session import Org
from coa.staging.runs import Run
from coa.staging.tables import Table

RECORDS_PER_CALL = 200
SMALLEST_CALL = 10


def send_exact(run: Run, org: Org, step: Step, fields: list[FieldMapping]) -> None:
    """Writes the pending rows of `step` by REST: of each row the fields named in `changed`.

    Each is accepted or rejected then; rejected rows are listed. Raises `OrgUnavailable` when the org cannot be
    reached; a retry goes on where this stopped.
    """
    rounds = 0
    release_deferred(run, step)
    while True:
        rows = run.db.rows(_query(run, step, fields))
        # Locks: fewer records a call, later.
        size = max(SMALLEST_CALL, RECORDS_PER_CALL >> rounds)
        for start in range(0, len(rows), size):
            batch = rows[start : start + size]
            run.lease.require()
            answers = org.send_json(
                "PATCH",
                "/composite/sobjects",
                {"allOrNone": False, "records": [_record(step, r, fields) for r in batch]},
                kind="rest_write",
                safe=True,
            )
            _apply(run, step, [str(r["source_id"]) for r in batch], answers)
        if rows:
            continue
        if not release_deferred(run, step):
            break
        rounds += 1
        run.lease.renew()
        pause(run, org, rounds)
    require_outcomes(run, step)
    observe(run, org, step)


def _query(run: Run, step: Step, fields: list[FieldMapping]) -> sql.Composed:
    """At most some thousand rows at a time: source id, target id, changed, and the values."""
    columns, joins = [], []
    for n, one in enumerate(fields):
        value, needed = value_of(run, step, one, n)
        joins += needed
        columns.append(sql.SQL("{} AS {}").format(value, sql.Identifier(one.name)))
    return sql.SQL(
        """SELECT w.source_id, w.target_id, w.changed, {columns} FROM {work} w
           JOIN {desired} d ON d.source_id = w.source_id {joins}
           WHERE w.step = {step} AND w.sobject = {sobject} AND w.chunk_no = {chunk} AND w.state = 'pending'
           ORDER BY w.parent_id, w.source_id LIMIT 5000"""
    ).format(
        columns=sql.SQL(", ").join(columns),
        work=run.table(Table.WORK),
        desired=run.table(Table.DESIRED, step.sobject),
        joins=sql.SQL(" ").join(joins),
        step=sql.Literal(step.name),
        sobject=sql.Literal(step.sobject),
        chunk=sql.Literal(step.chunk_no),
    )


def _record(step: Step, row: dict[str, Any], fields: list[FieldMapping]) -> dict[str, Any]:
    record: dict[str, Any] = {"attributes": {"type": step.sobject}, "id": row["target_id"]}
    for one in fields:
        if one.name in row["changed"]:
            value = row[one.name]
            record[one.name] = value == "true" if one.target.type == "boolean" and value else value
    return record


def _apply(run: Run, step: Step, source_ids: list[str], answers: Any) -> None:
    """Answers come in the order of the records; an answer that is none of so many says nothing of any row."""
    if not isinstance(answers, list) or len(answers) != len(source_ids):
        answers = [{} for _ in source_ids]
    outcomes = [_outcome(source_id, answer) for source_id, answer in zip(source_ids, answers, strict=True)]
    of_call = sql.SQL("w.step = {} AND w.sobject = {} AND w.source_id = ANY ({})").format(
        sql.Literal(step.name), sql.Literal(step.sobject), sql.Literal(source_ids)
    )
    with run.db.transaction() as connection:
        connection.execute(
            sql.SQL(
                """UPDATE {} w SET state = o.state, error_code = o.code, error = o.error, attempts = w.attempts + 1
                   FROM unnest(%s::text[], %s::text[], %s::text[], %s::text[]) AS o (source_id, state, code, error)
                   WHERE w.step = %s AND w.sobject = %s AND w.source_id = o.source_id"""
            ).format(run.table(Table.WORK)),
            [*(list(column) for column in zip(*outcomes, strict=True)), step.name, step.sobject],
        )
        worn_out = reject_worn_out(connection, run, of_call)
        record_rejections(connection, run, of_call)
    states = [state for _, state, _, _ in outcomes]
    run.progress.add(
        step.name,
        step.sobject,
        done=states.count("accepted"),
        rejected=states.count("rejected") + worn_out,
    )


def _outcome(source_id: str, answer: dict[str, Any]) -> tuple[str, str, str | None, str | None]:
    """(source id, state, code, error); the error with its fields as a Bulk result writes them."""
    if answer.get("success"):
        return source_id, "accepted", None, None
    errors = answer.get("errors") or []
    if not errors:
        return source_id, "retry", None, None
    code = str(errors[0].get("statusCode") or errors[0].get("errorCode") or "")
    message = str(errors[0].get("message", ""))
    state = "retry" if is_transient(code, message) else "rejected"
    return source_id, state, code, f"{message}:{' '.join(errors[0].get('fields') or [])} --"
