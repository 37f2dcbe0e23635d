"""Every table of a run, declared once: its name, columns, key and indexes. Nobody else writes DDL for them.

They live in the schema `run_<run_id>`, so that a purge of a run is one DROP SCHEMA. Tables of one sObject are named
`<table>__<slug>`. Those that hold records (`source`, `target`, `verify`, `desired` ...) have one text column a field,
named as in describe, beside or instead of the columns declared here.

Later programs read the tables of earlier runs (delta, roll-back, resume): who renames or changes one writes a migration
that does the same to the tables that are there. Where that cannot be done, `READABLE_FROM` says so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from hashlib import sha1
from typing import Any, Protocol

import psycopg
from psycopg import sql

from coa.codes import (
    Action,
    Carriage,
    LedgerOrigin,
    LeftBehind,
    ReasonCode,
    Relink,
    Removal,
    RowState,
    Undo,
    Verdict,
    one_of,
)
from coa.model import DETAIL_ORDER, table_slug
from coa.staging import wide

Connection = psycopg.Connection[dict[str, Any]]

READABLE_FROM = 1
"""The oldest schema version whose runs' tables are read; what their later migrations made of them counts as read.

A run keeps in `coa.run.schema_version` with which version it began. Of an older run a delta takes nothing (it reads
the orgs in full), and a roll-back refuses.
"""

LONGEST_NAME = 63
"""Bytes of a PostgreSQL identifier; more is cut off without an error."""


class Table(StrEnum):
    """Names of a run's tables; with an sObject its slug is added (`table_name`)."""

    SOURCE = "source"
    TARGET = "target"
    VERIFY = "verify"
    CHANGED_SOURCE = "delta_source"
    CHANGED_TARGET = "delta_target"
    CHANGED_VERIFY = "delta_verify"
    EXTRACT_STATE = "extract_state"
    EXTRACT_PAGE = "extract_page"
    POINTING = "pointing"
    POINTING_RAW = "pointing_raw"
    LICENSES = "lma_license"
    SOURCE_LICENSES = "lma_source"
    MAPPING_FILE = "mapping_file"
    MAP = "map"
    DESIRED = "desired"
    CUSTOM = "custom"
    PROBLEM = "problem"
    REFERENCE = "reference"
    TEXT_LINK = "text_link"
    PLAN = "plan"
    DELETION = "deletion"
    EXPECTED_CORRECTIONS = "expected_corrections"
    CHANGED_SINCE_PLAN = "changed_since_plan"
    CANARY = "canary"
    SEEN = "seen"
    EFFECT = "effect"
    ONE_PASS = "one_pass"
    MEND = "mend"
    CHUNK = "chunk"
    WORK = "work"
    REREAD = "reread"
    EXPECTED = "expected"
    SAMPLE = "sample"
    ROLLBACK = "rollback"
    ATTACHED = "attached"
    ATTACHED_UNDO = "attached_undo"
    HISTORY = "history"
    RELINK = "relink"
    EVIDENCE = "evidence"
    WRITTEN = "written"
    LEDGER = "ledger"


@dataclass(frozen=True)
class Declaration:
    """What a table looks like. `columns` is SQL; `fields`: it has text columns for fields of an sObject as well.

    `indexes`: name -> columns; made with `add_index` when the table is filled, by `ensure` at once.
    `sampled`: columns that conditions name, whose statistics come from a small sample.
    """

    columns: str = ""
    key: tuple[str, ...] = ()
    indexes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    fields: bool = False
    storage: str = ""
    sampled: tuple[str, ...] = ()


SAMPLE = 10
"""PostgreSQL reads 300 rows for each point of a column's statistics target."""
OURS_TO_ANALYZE = "autovacuum_enabled = false"
"""Storage of a table that is written once and analyzed by us. PostgreSQL left alone would analyze it again a minute
later, all columns from 30,000 rows, and find nothing to clean up."""

REASON = one_of("reason_code", ReasonCode, or_empty=True)

_RECORDS = Declaration(key=("Id",), fields=True, storage=OURS_TO_ANALYZE)

DECLARED: dict[Table, Declaration] = {
    # Records as the orgs gave them. The index is for details alone, which are looked up by their order.
    Table.SOURCE: replace(_RECORDS, indexes={"source_by_order": (DETAIL_ORDER,)}),
    Table.TARGET: _RECORDS,
    Table.VERIFY: replace(_RECORDS, indexes={"verify_by_order": (DETAIL_ORDER,)}),
    Table.CHANGED_SOURCE: _RECORDS,
    Table.CHANGED_TARGET: _RECORDS,
    Table.CHANGED_VERIFY: _RECORDS,
    # How far each extract is: one row an sObject, and one for each result page that landed.
    Table.EXTRACT_STATE: Declaration(
        """kind text, sobject text, job_id text NOT NULL, locator text NOT NULL DEFAULT '',
           rows bigint NOT NULL DEFAULT 0, done boolean NOT NULL DEFAULT false,
           begun_at timestamptz NOT NULL DEFAULT clock_timestamp(), used boolean NOT NULL DEFAULT false""",
        key=("kind", "sobject"),
    ),
    Table.EXTRACT_PAGE: Declaration(
        "kind text, sobject text, locator text, rows bigint NOT NULL", key=("kind", "sobject", "locator")
    ),
    # Records of other sObjects that point at COA records.
    Table.POINTING: Declaration("sobject text, field text, id text, parent text, points_at text"),
    Table.POINTING_RAW: Declaration(fields=True),
    Table.LICENSES: Declaration(fields=True),
    Table.SOURCE_LICENSES: Declaration(fields=True),
    Table.MAPPING_FILE: Declaration("path text, sha256 text, content text, parsed jsonb"),
    # Which record of the target is meant by one of the source that we do not load ourselves.
    Table.MAP: Declaration("source_id text, target_id text NOT NULL, rule text NOT NULL", key=("source_id",)),
    # What each record should look like in the target: canonical values.
    Table.DESIRED: Declaration("source_id text", key=("source_id",), fields=True, storage=OURS_TO_ANALYZE),
    # Which values custom rules changed.
    Table.CUSTOM: Declaration("source_id text, field text", key=("field", "source_id")),
    Table.PROBLEM: Declaration(
        f"""sobject text NOT NULL, source_id text NOT NULL, reason_code text NOT NULL {REASON}, field text NOT NULL,
           reason text NOT NULL, next_step text NOT NULL, verdict text NOT NULL {one_of("verdict", Verdict)}""",
        key=("sobject", "source_id", "reason_code", "field"),
    ),
    # Ids and links of the source org inside texts; `kept`: why the text is carried as it is, empty for a link that is
    # rewritten as soon as its record is there.
    Table.REFERENCE: Declaration(
        """sobject text NOT NULL, source_id text NOT NULL, field text NOT NULL, kind text NOT NULL,
           found text NOT NULL, record_id text NOT NULL, kept text NOT NULL""",
    ),
    # Texts whose links are rewritten, in pieces (`coa.fields.text_links.Piece`); a text that does not fit
    # stays as it is.
    Table.TEXT_LINK: Declaration(
        """sobject text NOT NULL, field text NOT NULL, source_id text NOT NULL, nth int NOT NULL, literal text NOT NULL,
           record_sobject text NOT NULL, record_id text NOT NULL, before text NOT NULL, id_length int NOT NULL,
           fits boolean NOT NULL""",
        key=("sobject", "field", "source_id", "nth"),
        indexes={"text_link_by_record": ("record_sobject", "record_id")},
    ),
    # Exactly one action a source record.
    Table.PLAN: Declaration(
        f"""sobject text NOT NULL, source_id text NOT NULL, parent_id text, target_id text,
           action text NOT NULL {one_of("action", Action)},
           reason_code text NOT NULL DEFAULT '' {REASON}, field text NOT NULL DEFAULT '',
           reason text NOT NULL DEFAULT '',
           next_step text NOT NULL DEFAULT '', changed text[] NOT NULL DEFAULT '{{}}', status text, created_at text,
           chunk_no int""",
        key=("sobject", "source_id"),
        indexes={
            "plan_by_parent": ("sobject", "parent_id"),
            "plan_by_chunk": ("sobject", "chunk_no", "action"),
        },
        # Room for a second version of each row on its page: numbering the chunks then changes no index.
        storage=f"fillfactor = 45, {OURS_TO_ANALYZE}",
    ),
    # What we brought to the target and is gone from the source.
    Table.DELETION: Declaration(
        f"""sobject text NOT NULL, source_id text NOT NULL, target_id text NOT NULL, parent_id text,
           action text NOT NULL {one_of("action", Removal)}, reason text NOT NULL DEFAULT ''""",
        key=("sobject", "source_id"),
    ),
    # `step`: the step of the load that corrects it, empty where a policy leaves it as the package made it.
    Table.EXPECTED_CORRECTIONS: Declaration(
        """sobject text NOT NULL, source_id text NOT NULL, field text NOT NULL, effect text NOT NULL,
           becomes text, wanted text, step text NOT NULL""",
        key=("sobject", "source_id", "field"),
        storage=OURS_TO_ANALYZE,
    ),
    # Planned records that are held back, for they changed in the source after the plan was made.
    Table.CHANGED_SINCE_PLAN: Declaration(
        "sobject text, source_id text, reason text NOT NULL", key=("sobject", "source_id")
    ),
    # The records that a load writes first. `part`: chosen (from what the plan creates), unfinished
    # (left by an earlier run).
    Table.CANARY: Declaration(
        "sobject text, source_id text, part text NOT NULL", key=("sobject", "source_id")
    ),
    # The last reading of the canary, and what the target was seen to do: a value that no one sent, or not the one sent.
    Table.SEEN: _RECORDS,
    Table.EFFECT: Declaration(
        """nth bigint GENERATED ALWAYS AS IDENTITY, sobject text, source_id text, field text, step text,
           sent boolean NOT NULL, was text, becomes text, wanted text, effect text, foreseen boolean NOT NULL""",
        key=("sobject", "source_id", "field", "step"),
    ),
    # New orders that are no Drafts, where one pass is tried: `way` is `one_pass`, or why the order goes today's way.
    # `looked_at`: it was asked for after its job, whether the target made it a Draft or changed its received date.
    Table.ONE_PASS: Declaration(
        "source_id text, way text NOT NULL, looked_at boolean NOT NULL DEFAULT false", key=("source_id",)
    ),
    # What the reading for the proof found different in records of ours, and in which of at most two rounds.
    Table.MEND: Declaration(
        "sobject text, source_id text, fields text[] NOT NULL, round int NOT NULL",
        key=("sobject", "source_id"),
    ),
    Table.CHUNK: Declaration(
        """chunk_no int, lane int NOT NULL, orders bigint NOT NULL, steps_done text[] NOT NULL DEFAULT '{}',
           done_at timestamptz""",
        key=("chunk_no",),
    ),
    # One row for each record and step that has to be sent. No index has `state` or `job_key`: a row that is put into a
    # job, and then accepted, changes no indexed column and stays on its page, which has room for a second
    # version of each.
    Table.WORK: Declaration(
        f"""step text NOT NULL, sobject text NOT NULL, chunk_no int NOT NULL, source_id text NOT NULL,
           parent_id text, target_id text, changed text[],
           state text NOT NULL DEFAULT 'pending' {one_of("state", RowState)},
           job_key bigint, attempts int NOT NULL DEFAULT 0, error_code text, error text""",
        key=("step", "sobject", "source_id"),
        indexes={"work_by_chunk": ("step", "sobject", "chunk_no")},
        storage=f"fillfactor = 48, {OURS_TO_ANALYZE}",
        sampled=("step", "sobject", "chunk_no", "source_id", "state", "job_key"),
    ),
    # What the target holds after a step; a table of its own for each chunk (`part`), for lanes work side by side.
    Table.REREAD: _RECORDS,
    # Which records must be in the target now; `rejected`: refused for good by the org.
    Table.EXPECTED: Declaration(
        "source_id text, target_id text, rejected boolean",
        key=("source_id",),
        indexes={"expected_by_target": ("target_id",)},
        storage=OURS_TO_ANALYZE,
    ),
    # Which records are read a second time; `why`: drawn, different, field.
    Table.SAMPLE: Declaration(
        "sobject text, source_id text, target_id text, why text NOT NULL",
        key=("sobject", "target_id", "source_id"),
    ),
    # The plan of a roll-back.
    Table.ROLLBACK: Declaration(
        f"""sobject text NOT NULL, source_id text NOT NULL, target_id text NOT NULL, parent_id text,
           action text NOT NULL {one_of("action", Undo)}, wanted text NOT NULL,
           changed text[] NOT NULL DEFAULT '{{}}', reason_code text NOT NULL DEFAULT '' {REASON},
           reason text NOT NULL DEFAULT '', next_step text NOT NULL DEFAULT ''""",
        key=("sobject", "source_id"),
    ),
    # What hangs on the records, with the values that are carried of it. Of a version of a file
    # the document is the parent.
    Table.ATTACHED: Declaration(
        f"""sobject text NOT NULL, source_id text NOT NULL, parent_sobject text NOT NULL, parent_id text NOT NULL,
           document_id text NOT NULL DEFAULT '', nth int NOT NULL DEFAULT 1, bytes bigint NOT NULL DEFAULT 0,
           data jsonb NOT NULL, action text NOT NULL DEFAULT 'carry' {one_of("action", Carriage)},
           reason text NOT NULL DEFAULT '' {one_of("reason", LeftBehind, or_empty=True)}""",
        key=("sobject", "source_id"),
        indexes={"attached_by_parent": ("sobject", "parent_id")},
    ),
    # What a roll-back does with it.
    Table.ATTACHED_UNDO: Declaration(
        f"""sobject text NOT NULL, source_id text NOT NULL, target_id text NOT NULL,
           action text NOT NULL {one_of("action", Undo)}, reason_code text NOT NULL DEFAULT '' {REASON},
           reason text NOT NULL DEFAULT '', next_step text NOT NULL DEFAULT '', done boolean NOT NULL DEFAULT false""",
        key=("sobject", "source_id"),
    ),
    # Field history as the source tells it.
    Table.HISTORY: Declaration(
        """sobject text NOT NULL, id text, record_id text NOT NULL, field text NOT NULL, old_value text, new_value text,
           changed_at text NOT NULL, changed_by text NOT NULL""",
        key=("id",),
        indexes={"history_by_record": ("sobject", "record_id")},
    ),
    # The plan of a run of `coa_relink`: one row a lookup. `held`: the record that it held when the plan was made.
    Table.RELINK: Declaration(
        f"""sobject text NOT NULL, record_id text NOT NULL, field text NOT NULL, points_at text NOT NULL,
           source_id text, target_id text, held text, action text NOT NULL {one_of("action", Relink)},
           reason_code text NOT NULL DEFAULT '' {REASON}, reason text NOT NULL DEFAULT '',
           next_step text NOT NULL DEFAULT ''""",
        key=("sobject", "record_id", "field"),
    ),
    # One row: the secret that the salts of the records follow from, and what was made of them (`coa.evidence`).
    Table.EVIDENCE: Declaration("id int, secret bytea NOT NULL, tree jsonb, files jsonb", key=("id",)),
    # Files that the stage `report` has just written, with hashes and rows, for the end of the run
    # (`coa.report.tables`).
    Table.WRITTEN: Declaration("folder text NOT NULL, files jsonb NOT NULL"),
    # Of a what-if: its own copy of the ledger, as far as a plan is made with it.
    Table.LEDGER: Declaration(
        f"""pair_id bigint, sobject text, source_id text, target_id text,
           origin text NOT NULL DEFAULT 'none' {one_of("origin", LedgerOrigin)}, inserted_run text, last_run text,
           step text NOT NULL DEFAULT 'none', error_code text, error text, verified_hash text,
           updated_at timestamptz NOT NULL DEFAULT clock_timestamp()""",
        key=("pair_id", "sobject", "source_id"),
        indexes={"ledger_by_target": ("pair_id", "sobject", "target_id")},
    ),
}


class Named(Protocol):
    """A run, as far as its tables are concerned."""

    def table(self, kind: str, sobject: str = "", part: str = "") -> sql.Identifier:
        """Name of a table of the run, with its schema."""


# ---- names -------------------------------------------------------------------------------------
def schema_of(run_id: str) -> str:
    """Name of the schema that holds the tables of a run.

    >>> schema_of("20261123T144200Z-a1b2c3")
    'run_20261123t144200z_a1b2c3'
    """
    return "run_" + run_id.lower().replace("-", "_")


def table_name(kind: str, sobject: str = "", part: str = "") -> str:
    """Raises `ValueError` for a table that is not declared.

    >>> table_name("map", "User"), table_name("reread", "User", "3"), table_name("plan")
    ('map__user', 'reread_3__user', 'plan')
    """
    name = f"{Table(kind)}_{part}" if part else str(Table(kind))
    return f"{name}__{table_slug(sobject)}" if sobject else name


def index_name(index: str, sobject: str = "") -> str:
    """Unique below PostgreSQL's longest name.

    >>> index_name("plan_by_chunk"), index_name("expected_by_target", "User")
    ('plan_by_chunk', 'expected_by_target_user')
    """
    name = f"{index}_{table_slug(sobject)}" if sobject else index
    if len(name) <= LONGEST_NAME:
        return name
    return f"{name[: LONGEST_NAME - 9]}_{sha1(name.encode()).hexdigest()[:8]}"


def identifier(run_id: str, kind: str, sobject: str = "", part: str = "") -> sql.Identifier:
    """A table of any run, ours or an earlier one."""
    return sql.Identifier(schema_of(run_id), table_name(kind, sobject, part))


# ---- DDL ---------------------------------------------------------------------------------------
def create(
    connection: Connection,
    run: Named,
    kind: Table,
    sobject: str = "",
    *,
    part: str = "",
    fields: Sequence[str] = (),
    keyed: bool = True,
) -> sql.Identifier:
    """Makes a table anew, empty, with its key but without its indexes; its name.

    `fields`: the text columns of a table of records. `keyed=False`: rows come first, `add_key` when all are there.
    """
    drop(connection, run, kind, sobject, part)
    name = run.table(kind, sobject, part)
    if _is_wide(kind, fields):
        wide.create(connection, name, DECLARED[kind].key[0], fields, DECLARED[kind].storage)
        if keyed:
            add_key(connection, run, kind, sobject, part)
        return name
    connection.execute(
        sql.SQL("CREATE TABLE {} ({}){}").format(
            name, _columns(DECLARED[kind], fields, keyed), _storage(DECLARED[kind])
        )
    )
    return name


def ensure(connection: Connection, run: Named, kind: Table, sobject: str = "") -> None:
    """Makes a table with key and indexes where it is missing: a retried task finds what was there."""
    one = DECLARED[kind]
    name = run.table(kind, sobject)
    connection.execute(
        sql.SQL("CREATE TABLE IF NOT EXISTS {} ({}){}").format(name, _columns(one, (), True), _storage(one))
    )
    for column in one.sampled:
        connection.execute(
            sql.SQL("ALTER TABLE {} ALTER COLUMN {} SET STATISTICS {}").format(
                name, sql.Identifier(column), sql.Literal(SAMPLE)
            )
        )
    for index in one.indexes:
        add_index(connection, run, kind, index, sobject)


def create_as(connection: Connection, run: Named, kind: Table, query: sql.Composed, sobject: str = "") -> int:
    """Makes a table anew from a query that gives its columns, with its key; how many rows it has."""
    drop(connection, run, kind, sobject)
    name = run.table(kind, sobject)
    fields = _result_columns(connection, query) if DECLARED[kind].fields else []
    if _is_wide(kind, fields):
        wide.create(connection, name, DECLARED[kind].key[0], fields, DECLARED[kind].storage)
        rows = connection.execute(sql.SQL("INSERT INTO {} {}").format(name, query)).rowcount
    else:
        rows = connection.execute(
            sql.SQL("CREATE TABLE {}{} AS {}").format(name, _storage(DECLARED[kind]), query)
        ).rowcount
    add_key(connection, run, kind, sobject)
    return rows


def _is_wide(kind: Table, fields: Sequence[str]) -> bool:
    return DECLARED[kind].fields and bool(DECLARED[kind].key) and len(fields) > wide.WIDEST


def _result_columns(connection: Connection, query: sql.Composed) -> list[str]:
    """Names of the columns that a query gives; it is planned and not run."""
    empty = connection.execute(sql.SQL("SELECT * FROM ({}) q LIMIT 0").format(query))
    return [column.name for column in empty.description or []]


def add_key(connection: Connection, run: Named, kind: Table, sobject: str = "", part: str = "") -> None:
    """Raises psycopg's `UniqueViolation` when a record is there twice."""
    if key := DECLARED[kind].key:
        for table in _stored(connection, run.table(kind, sobject, part)):
            connection.execute(sql.SQL("ALTER TABLE {} ADD PRIMARY KEY ({})").format(table, _names(key)))


def analyze(connection: Connection, run: Named, kind: Table, sobject: str = "", part: str = "") -> None:
    """Has the planner learn what a table holds, once it is filled.

    From a small sample: records have dozens of columns, and conditions name few of them.
    """
    connection.execute(sql.SQL("SET LOCAL default_statistics_target = {}").format(SAMPLE))
    for table in _stored(connection, run.table(kind, sobject, part)):
        connection.execute(sql.SQL("ANALYZE {}").format(table))


def _stored(connection: Connection, name: sql.Identifier) -> list[sql.Identifier]:
    """What PostgreSQL stores for a table: itself, or the parts of a wide one."""
    return wide.parts(connection, name) or [name]


def add_index(connection: Connection, run: Named, kind: Table, index: str, sobject: str = "") -> None:
    """Makes one of a table's declared indexes where it is missing; none for a table that shows another one."""
    columns = DECLARED[kind].indexes[index]
    table = run.table(kind, sobject)
    stored = wide.part_with(connection, table, columns[0]) or table
    if _relation(connection, stored) == "v":
        return
    connection.execute(
        sql.SQL("CREATE INDEX IF NOT EXISTS {} ON {} ({})").format(
            sql.Identifier(index_name(index, sobject)),
            stored,
            _names(columns),
        )
    )


def add_field(connection: Connection, run: Named, kind: Table, sobject: str, name: str) -> None:
    """An empty text column more, for a field that the org lacks."""
    table = run.table(kind, sobject)
    if wide.parts(connection, table):
        wide.add_column(connection, table, DECLARED[kind].key[0], name)
    else:
        connection.execute(sql.SQL("ALTER TABLE {} ADD COLUMN {} text").format(table, sql.Identifier(name)))


def show_as(connection: Connection, run: Named, kind: Table, other: Table, sobject: str) -> None:
    """Lets one table of a run be read as another as well: a view, no copy."""
    connection.execute(
        sql.SQL("CREATE OR REPLACE VIEW {} AS SELECT * FROM {}").format(
            run.table(kind, sobject), run.table(other, sobject)
        )
    )


def show_of(connection: Connection, run: Named, kind: Table, sobject: str, other: Named) -> None:
    """Lets a table of another run be read as this run's own: a view, no copy."""
    connection.execute(
        sql.SQL("CREATE VIEW {} AS SELECT * FROM {}").format(
            run.table(kind, sobject), other.table(kind, sobject)
        )
    )


def drop_all(connection: Connection, run_id: str) -> None:
    """Drops every table of a run, with its schema."""
    connection.execute(sql.SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(sql.Identifier(schema_of(run_id))))


def drop(connection: Connection, run: Named, kind: str, sobject: str = "", part: str = "") -> None:
    """Drops a table of the run if it is there."""
    table = run.table(kind, sobject, part)
    relation = _relation(connection, table)
    if relation == "v":
        wide.drop(connection, table)
    elif relation:
        connection.execute(sql.SQL("DROP TABLE {}").format(table))


def _relation(connection: Connection, name: sql.Identifier) -> str:
    """`r` for a table, `v` for a view, empty for what is not there."""
    found = connection.execute(
        "SELECT relkind::text AS kind FROM pg_class WHERE oid = to_regclass(%s)", [name.as_string()]
    ).fetchone()
    return str(found["kind"]) if found else ""


def _names(columns: Sequence[str]) -> sql.Composed:
    return sql.SQL(", ").join(map(sql.Identifier, columns))


def _columns(one: Declaration, fields: Sequence[str], keyed: bool) -> sql.Composed:
    parts: list[sql.Composable] = [sql.SQL(one.columns)] if one.columns else []
    parts += [sql.SQL("{} text").format(sql.Identifier(name)) for name in fields]
    if one.key and keyed:
        parts.append(sql.SQL("PRIMARY KEY ({})").format(_names(one.key)))
    return sql.SQL(", ").join(parts)


def _storage(one: Declaration) -> sql.Composable:
    return wide.with_storage(one.storage)
