"""The earlier extract that a delta starts from."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from psycopg import sql

from coa.codes import MIGRATING
from coa.extract.bulk import ExtractSpec
from coa.staging.database import Row
from coa.staging.fragments import list_of
from coa.staging.runs import TARGET, Run
from coa.staging.tables import READABLE_FROM, Table, identifier, schema_of, table_name

STAMP = "SystemModstamp"
BASES_LOOKED_AT = 50


@dataclass(frozen=True)
class Base:
    """An earlier extract of an sObject: its run, its kind, and the moment up to which it is complete."""

    run_id: str
    kind: str
    watermark: datetime

    def table(self, sobject: str) -> sql.Identifier:
        """The table that holds the earlier extract."""
        return identifier(self.run_id, self.kind, sobject)


def find_base(run: Run, spec: ExtractSpec) -> Base | None:
    """The newest complete extract of this org and sObject with exactly the same fields; None when there is
    none.

    Extracts in tables of a schema that this version cannot read do not count; the run's log mentions them.
    """
    if spec.where or STAMP not in spec.fields:
        return None
    if spec.kind == Table.VERIFY:
        return _base_in(run, spec, run.run_id, TARGET)
    kinds = (Table.VERIFY, TARGET) if spec.kind == TARGET else (spec.kind,)
    for row in run.db.rows(
        sql.SQL(
            """SELECT run_id, schema_version FROM coa.run WHERE pair_id = %s AND run_id <> %s AND mode IN {migrating}
                 AND COALESCE(params ->> 'orders_where', '') = '' AND started_at > %s
               ORDER BY started_at DESC LIMIT %s"""
        ).format(migrating=list_of(MIGRATING)),
        [run.pair_id, run.run_id, _readable_since(run, spec), BASES_LOOKED_AT],
    ):
        if row["schema_version"] < READABLE_FROM:
            _pass_over(run, spec, row)
            return None
        for kind in kinds:
            base = _base_in(run, spec, str(row["run_id"]), kind)
            if base:
                return base
    return None


def _readable_since(run: Run, spec: ExtractSpec) -> datetime:
    """Extracts before this time cannot be used: the target's migration fields were removed, which no
    record's stamp shows.
    """
    long_ago = datetime(1970, 1, 1, tzinfo=UTC)
    if spec.kind != TARGET:
        return long_ago
    removed = run.db.value(
        "SELECT max(removed_at) FROM coa.fields_removed WHERE target_org_id = %s", [run.org_id(TARGET)]
    )
    return removed or long_ago


def _pass_over(run: Run, spec: ExtractSpec, earlier: Row) -> None:
    """Logs that this run and all older ones have tables that this version cannot read."""
    run.events.add(
        "full_read_follows",
        "warning",
        sobject=spec.sobject,
        earlier_run=earlier["run_id"],
        its_schema_version=earlier["schema_version"],
        readable_from=READABLE_FROM,
    )


def _base_in(run: Run, spec: ExtractSpec, run_id: str, kind: str) -> Base | None:
    state = identifier(run_id, Table.EXTRACT_STATE)
    if not run.db.has_table(state):
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
    table = identifier(run_id, kind, spec.sobject)
    newest = run.db.value(sql.SQL("SELECT max({}::timestamptz) FROM {}").format(sql.Identifier(STAMP), table))
    # An empty table: everything that is there by now is new.
    return Base(run_id, kind, newest or datetime(1970, 1, 1, tzinfo=UTC))
