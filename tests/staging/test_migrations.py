"""The permanent tables: numbered migrations, forward only, each whole or not at all, never under a run that loads."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
from psycopg import sql

from coa import __version__
from coa.errors import ConfigurationError, MigrationBlocked, SchemaOutdated, SchemaTooNew
from coa.staging import schema
from coa.staging.database import Database, Use
from coa.staging.schema import Migration, in_order, migrations, newest_version
from coa.staging.tables import Table, identifier

LOADING = "20260102T000000Z-bbbbbb"


def contents(url: str) -> list[str]:
    """Every table, column, function and comment of the database's schemas that are not PostgreSQL's."""
    with psycopg.connect(url) as connection:
        rows = connection.execute(
            """SELECT n.nspname || '.' || c.relname || '.' || a.attname FROM pg_class c
                 JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_attribute a ON a.attrelid = c.oid
               WHERE n.nspname NOT LIKE 'pg\\_%' AND n.nspname <> 'information_schema' AND a.attnum > 0
                 AND NOT a.attisdropped
               UNION ALL SELECT p.oid::regprocedure || md5(p.prosrc || COALESCE(pg_get_function_sqlbody(p.oid), ''))
               FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace AND n.nspname = 'coa'
               UNION ALL SELECT conrelid::regclass || ' ' || conname || ' ' || pg_get_constraintdef(oid)
               FROM pg_constraint WHERE connamespace = to_regnamespace('coa') ORDER BY 1"""
        ).fetchall()
    return [str(row[0]) for row in rows]


def records(url: str) -> list[tuple[int, str, str]]:
    with psycopg.connect(url) as connection:
        return connection.execute(
            "SELECT version, name, coa_version FROM coa.schema_version ORDER BY version"
        ).fetchall()


def with_migrations(monkeypatch: pytest.MonkeyPatch, *more: str) -> int:
    """As a program would stand that has these migrations as well; the number of the first of them."""
    known = migrations()
    added = [Migration(len(known) + n, f"more_{n}", text) for n, text in enumerate(more, 1)]
    monkeypatch.setattr(schema, "migrations", lambda: (*known, *added))
    return len(known) + 1


def test_an_empty_database_gets_every_migration_with_its_record(bare_url: str) -> None:
    Database(bare_url).dispose()

    assert records(bare_url) == [(m.version, m.name, __version__) for m in migrations()]


def test_a_second_connect_runs_nothing(bare_url: str) -> None:
    Database(bare_url).dispose()
    before = records(bare_url), contents(bare_url)

    Database(bare_url).dispose()

    assert (records(bare_url), contents(bare_url)) == before


def test_a_database_of_before_the_migrations_is_taken_over_with_its_rows(old_url: str) -> None:
    db = Database(old_url)

    assert [version for version, _, _ in records(old_url)] == [m.version for m in migrations()]
    assert db.value("SELECT count(*) FROM coa.run") == 2
    assert db.value("SELECT target_id FROM coa.ledger WHERE source_id = 'a0A1'") == "a0B1"
    db.dispose()


def test_terms_and_tables_of_earlier_runs_get_their_new_names_and_keep_their_rows(old_url: str) -> None:
    db = Database(old_url)

    assert db.value("SELECT verified_hash FROM coa.ledger WHERE source_id = 'a0A1'") == "h:1"
    assert db.value("SELECT severity FROM coa.finding WHERE code = 'no_right'") == "blocker"
    assert db.value("SELECT cause FROM coa.difference WHERE source_id = 'a0A1'") == "source"
    run = "20260101T000000Z-aaaaaa"
    for kind, source_id in ((Table.EXPECTED_CORRECTIONS, "a0A1"), (Table.CHANGED_SINCE_PLAN, "a0A2")):
        assert db.value(sql.SQL("SELECT source_id FROM {}").format(identifier(run, kind))) == source_id
    assert db.value("SELECT schema_version FROM coa.run WHERE run_id = %s", [run]) == 1
    db.dispose()


def test_what_runs_kept_in_one_json_value_gets_columns_of_its_own(old_url: str) -> None:
    db = Database(old_url)

    ended, killed = db.rows("SELECT * FROM coa.run ORDER BY run_id")
    assert {
        "coa_version": "0.1.0",
        "airflow_version": "3.3.0",
        "python_version": "3.11.9",
        "source_package": "3.61",
        "mapping_name": "m.yaml",
        "mapping_sha256": "feed",
        "artifacts": "/artifacts/20260101T000000Z-aaaaaa",
        "headless_token": "t0ken",
        "stopped_state": "blocked",
        "given_params": {"mapping": "/maps/m.yaml"},
    }.items() <= ended.items()
    assert (killed["coa_version"], killed["headless_token"], killed["stopped_state"]) == ("0.1.0", "", None)
    db.dispose()


def test_a_database_that_was_taken_over_is_as_a_new_one(old_url: str, database_url: str) -> None:
    Database(old_url).dispose()

    taken_over = [line for line in contents(old_url) if not line.startswith("run_")]

    assert taken_over == contents(database_url)


def test_a_program_of_before_the_migrations_finds_its_own_mark_and_leaves_the_tables_alone(
    bare_url: str,
) -> None:
    Database(bare_url).dispose()

    with psycopg.connect(bare_url) as connection:
        row = connection.execute("SELECT obj_description('coa'::regnamespace)").fetchone()
    assert row == ("89aa78e1e7ca9def",)


def test_a_failing_migration_leaves_nothing_and_those_before_it_stay(
    bare_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = with_migrations(
        monkeypatch,
        "CREATE TABLE coa.kept (a int)",
        "CREATE TABLE coa.half (a int); ALTER TABLE coa.run DROP COLUMN params; SELECT 1 / 0",
        "CREATE TABLE coa.never (a int)",
    )

    with pytest.raises(ConfigurationError, match=rf"{first + 1:04d}_more_2 .* was undone: division by zero"):
        Database(bare_url)

    there = contents(bare_url)
    assert "coa.kept.a" in there
    assert "coa.half.a" not in there
    assert "coa.never.a" not in there
    assert "coa.run.params" in there
    assert records(bare_url)[-1][0] == first


def test_after_a_failure_the_next_process_goes_on_where_it_stopped(
    bare_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = migrations()
    with monkeypatch.context() as broken:
        with_migrations(broken, "SELECT 1 / 0")
        with pytest.raises(ConfigurationError):
            Database(bare_url)
    assert len(records(bare_url)) == len(known)

    first = with_migrations(monkeypatch, "CREATE TABLE coa.mended (a int)")
    Database(bare_url).dispose()

    assert records(bare_url)[-1][:2] == (first, "more_1")


def test_processes_that_start_at_once_run_each_migration_once(
    bare_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_migrations(monkeypatch, "CREATE TABLE coa.once (a int); SELECT pg_sleep(0.2)")

    with ThreadPoolExecutor(4) as pool:
        for database in pool.map(lambda _: Database(bare_url), range(4)):
            database.dispose()

    assert len(records(bare_url)) == newest_version()


def test_a_process_that_meets_a_newer_schema_says_which_version_it_needs(database_url: str) -> None:
    with psycopg.connect(database_url) as connection:
        connection.execute(
            "INSERT INTO coa.schema_version (version, name, coa_version) VALUES (%s, 'of_the_future', '9.4.0')",
            [newest_version() + 1],
        )

    uses: tuple[Use, Use] = ("migrate", "read")
    for use in uses:
        with pytest.raises(SchemaTooNew, match=r"use coa-migration 9\.4\.0 or newer") as refused:
            Database(database_url, schema=use)
        assert f"schema version {newest_version() + 1}" in str(refused.value)
        assert isinstance(refused.value, ConfigurationError)


def test_a_reader_of_an_empty_database_refuses_and_makes_nothing(bare_url: str) -> None:
    with pytest.raises(SchemaOutdated, match="run any of the DAGs"):
        Database(bare_url, schema="read")

    assert contents(bare_url) == []


def test_a_reader_of_an_older_schema_refuses_and_changes_nothing(old_url: str) -> None:
    before = contents(old_url)

    with pytest.raises(SchemaOutdated, match="has schema version 0"):
        Database(old_url, schema="read")

    assert contents(old_url) == before


def test_a_reader_cannot_write(database_url: str) -> None:
    reader = Database(database_url, schema="read")

    with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
        reader.execute("CREATE TABLE coa.mine (a int)")
    reader.dispose()


def test_no_migration_under_a_run_that_loads(old_url: str) -> None:
    with psycopg.connect(old_url) as connection:
        connection.execute("UPDATE coa.lease SET expires_at = clock_timestamp() + interval '5 minutes'")
    before = contents(old_url)

    with pytest.raises(MigrationBlocked, match=rf"run {LOADING} \(coa_migrate\) is loading"):
        Database(old_url)

    assert contents(old_url) == before


def test_a_run_whose_lease_expired_or_that_only_reads_is_in_no_ones_way(old_url: str) -> None:
    with psycopg.connect(old_url) as connection:
        connection.execute("UPDATE coa.lease SET expires_at = clock_timestamp() + interval '5 minutes'")
        connection.execute("UPDATE coa.run SET loaded_at = NULL WHERE run_id = %s", [LOADING])

    Database(old_url).dispose()

    assert len(records(old_url)) == newest_version()


def test_a_run_that_loads_is_no_obstacle_to_who_has_nothing_to_migrate(old_url: str) -> None:
    Database(old_url).dispose()
    with psycopg.connect(old_url) as connection:
        connection.execute("UPDATE coa.lease SET expires_at = clock_timestamp() + interval '5 minutes'")

    Database(old_url).dispose()


@pytest.mark.parametrize(
    "names",
    [
        ("0001_a.sql", "0003_c.sql"),
        ("0001_a.sql", "0002_b.sql", "0002_c.sql"),
        ("0002_b.sql",),
        ("0001_a.sql", "2_b.sql"),
    ],
)
def test_a_gap_a_double_and_a_misspelt_name_are_refused(names: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match=r"expected|not the name of a migration"):
        in_order((name, "SELECT 1") for name in names)


def test_the_statements_can_be_looked_at_without_running_them(
    bare_url: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COA_STAGING_URL", bare_url)
    assert schema.main(["--sql"]) == 0

    shown = capsys.readouterr().out
    assert f"schema version 0 of {newest_version()}" in shown
    assert all(m.statements in shown for m in migrations())
    assert contents(bare_url) == []


def test_one_command_brings_a_database_up_to_date(
    bare_url: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COA_STAGING_URL", bare_url)
    assert schema.main(["--apply"]) == 0

    assert f"schema version {newest_version()} of {newest_version()}" in capsys.readouterr().out
    assert len(records(bare_url)) == newest_version()
