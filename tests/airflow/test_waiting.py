"""Waits that Airflow's triggerer takes over, in whole runs of `coa_migrate`."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from tests.airflow.conftest import Stage
from tests.airflow.test_migrate import left_out
from tests.engine.checker import check

from orgsim.launch import RunningOrg

pytestmark = pytest.mark.airflow


@pytest.fixture
def parking(stage: Stage) -> Stage:
    """A stage whose tasks hand over every wait at once."""
    stage.environment.delenv("COA_HEADLESS")
    stage.environment.setenv("COA_HOLD_WORKER_SECONDS", "0")
    for org in (stage.source, stage.target):
        org.control("PATCH", "settings", {"job_delay": 0.4})
    return stage


@pytest.mark.lane
def test_a_run_whose_waits_are_handed_over_ends_as_any_other(parking: Stage) -> None:
    run = parking.migrate()

    assert (run.state, run.airflow_state) == ("verified", "success"), run.message
    verdict = check(parking.source, parking.target, left_out(parking, run.row["run_id"]))
    assert verdict.clean, str(verdict)
    handed_over = parking.database.rows(
        "SELECT DISTINCT data ->> 'org' AS org, data ->> 'kind' AS kind FROM coa.event WHERE event = 'wait_handed_over'"
    )
    assert {(row["org"], row["kind"]) for row in handed_over} == {
        ("source", "query"),
        ("target", "query"),
        ("target", "ingest"),
    }


@pytest.mark.lane
def test_a_job_that_stands_still_is_told_by_the_task_that_waits_for_it(parking: Stage) -> None:
    parking.environment.setenv("COA_STALL_SECONDS", "1")
    parking.target.control("POST", "faults", {"kind": "job_stuck", "operation": "insert", "times": -1})

    run = parking.migrate(retries=0)

    assert run.state == "failed"
    assert "stands at 0 rows in state InProgress" in run.message
    assert "Bulk Data Load Jobs" in run.message


class TestTrigger:
    """The trigger alone, beside a live org."""

    @pytest.fixture
    def look(self, stage: Stage) -> Any:
        from coa.staging.runs import Run
        from coa_airflow.environment import settings
        from coa_airflow.job_trigger import BulkJobTrigger

        run = Run.start(
            stage.database,
            settings(),
            dag_id="coa_migrate",
            airflow_run_id="trigger",
            triggered_by="",
            raw_params={},
        )

        def look(job_id: str) -> dict[str, str]:
            trigger = BulkJobTrigger(run.run_id, "target", "ingest", job_id)
            path, arguments = trigger.serialize()
            assert path == "coa_airflow.job_trigger.BulkJobTrigger"

            async def first() -> Any:
                async for event in BulkJobTrigger(**arguments).run():
                    return event.payload

            return asyncio.run(asyncio.wait_for(first(), 20))

        return look

    def test_it_wakes_the_task_for_a_job_that_the_org_does_not_know(self, look: Any) -> None:
        assert look("750000000000000AAA") == {}

    def test_it_waits_on_while_the_org_does_not_answer(
        self, look: Any, orgs: tuple[RunningOrg, RunningOrg]
    ) -> None:
        orgs[1].control("POST", "faults", {"kind": "html_503", "path": "/jobs/", "times": 5})

        assert look("750000000000000AAA") == {}
        assert not [one for one in orgs[1].control("GET", "faults") if one["times"]]

    def test_it_wakes_the_task_when_the_connection_is_refused_for_good(self, look: Any, stage: Stage) -> None:
        stage.connect("target", '{"conn_type": "salesforce", "host": "http://example.com"}')

        assert look("750000000000000AAA") == {}
