"""Extracts what changed since an earlier extract: its tables are copied, and the changes merged in.

The result is the same full snapshot that a full extract gives, so nothing after it knows the difference.

The watermark is the newest SystemModstamp of the copied table, an sObject at a time. Read again is all from
`delta_overlap_seconds` before it: a stamp is set before its transaction commits, so a record may show up with a
stamp that is older than one already read, and several may bear the watermark's own. Merging goes by Id, so what
is read twice does no harm. Deleted records come by queryAll, and a COUNT() at the end finds what even that does
not tell (emptied recycle bins, records that left our sharing): then the sObject is extracted anew.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from psycopg import sql

from coa.extract.bulk import ExtractSpec, ensure_state_table, extract_object, query_into
from coa.model import LOADED
from coa.preflight.orgs import saved_describes
from coa.salesforce.session import Org
from coa.staging.database import Row
from coa.staging.runs import SOURCE, TARGET, Run, schema_of, table_name

log = logging.getLogger(__name__)

STAMP = "SystemModstamp"
VERIFY = "verify"
# Salesforce takes a request line of 16,384 bytes; field names need no escapes to speak of.
LONGEST_QUERY = 12_000
BASES_LOOKED_AT = 50

FullExtract = Callable[[Run, Org, list[ExtractSpec]], dict[str, int]]


@dataclass(frozen=True)
class Base:
    """An earlier extract of an sObject: whose, which kind, and up to when it knows the org."""

    run_id: str
    kind: str
    watermark: datetime

    def table(self, sobject: str) -> sql.Identifier:
        return sql.Identifier(schema_of(self.run_id), table_name(self.kind, sobject))


def extract_changes(run: Run, org: Org, specs: list[ExtractSpec], full: FullExtract) -> dict[str, int]:
    """Extracts each spec from its base; those without one by `full`. sObject -> rows."""
    counts: dict[str, int] = {}
    gone: dict[str, list[str]] = {}
    whole: list[ExtractSpec] = []
    for spec in specs:
        done = _rows_if_done(run, spec)
        base = None if done is not None else find_base(run, spec)
        if done is not None:
            counts[spec.sobject] = done
        elif base is None:
            whole.append(spec)
        else:
            gone[spec.sobject] = _advance(run, org, spec, base)
    counts |= full(run, org, whole) if whole else {}
    _clear_links_to_deleted(run, specs, gone)
    for spec in specs:
        if spec.sobject in gone:
            counts[spec.sobject] = _finish(run, org, spec)
    run.event(
        "delta_extracted",
        kind=specs[0].kind if specs else "",
        from_base=sorted(gone),
        whole=sorted(s.sobject for s in whole),
    )
    return counts


def read_back(run: Run, target: Org, specs: list[ExtractSpec], full: FullExtract) -> dict[str, int]:
    """What the target holds after the load, for the proof.

    A full run reads everything again. A delta reads what changed since its own snapshot of the target, and
    one that wrote nothing takes that snapshot as it is.
    """
    ensure_state_table(run)
    if run.params.mode != "delta":
        return full(run, target, specs)
    if _wrote_nothing(run):
        return {spec.sobject: _take_over(run, spec) for spec in specs}
    return extract_changes(run, target, specs, full)


# ---- the base --------------------------------------------------------------------------------------
def find_base(run: Run, spec: ExtractSpec) -> Base | None:
    """The newest complete extract of this org and sObject with the very same fields; None when there is none."""
    if spec.where or STAMP not in spec.fields:
        return None
    if spec.kind == VERIFY:
        return _base_in(run, spec, run.run_id, TARGET)
    kinds = (VERIFY, TARGET) if spec.kind == TARGET else (spec.kind,)
    for row in run.db.rows(
        """SELECT run_id FROM coa.run WHERE pair_id = %s AND run_id <> %s AND mode IN ('full', 'delta')
             AND COALESCE(params ->> 'orders_where', '') = '' ORDER BY started_at DESC LIMIT %s""",
        [run.pair_id, run.run_id, BASES_LOOKED_AT],
    ):
        for kind in kinds:
            base = _base_in(run, spec, str(row["run_id"]), kind)
            if base:
                return base
    return None


def _base_in(run: Run, spec: ExtractSpec, run_id: str, kind: str) -> Base | None:
    state = sql.Identifier(schema_of(run_id), "extract_state")
    if not run.db.value("SELECT to_regclass(%s) IS NOT NULL", [f'"{schema_of(run_id)}"."extract_state"']):
        return None
    done = run.db.value(
        sql.SQL("SELECT done FROM {} WHERE kind = %s AND sobject = %s").format(state), [kind, spec.sobject]
    )
    columns = run.db.rows(
        """SELECT column_name FROM information_schema.columns WHERE table_schema = %s AND table_name = %s
           ORDER BY ordinal_position""",
        [schema_of(run_id), table_name(kind, spec.sobject)],
    )
    if not done or [c["column_name"] for c in columns] != spec.fields:
        return None
    table = sql.Identifier(schema_of(run_id), table_name(kind, spec.sobject))
    newest = run.db.value(sql.SQL("SELECT max({}::timestamptz) FROM {}").format(sql.Identifier(STAMP), table))
    # An empty table: everything that is there by now is new.
    return Base(run_id, kind, newest or datetime(1970, 1, 1, tzinfo=UTC))


# ---- the changes -----------------------------------------------------------------------------------
def _advance(run: Run, org: Org, spec: ExtractSpec, base: Base) -> list[str]:
    """Copies the base and merges what changed; ids of the records that are deleted."""
    table = run.table(spec.kind, spec.sobject)
    step = f"extract_{spec.kind}"
    run.reset_progress(step, spec.sobject)
    with run.db.transaction() as connection:
        connection.execute(sql.SQL("DROP TABLE IF EXISTS {}").format(table))
        connection.execute(
            sql.SQL("CREATE TABLE {} AS SELECT * FROM {}").format(table, base.table(spec.sobject))
        )
        connection.execute(sql.SQL('ALTER TABLE {} ADD PRIMARY KEY ("Id")').format(table))
    since = base.watermark.astimezone(UTC) - timedelta(seconds=run.settings.delta_overlap_seconds)
    where = f"{STAMP} >= {since:%Y-%m-%dT%H:%M:%SZ}"
    fields = spec.fields
    if "IsDeleted" not in fields and _has_recycle_bin(run, spec):
        fields = [*fields, "IsDeleted"]
    changed = _read_changes(run, org, spec, fields, where)
    with run.db.transaction() as connection:
        deleted: list[str] = []
        if "IsDeleted" in fields:
            deleted = [
                str(r["Id"])
                for r in connection.execute(
                    sql.SQL("""SELECT "Id" FROM {} WHERE "IsDeleted" = 'true'""").format(changed)
                ).fetchall()
            ]
        connection.execute(
            sql.SQL('DELETE FROM {} t USING {} c WHERE t."Id" = c."Id"').format(table, changed)
        )
        names = sql.SQL(", ").join(map(sql.Identifier, spec.fields))
        merged = connection.execute(
            sql.SQL('INSERT INTO {} ({names}) SELECT {names} FROM {} WHERE NOT "Id" = ANY (%s)').format(
                table, changed, names=names
            ),
            [deleted],
        ).rowcount
        connection.execute(sql.SQL("DROP TABLE {}").format(changed))
        connection.execute(sql.SQL("ANALYZE {}").format(table))
    run.progress(step, spec.sobject, total=merged + len(deleted), done=merged + len(deleted))
    log.info(
        "delta of %s %s since %s: %d read, %d deleted", spec.kind, spec.sobject, where, merged, len(deleted)
    )
    return deleted


def _has_recycle_bin(run: Run, spec: ExtractSpec) -> bool:
    """Users, groups and record types are never deleted."""
    described = saved_describes(run, SOURCE if spec.kind == SOURCE else TARGET)
    return spec.sobject in described and described[spec.sobject].field("IsDeleted") is not None


def _read_changes(run: Run, org: Org, spec: ExtractSpec, fields: list[str], where: str) -> sql.Identifier:
    """A table with the changed and deleted records: by one REST query where they are few, else by Bulk."""
    into = run.table(f"changed_{spec.kind}", spec.sobject)
    columns = sql.SQL(", ").join(sql.SQL("{} text").format(sql.Identifier(f)) for f in fields)
    with run.db.transaction() as connection:
        connection.execute(sql.SQL("DROP TABLE IF EXISTS {}").format(into))
        connection.execute(sql.SQL('CREATE TABLE {} ({}, PRIMARY KEY ("Id"))').format(into, columns))
    bulk = ExtractSpec(spec.kind, spec.sobject, fields, where, all_rows=True)
    records = _few(run, org, bulk.soql)
    if records is None:
        query_into(run, org, bulk, into)
        return into
    insert = sql.SQL("INSERT INTO {} ({}) VALUES ({})").format(
        into,
        sql.SQL(", ").join(map(sql.Identifier, fields)),
        sql.SQL(", ").join(sql.Placeholder() for _ in fields),
    )
    with run.db.transaction() as connection:
        for record in records:
            connection.execute(insert, [as_csv_would(record.get(f)) for f in fields])
    return into


def _few(run: Run, org: Org, soql: str) -> list[Row] | None:
    """The records of a query when they are at most `delta_rest_rows`; None when they are more.

    One call where nothing or little changed: the first page tells the total.
    """
    if len(soql) > LONGEST_QUERY:
        return None
    body = org.data_json("/queryAll", kind="query", params={"q": soql})
    if int(body.get("totalSize") or 0) > run.settings.delta_rest_rows:
        return None
    records: list[Row] = list(body["records"])
    while not body.get("done", True) and body.get("nextRecordsUrl"):
        body = org.get_json(body["nextRecordsUrl"], kind="query")
        records += body["records"]
    return records


def as_csv_would(value: Any) -> str | None:
    """A JSON value in the form that a Bulk query gives: the two must not differ in the tables.

    >>> as_csv_would(True), as_csv_would(12.0), as_csv_would(""), as_csv_would("2024-01-01T00:00:00.000+0000")
    ('true', '12.0', None, '2024-01-01T00:00:00.000Z')
    """
    if value is None or value == "":
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    text = str(value).replace("\x00", "")
    if len(text) == 28 and text.endswith("+0000") and text[10] == "T":
        return text.removesuffix("+0000") + "Z"
    return text


# ---- after the merge -------------------------------------------------------------------------------
def _clear_links_to_deleted(run: Run, specs: list[ExtractSpec], gone: dict[str, list[str]]) -> None:
    """Lookups to a deleted record are empty (the package's lookups are all SetNull), stamped or not."""
    described = saved_describes(run, SOURCE if specs and specs[0].kind == SOURCE else TARGET)
    for spec in specs:
        if spec.sobject not in gone or spec.sobject not in described:
            continue
        for name in spec.fields:
            one = described[spec.sobject].field(name)
            ids = [i for parent in (one.reference_to if one else []) for i in gone.get(parent, [])]
            if not ids:
                continue
            run.db.execute(
                sql.SQL("UPDATE {} SET {f} = NULL WHERE {f} = ANY (%s)").format(
                    run.table(spec.kind, spec.sobject), f=sql.Identifier(name)
                ),
                [ids],
            )


def _finish(run: Run, org: Org, spec: ExtractSpec) -> int:
    """Counts what we load against the org, and marks the extract as done; its rows."""
    table = run.table(spec.kind, spec.sobject)
    rows = int(run.db.value(sql.SQL("SELECT count(*) FROM {}").format(table)))
    if spec.sobject in LOADED:
        counted = org.count(spec.sobject)
        if counted != rows:
            log.warning(
                "%s: %s counts %d records, the delta leads to %d: extracting it anew.",
                org.name,
                spec.sobject,
                counted,
                rows,
            )
            return extract_object(run, org, spec)
    _mark_done(run, spec, rows)
    return rows


def _mark_done(run: Run, spec: ExtractSpec, rows: int) -> None:
    run.db.execute(
        sql.SQL(
            """INSERT INTO {} (kind, sobject, job_id, locator, rows, done) VALUES (%s, %s, 'delta', 'null', %s, true)
               ON CONFLICT (kind, sobject) DO UPDATE
                 SET job_id = 'delta', locator = 'null', rows = EXCLUDED.rows, done = true"""
        ).format(run.table("extract_state")),
        [spec.kind, spec.sobject, rows],
    )


def _rows_if_done(run: Run, spec: ExtractSpec) -> int | None:
    """Rows of an extract that an earlier try of the task finished."""
    row = run.db.row(
        sql.SQL("SELECT rows FROM {} WHERE kind = %s AND sobject = %s AND done").format(
            run.table("extract_state")
        ),
        [spec.kind, spec.sobject],
    )
    return int(row["rows"]) if row else None


def _take_over(run: Run, spec: ExtractSpec) -> int:
    """The snapshot of the target stands for the proof: nothing was written since."""
    table = run.table(spec.kind, spec.sobject)
    with run.db.transaction() as connection:
        connection.execute(sql.SQL("DROP TABLE IF EXISTS {}").format(table))
        rows = connection.execute(
            sql.SQL("CREATE TABLE {} AS SELECT * FROM {}").format(table, run.table(TARGET, spec.sobject))
        ).rowcount
        connection.execute(sql.SQL('ALTER TABLE {} ADD PRIMARY KEY ("Id")').format(table))
        connection.execute(sql.SQL("ANALYZE {}").format(table))
    _mark_done(run, spec, rows)
    return rows


def _wrote_nothing(run: Run) -> bool:
    """No row went to the org in this run, however it ended."""
    if not run.has_table("work"):
        return True
    return not run.db.value(sql.SQL("SELECT EXISTS (SELECT FROM {})").format(run.table("work")))
