"""Every endpoint x every fault: the target ends as it does without faults, and nothing is lost or doubled.

`make test-faults` runs the whole matrix; a sample of it runs with every `make test`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.engine.harness import Migrator
from tests.faults.conftest import IMPATIENT, verdict_on

ENDPOINTS: dict[str, dict[str, str]] = {
    "token": {"method": "POST", "path": r"/services/oauth2/token"},
    "versions": {"method": "GET", "path": r"/services/data/?$"},
    "composite": {"method": "POST", "path": r"/composite$"},
    "query": {"method": "GET", "path": r"/query"},
    "create_query_job": {"method": "POST", "path": r"/jobs/query/?$"},
    "query_job_status": {"method": "GET", "path": r"/jobs/query/[^/]+/?$"},
    "query_results": {"method": "GET", "path": r"/jobs/query/.*/results"},
    "create_ingest_job": {"method": "POST", "path": r"/jobs/ingest/?$"},
    "upload": {"method": "PUT", "path": r"/jobs/ingest/.*/batches"},
    "close_ingest_job": {"method": "PATCH", "path": r"/jobs/ingest/"},
    "ingest_job_status": {"method": "GET", "path": r"/jobs/ingest/[^/]+/?$"},
    "successful_results": {"method": "GET", "path": r"/successfulResults"},
    "failed_results": {"method": "GET", "path": r"/failedResults"},
    "collections": {"method": "PATCH", "path": r"/composite/sobjects"},
}
FAULTS: dict[str, dict[str, Any]] = {
    "reset_before": {"kind": "reset_before", "times": 2},
    "reset_after": {"kind": "reset_after", "times": 2},
    "error_500": {"kind": "unknown_exception", "times": 2},
    "error_500_after": {"kind": "error_after", "times": 2},
    "html_502": {"kind": "html_502", "times": 2},
    "unavailable_503": {"kind": "server_unavailable", "times": 2},
    "expired_401": {"kind": "invalid_session", "times": 1},
    "too_slow": {"kind": "slow", "seconds": IMPATIENT.read_timeout + 1.0, "times": 1},
    "truncated": {"kind": "truncate", "fraction": 0.6, "times": 2},
    "limit_concurrent": {"kind": "limit_concurrent", "times": 2},
}
# Failed results are only asked for when rows failed, and a login answers its own errors.
LEFT_OUT = {("token", "expired_401"), ("token", "limit_concurrent"), ("versions", "expired_401")}
MATRIX = [(e, f) for e in ENDPOINTS for f in FAULTS if (e, f) not in LEFT_OUT]
SAMPLE = [("create_ingest_job", "reset_after")]


def _run(make: Callable[..., Migrator], endpoint: str, fault: str, skip: int = 1) -> None:
    migrator = make()
    where = ENDPOINTS[endpoint]
    faults = [{**where, **FAULTS[fault], "skip": skip if endpoint not in ("token", "versions") else 0}]
    if endpoint == "failed_results":
        faults.append({"kind": "lock_rows", "fraction": 0.4, "times": 4})
    migrator.target.control("POST", "faults", faults)
    migration = migrator.migrate_with_retries(chunk_size=12)
    fired = migrator.target.control("GET", "faults")[0]["fired"]
    assert fired, f"the fault never struck: {where}. {migration.error}"
    assert migration.state == "verified", migration.error
    verdict = verdict_on(migrator, migration)
    assert verdict.clean, str(verdict)


@pytest.mark.parametrize(("endpoint", "fault"), SAMPLE)
def test_a_fault_leaves_no_trace_in_the_target(
    migrator: Callable[..., Migrator], endpoint: str, fault: str
) -> None:
    _run(migrator, endpoint, fault)


@pytest.mark.faults
@pytest.mark.parametrize(("endpoint", "fault"), [c for c in MATRIX if c not in SAMPLE])
def test_no_fault_of_the_matrix_leaves_a_trace(
    migrator: Callable[..., Migrator], endpoint: str, fault: str
) -> None:
    _run(migrator, endpoint, fault)


JOB_FAULTS: dict[str, list[dict[str, Any]]] = {
    "locked_rows": [{"kind": "lock_rows", "fraction": 0.5, "times": 5}],
    "job_fails_half_way": [{"kind": "job_failed", "batches": 0, "times": 3}],
    "rows_in_no_result_file": [{"kind": "rows_vanish", "fraction": 0.3, "times": 4}],
    "slow_jobs": [{"kind": "slow_job", "seconds": 0.5, "times": 6}],
}


@pytest.mark.parametrize(
    "fault",
    [
        "rows_in_no_result_file",
        *(
            pytest.param(fault, marks=pytest.mark.faults)
            for fault in ("locked_rows", "job_fails_half_way", "slow_jobs")
        ),
    ],
)
def test_jobs_that_go_wrong_lose_and_double_nothing(migrator: Callable[..., Migrator], fault: str) -> None:
    made = migrator()
    made.target.control("POST", "faults", JOB_FAULTS[fault])
    migration = made.migrate_with_retries(chunk_size=12)
    assert migration.state == "verified", migration.error
    verdict = verdict_on(made, migration)
    assert verdict.clean, str(verdict)
