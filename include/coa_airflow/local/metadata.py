"""Airflow's metadata databases in the embedded PostgreSQL: one of the server's, one of each headless run.

    airflow                the one of `make up`, `make airflow`
    airflow_tables_3_3_2   Airflow's tables and nothing in them, made once a version
    airflow_run_<token>    a copy of those tables for one headless run, which is dropped when that run is over

A scheduler takes up every task that it finds in its database, with its own connections. What a headless run
has to do is therefore found in no database that a scheduler works on. Nothing in it is needed later: resuming,
approvals and the lease are in staging.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from importlib.metadata import version

import psycopg
from psycopg import sql

from coa.child_environment import Child, child_environment
from coa.errors import ConfigurationError
from coa.staging.database import lock_key
from coa.staging.embedded import AIRFLOW_DATABASE, EmbeddedPostgres
from coa.staging.roles import ROLE

RUN_PREFIX = "airflow_run_"
TABLES_PREFIX = "airflow_tables_"
COPIED_TABLES = ("connection", "variable")
"""What was defined in the browser of `make up` holds for headless runs too, as it is when they start."""


def database_settings(url: str) -> dict[str, str]:
    """Both of Airflow's settings for a database: tasks and scheduler use the first, its API the second."""
    return {
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": url.replace("postgresql://", "postgresql+psycopg2://", 1),
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN_ASYNC": url.replace("postgresql://", "postgresql+asyncpg://", 1),
    }


def bound_to(environment: dict[str, str], url: str) -> dict[str, str]:
    """An environment whose Airflow uses this database, whatever it said of databases before."""
    others = ("AIRFLOW__DATABASE__", "AIRFLOW__CORE__SQL_ALCHEMY")
    kept = {name: value for name, value in environment.items() if not name.startswith(others)}
    return {**kept, **database_settings(url)}


def tables_name() -> str:
    """Name of the template database with Airflow's empty tables, one for each version of Airflow."""
    return TABLES_PREFIX + version("apache-airflow-core").replace(".", "_")


@contextmanager
def reserved_database(
    server: EmbeddedPostgres, token: str, environment: dict[str, str]
) -> Iterator[RunDatabase]:
    """The name of a run's database, its lock, and the tables to copy; `create` makes it, the end drops it.

    Databases of runs whose process is gone are dropped first: a session lock says which those are.
    `environment`: of an Airflow process, for making the tables at the first start of a version.
    Raises `ConfigurationError`.
    """
    with closing(psycopg.connect(server.admin_url(), autocommit=True)) as connection:
        database = RunDatabase(server, connection, RUN_PREFIX + token)
        connection.execute("SELECT pg_advisory_lock(%s)", [lock_key(database.name)])
        drop_abandoned(connection)
        make_tables_once(server, connection, environment)
        try:
            yield database
        finally:
            _drop(connection, database.name)


class RunDatabase:
    """The metadata database of one headless run."""

    def __init__(
        self, server: EmbeddedPostgres, connection: psycopg.Connection[tuple[object, ...]], name: str
    ) -> None:
        self.name = name
        self.url = server.url(name)
        self._server = server
        self._connection = connection

    def create(self) -> None:
        """Makes the database from the template, with connections and variables of the server's database."""
        self._connection.execute(
            sql.SQL("CREATE DATABASE {} OWNER {} TEMPLATE {}").format(
                sql.Identifier(self.name), sql.Identifier(ROLE), sql.Identifier(tables_name())
            )
        )
        with (
            closing(psycopg.connect(self._server.url(AIRFLOW_DATABASE))) as server,
            closing(psycopg.connect(self.url, autocommit=True)) as own,
        ):
            for table in COPIED_TABLES:
                _copy(server, own, table)


def drop_abandoned(connection: psycopg.Connection[tuple[object, ...]]) -> list[str]:
    """Drops the databases of runs that are over, and of tables that were not finished; their names."""
    dropped = []
    for (name,) in connection.execute(
        "SELECT datname FROM pg_database WHERE starts_with(datname, %s) ORDER BY 1", [RUN_PREFIX]
    ).fetchall():
        free = connection.execute("SELECT pg_try_advisory_lock(%s)", [lock_key(str(name))]).fetchone()
        if free and free[0]:
            _drop(connection, str(name))
            connection.execute("SELECT pg_advisory_unlock(%s)", [lock_key(str(name))])
            dropped.append(str(name))
    return dropped


def make_tables_once(
    server: EmbeddedPostgres,
    connection: psycopg.Connection[tuple[object, ...]],
    environment: dict[str, str],
) -> None:
    """Makes the database that runs are copied from, unless it is there; those of other versions go.

    Raises `ConfigurationError` when Airflow cannot create its tables.
    """
    name, unfinished = tables_name(), f"{tables_name()}_unfinished"
    connection.execute("SELECT pg_advisory_lock(%s)", [lock_key(name)])
    try:
        found = {str(row[0]) for row in connection.execute("SELECT datname FROM pg_database").fetchall()}
        if name in found:
            return
        for other in found:
            if other.startswith(TABLES_PREFIX):
                _drop(connection, other)
        connection.execute(
            sql.SQL("CREATE DATABASE {} OWNER {}").format(sql.Identifier(unfinished), sql.Identifier(ROLE))
        )
        migrated = subprocess.run(
            [sys.executable, "-m", "airflow", "db", "migrate"],
            env=bound_to(child_environment(Child.AIRFLOW, environment), server.url(unfinished)),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if migrated.returncode:
            raise ConfigurationError(
                f"Airflow's tables could not be created: {_last_lines(migrated.stderr or migrated.stdout)}",
                next_step="look at the lines above; `make clean` and `make migrate` set everything up again.",
            )
        # By a rename the tables are whole as soon as they bear their name.
        connection.execute(
            sql.SQL("ALTER DATABASE {} RENAME TO {}").format(sql.Identifier(unfinished), sql.Identifier(name))
        )
    finally:
        connection.execute("SELECT pg_advisory_unlock(%s)", [lock_key(name)])


def _copy(
    source: psycopg.Connection[tuple[object, ...]],
    own: psycopg.Connection[tuple[object, ...]],
    table: str,
) -> None:
    """The rows of a table that both databases have, in the columns that both have, teams left out."""
    columns = _columns(source, table) & _columns(own, table) - {"team_name"}
    if not columns:
        return
    names = sql.SQL(", ").join(map(sql.Identifier, sorted(columns)))
    where = {"table": sql.Identifier(table), "names": names}
    with (
        source.cursor().copy(sql.SQL("COPY {table} ({names}) TO STDOUT").format(**where)) as rows,
        own.cursor().copy(sql.SQL("COPY {table} ({names}) FROM STDIN").format(**where)) as kept,
    ):
        for part in rows:
            kept.write(part)


def _columns(connection: psycopg.Connection[tuple[object, ...]], table: str) -> set[str]:
    return {
        str(row[0])
        for row in connection.execute(
            "SELECT column_name FROM information_schema.columns WHERE table_schema = 'public' AND table_name = %s",
            [table],
        ).fetchall()
    }


def _drop(connection: psycopg.Connection[tuple[object, ...]], name: str) -> None:
    connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))


def _last_lines(text: str, lines: int = 5) -> str:
    return " | ".join(text.strip().splitlines()[-lines:])
