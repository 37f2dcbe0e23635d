"""What changed in an org since the bases of its sObjects: few records by REST, all sObjects in a call or two;
many by a Bulk query."""

from __future__ import annotations

from datetime import UTC, timedelta
from typing import Any

from psycopg import sql

from coa.extract.baseline import STAMP, Base
from coa.extract.bulk import ExtractSpec, query_into
from coa.extract.rest_values import LONGEST_QUERY, keep_records
from coa.fields.saved import saved_describes
from coa.model import LOADED
from coa.salesforce.composite import Read, granted, read_together, records_of
from coa.salesforce.session import Org
from coa.salesforce.soql import date_time
from coa.staging import tables
from coa.staging.database import Row
from coa.staging.runs import SOURCE, TARGET, Run
from coa.staging.tables import Table

WRITER = "LastModifiedById"


def read_changes(run: Run, org: Org, wanted: list[tuple[ExtractSpec, Base]]) -> dict[str, sql.Identifier]:
    """sObject -> a table with its changed and deleted records; `IsDeleted` is a column of it where the sObject
    has a recycle bin."""
    queries = [
        ExtractSpec(spec.kind, spec.sobject, _fields(run, spec), _since(run, spec, base), all_rows=True)
        for spec, base in wanted
    ]
    short = [q for q in queries if len(q.soql) <= LONGEST_QUERY]
    answers = read_together(org, [Read(soql=q.soql, all_rows=True) for q in short])
    pages = {q.sobject: granted(answer) for q, answer in zip(short, answers, strict=True)}
    tables = {}
    for query in queries:
        table = tables[query.sobject] = _empty_table(run, query)
        records = _few(run, org, pages.get(query.sobject))
        if records is None:
            query_into(run, org, query, table)
        else:
            with run.db.transaction() as connection:
                keep_records(run, connection, query, table, records)
    return tables


def _fields(run: Run, spec: ExtractSpec) -> list[str]:
    """Users, groups and record types are never deleted."""
    described = saved_describes(run, SOURCE if spec.kind == SOURCE else TARGET)
    one = described.get(spec.sobject)
    has_bin = one is not None and one.field("IsDeleted") is not None
    return spec.fields if "IsDeleted" in spec.fields or not has_bin else [*spec.fields, "IsDeleted"]


def _since(run: Run, spec: ExtractSpec, base: Base) -> str:
    """SOQL: everything from an overlap before the watermark.

    Soon after a load nearly all that lies in the overlap was written by ourselves, and each of our jobs had ended
    before the base was read: nothing of ours can show up late. Then only what others wrote there is read again,
    and from the watermark on everything.
    """
    since = base.watermark.astimezone(UTC) - timedelta(seconds=run.settings.delta_overlap_seconds)
    us = str((run.record.target_org or {}).get("user_id") or "")
    if spec.kind == SOURCE or spec.sobject not in LOADED or not us or WRITER not in spec.fields:
        return f"{STAMP} >= {date_time(since)}"
    ours = run.db.value(
        sql.SQL("SELECT count(*) FROM {} WHERE {}::timestamptz >= %s AND coa.id18({}) = coa.id18(%s)").format(
            base.table(spec.sobject), sql.Identifier(STAMP), sql.Identifier(WRITER)
        ),
        [since, us],
    )
    if int(ours) <= run.settings.delta_rest_rows:
        return f"{STAMP} >= {date_time(since)}"
    return f"{STAMP} >= {date_time(base.watermark)} OR ({STAMP} >= {date_time(since)} AND {WRITER} != '{us}')"


def _empty_table(run: Run, query: ExtractSpec) -> sql.Identifier:
    with run.db.transaction() as connection:
        return tables.create(connection, run, changed_table(query), query.sobject, fields=query.fields)


def changed_table(query: ExtractSpec) -> Table:
    """Where what changed since the base of an extract is put, until it is merged in."""
    return Table(f"delta_{query.kind}")


def _few(run: Run, org: Org, page: dict[str, Any] | None) -> list[Row] | None:
    """All records of a query, from its first page on; None when they are more than `delta_rest_rows`."""
    if page is None or int(page.get("totalSize") or 0) > run.settings.delta_rest_rows:
        return None
    return list(records_of(org, page))
