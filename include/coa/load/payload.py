"""The CSV of a job, made by PostgreSQL: quoting, line ends and nulls the way Bulk API 2.0 takes them.

On insert an empty cell means "not set"; on update it means "leave as it is" and `#N/A` means null
(Bulk API 2.0 guide, "Prepare CSV files"). So a text that literally is `#N/A`, and a carriage return whose
survival inside a quoted value is disputed, are not trusted to Bulk: see `coa.load.rest_update`.
"""

from __future__ import annotations

import tempfile
from typing import IO

from psycopg import sql

from coa.config import Settings
from coa.fields.bulk_values import NULL_MARK, insert_fields, is_text
from coa.fields.compare import parent_join
from coa.fields.field_map import FieldMapping
from coa.fields.text_links import text_join, text_value
from coa.load.work import of_job
from coa.load_steps import BACK_TO_DRAFT, DELETE, INSERT, ORDERS_ONE_PASS, Step
from coa.model import DRAFT, STATUS
from coa.staging.database import Row
from coa.staging.runs import Run
from coa.staging.tables import Table

SPOOL_BYTES = 8_000_000
# Stands in a required field until the exact value follows by REST.
PLACEHOLDER = "-"


def value_of(run: Run, step: Step, one: FieldMapping, n: int) -> tuple[sql.Composed, list[sql.Composed]]:
    """The value to write, and the join that it needs: a parent's target id comes from the ledger, and so do those of
    the links in a text, which an insert carries as the source has them."""
    if one.kind == "parent":
        alias = sql.Identifier(f"p{n}")
        return sql.SQL("{}.target_id").format(alias), [parent_join(run, step.sobject, one, alias)]
    if one.rule.rewrite_links and step.operation != INSERT:
        alias = sql.Identifier(f"w{n}")
        return text_value(one, alias), [text_join(run, step.sobject, one, alias)]
    return sql.SQL("d.{}").format(sql.Identifier(one.name)), []


def bulk_text(one: FieldMapping, value: sql.Composable, settings: Settings) -> sql.Composed:
    """What Bulk gets in the place of a value that it cannot carry: line feeds for CR, blank for the null mark."""
    if not is_text(one):
        return sql.SQL("{}").format(value)
    blank = sql.Literal(PLACEHOLDER) if one.target.required else sql.SQL("NULL")
    safe: sql.Composable = value
    if settings.embedded_cr == "rest":
        safe = sql.SQL("replace(replace({}, E'\\r\\n', E'\\n'), E'\\r', E'\\n')").format(value)
    return sql.SQL("CASE WHEN {v} = {mark} THEN {blank} ELSE {safe} END").format(
        v=value, mark=sql.Literal(NULL_MARK), blank=blank, safe=safe
    )


def default_status_to_send(fields: list[FieldMapping]) -> str:
    """`Draft` when the target's own default is another one, so that an insert is a Draft in any org."""
    for one in fields:
        if one.name == STATUS and one.target.default_picklist_value != "Draft":
            return "Draft"
    return ""


def payload_query(run: Run, step: Step, job: Row, fields: list[FieldMapping]) -> sql.Composed:
    """`COPY (...) TO STDOUT` of the rows of a job (a row of `coa.job`), sorted by parent."""
    if step.operation == DELETE:
        # A delete job takes the column Id and no other; the records may be none of the source's.
        return sql.SQL(
            """COPY (SELECT w.target_id AS "Id" FROM {work} w WHERE {of_job}
                     ORDER BY w.parent_id, w.source_id) TO STDOUT (FORMAT csv, HEADER true)"""
        ).format(work=run.table(Table.WORK), of_job=of_job(job))
    columns: list[sql.Composable] = []
    joins: list[sql.Composable] = []
    if step.operation == INSERT:
        chosen = insert_fields(fields)
        as_it_is = step.name == ORDERS_ONE_PASS.name
        status = "" if as_it_is else default_status_to_send(fields)
        if as_it_is:
            chosen += [f for f in fields if f.name == STATUS]
        if status:
            columns.append(sql.SQL("{} AS {}").format(sql.Literal(status), sql.Identifier(STATUS)))
    else:
        changed = _changed_names(run, job)
        chosen = [f for f in fields if f.name in changed]
        columns.append(sql.SQL('w.target_id AS "Id"').format())
    for n, one in enumerate(chosen):
        value, needed = value_of(run, step, one, n)
        joins += needed
        if step.name == BACK_TO_DRAFT.name:
            value = sql.SQL("{}").format(DRAFT)
        sent = bulk_text(one, value, run.settings)
        if step.operation != INSERT:
            sent = sql.SQL("CASE WHEN {} = ANY (w.changed) THEN COALESCE({}, {}) END").format(
                sql.Literal(one.name), sent, sql.Literal(NULL_MARK)
            )
        columns.append(sql.SQL("{} AS {}").format(sent, sql.Identifier(one.name)))
    return sql.SQL(
        """COPY (SELECT {columns} FROM {work} w JOIN {desired} d ON d.source_id = w.source_id {joins}
                 WHERE {of_job} ORDER BY w.parent_id, w.source_id)
           TO STDOUT (FORMAT csv, HEADER true)"""
    ).format(
        columns=sql.SQL(", ").join(columns),
        work=run.table(Table.WORK),
        desired=run.table(Table.DESIRED, step.sobject),
        joins=sql.SQL(" ").join(joins),
        of_job=of_job(job),
    )


def _changed_names(run: Run, job: Row) -> set[str]:
    rows = run.db.rows(
        sql.SQL("SELECT DISTINCT unnest(w.changed) AS f FROM {} w WHERE {}").format(
            run.table(Table.WORK), of_job(job)
        )
    )
    return {str(r["f"]) for r in rows}


def spool(run: Run, query: sql.Composed) -> IO[bytes]:
    """The CSV in a temporary file (memory up to a few MB): its length is known before it is sent."""
    file = tempfile.SpooledTemporaryFile(max_size=SPOOL_BYTES)  # noqa: SIM115 - the caller closes it
    for data in run.db.copy_out(query):
        file.write(data)
    file.seek(0)
    return file


def row_bytes(fields: list[FieldMapping]) -> sql.Composed:
    """SQL for the approximate size of a row of `desired` (alias `d`) in the CSV."""
    if not fields:
        return sql.SQL("20").format()
    parts = [sql.SQL("COALESCE(octet_length(d.{}), 0) + 3").format(sql.Identifier(f.name)) for f in fields]
    return sql.SQL("({})").format(sql.SQL(" + ").join(parts))
