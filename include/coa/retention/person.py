"""Deletes one person's data from everything that runs kept, while the rest of it stays usable.

A person is named by texts (e-mail address, name) and by ids of records. In every run that has ended:

- a row that is a record of the person, or a record that names them in any field, goes as a whole (`Holds.RECORDS`);
- in texts that the run needs, the name is overwritten (`Holds.TEXTS`, and the emptied columns of permanent tables);
- an artifact that names them goes; of the evidence stay root, signature and leaf hashes, while the salts go, and with
  them the secret that they follow from: nobody can try the person's values against the hashes any more;
- logs and Airflow's row of the run go.

Such a run goes on no more. A roll-back of it leaves the records whose pre-image is gone, a delta reads the sObject
anew: so delete the person's data in the orgs first. Ids of records stay in the ledger.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import psycopg
from psycopg import sql

from coa.artifacts import Folder
from coa.errors import ConfigurationError
from coa.evidence.coa_verify_evidence import FOLDER, SALTS
from coa.retention.places import Places, delete_logs, files
from coa.retention.purge import reason_to_keep
from coa.retention.register import PERMANENT, RUN_TABLES, Holds, is_proof
from coa.staging.database import Database, Row
from coa.staging.tables import DECLARED, Table, identifier, schema_of

SHORTEST = 3
"""Characters of a name that may be searched for: a shorter one is part of everything."""
ERASED = "erased"
"""What is written over a name. A plain word: it is whole in text, JSON and arrays alike."""
RECORD_ID = re.compile(r"[A-Za-z0-9]{15}(?:[A-Za-z0-9]{3})?")
ID_COLUMNS = frozenset({"Id", "source_id", "target_id", "record_id"})
"""Columns by which a row belongs to a record; others merely point at one."""

Connection = psycopg.Connection[Row]


@dataclass(frozen=True)
class Person:
    """`texts`: e-mail addresses and names; `ids`: record ids, by their first 15 characters."""

    texts: tuple[str, ...] = ()
    ids: frozenset[str] = frozenset()

    @classmethod
    def named(cls, given: Sequence[str]) -> Person:
        """Tells ids from texts. Raises `ConfigurationError` for nothing, and for a text that is too short."""
        wanted = [one.strip() for one in given if one.strip()]
        # A name of 15 letters without a digit is a name.
        ids = {one for one in wanted if RECORD_ID.fullmatch(one) and any(c.isdigit() for c in one)}
        texts = [one for one in wanted if one not in ids]
        if not wanted or any(len(one) < SHORTEST for one in texts):
            raise ConfigurationError(
                f"A person must be named by texts of at least {SHORTEST} characters, or by record ids.",
                next_step="give an e-mail address, a full name, or the id of a record.",
            )
        return cls(tuple(texts), frozenset(one[:15] for one in ids))

    def pattern(self) -> str:
        """A regular expression for the texts, as whole words, the same to PostgreSQL and to Python; may be empty."""
        if not self.texts:
            return ""
        # PostgreSQL folds the case of plain letters only, in a database of the locale C.
        forms = {form for text in self.texts for form in (text, text.lower(), text.upper(), text.title())}
        either = "|".join(re.sub(r"([^\w\s])", r"\\\1", form) for form in sorted(forms))
        return rf"(?<!\w)(?:{either})(?!\w)"

    def is_named_in(self, text: str) -> bool:
        """In a file: by a name however the format escapes it, or by an id."""
        plain = _unescaped(text)
        pattern = self.pattern()
        if pattern and re.search(pattern, plain, re.IGNORECASE):
            return True
        return any(one in plain for one in self.ids)


@dataclass
class Erased:
    """What went from one run."""

    run_id: str
    rows: int = 0
    files: list[str] = field(default_factory=list)
    logs: int = 0
    airflow: str = ""

    def __bool__(self) -> bool:
        return bool(self.rows or self.files)

    def __str__(self) -> str:
        told = f"{self.run_id}: {self.rows} rows; files: {', '.join(self.files) or 'none'}; {self.logs} log files"
        return f"{told}; {self.airflow}" if self.airflow else told


def erase(
    db: Database, person: Person, places: Places | None = None, *, dry_run: bool = False
) -> list[Erased]:
    """Deletes the person's data from all runs; what went from each that had some. `dry_run`: what would go.

    Raises `ConfigurationError` before anything is deleted while a run is under way that may hold it.
    """
    places = places or Places()
    rows = db.rows("SELECT * FROM coa.run ORDER BY started_at")
    with db.transaction() as connection:
        person = _with_counterparts(connection, person)
    found = [(row, _erase(db, row, person, places, dry_run=True)) for row in rows]
    touched = [row for row, one in found if one]
    if dry_run:
        return [one for _, one in found if one]
    for row in touched:
        reason = reason_to_keep(db, row)
        if reason is not None:
            raise reason
    return [_erase(db, row, person, places, dry_run=False) for row in touched]


def _with_counterparts(connection: Connection, person: Person) -> Person:
    """A record of one org is the person's in the other one as well."""
    found = connection.execute(
        """SELECT left(source_id, 15) AS source, left(target_id, 15) AS target FROM coa.ledger
           WHERE left(source_id, 15) = ANY (%(ids)s) OR left(target_id, 15) = ANY (%(ids)s)""",
        {"ids": list(person.ids)},
    ).fetchall()
    return Person(person.texts, person.ids | {one for row in found for one in row.values() if one})


def _erase(db: Database, row: Row, person: Person, places: Places, *, dry_run: bool) -> Erased:
    """One run: tables in one transaction, then files. Logs go without being read: they are large and hold no proof."""
    run_id = str(row["run_id"])
    done = Erased(run_id)
    folder = places.artifacts(row)
    doomed = list(_files_that_name(folder, person)) if folder is not None else []
    done.files = [f"{below}/{file.name}".lstrip("/") for below, file in doomed]
    with db.transaction() as connection:
        done.rows = _Rows(connection, run_id, person, dry_run).erase()
        if dry_run or not done:
            return done
        connection.execute("UPDATE coa.run SET erased_at = clock_timestamp() WHERE run_id = %s", [run_id])
        connection.execute(
            "INSERT INTO coa.event (run_id, level, event, data) VALUES (%s, 'info', 'person_erased', '{}')",
            [run_id],
        )
    if folder is not None:
        (folder / FOLDER / SALTS).unlink(missing_ok=True)
    for _, file in doomed:
        file.unlink(missing_ok=True)
    done.logs = delete_logs(places.logs(row))
    done.airflow = places.forget_in_airflow(row) if places.forget_in_airflow else ""
    return done


# ---- tables --------------------------------------------------------------------------------------
RECORD_ROWS = frozenset({"explained", "difference", "rejection"})
"""Permanent tables whose rows are about one record, and which no later run needs."""


@dataclass(frozen=True)
class _Rows:
    """The rows of one run that name a person; `dry_run` counts them and changes nothing."""

    connection: Connection
    run_id: str
    person: Person
    dry_run: bool

    def erase(self) -> int:
        """How many rows went or were written over."""
        touched = sum(self._in_permanent(table) for table, kept in PERMANENT.items() if kept.emptied)
        touched += sum(self._in_run(kind, name) for kind, name in _relations(self.connection, self.run_id))
        if touched and not self.dry_run:
            for kind, name in _relations(self.connection, self.run_id):
                if kind is Table.EVIDENCE:
                    self.connection.execute(sql.SQL("UPDATE {} SET secret = ''").format(name))
        return touched

    def _in_permanent(self, table: str) -> int:
        """Rows of a record of the person go; in all others the name is written over."""
        kept, name = PERMANENT[table], sql.Identifier("coa", table)
        columns = _columns(self.connection, name)
        of_run = sql.SQL(kept.of_run)
        touched = 0
        own = _own(columns, self.person)
        if own is not None and table in RECORD_ROWS:
            touched += self._delete(name, sql.SQL("{} AND {}").format(of_run, own))
        return touched + self._overwrite(name, {c: columns[c] for c in kept.emptied}, of_run)

    def _in_run(self, kind: Table, name: sql.Identifier) -> int:
        columns, holds = _columns(self.connection, name), RUN_TABLES[kind]
        if holds is Holds.RECORDS:
            gone = self._delete(name, _is_of(columns, self.person))
            if gone and not self.dry_run:
                self._no_base(name)
            return gone
        if holds is Holds.TEXTS:
            keys = {*DECLARED[kind].key, *ID_COLUMNS}
            return self._overwrite(name, {c: type_ for c, type_ in columns.items() if c not in keys})
        return 0

    def _delete(self, name: sql.Identifier, condition: sql.Composable) -> int:
        if self.dry_run:
            return self._count(name, condition)
        return self.connection.execute(
            sql.SQL("DELETE FROM {} WHERE {}").format(name, condition), {"run": self.run_id}
        ).rowcount

    def _overwrite(
        self, name: sql.Identifier, columns: dict[str, str], of_run: sql.Composable | None = None
    ) -> int:
        pattern = self.person.pattern()
        texts = {c: type_ for c, type_ in columns.items() if type_ in TEXTUAL}
        if not pattern or not texts:
            return 0
        named = sql.SQL(" OR ").join(_names(c, pattern) for c in texts)
        condition = sql.SQL("{} AND ({})").format(of_run or sql.SQL("true"), named)
        if self.dry_run:
            return self._count(name, condition)
        assignments = sql.SQL(", ").join(
            sql.SQL("{c} = regexp_replace({c}::text, {p}, {erased}, 'gi')::{type}").format(
                c=sql.Identifier(c),
                p=sql.Literal(pattern),
                erased=sql.Literal(ERASED),
                type=sql.SQL(type_),
            )
            for c, type_ in texts.items()
        )
        return self.connection.execute(
            sql.SQL("UPDATE {} SET {} WHERE {}").format(name, assignments, condition), {"run": self.run_id}
        ).rowcount

    def _count(self, name: sql.Identifier, condition: sql.Composable) -> int:
        found = self.connection.execute(
            sql.SQL("SELECT count(*) AS n FROM {} WHERE {}").format(name, condition), {"run": self.run_id}
        ).fetchone()
        return int(found["n"]) if found else 0

    def _no_base(self, name: sql.Identifier) -> None:
        """An extract that lacks rows is not complete: no delta starts from it."""
        for kind, state in _relations(self.connection, self.run_id):
            if kind is not Table.EXTRACT_STATE:
                continue
            for row in self.connection.execute(
                sql.SQL("SELECT kind, sobject FROM {}").format(state)
            ).fetchall():
                if name == identifier(self.run_id, row["kind"], row["sobject"]):
                    self.connection.execute(
                        sql.SQL("UPDATE {} SET done = false WHERE kind = %s AND sobject = %s").format(state),
                        [row["kind"], row["sobject"]],
                    )


def _is_of(columns: dict[str, str], person: Person) -> sql.Composable:
    """SQL: the row belongs to a record of the person, or names the person in any column."""
    tests: list[sql.Composable] = [own] if (own := _own(columns, person)) is not None else []
    if pattern := person.pattern():
        tests += [_names(c, pattern) for c, type_ in columns.items() if type_ in TEXTUAL]
    return sql.SQL("({})").format(sql.SQL(" OR ").join(tests or [sql.SQL("false")]))


def _own(columns: dict[str, str], person: Person) -> sql.Composed | None:
    """SQL: the row belongs to a record of the person; None where it cannot."""
    keys = [c for c in columns if c in ID_COLUMNS]
    if not keys or not person.ids:
        return None
    ids = sql.Literal(sorted(person.ids))
    either = (sql.SQL("left({}, 15) = ANY ({})").format(sql.Identifier(c), ids) for c in keys)
    return sql.SQL("({})").format(sql.SQL(" OR ").join(either))


def _names(column: str, pattern: str) -> sql.Composed:
    return sql.SQL("{}::text ~* {}").format(sql.Identifier(column), sql.Literal(pattern))


TEXTUAL = ("text", "text[]", "jsonb")


def _relations(connection: Connection, run_id: str) -> Iterator[tuple[Table, sql.Identifier]]:
    """Tables and views of a run by the names that `coa.staging.tables` gives; parts of wide tables go by their view."""
    schema = schema_of(run_id)
    for row in connection.execute(
        """SELECT c.relname AS name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
           WHERE n.nspname = %s AND c.relkind IN ('r', 'v') ORDER BY 1""",
        [schema],
    ).fetchall():
        kind = kind_of(str(row["name"]))
        if kind is not None:
            yield kind, sql.Identifier(schema, row["name"])


def kind_of(name: str) -> Table | None:
    """Which of a run's tables a relation is; None for a part of a wide one.

    >>> kind_of("source__service_order"), kind_of("reread_3__service_order"), kind_of("wide_0a_01")
    (<Table.SOURCE: 'source'>, <Table.REREAD: 'reread'>, None)
    """
    stem = name.partition("__")[0]
    for kind in sorted(Table, key=len, reverse=True):
        if stem == kind or stem.startswith(f"{kind}_"):
            return kind
    return None


def _columns(connection: Connection, name: sql.Identifier) -> dict[str, str]:
    """Column -> type, as PostgreSQL names it."""
    return {
        str(row["name"]): str(row["type"])
        for row in connection.execute(
            """SELECT attname AS name, format_type(atttypid, NULL) AS type FROM pg_attribute
               WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum""",
            [name.as_string()],
        ).fetchall()
    }


# ---- files ---------------------------------------------------------------------------------------
def _files_that_name(folder: Folder, person: Person) -> Iterator[tuple[str, Folder]]:
    """(folder below the run's, file). The files of the proof hold ids of records, and those stay."""
    for below, file in files(folder):
        stays = is_proof(below, file.name)
        who = Person(person.texts) if stays else person
        try:
            with file.open("rb") as content:
                named = any(who.is_named_in(line.decode("utf-8")) for line in content)
        except UnicodeDecodeError:
            # Compressed or binary: what cannot be looked into goes.
            named = not stays
        if named:
            yield below, file


def _unescaped(text: str) -> str:
    """A line as it stands and without the escapes of HTML, JSON and CSV."""
    plain = CODE_POINT.sub(lambda found: chr(int(found[1], 16)), html.unescape(text))
    return "\n".join({text, plain, plain.replace('\\"', '"').replace("\\\\", "\\"), plain.replace('""', '"')})


CODE_POINT = re.compile(r"\\u([0-9a-fA-F]{4})")
