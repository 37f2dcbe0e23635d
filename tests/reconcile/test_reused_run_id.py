"""A run belongs to one run of one Airflow: neither its params nor its approval come back under its id."""

from __future__ import annotations

from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from tests.engine.harness import FAST
from tests.reconcile.pairs import let_expire

from coa.approval import record as approval
from coa.errors import ConfigurationError, PairBusy
from coa.staging.database import Database
from coa.staging.origin import Origin
from coa.staging.runs import Run

BEGAN = datetime(2026, 11, 23, 14, 42, tzinfo=UTC)
LATER = BEGAN + timedelta(hours=3)


def start(
    database: Database, began: datetime = BEGAN, deployment: str = "d1", clears: int = 0, **params: Any
) -> Run:
    return Run.start(
        database,
        FAST,
        dag_id="coa_migrate",
        airflow_run_id="manual__1",
        triggered_by="anna",
        raw_params=params,
        origin=Origin(
            deployment=deployment, born=str(BEGAN), airflow_started_at=began, airflow_clears=clears
        ),
    )


def waived(database: Database) -> Run:
    run = start(database, require_approval=False)
    run.update(plan_hash="abc")
    approval.record(run, kind="waiver", approved=True, answered_by="anna", plan_hash="abc")
    return run


def test_a_task_that_is_tried_again_gets_its_run(database: Database) -> None:
    assert start(database).run_id == start(database).run_id


def test_a_run_that_was_cleared_is_the_same_and_is_known_by_its_new_beginning(database: Database) -> None:
    first = start(database)

    assert start(database, LATER, clears=1).run_id == first.run_id
    with pytest.raises(ConfigurationError, match="it was cleared less often"):
        start(database)


def test_other_params_under_an_old_id_are_refused_by_name_with_what_to_do(database: Database) -> None:
    old = waived(database)

    with pytest.raises(ConfigurationError) as refusal:
        start(database, LATER, dry_run=True)

    assert f"was used before, by run {old.run_id}" in str(refusal.value)
    assert "its params are others (dry_run, require_approval)" in str(refusal.value)
    assert "trigger the DAG with a new run id" in str(refusal.value)


def test_the_same_params_in_another_run_bring_no_waiver_back(database: Database) -> None:
    waived(database)

    with pytest.raises(ConfigurationError, match="neither its params nor its approval"):
        start(database, LATER, require_approval=False)


def test_another_airflow_has_runs_of_its_own_under_the_same_ids(database: Database) -> None:
    old = waived(database)

    other = start(database, deployment="d2", require_approval=False)

    assert other.run_id != old.run_id
    assert approval.last_answer(other) is None


def test_a_run_of_before_the_deployments_is_found_by_its_id(database: Database) -> None:
    old = start(database)
    old.update(deployment="", born="", airflow_started_at=None)

    assert start(database).run_id == old.run_id


class TestTasksAfterTheStart:
    """`start` may be marked as success by hand: every other task asks as well."""

    @pytest.fixture
    def task(self, database: Database, monkeypatch: pytest.MonkeyPatch) -> Any:
        from coa_airflow import running

        monkeypatch.setattr(running, "staging", lambda: database)
        monkeypatch.setattr(running, "settings", lambda: FAST)
        monkeypatch.setattr("coa_airflow.deployment._known", lambda: "d1")

        @contextmanager
        def of(began: datetime, **more: Any) -> Any:
            dag_run = SimpleNamespace(
                conf={},
                run_after=BEGAN,
                start_date=began,
                clear_number=0,
                triggering_user_name="anna",
                **more,
            )
            ti = SimpleNamespace(dag_id="coa_migrate", run_id="manual__1", task_id="load.prepare")
            monkeypatch.setattr(running, "get_current_context", lambda: {"ti": ti, "dag_run": dag_run})
            with running.task_run() as run:
                yield run

        return of

    def test_those_of_its_own_airflow_run_get_the_run(self, database: Database, task: Any) -> None:
        kept = waived(database)

        with task(BEGAN) as run:
            assert run.run_id == kept.run_id

    def test_those_of_another_one_get_nothing_of_it(self, database: Database, task: Any) -> None:
        kept = waived(database)

        with pytest.raises(ConfigurationError, match="it began at another time"), task(LATER):
            pytest.fail("the run was handed out")
        assert Run.load(database, FAST, kept.run_id).record == kept.record


class TestWhoHoldsAPair:
    """Staging alone says whether the holder of a lease lives, but for a word of its own Airflow between two tasks."""

    @pytest.fixture
    def runs(self, database: Database) -> tuple[Run, Run]:
        pair = database.value(
            "INSERT INTO coa.org_pair (source_org_id, target_org_id) VALUES ('s', 't') RETURNING pair_id"
        )
        holder, challenger = start(database), start(database, deployment="d2")
        for run in (holder, challenger):
            run.update(pair_id=pair)
        holder.lease.take()
        return holder, challenger

    def test_as_long_as_a_process_works_on_its_run_no_word_of_airflow_takes_it_away(
        self, database: Database, runs: tuple[Run, Run]
    ) -> None:
        holder, challenger = runs

        with holder.at_work(), holder.at_work(), pytest.raises(PairBusy):
            challenger.lease.take(lambda row: True)
        assert holder.lease.is_held()

        challenger.lease.take(lambda row: True)
        assert challenger.lease.is_held()

    def test_a_lease_that_expired_is_nobodys_though_a_process_stands_still(
        self, database: Database, runs: tuple[Run, Run]
    ) -> None:
        holder, challenger = runs
        let_expire(database)

        with holder.at_work():
            challenger.lease.take()
        with pytest.raises(PairBusy, match="works on the same pair"):
            holder.lease.require()

    def test_another_airflow_is_not_asked(
        self, database: Database, runs: tuple[Run, Run], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """It may have a run of the same DAG and id that has ended long ago."""
        from coa_airflow import holder

        asked: list[str] = []

        def state(dag_id: str, run_id: str) -> str:
            asked.append(run_id)
            return "failed"

        ti = SimpleNamespace(get_dagrun_state=state)
        monkeypatch.setattr(holder, "get_current_context", lambda: {"ti": ti})
        monkeypatch.setattr("coa_airflow.environment.staging", lambda: database)
        row = {"headless_token": "", "dag_id": "coa_migrate", "airflow_run_id": "manual__1", "run_id": "x"}
        monkeypatch.setattr("coa_airflow.deployment._known", lambda: "d2")

        assert not holder.lease_holder_ended({**row, "deployment": "d1"})
        assert not holder.lease_holder_ended({**row, "deployment": ""})
        assert asked == []
        assert holder.lease_holder_ended({**row, "deployment": "d2"})
