"""`coa_setup_target`: nothing is deployed without an approval, and a second run has nothing to do."""

from __future__ import annotations

import json
from pathlib import Path
from uuid import uuid4

import pytest

from coa import pipeline
from coa.approval import record as approval
from coa.errors import ConfigurationError, RunStopped
from coa.salesforce.session import Org
from coa.staging.database import Database
from coa.staging.runs import Run
from coa.target_fields.setup import require_no_source, set_up, steps
from coa.target_fields.stage import todo_of
from coa.target_fields.state import look
from orgsim.launch import RunningOrg
from tests.engine.harness import FAST, connection_to
from tests.target_fields.conftest import FOLDER


def planned(db: Database, org: Org, folder: Path) -> tuple[Run, str]:
    run = pipeline.start(
        db,
        FAST,
        dag_id="coa_setup_target",
        airflow_run_id=f"test-{uuid4().hex}",
        triggered_by="test",
        raw_params={},
    )
    pipeline.setup_begin(run, org, not_compared="There is no Airflow connection coa_source.")
    return run, pipeline.setup_plan(run, folder / run.run_id)


def approve(run: Run) -> None:
    plan_hash = str(run.record.plan_hash)
    approval.record(run, kind="approval", approved=True, answered_by="anna", plan_hash=plan_hash)


def test_it_deploys_what_was_approved_and_the_next_run_has_nothing_to_do(
    database: Database, org: Org, tmp_path: Path
) -> None:
    run, page = planned(database, org, tmp_path)
    assert len(todo_of(run)) == 5
    assert "deploy the permission set COA" in page.replace("\\", "")
    assert "Not compared with a source" in page
    with pytest.raises(RunStopped, match="no recorded answer"):
        pipeline.setup_deploy(run, org, FOLDER)
    assert len(steps(look(org))) == 5

    run.reopen()
    approve(run)
    assert "10 components made" in pipeline.setup_deploy(run, org, FOLDER)
    assert steps(look(org)) == []
    assert pipeline.finish(run, tmp_path / run.run_id, None) == "verified"
    summary = json.loads((tmp_path / run.run_id / "summary.json").read_text())
    assert (summary["mode"], len(summary["steps"])) == ("setup_target", 5)

    again, page = planned(database, org, tmp_path)
    assert "Nothing to do" in page
    assert pipeline.setup_deploy(again, org, FOLDER) == "Nothing to do."
    assert pipeline.finish(again, tmp_path / again.run_id, None) == "verified"


def test_a_user_who_may_not_deploy_is_a_finding_before_anything_is_asked(
    database: Database, bare: RunningOrg, org: Org, tmp_path: Path
) -> None:
    lost = dict.fromkeys(
        ("PermissionsModifyAllData", "PermissionsModifyMetadata", "PermissionsAssignPermissionSets"), 0
    )
    for one in bare.control("GET", "table/PermissionSet"):
        bare.control("PATCH", f"records/PermissionSet/{one['Id']}?raw=true", lost)
    with pytest.raises(RunStopped, match=r"may not assign.*may not deploy"):
        planned(database, org, tmp_path)
    codes = {r["code"] for r in database.rows("SELECT code FROM coa.finding WHERE severity = 'blocker'")}
    assert codes == {"no_right_to_deploy", "no_right_to_assign"}


def test_an_approval_of_what_somebody_else_has_deployed_meanwhile_does_not_count(
    database: Database, bare: RunningOrg, org: Org, tmp_path: Path
) -> None:
    run, _ = planned(database, org, tmp_path)
    approve(run)
    set_up(Org(connection_to(bare, "coa_target"), FAST), look(org), FOLDER)
    with pytest.raises(RunStopped, match="plan"):
        pipeline.setup_deploy(run, org, FOLDER)


def test_an_org_that_orders_are_moved_from_is_refused_also_when_a_contract_had_it_for_itself(
    database: Database, org: Org
) -> None:
    org_id = look(org).org_id
    for target in ("00D000000000001AAA", org_id):
        database.execute(
            "INSERT INTO coa.org_pair (source_org_id, target_org_id) VALUES (%s, %s)", [org_id, target]
        )
    with pytest.raises(ConfigurationError, match="moved from"):
        require_no_source(database, org_id, [])
