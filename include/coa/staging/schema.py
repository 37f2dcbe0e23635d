"""The version of the permanent tables: numbered SQL files, forward only, each in a transaction of its own.

    python -m coa.staging.schema [--staging URL]          the version of a database, and what would be run on it
    python -m coa.staging.schema [--staging URL] --sql    with the statements
    python -m coa.staging.schema [--staging URL] --apply  brings it up to date, as the first task of any run does

A migration is `migrations/NNNN_name.sql`. Once released it is never changed: what was wrong is put right by the
next one. Its record in `coa.schema_version` is part of its transaction, so a migration that fails leaves nothing.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from importlib.resources import files
from typing import Any

import psycopg
from psycopg import sql

from coa import __version__
from coa.errors import CoaError, ConfigurationError, MigrationBlocked, SchemaOutdated, SchemaTooNew
from coa.private_files import keep_files_private

Connection = psycopg.Connection[dict[str, Any]]
Transaction = Callable[[], AbstractContextManager[Connection]]
"""Opens a transaction that is committed at the end of its block and rolled back on an error; rows are dicts."""

FILE_NAME = re.compile(r"(\d{4})_([a-z0-9_]+)\.sql")
LOCK = "coa schema"
LONGEST_WAIT = "600s"
"""For another process that migrates."""
LONGEST_LOCK = "60s"
"""For a table: whoever wants to read or write it meanwhile stands behind us."""


@dataclass(frozen=True)
class Migration:
    """One step of the schema; `statements` is the text of its file."""

    version: int
    name: str
    statements: str

    def __str__(self) -> str:
        return f"{self.version:04d}_{self.name}"


@dataclass(frozen=True)
class Applied:
    """The newest migration of a database; `coa_version`: of the program that ran it. Version 0: none."""

    version: int = 0
    coa_version: str = ""


def in_order(named: Iterable[tuple[str, str]]) -> list[Migration]:
    """Migrations from (file name, text), by number.

    Raises `ValueError` for a name of another form, and for a number that is missing or there twice: two branches
    that both add the next number must not be merged as they are.
    """
    found = []
    for file_name, text in sorted(named):
        form = FILE_NAME.fullmatch(file_name)
        if form is None:
            raise ValueError(f"{file_name} is not the name of a migration (NNNN_name.sql).")
        found.append(Migration(int(form[1]), form[2], text))
    for expected, migration in enumerate(found, 1):
        if migration.version != expected:
            raise ValueError(f"Migration {migration} stands where number {expected:04d} is expected.")
    return found


@cache
def migrations() -> tuple[Migration, ...]:
    """Those that this program knows, oldest first."""
    folder = files("coa.staging").joinpath("migrations")
    return tuple(
        in_order((f.name, f.read_text("utf-8")) for f in folder.iterdir() if f.name.endswith(".sql"))
    )


def newest_version() -> int:
    """The schema version that this program works with."""
    return migrations()[-1].version


def lock_key(name: str) -> int:
    """A 63-bit key for an advisory lock."""
    return int.from_bytes(sha256(name.encode()).digest()[:8], "big") >> 1


def applied(connection: Connection) -> Applied:
    """Where the schema of this database stands. Reads only."""
    there = connection.execute("SELECT to_regclass('coa.schema_version') IS NOT NULL AS there").fetchone()
    if not (there and there["there"]):
        return Applied()
    row = connection.execute(
        "SELECT version, coa_version FROM coa.schema_version ORDER BY version DESC LIMIT 1"
    ).fetchone()
    return Applied(int(row["version"]), str(row["coa_version"])) if row else Applied()


def require_current(connection: Connection, database: str) -> None:
    """For whoever only reads. Raises `SchemaTooNew` or `SchemaOutdated`; `database` is its name in the message."""
    found = applied(connection)
    _refuse_newer(found, database)
    if found.version < newest_version():
        raise SchemaOutdated(
            f"The staging database {database} has schema version {found.version}; this program reads version "
            f"{newest_version()} and changes nothing.",
            next_step="run any of the DAGs, or python -m coa.staging.schema --apply, which update it.",
        )


def migrate(transaction: Transaction, database: str) -> list[Migration]:
    """Brings the schema up to date; the migrations that were run, none in the usual case.

    Raises `SchemaTooNew` when a newer program was here, `MigrationBlocked` while a run loads, and
    `ConfigurationError` when a migration fails: nothing of it is kept then, and those before it are.
    """
    with transaction() as connection:
        found = applied(connection)
    _refuse_newer(found, database)
    return [m for m in migrations() if m.version > found.version and _run(transaction, m, database)]


def _refuse_newer(found: Applied, database: str) -> None:
    if found.version > newest_version():
        raise SchemaTooNew(
            f"The staging database {database} has schema version {found.version}; this program "
            f"(coa-migration {__version__}) knows versions up to {newest_version()}.",
            next_step=f"use coa-migration {found.coa_version} or newer, the version that updated it.",
        )


def _run(transaction: Transaction, migration: Migration, database: str) -> bool:
    """Runs one migration with its record; False when another process has done it meanwhile."""
    try:
        with transaction() as connection:
            connection.execute(f"SET LOCAL lock_timeout = '{LONGEST_WAIT}'")
            connection.execute("SELECT pg_advisory_xact_lock(%s)", [lock_key(LOCK)])
            connection.execute(f"SET LOCAL lock_timeout = '{LONGEST_LOCK}'")
            if applied(connection).version >= migration.version:
                return False
            _refuse_during_load(connection, migration, database)
            connection.execute(
                """CREATE SCHEMA IF NOT EXISTS coa;
                   CREATE TABLE IF NOT EXISTS coa.schema_version (
                     version int PRIMARY KEY, name text NOT NULL,
                     coa_version text NOT NULL,  -- of the program that ran it: who is older cannot read the tables
                     applied_at timestamptz NOT NULL DEFAULT clock_timestamp())"""
            )
            connection.execute(sql.SQL(migration.statements))
            connection.execute(
                "INSERT INTO coa.schema_version (version, name, coa_version) VALUES (%s, %s, %s)",
                [migration.version, migration.name, __version__],
            )
    except psycopg.Error as error:
        raise ConfigurationError(
            f"Migration {migration} of the staging database {database} failed, and was undone: "
            f"{str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__}.",
            next_step="end the processes that use the database and try again; python -m coa.staging.schema --sql shows "
            "the statements.",
        ) from error
    return True


def _refuse_during_load(connection: Connection, migration: Migration, database: str) -> None:
    """A run that is loading was started by a program that knows the tables as they are now."""
    there = connection.execute("SELECT to_regclass('coa.lease') IS NOT NULL AS there").fetchone()
    if not (there and there["there"]):
        return
    loading = connection.execute(
        """SELECT r.run_id, r.dag_id, l.expires_at FROM coa.lease l JOIN coa.run r USING (run_id)
           WHERE l.expires_at > clock_timestamp() AND r.state IS NULL AND r.loaded_at IS NOT NULL
           ORDER BY l.expires_at DESC LIMIT 1"""
    ).fetchone()
    if loading:
        raise MigrationBlocked(
            f"The staging database {database} must be updated ({migration}), and run "
            f"{loading['run_id']} ({loading['dag_id']}) is loading with the present tables.",
            next_step="wait until it ends, or, if its process is dead, until its lease expires at "
            f"{loading['expires_at']:%H:%M:%S %Z}.",
        )


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; its exit status."""
    keep_files_private()
    from coa.staging.command import add_staging, staging_url
    from coa.staging.database import Database

    parser = argparse.ArgumentParser(prog="python -m coa.staging.schema", description=__doc__.split("\n")[0])
    parser.add_argument("--apply", action="store_true", help="bring the schema up to date")
    parser.add_argument("--sql", action="store_true", help="show the statements of what would be run")
    add_staging(parser)
    given = parser.parse_args(arguments)

    def show(url: str) -> None:
        db = Database(url, schema="migrate" if given.apply else "any")
        with db.transaction() as connection:
            found = applied(connection)
        _refuse_newer(found, db.display_url)
        print(f"{db.display_url}: schema version {found.version} of {newest_version()}")
        for migration in migrations()[found.version :]:
            print(f"to be run: {migration}")
            if given.sql:
                print(migration.statements)
        db.dispose()

    try:
        with staging_url(given.staging) as url:
            show(url)
    except CoaError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
