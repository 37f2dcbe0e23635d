"""Waits that outlast the max_wait of an org are handed over, and taken up where they were."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from coa import pipeline
from coa.errors import CoaError, JobStillRunning, OrgRefused
from coa.salesforce.bulk import raise_worst
from coa.salesforce.session import Org
from coa.staging.database import Database
from orgsim.launch import RunningOrg, running_pair
from tests.engine.checker import check
from tests.engine.harness import FAST, Migrator, connection_to


class Impatient(Migrator):
    """Each stage is called again for as long as a job is at work, as Airflow does after each trigger."""

    parked: list[str]

    def orgs(self) -> tuple[Org, Org]:
        return (
            Org(connection_to(self.source, "coa_source"), self.settings, max_wait=0.0),
            Org(connection_to(self.target, "coa_target"), self.settings, max_wait=0.0),
        )

    def until_done(self, stage: Any, *args: Any) -> None:
        for _ in range(500):
            try:
                stage(*args)
                return
            except JobStillRunning as waiting:
                self.parked.append(waiting.kind)
        raise AssertionError(f"{stage} never ended")


@pytest.mark.lane
def test_a_migration_that_is_parked_at_every_job_ends_like_any_other(
    database: Database, tmp_path: Path
) -> None:
    with running_pair(orders=20, seed=5, job_delay=0.3) as (source, target):
        migrator = Impatient(
            database, source, target, tmp_path, FAST.model_copy(update={"poll_first_seconds": 0.05})
        )
        migrator.parked = []
        run = migrator.start()
        one, other = migrator.orgs()
        pipeline.preflight(run, one, other)
        migrator.until_done(pipeline.extract, run, one, "source")
        migrator.until_done(pipeline.extract, run, other, "target")
        pipeline.transform(run)
        pipeline.reconcile(run)
        pipeline.plan(run, tmp_path / run.run_id)
        migrator.waive(run)
        lanes = pipeline.prepare_load(run, one, other)
        migrator.until_done(pipeline.load_customers, run, other)
        migrator.until_done(pipeline.load_lanes, run, other, lanes)
        migrator.until_done(pipeline.load_links, run, other)
        migrator.until_done(pipeline.verify, run, other)
        done = migrator.finish(run)

        assert done.state == "verified", done.error
        planted = source.control("GET", "planted")
        verdict = check(source, target, {*planted["blocked_orders"], *planted["blocked_details"]})
        assert verdict.clean, str(verdict)
        assert {"query", "ingest"} <= set(migrator.parked)
        # Nothing was sent twice: as many ingest jobs as the ledger of jobs has.
        sent = [job for job in target.control("GET", "stats")["jobs"] if job["kind"] == "V2Ingest"]
        assert len(sent) == database.value("SELECT count(*) FROM coa.job WHERE run_id = %s", [run.run_id])
        with_parking = jobs_of(target)
    with running_pair(orders=20, seed=5, job_delay=0.02) as (source, target):
        assert Migrator(database, source, target, tmp_path).migrate_with_retries().state == "verified"
        plain = jobs_of(target)
    extra = with_parking - plain
    # Corrections look once more at a chunk that was parked among them. Nothing else is done twice.
    assert {operation for _, operation in extra} <= {"query"}
    assert extra.total() <= migrator.parked.count("ingest")


def jobs_of(org: RunningOrg) -> Counter[tuple[str, str]]:
    """Jobs by object and operation."""
    return Counter((job["object"], job["operation"]) for job in org.control("GET", "stats")["jobs"])


class TestWorst:
    def test_an_error_is_told_before_a_wait(self) -> None:
        waits = JobStillRunning("at work", org="coa_target", kind="ingest", job_id="750")

        with pytest.raises(OrgRefused):
            raise_worst([_over(waits), _over(OrgRefused("no")), _over(None)])

    def test_a_wait_is_told_when_there_is_nothing_worse(self) -> None:
        with pytest.raises(JobStillRunning):
            raise_worst([_over(None), _over(JobStillRunning("at work", org="a", kind="query", job_id="750"))])

    def test_nothing_is_raised_when_all_went_well(self) -> None:
        raise_worst([_over(None)])


def _over(error: CoaError | None) -> Any:
    from concurrent.futures import Future

    future: Future[None] = Future()
    if error:
        future.set_exception(error)
    else:
        future.set_result(None)
    return future
