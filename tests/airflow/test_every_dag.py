"""Each DAG in each of its modes, to its last task: state, Airflow's state, note and artifacts agree.

One pair of orgs for all of it: what a run leaves is what the next one finds.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
from tests.airflow.conftest import LENIENT, Ended, Stage
from tests.airflow.test_migrate import note_of

from coa.approval import standing
from coa.config import Settings
from coa.staging.runs import Run

pytestmark = [pytest.mark.airflow, pytest.mark.lane]

POLICIES = {k: v for k, v in LENIENT.items() if k != "require_approval"}


def ended_well(ended: Ended, state: str) -> None:
    assert (ended.state, ended.airflow_state) == (state, "success"), ended.message
    assert not [task for task, how in ended.tasks.items() if how not in ("success", "skipped")], ended.tasks
    kept = json.loads((ended.folder / "summary.json").read_text())
    assert kept["state"] == ended.row["summary"]["state"] == state
    assert note_of(ended.row["airflow_run_id"]).startswith(f"{state} ({ended.row['run_id']})")


def test_each_dag_in_each_mode_comes_to_its_end(stage: Stage) -> None:
    ended_well(stage.run("coa_preflight", **POLICIES), "dry_run")
    ended_well(stage.migrate(dry_run=True), "dry_run")
    moved = stage.migrate()
    ended_well(moved, "verified")
    ended_well(stage.migrate(mode="delta"), "verified")
    ended_well(stage.migrate(mode="delta", dry_run=True), "dry_run")
    ended_well(stage.run("coa_verify"), "verified")
    ended_well(stage.run("coa_verify", run_id=moved.row["run_id"]), "verified")

    refused = stage.run("coa_sync", **POLICIES)
    grant(stage, moved)
    ended_well(stage.run("coa_sync", dry_run=True, **POLICIES), "dry_run")
    ended_well(stage.run("coa_sync", **POLICIES), "verified")

    without_rules = stage.run("coa_relink", require_approval=False)

    undo = {"run_id": moved.row["run_id"], "require_approval": False}
    ended_well(stage.run("coa_rollback", **undo, dry_run=True), "dry_run")
    undone = stage.run("coa_rollback", **undo)
    ended_well(undone, "verified")
    unnamed = stage.run("coa_rollback", require_approval=False)

    assert (refused.state, refused.airflow_state) == ("not_approved", "failed"), refused.message
    assert (without_rules.state, without_rules.airflow_state) == ("blocked", "failed"), without_rules.message
    assert (without_rules.folder / "relink_template.yaml").exists()
    assert (unnamed.state, unnamed.airflow_state) == ("failed", "failed")
    assert "No run is named" in unnamed.message
    note = note_of(undone.row["airflow_run_id"])
    deleted = undone.row["summary"]["objects"]["CHANNEL_ORDERS__Service_Order__c"]["deleted"]
    assert f"{deleted} deleted" in note
    assert deleted == moved.objects["Service_Order__c"]["inserted"]


def grant(stage: Stage, moved: Ended) -> None:
    """What the form of the approval would grant."""
    run = Run.load(stage.database, Settings(), moved.row["run_id"])
    until = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    told = standing.grant_from_form(run, {"standing_until": until, "standing_records": 50}, "anna")
    assert told.startswith("Standing approval until"), told
