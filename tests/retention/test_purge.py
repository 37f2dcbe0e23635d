"""What a purge takes away, what it keeps, and what it never touches."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from psycopg import sql

from coa import pipeline
from coa.errors import ConfigurationError
from coa.model import ORDER
from coa.retention.__main__ import main
from coa.retention.idle_syncs import drop_idle_syncs
from coa.retention.purge import purge, run_to_purge, runs_to_purge
from coa.staging.database import Database
from coa.staging.runs import Run
from coa.staging.schema import main as schema_command
from coa.staging.tables import schema_of
from tests.engine.harness import FAST


def ended(database: Database, folder: Path, days_ago: float, dag_id: str = "coa_migrate") -> Run:
    """A run that ended, with a table, an artifact of each kind, and rows that hold values."""
    run = Run.start(
        database, FAST, dag_id=dag_id, airflow_run_id=uuid4().hex, triggered_by="test", raw_params={}
    )
    pair = database.value(
        """INSERT INTO coa.org_pair (source_org_id, target_org_id) VALUES ('s', 't')
           ON CONFLICT (source_org_id, target_org_id, masked) DO UPDATE SET source_org_id = 's' RETURNING pair_id"""
    )
    at = datetime.now(UTC) - timedelta(days=days_ago)
    artifacts = folder / run.run_id
    artifacts.mkdir(parents=True)
    for name in ("summary.json", "plan.json", "id_map.csv", "differences.csv", "report.html"):
        (artifacts / name).write_text("{}")
    run.update(pair_id=pair, state="verified", started_at=at, finished_at=at, artifacts=str(artifacts))
    database.execute(sql.SQL("CREATE TABLE {} (name text)").format(run.table("source", ORDER)))
    database.execute(
        "INSERT INTO coa.difference (run_id, sobject, kind, source_value) VALUES (%s, %s, 'field', 'Ada')",
        [run.run_id, ORDER],
    )
    database.execute(
        """INSERT INTO coa.ledger (pair_id, sobject, source_id, target_id, origin, inserted_run)
           VALUES (%s, %s, %s, 'T', 'inserted', %s)""",
        [pair, ORDER, run.run_id, run.run_id],
    )
    return run


def schemas(database: Database) -> set[str]:
    return {
        r["n"] for r in database.rows("SELECT nspname AS n FROM pg_namespace WHERE nspname LIKE 'run\\_%'")
    }


def test_an_old_run_loses_its_data_and_keeps_its_proof(database: Database, tmp_path: Path) -> None:
    old, young = ended(database, tmp_path, 100), ended(database, tmp_path, 5)
    rows = runs_to_purge(database, older_than_days=90)
    assert [r["run_id"] for r in rows] == [old.run_id]
    done = purge(database, rows[0])
    assert done.files == 3
    assert {f.name for f in (tmp_path / old.run_id).iterdir()} == {"summary.json", "id_map.csv"}
    assert schemas(database) == {schema_of(young.run_id)}
    assert database.value("SELECT count(*) FROM coa.difference WHERE run_id = %s", [old.run_id]) == 0
    assert database.value("SELECT count(*) FROM coa.ledger WHERE inserted_run = %s", [old.run_id]) == 1
    assert database.value("SELECT state FROM coa.run WHERE run_id = %s", [old.run_id]) == "verified"
    assert runs_to_purge(database, older_than_days=90) == []


def test_a_run_under_way_is_never_purged(database: Database, tmp_path: Path) -> None:
    run = ended(database, tmp_path, 100)
    run.update(state=None, finished_at=None)
    run.lease.take()
    assert runs_to_purge(database, older_than_days=90) == []
    for force in (False, True):
        with pytest.raises(ConfigurationError, match="under way"):
            run_to_purge(database, run.run_id, force=force)


def test_a_run_that_was_killed_is_purged_by_force_when_its_lease_is_over(
    database: Database, tmp_path: Path
) -> None:
    run = ended(database, tmp_path, 1)
    run.update(state=None, finished_at=None)
    run.events.add("stage_started")
    with pytest.raises(ConfigurationError, match="--force"):
        run_to_purge(database, run.run_id)

    purge(database, run_to_purge(database, run.run_id, force=True))

    run.refresh()
    assert (run.record.state, run.record.purged_at is not None) == ("failed", True)


def test_a_run_whose_grant_is_in_force_stays_until_it_is_withdrawn(
    database: Database, tmp_path: Path
) -> None:
    run = ended(database, tmp_path, 100)
    database.execute(
        """INSERT INTO coa.standing_approval (pair_id, granted_by, granted_in, expires_at, max_records, actions)
           VALUES (%s, 'approver', %s, now() + interval '1 day', 10, '{insert}')""",
        [run.pair_id, run.run_id],
    )
    assert runs_to_purge(database, older_than_days=90) == []
    with pytest.raises(ConfigurationError, match="standing approval that is in force"):
        run_to_purge(database, run.run_id)
    database.execute("UPDATE coa.standing_approval SET revoked_at = now()")

    assert [r["run_id"] for r in runs_to_purge(database, older_than_days=90)] == [run.run_id]


def test_a_purged_run_goes_on_no_more(database: Database, tmp_path: Path) -> None:
    run = ended(database, tmp_path, 100)
    purge(database, run_to_purge(database, run.run_id))
    run.refresh()

    for attempt in (
        run.reopen,
        lambda: pipeline.finish(run, tmp_path, None),
        lambda: pipeline.report(run, tmp_path),
    ):
        with pytest.raises(ConfigurationError, match="it cannot continue"):
            attempt()


@pytest.mark.parametrize(
    "url", ["postgresql://coa:secret@db:5432/coa", "postgresql://coa@db/coa?password=secret"]
)
@pytest.mark.parametrize("command", [main, schema_command])
def test_a_password_among_the_arguments_is_refused(
    command: Callable[[list[str]], int], url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--older-than", "9"] if command is main else []
    assert command(["--staging", url, *options]) == 1
    told = capsys.readouterr().err
    assert "COA_STAGING_URL" in told
    assert "secret" not in told


def test_the_command_says_what_it_would_purge_and_purges_one_run(
    database: Database, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COA_STAGING_URL", database.url)
    run = ended(database, tmp_path, 1)
    at = ["--run", run.run_id]
    assert main([*at, "--dry-run"]) == 0
    assert "would purge" in capsys.readouterr().out
    assert schemas(database)
    assert main(at) == 0
    assert "3 files" in capsys.readouterr().out
    assert not schemas(database)
    assert main(["--run", "20200101T000000Z-000000"]) == 1


def test_scheduled_runs_that_wrote_nothing_are_replaced_by_the_newest(
    database: Database, tmp_path: Path
) -> None:
    idle = ended(database, tmp_path, 3, "coa_sync")
    wrote = ended(database, tmp_path, 2, "coa_sync")
    database.execute(sql.SQL("CREATE TABLE {} AS SELECT 1 AS row").format(wrote.table("work")))
    by_hand = ended(database, tmp_path, 2)
    newest = ended(database, tmp_path, 0, "coa_sync")
    assert drop_idle_syncs(database, newest.pair_id, newest.run_id) == 1
    assert schemas(database) == {schema_of(r.run_id) for r in (wrote, by_hand, newest)}
    assert schema_of(idle.run_id) not in schemas(database)
