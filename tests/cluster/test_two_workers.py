"""docker-compose.yaml's components as processes, two Celery workers; a triggerer and a worker are killed."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from coa.staging.database import Database
from orgsim.launch import RunningOrg, running_pair
from tests.airflow.conftest import LENIENT, connection_to
from tests.cluster.composed import Composed, until, what_is_missing
from tests.engine.checker import check

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.timeout(1500),
    pytest.mark.skipif(bool(what_is_missing()), reason=what_is_missing()),
]
ORDERS = 300
PARAMS: dict[str, Any] = {**LENIENT, "chunk_size": 30, "lanes": 4}
# A machine that is gone is noticed sooner than the two minutes of the file; waits leave the workers.
HASTY = {
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "30",
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "5",
    "AIRFLOW__SCHEDULER__TASK_QUEUED_TIMEOUT": "40",
    "AIRFLOW__SCHEDULER__TASK_QUEUED_TIMEOUT_CHECK_INTERVAL": "10",
    "COA_POLL_FIRST_SECONDS": "0.2",
    "COA_POLL_MAX_SECONDS": "2",
    "COA_HOLD_WORKER_SECONDS": "5",
}


@pytest.fixture(scope="module")
def orgs() -> Iterator[tuple[RunningOrg, RunningOrg]]:
    # Jobs take long enough for a worker to be killed in the middle of some.
    with running_pair(orders=ORDERS, seed=7, job_delay=1.5) as pair:
        yield pair


@pytest.fixture(scope="module")
def cluster(orgs: tuple[RunningOrg, RunningOrg]) -> Iterator[Composed]:
    connections = {
        f"AIRFLOW_CONN_COA_{role}": connection_to(org)
        for role, org in zip(("SOURCE", "TARGET"), orgs, strict=True)
    }
    # Pytest's own folders are closed to other users, and PostgreSQL runs as another.
    folder = Path(tempfile.mkdtemp(prefix="coa-cluster-"))
    folder.chmod(0o755)
    made = Composed(folder, HASTY, connections)
    try:
        made.up(workers=2)
        yield made
    finally:
        made.down()
        shutil.rmtree(folder)


@pytest.fixture(scope="module")
def ended(cluster: Composed, orgs: tuple[RunningOrg, RunningOrg]) -> dict[str, Any]:
    """A run whose triggerer was killed while a task waited in it, and then a worker while it loaded."""
    orgs[1].control("POST", "faults", {"kind": "slow_job", "operation": "insert", "seconds": 45, "times": 1})
    run_id = cluster.call("POST", "dags/coa_migrate/dagRuns", {"logical_date": None, "conf": PARAMS}).json()[
        "dag_run_id"
    ]
    path = f"dags/coa_migrate/dagRuns/{run_id}"

    def tasks(task_id: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = cluster.call("GET", f"{path}/taskInstances").json()["task_instances"]
        return [one for one in found if one["task_id"] == task_id]

    # The canary's customers are the first that are inserted: the slow job is theirs.
    def canary_waits() -> bool:
        return [one["state"] for one in tasks("load.canary")] == ["deferred"]

    def lane_in_a_chunk() -> str:
        """A worker that has a lane and has sent something of it."""
        with psycopg.connect(cluster.staging_url) as staging:
            sent = staging.execute(
                "SELECT count(*) FROM coa.job WHERE step = 'orders' AND state <> 'planned'"
            ).fetchone()
        busy = [one for one in tasks("load.lane") if one["state"] == "running"]
        return str(busy[0]["pid"]) if busy and sent and sent[0] else ""

    until(canary_waits, "the canary's first job outlasts the worker's max_wait")
    cluster.kill("triggerer")
    cluster.start("triggerer", "second-triggerer")

    pid = until(lane_in_a_chunk, "a lane at work")
    killed = next(
        name for name in ("worker1", "worker2") if int(pid) in _descendants(cluster.processes[name].pid)
    )
    cluster.kill(killed)

    def over() -> dict[str, Any] | None:
        found: dict[str, Any] = cluster.call("GET", path).json()
        return found if found["state"] in ("success", "failed") else None

    done: dict[str, Any] = until(over, "the run", 1200)
    return {
        **done,
        "lanes": tasks("load.lane"),
        "waited": tasks("load.canary"),
        "killed": killed,
        "killed_pid": pid,
    }


def _descendants(pid: int) -> set[int]:
    import psutil

    return {pid, *(child.pid for child in psutil.Process(pid).children(recursive=True))}


def test_the_run_ends_verified_with_every_order_in_the_target_once(
    cluster: Composed, ended: dict[str, Any], orgs: tuple[RunningOrg, RunningOrg]
) -> None:
    database = Database(cluster.staging_url)
    row = database.row("SELECT * FROM coa.run WHERE airflow_run_id = %s", [ended["dag_run_id"]])
    assert row is not None
    assert (row["state"], ended["state"]) == ("verified", "success"), row["message"]
    # A folder is a bundle without versions.
    assert row["dag_bundle"] == "dags-folder"
    planned = orgs[0].control("GET", "planted")
    verdict = check(*orgs, [*planned["blocked_orders"], *planned["blocked_details"]])
    database.dispose()
    assert verdict.clean, str(verdict)
    summary = json.loads((cluster.folder / "artifacts" / row["run_id"] / "summary.json").read_text())
    assert summary["state"] == "verified"


def test_a_lane_of_the_killed_worker_was_tried_again_by_the_other(ended: dict[str, Any]) -> None:
    assert max(lane["try_number"] for lane in ended["lanes"]) > 1
    assert {lane["state"] for lane in ended["lanes"]} == {"success"}


def test_the_killed_triggerer_cost_the_waiting_task_no_try(ended: dict[str, Any]) -> None:
    assert [(one["state"], one["try_number"]) for one in ended["waited"]] == [("success", 1)]


def test_staging_was_reached_by_tls_alone_with_the_servers_name_checked(cluster: Composed) -> None:
    assert "sslmode=verify-full" in cluster.staging_url
    with psycopg.connect(cluster.staging_url) as staging:
        seen = staging.execute("SELECT ssl, version FROM pg_stat_ssl WHERE pid = pg_backend_pid()").fetchone()
    assert seen == (True, "TLSv1.3")
    with pytest.raises(psycopg.OperationalError, match="certificate"):
        psycopg.connect(
            cluster.staging_url.replace("sslrootcert=", "sslrootcert=/etc/ssl/certs/ca-certificates.crt#")
        )
