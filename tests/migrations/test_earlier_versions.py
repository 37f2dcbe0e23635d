"""What an earlier version left behind is taken over: its finished runs, and the one that was killed in mid-load.

The fixtures are made by the version that was left (scripts/make_migration_fixtures.py) and never changed. Every later
migration of the schema must pass these tests on each of them.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql

from coa import pipeline
from coa.model import LOADED, NS, ORDER
from coa.staging.database import Database
from coa.staging.embedded import EmbeddedPostgres
from coa.staging.runs import Run
from coa.staging.tables import Table
from orgsim.launch import running_org
from tests.engine.checker import check
from tests.engine.harness import FAST, Migration, Migrator
from tests.engine.undo import roll_back
from tests.faults.conftest import verdict_on
from tests.reconcile.pairs import dump, edit, table

VERSIONS = sorted(folder.name for folder in (Path(__file__).parent / "fixtures").iterdir())
COMMENT = NS + "Error_Comment__c"


@dataclass
class Left:
    """Two orgs and a staging database as an earlier version left them, under this version's code."""

    migrator: Migrator
    run_id: str

    def run(self) -> Run:
        return Run.load(self.migrator.db, FAST, self.run_id)


@contextmanager
def left_by(version: str, kind: str, server: EmbeddedPostgres, folder: Path) -> Iterator[Left]:
    fixture = Path(__file__).parent / "fixtures" / version / kind
    name = f"earlier_{uuid4().hex[:12]}"
    with closing(psycopg.connect(server.admin_url(), autocommit=True)) as admin:
        admin.execute(f"CREATE DATABASE {name} OWNER coa STRATEGY file_copy")
        address = server.url(name).replace("postgresql+psycopg", "postgresql")
        with closing(psycopg.connect(address, autocommit=True)) as plain:
            plain.execute(gzip.decompress((fixture / "staging.sql.gz").read_bytes()))
            # The process of a killed run is dead, and nothing tells so but the end of its lease.
            plain.execute("UPDATE coa.lease SET expires_at = now()")
        with (
            running_org(restore=str(fixture / "source.zip")) as source,
            running_org(restore=str(fixture / "target.zip")) as target,
        ):
            database = Database(server.url(name))
            yield Left(
                Migrator(database, source, target, folder / "artifacts"),
                json.loads((fixture / "fixture.json").read_text())["run_id"],
            )
            database.dispose()
        admin.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(params=VERSIONS)
def finished(
    request: pytest.FixtureRequest, postgres_server: EmbeddedPostgres, tmp_path: Path
) -> Iterator[Left]:
    with left_by(request.param, "finished", postgres_server, tmp_path) as left:
        yield left


@pytest.fixture(params=VERSIONS)
def killed(
    request: pytest.FixtureRequest, postgres_server: EmbeddedPostgres, tmp_path: Path
) -> Iterator[Left]:
    with left_by(request.param, "killed", postgres_server, tmp_path) as left:
        yield left


def migrated_orders(left: Left) -> list[str]:
    return [r["source_id"] for r in left.migrator.db.rows(
        "SELECT source_id FROM coa.ledger WHERE sobject = %s AND inserted_run = %s ORDER BY 1", [ORDER, left.run_id]
    )]  # fmt: skip


def updates(run: Run) -> dict[tuple[str, str], list[str]]:
    """(sObject, source id) -> fields of each planned update."""
    rows = run.db.rows(
        sql.SQL("SELECT sobject, source_id, changed FROM {} WHERE action = 'update'").format(
            run.table(Table.PLAN)
        )
    )
    return {(r["sobject"], r["source_id"]): r["changed"] for r in rows}


def clean(migrator: Migrator, migration: Migration) -> None:
    assert migration.state == "verified", migration.error
    verdict = verdict_on(migrator, migration)
    assert verdict.clean, str(verdict)


def test_a_delta_goes_on_from_its_finished_run(finished: Left) -> None:
    migrator = finished.migrator
    edited = migrated_orders(finished)[0]
    edit(migrator.source, ORDER, edited, **{COMMENT: "edited after the upgrade"})
    delta = migrator.migrate(mode="delta")
    assert delta.state == "verified", delta.error
    changed = updates(delta.run)
    assert changed.pop((ORDER, edited)) == [COMMENT]
    # 0.1.0 gave records of inactive owners to the running user; since then an owner is kept where the user may.
    assert {tuple(fields) for fields in changed.values()} <= {("OwnerId",)}
    planted = migrator.source.control("GET", "planted")
    verdict = check(
        migrator.source, migrator.target, {*planted["blocked_orders"], *planted["blocked_details"]}
    )
    assert verdict.clean, str(verdict)


def test_its_finished_run_is_verified_again(finished: Left) -> None:
    migrator = finished.migrator
    run = pipeline.start(
        migrator.db, FAST, dag_id="coa_verify", airflow_run_id=f"test-{uuid4().hex}", triggered_by="test", raw_params={}
    )  # fmt: skip
    assert sum(pipeline.verify_run(run, *migrator.orgs()).values()) == 0


def test_its_finished_run_is_rolled_back(finished: Left) -> None:
    undone = roll_back(finished.migrator, finished.run())
    assert undone.state == "verified", undone.error
    assert not any(r["COA_Source_Id__c"] for s in LOADED for r in table(finished.migrator.target, s).values())


def test_the_next_run_brings_a_killed_load_to_its_end(killed: Left) -> None:
    assert killed.migrator.target.control("GET", "drafts")["count"] > 0
    clean(killed.migrator, killed.migrator.migrate_with_retries(chunk_size=12, lanes=1))


def test_a_killed_run_goes_on_itself(killed: Left) -> None:
    clean(killed.migrator, killed.migrator.go_on(killed.run()))


def test_a_killed_run_is_rolled_back(killed: Left) -> None:
    before = {
        sobject: {i: r for i, r in records.items() if not r["COA_Source_Id__c"]}
        for sobject, records in dump(killed.migrator.target).items()
    }
    undone = roll_back(killed.migrator, killed.run())
    assert undone.state == "verified", undone.error
    assert dump(killed.migrator.target) == before
