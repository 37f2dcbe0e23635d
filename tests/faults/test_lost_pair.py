"""A process that stood still until another run took its pair over writes nothing more when it wakes up."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest

from coa import pipeline
from coa.errors import PairBusy
from coa.fields.saved import saved_carried
from coa.load import rest_update
from coa.load.jobs import Loader, settle_jobs_of_other_runs
from coa.load_steps import UPDATE, Step
from coa.mapping.store import mapping_of
from coa.model import CUSTOMER
from coa.salesforce.bulk import IngestJobs
from coa.staging.runs import Run
from tests.engine.harness import FAST, Migrator


def taken_over(run: Run) -> Run:
    """Another run has the pair, and has begun to load."""
    other = Run.start(
        run.db, FAST, dag_id="coa_migrate", airflow_run_id=uuid4().hex, triggered_by="test", raw_params={}
    )
    other.update(pair_id=run.pair_id, loaded_at=datetime.now(UTC))
    run.db.execute(
        "UPDATE coa.lease SET run_id = %s, expires_at = clock_timestamp() + interval '1 hour' WHERE pair_id = %s",
        [other.run_id, run.pair_id],
    )
    return other


@pytest.fixture
def loading(migrator: Callable[..., Migrator]) -> tuple[Migrator, Run]:
    """A run that is ready to load its customers."""
    made = migrator()
    run = made.start()
    made.plan(run)
    made.waive(run)
    pipeline.prepare_load(run, *made.orgs())
    return made, run


@pytest.mark.parametrize(
    ("after", "created"), [("_plan_job", 0), pytest.param("_advance", 1, marks=pytest.mark.lane)]
)
def test_no_job_is_created_or_closed_any_more(
    loading: tuple[Migrator, Run], monkeypatch: pytest.MonkeyPatch, after: str, created: int
) -> None:
    made, run = loading
    good: Any = getattr(Loader, after)

    def stands_still(self: Loader, *arguments: Any, **named: Any) -> Any:
        done = good(self, *arguments, **named)
        if run.lease.is_held() and (after == "_plan_job" or arguments[1] == "uploaded"):
            taken_over(run)
        return done

    monkeypatch.setattr(Loader, after, stands_still)
    closed: list[str] = []
    monkeypatch.setattr(IngestJobs, "close", lambda self, job_id: closed.append(job_id))

    with pytest.raises(PairBusy, match="took it over"):
        pipeline.load_customers(run, made.orgs()[1])

    jobs = run.db.rows("SELECT job_id FROM coa.job WHERE run_id = %s AND job_id IS NOT NULL", [run.run_id])
    assert (len(jobs), closed) == (created, [])


def test_no_value_is_written_by_rest_any_more(
    loading: tuple[Migrator, Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    made, run = loading
    target = made.orgs()[1]
    calls: list[str] = []
    monkeypatch.setattr(target, "send_json", lambda *a, **k: calls.append(str(a[1])))
    monkeypatch.setattr(
        rest_update,
        "_query",
        lambda *_: "SELECT 's' AS source_id, 't' AS target_id, '{}'::text[] AS changed",
    )
    taken_over(run)

    with pytest.raises(PairBusy):
        rest_update.send_exact(
            run,
            target,
            Step("corrections", CUSTOMER, UPDATE, -1),
            saved_carried(run, mapping_of(run))[CUSTOMER],
        )
    assert calls == []


def test_the_jobs_of_the_run_that_has_the_pair_now_are_left_alone(
    loading: tuple[Migrator, Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    made, run = loading
    other = taken_over(run)
    target = made.orgs()[1]
    jobs = IngestJobs(target)
    job_id = jobs.create(CUSTOMER, "insert")
    run.db.execute(
        """INSERT INTO coa.job (pair_id, run_id, step, sobject, operation, job_id, state)
           VALUES (%s, %s, 'customers', %s, 'insert', %s, 'open')""",
        [run.pair_id, other.run_id, CUSTOMER, job_id],
    )

    with pytest.raises(PairBusy):
        settle_jobs_of_other_runs(run, target)

    status = jobs.status(job_id)
    assert status is not None
    assert status.state == "Open"
