"""Databases of headless runs in the embedded PostgreSQL: whose are dropped, and what is copied into them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing

import psycopg
import pytest
from psycopg import sql

from coa.staging.database import lock_key
from coa.staging.embedded import EmbeddedPostgres
from coa_airflow.local.metadata import RUN_PREFIX, RunDatabase, bound_to, drop_abandoned, tables_name

Connection = psycopg.Connection[tuple[object, ...]]


@pytest.fixture
def admin(postgres_server: EmbeddedPostgres) -> Iterator[Connection]:
    with closing(psycopg.connect(postgres_server.admin_url(), autocommit=True)) as connection:
        yield connection


def make(admin: Connection, *names: str) -> None:
    for name in names:
        admin.execute(sql.SQL("CREATE DATABASE {} OWNER coa").format(sql.Identifier(name)))


def drop(admin: Connection, *names: str) -> None:
    for name in names:
        admin.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))


def there(admin: Connection) -> set[str]:
    return {str(row[0]) for row in admin.execute("SELECT datname FROM pg_database").fetchall()}


def test_databases_of_runs_that_are_over_are_dropped_and_those_of_living_ones_stay(
    postgres_server: EmbeddedPostgres, admin: Connection
) -> None:
    """What is there afterwards counts, not who dropped it: other tests start runs on this server meanwhile."""
    living, dead = RUN_PREFIX + "living", RUN_PREFIX + "dead"
    with closing(psycopg.connect(postgres_server.admin_url(), autocommit=True)) as process:
        process.execute("SELECT pg_advisory_lock(%s)", [lock_key(living)])
        make(admin, living, dead)
        try:
            # A connection that a killed worker has not let go of yet does not keep its database.
            with closing(psycopg.connect(postgres_server.url(dead))):
                drop_abandoned(admin)
            while_it_lives = there(admin)
            process.close()
            # The server lets go of a lock a moment after its session has ended.
            until = time.monotonic() + 30
            while living in there(admin) and time.monotonic() < until:
                drop_abandoned(admin)
            afterwards = there(admin)
        finally:
            drop(admin, living, dead)

    assert living in while_it_lives
    assert dead not in while_it_lives
    assert living not in afterwards


def test_a_run_starts_with_the_connections_and_variables_that_were_made_in_the_browser(
    postgres_server: EmbeddedPostgres, admin: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("coa_airflow.local.metadata.AIRFLOW_DATABASE", "server_of_this_test")
    monkeypatch.setattr("coa_airflow.local.metadata.tables_name", lambda: "tables_of_this_test")
    names = ["server_of_this_test", "tables_of_this_test", RUN_PREFIX + "copied"]
    make(admin, *names[:2])
    try:
        for name, columns in (
            (names[0], "id int, conn_id text, password text, team_name text, of_an_older_version text"),
            (names[1], "id int, conn_id text, password text, team_name text, of_this_version text"),
        ):
            with closing(psycopg.connect(postgres_server.url(name), autocommit=True)) as database:
                database.execute(f"CREATE TABLE connection ({columns})")
                if name == names[0]:
                    database.execute("INSERT INTO connection VALUES (7, 'coa_source', 'x\ty\\z', 'emea', '')")
        made = RunDatabase(postgres_server, admin, names[2])
        made.create()
        with closing(psycopg.connect(made.url)) as database:
            copied = database.execute("SELECT * FROM connection").fetchall()
    finally:
        drop(admin, *names)

    assert copied == [(7, "coa_source", "x\ty\\z", None, None)]


def test_no_setting_of_another_database_is_left() -> None:
    given = {
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": "postgresql://elsewhere/airflow",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN_CMD": "cat /run/secrets/conn",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONNECT_ARGS": "some.module",
        "AIRFLOW__CORE__PARALLELISM": "4",
    }

    assert bound_to(given, "postgresql://coa@127.0.0.1:5/airflow_run_x") == {
        "AIRFLOW__CORE__PARALLELISM": "4",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": "postgresql+psycopg2://coa@127.0.0.1:5/airflow_run_x",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN_ASYNC": "postgresql+asyncpg://coa@127.0.0.1:5/airflow_run_x",
    }


def test_tables_are_made_once_a_version() -> None:
    assert tables_name().startswith("airflow_tables_3_")
