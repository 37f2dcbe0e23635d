"""coa_verify: weeks later, drift since the migration is told from errors of the migration."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from tests.engine.harness import Migrator
from tests.verify.scene import Scene, equals

from coa import pipeline
from coa.errors import ConfigurationError
from coa.model import DETAIL, DETAIL_ORDER, NS, ORDER, QUANTITY, SOURCE_ID, STATUS
from coa.staging.database import Database
from coa.staging.runs import Run
from orgsim.launch import running_pair

NOTE = NS + "Invoice_Description__c"


@pytest.fixture(scope="module")
def moved(module_database: Database, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Migrator]:
    """Two orgs after a migration that made one error: a record that was never proved equal."""
    with running_pair(orders=60, seed=9, job_delay=0.01) as (source, target):
        yield Migrator(module_database, source, target, tmp_path_factory.mktemp("artifacts"))


def verify(migrator: Migrator, **params: Any) -> tuple[Run, dict[str, int]]:
    run = pipeline.start(
        migrator.db,
        migrator.settings,
        dag_id="coa_verify",
        airflow_run_id=f"test-{uuid4().hex}",
        triggered_by="test",
        raw_params=params,
    )
    return run, pipeline.verify_run(run, *migrator.orgs())


def listed(run: Run) -> set[tuple[str, str, str]]:
    """(target id, kind, cause) of unexplained differences."""
    return {
        (r["target_id"], r["kind"], r["cause"])
        for r in run.db.rows(
            "SELECT * FROM coa.difference WHERE run_id = %s AND kind <> 'explained'", [run.run_id]
        )
    }


def test_nothing_migrated_is_said(moved: Migrator) -> None:
    with pytest.raises(ConfigurationError, match="Nothing was moved"):
        verify(moved)


@pytest.mark.lane
def test_drift_and_errors_are_told_apart(moved: Migrator) -> None:
    migration = moved.migrate()
    assert migration.state == "verified", migration.error
    run, origins = verify(moved)
    assert origins == {}

    scene = Scene.of(moved.target)
    wrong = scene.take(ORDER)
    # As if the first proof had found this one different: it has no hash.
    moved.db.execute(
        "UPDATE coa.ledger SET verified_hash = NULL WHERE target_id = %s AND sobject = %s",
        [wrong["Id"], ORDER],
    )
    scene.edit(ORDER, wrong, **{NOTE: "never right"})
    edited_there = scene.take(ORDER, equals(STATUS, "Activated"))
    scene.edit(ORDER, edited_there, **{STATUS: "Provisioned"})
    edited_here = scene.take(ORDER)
    moved.source.control(
        "PATCH", f"records/{ORDER}/{edited_here[SOURCE_ID]}", {NOTE: "changed in the source"}, raw="true"
    )
    edited_in_both = scene.take(ORDER)
    moved.source.control("PATCH", f"records/{ORDER}/{edited_in_both[SOURCE_ID]}", {NOTE: "this"}, raw="true")
    scene.edit(ORDER, edited_in_both, **{NOTE: "that"})
    deleted_there = scene.take(DETAIL)
    scene.delete(DETAIL, deleted_there)
    deleted_here = scene.take(DETAIL)
    moved.source.control("DELETE", f"records/{DETAIL}/{deleted_here[SOURCE_ID]}")
    entered_there = scene.take(DETAIL)
    extra = scene.copy(DETAIL, entered_there, **{QUANTITY: 99})

    run, origins = verify(moved)

    found = listed(run)
    assert {
        (wrong["Id"], "field", "migration"),
        (edited_there["Id"], "status", "target"),
        (edited_here["Id"], "field", "source"),
        (edited_in_both["Id"], "field", "both"),
        (deleted_there["Id"], "missing", "target"),
        (deleted_here["Id"], "unexpected", "source"),
        (extra, "unexpected", "target"),
    } <= found
    # Totals of the orders whose details came or went; nothing else.
    assert {(t, o) for t, k, o in found if k == "rollup"} == {
        (deleted_there[DETAIL_ORDER], "target"),
        (entered_there[DETAIL_ORDER], "target"),
        (deleted_here[DETAIL_ORDER], "source"),
    }
    assert origins["migration"] == 1
    assert sum(1 for _, kind, _ in found if kind != "rollup") == 7

    folder: Path = moved.artifacts / run.run_id
    assert pipeline.finish(run, folder, None) == "differences"
    summary = json.loads((folder / "summary.json").read_text())
    assert summary["mode"] == "verify"
    assert summary["differences_by_origin"] == origins


@pytest.mark.lane  # of what the test before it moved
def test_one_run_can_be_named(moved: Migrator) -> None:
    first = moved.db.value("SELECT run_id FROM coa.run WHERE loaded_at IS NOT NULL ORDER BY run_id LIMIT 1")
    run, origins = verify(moved, run_id=first)
    assert run.params.run_id == first
    assert sum(origins.values()) > 0


def test_a_run_that_is_not_there_is_said(moved: Migrator) -> None:
    with pytest.raises(ConfigurationError, match="There is no run 20200101T000000Z-abcdef"):
        verify(moved, run_id="20200101T000000Z-abcdef")


def test_a_run_that_moved_nothing_is_said(moved: Migrator) -> None:
    planned = moved.start(dry_run=True)

    with pytest.raises(ConfigurationError, match=f"Run {planned.run_id} moved nothing"):
        verify(moved, run_id=planned.run_id)
