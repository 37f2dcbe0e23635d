"""kill -9 of the working process at each step of a chunk's life: a retry, or the next run, ends in the same state."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from coa.staging.runs import Run
from tests.engine.harness import FAST, Migration, Migrator
from tests.faults.conftest import verdict_on
from tests.reconcile.pairs import let_expire

# Where the process is killed: while this request is under way, the n-th time that it is made.
MOMENTS: dict[str, dict[str, Any]] = {
    "customers_created": {"method": "POST", "path": r"/jobs/ingest/?$", "skip": 0},
    "customers_uploaded": {"method": "PUT", "path": r"/batches", "skip": 0},
    "orders_job_created": {"method": "POST", "path": r"/jobs/ingest/?$", "skip": 1},
    "orders_uploading": {"method": "PUT", "path": r"/batches", "skip": 1},
    "orders_closing": {"method": "PATCH", "path": r"/jobs/ingest/", "skip": 1},
    "orders_waiting": {"method": "GET", "path": r"/jobs/ingest/[^/]+/?$", "skip": 2},
    "orders_results": {"method": "GET", "path": r"/successfulResults", "skip": 1},
    "details_uploading": {"method": "PUT", "path": r"/batches", "skip": 2},
    "details_closing": {"method": "PATCH", "path": r"/jobs/ingest/", "skip": 2},
    "details_results": {"method": "GET", "path": r"/successfulResults", "skip": 2},
    "details_exact": {"method": "PATCH", "path": r"/composite/sobjects", "skip": 0},
    "statuses_closing": {"method": "PATCH", "path": r"/jobs/ingest/", "skip": 3},
    "statuses_results": {"method": "GET", "path": r"/successfulResults", "skip": 3},
    "corrections_closing": {"method": "PATCH", "path": r"/jobs/ingest/", "skip": 4},
    "dates_closing": {"method": "PATCH", "path": r"/jobs/ingest/", "skip": 6},
    "second_chunk_orders": {"method": "PATCH", "path": r"/jobs/ingest/", "skip": 8},
}
SAMPLE = [("statuses_closing", "next_run")]
PARAMS = {"chunk_size": 12, "lanes": 1}


def _child(migrator: Migrator, run_id: str = "") -> subprocess.Popen[str]:
    command = [
        sys.executable,
        "-m",
        "tests.engine.child",
        migrator.db.url,
        migrator.source.url,
        migrator.target.url,
        str(migrator.artifacts),
        json.dumps(PARAMS),
    ]
    return subprocess.Popen(
        [*command, run_id] if run_id else command,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).resolve().parents[2],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)},
    )


def _kill_while(migrator: Migrator, moment: dict[str, Any]) -> str:
    """Starts a migration, kills its process while the request is held up by the org; the run's id."""
    migrator.target.control("POST", "faults", [{"kind": "slow", "seconds": 1.0, "times": 1, **moment}])
    process = _child(migrator)
    assert process.stdout is not None
    run_id = process.stdout.readline().split()[1]
    deadline = time.monotonic() + 60
    while not migrator.target.control("GET", "faults")[0]["fired"]:
        assert process.poll() is None, "the migration ended before the moment came"
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait(10)
    process.stdout.close()
    return run_id


def _finish(migrator: Migrator, run_id: str = "") -> Migration:
    process = _child(migrator, run_id)
    printed, _ = process.communicate(timeout=120)
    words = dict(line.split() for line in printed.splitlines())
    run = Run.load(migrator.db, FAST, words["run"])
    return Migration(run, words["state"], migrator.artifacts / run.run_id)


def _check(migrator: Migrator, migration: Migration) -> None:
    assert migration.state == "verified", migration.run.record.message
    verdict = verdict_on(migrator, migration)
    assert verdict.clean, str(verdict)
    assert migrator.target.control("GET", "drafts")["count"] == len(_genuine_drafts(migrator))


def _genuine_drafts(migrator: Migrator) -> set[str]:
    planted = migrator.source.control("GET", "planted")
    return set(planted["draft_orders"]) - set(planted["blocked_orders"])


@pytest.mark.parametrize(
    ("moment", "by"),
    [
        pytest.param(moment, by, marks=() if (moment, by) in SAMPLE else pytest.mark.faults)
        for moment in MOMENTS
        for by in ("retry", "next_run")
    ],
)
def test_a_kill_at_any_moment_loses_and_doubles_nothing(
    migrator: Callable[..., Migrator], moment: str, by: str
) -> None:
    made = migrator()
    killed = _kill_while(made, MOMENTS[moment])
    if by == "retry":
        _check(made, _finish(made, killed))
    else:
        # Headless runs and Airflow tell whether the holder lives; here its lease simply ends.
        let_expire(made.db)
        migration = _finish(made)
        assert migration.run.run_id != killed
        _check(made, migration)
