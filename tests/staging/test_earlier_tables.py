"""Tables of earlier runs: which schema version made them, and what happens where they are too old to be read."""

from __future__ import annotations

from uuid import uuid4

import pytest
from psycopg import sql

from coa.extract import baseline
from coa.extract.baseline import find_base
from coa.extract.bulk import ExtractSpec, ensure_state_table
from coa.model import ORDER
from coa.rollback import scope
from coa.staging import tables
from coa.staging.database import Database
from coa.staging.runs import SOURCE, Run
from coa.staging.schema import newest_version
from coa.staging.tables import Table
from tests.engine.harness import FAST

SPEC = ExtractSpec(SOURCE, ORDER, ["Id", "SystemModstamp"])


def started(database: Database) -> Run:
    run = Run.start(
        database, FAST, dag_id="coa_migrate", airflow_run_id=uuid4().hex, triggered_by="test", raw_params={}
    )
    run.update(
        pair_id=database.value(
            """INSERT INTO coa.org_pair (source_org_id, target_org_id) VALUES ('s', 't')
               ON CONFLICT (source_org_id, target_org_id, masked) DO UPDATE SET source_org_id = 's' RETURNING pair_id"""
        )
    )
    return run


@pytest.fixture
def earlier(database: Database) -> Run:
    """A run that extracted one order, planned it and wrote to the target."""
    run = started(database)
    ensure_state_table(run)
    with database.transaction() as connection:
        orders = tables.create(connection, run, Table.SOURCE, ORDER, fields=SPEC.fields)
        tables.create(connection, run, Table.PLAN)
        connection.execute(
            sql.SQL("INSERT INTO {} VALUES ('a0A1', '2026-01-01T00:00:00.000Z')").format(orders)
        )
        connection.execute(
            sql.SQL("INSERT INTO {} (kind, sobject, job_id, done) VALUES (%s, %s, '750', true)").format(
                run.table(Table.EXTRACT_STATE)
            ),
            [SOURCE, ORDER],
        )
    database.execute("UPDATE coa.run SET loaded_at = now() WHERE run_id = %s", [run.run_id])
    return Run.load(database, FAST, run.run_id)


@pytest.fixture
def too_old(earlier: Run, monkeypatch: pytest.MonkeyPatch) -> Run:
    """The same, under a program that reads newer tables only."""
    for module in (baseline, scope):
        monkeypatch.setattr(module, "READABLE_FROM", newest_version() + 1)
    return earlier


def events(run: Run, name: str) -> list[dict[str, object]]:
    return [
        r["data"]
        for r in run.db.rows(
            "SELECT data FROM coa.event WHERE run_id = %s AND event = %s", [run.run_id, name]
        )
    ]


def test_a_run_keeps_the_schema_version_that_it_began_with(database: Database) -> None:
    run = started(database)

    assert (
        database.value("SELECT schema_version FROM coa.run WHERE run_id = %s", [run.run_id])
        == newest_version()
    )


def test_a_delta_starts_from_the_extract_of_an_earlier_run(database: Database, earlier: Run) -> None:
    run = started(database)

    base = find_base(run, SPEC)

    assert base is not None
    assert base.run_id == earlier.run_id
    assert events(run, "full_read_follows") == []


def test_a_delta_over_tables_that_are_too_old_says_that_a_full_read_follows(
    database: Database, too_old: Run
) -> None:
    run = started(database)
    # The run itself is of today.
    database.execute(
        "UPDATE coa.run SET schema_version = %s WHERE run_id = %s", [newest_version() + 1, run.run_id]
    )

    assert find_base(run, SPEC) is None
    assert events(run, "full_read_follows") == [
        {
            "sobject": ORDER,
            "earlier_run": too_old.run_id,
            "its_schema_version": newest_version(),
            "readable_from": newest_version() + 1,
        }
    ]


def test_a_run_whose_tables_can_be_read_can_be_rolled_back(earlier: Run) -> None:
    assert scope._check_original(earlier) == []


def test_a_roll_back_of_a_run_whose_tables_are_too_old_is_refused(too_old: Run) -> None:
    [finding] = scope._check_original(too_old)

    assert (finding.severity, finding.code) == ("blocker", "tables_too_old")
    assert f"reads those of version {newest_version() + 1} and newer" in finding.message
