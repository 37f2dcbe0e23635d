"""What stops a run is told whole, and each remedy once."""

from __future__ import annotations

import pytest

from coa.errors import RunStopped
from coa.findings.finding import Finding
from coa.preflight.check import stop_on_blockers
from coa.staging.database import Database
from coa.staging.runs import Run
from tests.engine.harness import FAST

DEPLOY = "deploy the migration fields (make setup-target)."
GRANT = "give the user the permission."


def test_one_remedy_of_several_blockers_is_told_once(database: Database) -> None:
    run = Run.start(
        database, FAST, dag_id="coa_preflight", airflow_run_id="manual__1", triggered_by="", raw_params={}
    )
    run.findings.replace(
        "preflight",
        [
            *(Finding("blocker", "fields", f"{name} lacks a field.", DEPLOY, sobject=name) for name in "ABC"),
            Finding("blocker", "rights", "It may not write.", GRANT),
            Finding("warning", "storage", "Little is left.", "make room."),
        ],
    )

    with pytest.raises(RunStopped) as stopped:
        stop_on_blockers(run)

    assert stopped.value.message == (
        "(1) A lacks a field. (2) B lacks a field. (3) C lacks a field. (4) It may not write."
    )
    assert stopped.value.next_step == f"(1, 2, 3) {DEPLOY} (4) {GRANT}"
