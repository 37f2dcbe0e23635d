"""How often, and how soon, a Bulk job is looked at: every look is an API call."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from unittest.mock import patch

import pytest

from coa.config import Settings
from coa.model import CUSTOMER
from coa.salesforce.bulk import JobStatus, QueryJobs
from coa.salesforce.pace import LOOKS_IN_FIRST_MINUTE, MINUTE, JobSize
from coa.salesforce.session import Org
from orgsim.launch import RunningOrg, running_org
from tests.engine.harness import connection_to

SETTINGS = Settings()
PATIENCE = 30.0


@pytest.fixture
def running() -> Iterator[RunningOrg]:
    with running_org(role="source", orders=10, seed=3, job_delay=0.0) as org:
        yield org


def test_a_job_that_goes_on_for_a_minute_is_looked_at_eight_times_at_most(running: RunningOrg) -> None:
    org = Org(connection_to(running, "coa_source"), SETTINGS)
    running.control("PATCH", "settings", {"hold_jobs": True})

    gaps = waits_for(org, LOOKS_IN_FIRST_MINUTE + 3, lambda: running.control("PATCH", "settings", RELEASED))

    assert gaps[0] == SETTINGS.poll_first_seconds
    assert sum(gaps[: LOOKS_IN_FIRST_MINUTE + 1]) >= MINUTE - 1e-6
    later = gaps[LOOKS_IN_FIRST_MINUTE + 1 :]
    assert all(a <= b <= SETTINGS.poll_max_seconds for a, b in pairwise(later))


def test_the_second_job_of_a_kind_is_looked_at_when_the_first_was_over(running: RunningOrg) -> None:
    org = Org(connection_to(running, "coa_source"), SETTINGS)
    (first,) = waits_for(org, 1)

    (second,) = waits_for(org, 1)

    assert first == SETTINGS.poll_first_seconds
    assert second < first


def test_a_job_that_was_handed_over_just_now_is_not_looked_at_at_once(running: RunningOrg) -> None:
    org = Org(connection_to(running, "coa_source"), SETTINGS)
    looks: list[str] = []
    job_id = QueryJobs(org).create(SOQL)

    def look(jobs: QueryJobs, job: str) -> JobStatus:
        looks.append("looked")
        return OVER

    with (
        patch("coa.salesforce.bulk.time.sleep", lambda seconds: looks.append("slept")),
        patch.object(QueryJobs, "status", look),
    ):
        QueryJobs(org).wait(job_id, size=SIZE, known=JobStatus.begun(job_id))

    assert looks == ["slept", "looked"]


SOQL = f"SELECT Id FROM {CUSTOMER}"
SIZE = JobSize(CUSTOMER, "query")
OVER = JobStatus("750", "JobComplete", 10, 0, "")
RELEASED = {"hold_jobs": False}


def waits_for(org: Org, count: int, then: Callable[[], object] = lambda: None) -> list[float]:
    """Seconds that the wait for a new job wants to sleep between its looks; the job is over after `count`."""
    jobs = QueryJobs(org)
    job_id = jobs.create(SOQL)
    asked: list[float] = []

    def instead_of_sleeping(seconds: float) -> None:
        asked.append(seconds)
        if len(asked) == count:
            then()
            until_over(jobs, job_id)

    with patch("coa.salesforce.bulk.time.sleep", instead_of_sleeping):
        jobs.wait(job_id, size=SIZE, known=JobStatus.begun(job_id))
    return asked


def until_over(jobs: QueryJobs, job_id: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        status = jobs.status(job_id)
        if status is not None and status.over:
            return
    raise AssertionError(f"job {job_id} never ended")
