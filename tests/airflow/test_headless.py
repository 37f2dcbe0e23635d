"""`make migrate` as a script sees it: exit status, last line, and what a kill leaves behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pytest
from tests.airflow.conftest import FAST, LENIENT, connection_to
from tests.airflow_home import PROJECT
from tests.databases import fresh
from tests.engine.checker import check
from tests.files import open_to_others

from coa.staging.database import Database
from coa.staging.embedded import AIRFLOW_DATABASE, EmbeddedPostgres
from coa_airflow.local.home import free_ports
from orgsim.launch import RunningOrg, running_pair

pytestmark = pytest.mark.airflow

LIMIT = 240
"""Seconds; a run takes twenty on an idle machine."""


@pytest.fixture(scope="module")
def local_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The `.local` of these runs: an embedded PostgreSQL with Airflow's tables, kept from test to test."""
    folder = tmp_path_factory.mktemp("local")
    with EmbeddedPostgres(folder / "postgres").in_use():
        yield folder


@pytest.fixture
def slow_orgs() -> Iterator[tuple[RunningOrg, RunningOrg]]:
    """Orgs whose Bulk jobs take a moment, so that a run can be met in the middle."""
    with running_pair(orders=60, seed=7, job_delay=0.3) as pair:
        yield pair


@pytest.fixture
def command(
    local_folder: Path, slow_orgs: tuple[RunningOrg, RunningOrg], database_url: str, tmp_path: Path
) -> Callable[..., subprocess.Popen[str]]:
    source, target = slow_orgs
    # Airflow's settings of this test process are for its own home.
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("AIRFLOW", "COA_"))}

    def start(dag_id: str = "coa_migrate", **environment: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "coa_airflow.local.headless", dag_id],
            cwd=PROJECT,
            env={
                **clean,
                **FAST,
                "PYTHONPATH": str(PROJECT / "include"),
                "COA_LOCAL_FOLDER": str(local_folder),
                "COA_ARTIFACTS_PATH": str(tmp_path / "artifacts"),
                "AIRFLOW_CONN_COA_SOURCE": connection_to(source),
                "AIRFLOW_CONN_COA_TARGET": connection_to(target),
                "AIRFLOW_CONN_COA_STAGING": database_url,
                "PARAMS": _json({**LENIENT, "chunk_size": 10}),
                **environment,
            },
            # What is written has to be closed to others whatever the shell says.
            umask=0o022,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    return start


def _json(value: Any) -> str:
    import json

    return json.dumps(value)


def ended(process: subprocess.Popen[str]) -> tuple[int, list[str]]:
    output, _ = process.communicate(timeout=LIMIT)
    return process.returncode, output.strip().splitlines()


def wait_for(condition: Callable[[], Any], process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + LIMIT
    while not condition():
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < deadline, "it never came so far"
        time.sleep(0.05)


def writes_details(database: Database) -> Callable[[], Any]:
    return lambda: database.value("SELECT count(*) FROM coa.job WHERE step = 'details'")


def worker_of(process: subprocess.Popen[str]) -> psutil.Process:
    return next(p for p in psutil.Process(process.pid).children() if "headless_run" in " ".join(p.cmdline()))


def worker_log(local_folder: Path) -> Path:
    """Of the newest run."""
    return max((local_folder / "logs").glob("*.log"), key=lambda path: path.stat().st_mtime)


def test_params_that_are_wrong_are_told_before_anything_is_started(command: Callable[..., Any]) -> None:
    started = time.monotonic()

    for params, says in (
        ("{nonsense", "PARAMS is not JSON"),
        ("[]", "not a JSON object"),
        ('{"draft_orders": "maybe", "colour": "red"}', "unknown param 'colour'; draft_orders: 'maybe'"),
    ):
        status, lines = ended(command(PARAMS=params))
        assert status == 2
        assert says in lines[0]

    assert time.monotonic() - started < LIMIT / 2


def airflow_traces(folder: Path) -> tuple[list[str], int]:
    """Databases of headless runs in the embedded PostgreSQL of a local folder, and DAG runs in the server's."""
    server = EmbeddedPostgres(folder / "postgres")
    with closing(psycopg.connect(server.admin_url())) as connection:
        names = connection.execute("SELECT datname FROM pg_database WHERE datname LIKE 'airflow_run_%'")
        databases = [str(row[0]) for row in names.fetchall()]
    with closing(psycopg.connect(server.url(AIRFLOW_DATABASE))) as connection:
        there = connection.execute("SELECT to_regclass('dag_run') IS NOT NULL").fetchone()
        runs = connection.execute("SELECT count(*) FROM dag_run").fetchone() if there == (True,) else (0,)
    return databases, int(runs[0]) if runs else 0


def test_a_dry_run_ends_with_status_0_the_folder_of_its_artifacts_and_no_trace_in_any_airflow(
    command: Callable[..., Any], local_folder: Path, database: Database
) -> None:
    nowhere = "postgresql://nobody@127.0.0.1:1/none"
    settings = {
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": nowhere,
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN_ASYNC": nowhere,
        "AIRFLOW__DATABASE__SQL_ALCHEMY_SCHEMA": "elsewhere",
    }
    # As a run leaves it whose processes were killed.
    with closing(
        psycopg.connect(EmbeddedPostgres(local_folder / "postgres").admin_url(), autocommit=True)
    ) as db:
        db.execute("CREATE DATABASE airflow_run_killed")

    status, lines = ended(command(PARAMS='{"dry_run": true}', **settings))

    assert status == 0, lines
    assert (Path(lines[-1]) / "plan.json").exists()
    assert "dry_run" in lines[-2]
    assert open_to_others(Path(lines[-1])) == []
    assert open_to_others(local_folder / "logs") + open_to_others(local_folder / "airflow") == []
    assert airflow_traces(local_folder) == ([], 0)
    # For all tasks one session an org, which is asked once for its versions; and nothing that only Airflow's web
    # application could have answered.
    logins = database.rows("SELECT org, calls FROM coa.api_usage WHERE kind = 'login' ORDER BY org")
    assert [tuple(row.values()) for row in logins] == [("source", 2), ("target", 2)]
    assert "Airflow's own routes answer" not in worker_log(local_folder).read_text("utf-8")


@pytest.mark.lane
def test_a_run_that_nobody_approved_ends_with_status_1_and_says_what_to_set(
    command: Callable[..., Any], local_folder: Path
) -> None:
    status, lines = ended(command(PARAMS="{}"))

    assert status == 1
    assert '"require_approval": false' in "\n".join(lines)
    assert (Path(lines[-1]) / "summary.json").exists()
    assert "Airflow's own routes answer" not in worker_log(local_folder).read_text("utf-8")


@pytest.mark.lane
def test_after_kill_9_of_everything_the_next_run_reaches_the_same_end_state(
    command: Callable[..., Any], database: Database, slow_orgs: tuple[RunningOrg, RunningOrg]
) -> None:
    first = command()
    wait_for(writes_details(database), first)
    worker = worker_of(first)
    first.send_signal(signal.SIGKILL)
    first.wait()

    # The worker ends with the process that shows it: a killed run does not go on in the background.
    worker.wait(10)
    status, lines = ended(command())

    assert status == 0, lines
    killed, good = database.rows("SELECT run_id, state FROM coa.run ORDER BY started_at")
    assert good["state"] == "verified"
    verdict = check(*slow_orgs, left_out(database, good["run_id"]))
    assert verdict.clean, str(verdict)
    assert killed["state"] != "verified"


@pytest.mark.lane
def test_a_killed_worker_is_told_as_a_failed_run_and_the_next_one_goes_on(
    command: Callable[..., Any], database: Database, slow_orgs: tuple[RunningOrg, RunningOrg]
) -> None:
    first = command()
    wait_for(writes_details(database), first)
    worker_of(first).kill()

    status, lines = ended(first)
    next_status, next_lines = ended(command())

    assert status == 1
    assert "failed" in lines[-2]
    assert next_status == 0, next_lines
    assert check(*slow_orgs, left_out(database, Path(next_lines[-1]).name)).clean


@pytest.mark.lane
def test_sigterm_ends_a_run_as_failed_and_leaves_no_process(
    command: Callable[..., Any], database: Database
) -> None:
    process = command()
    wait_for(writes_details(database), process)
    worker = worker_of(process)

    process.terminate()
    status, lines = ended(process)

    assert status == 130
    assert "SIGTERM" in "\n".join(lines)
    assert not worker.is_running()
    row = database.row("SELECT state, message, finished_at FROM coa.run")
    assert row is not None
    assert (row["state"], row["message"]) == ("failed", "Stopped by SIGTERM.")
    assert database.value("SELECT count(*) FROM coa.lease") == 0


@pytest.fixture
def server_of_other_orgs(local_folder: Path) -> Iterator[None]:
    """`make up` of the same folder, whose connections lead to dead ports."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("AIRFLOW", "COA_"))}
    dead = {"conn_type": "salesforce", "host": "http://127.0.0.1:1", "extra": {"consumer_key": "x"}}
    environment = {
        **clean,
        "PYTHONPATH": str(PROJECT / "include"),
        "COA_LOCAL_FOLDER": str(local_folder),
        "AIRFLOW_PORT": str(free_ports(1)[0]),
        "AIRFLOW_CONN_COA_SOURCE": _json(dead),
        "AIRFLOW_CONN_COA_TARGET": _json(dead),
    }
    server = [sys.executable, "-m", "coa_airflow.local.server"]
    subprocess.run([*server, "up"], env=environment, cwd=PROJECT, check=True, timeout=600)
    yield
    subprocess.run([*server, "down"], env=environment, cwd=PROJECT, check=True, timeout=120)


@pytest.mark.lane
@pytest.mark.timeout(1500)
def test_no_task_crosses_between_a_server_and_the_headless_runs_beside_it(
    command: Callable[..., Any],
    local_folder: Path,
    server_of_other_orgs: None,
    postgres_server: EmbeddedPostgres,
) -> None:
    with ExitStack() as stack:
        # A staging database each: runs of one pair of orgs wait for one another.
        urls = [stack.enter_context(fresh(postgres_server)) for _ in range(3)]
        staging = [Database(url) for url in urls]
        for one in staging:
            stack.callback(one.dispose)
        for round_no in range(3):
            started = [command(PARAMS='{"dry_run": true}', AIRFLOW_CONN_COA_STAGING=url) for url in urls]
            if round_no == 0:
                wait_for(lambda: staging[0].value("SELECT count(*) FROM coa.run"), started[0])
                started[0].kill()
            ends = [ended(process)[0] for process in started]
            assert ends[1:] == [0, 0]
            assert ends[0] == (-signal.SIGKILL if round_no == 0 else 0)
        states = [[r["state"] for r in one.rows("SELECT state FROM coa.run")] for one in staging]
        # What went wrong in a task of another Airflow would stand here.
        failed = [one.value("SELECT count(*) FROM coa.event WHERE event = 'task_failed'") for one in staging]

    assert [sorted(map(str, of)) for of in states] == [["None", "dry_run", "dry_run"], *[["dry_run"] * 3] * 2]
    assert failed == [0, 0, 0]
    assert airflow_traces(local_folder) == ([], 0)
    with closing(psycopg.connect(EmbeddedPostgres(local_folder / "postgres").url(AIRFLOW_DATABASE))) as db:
        assert db.execute("SELECT count(*) FROM dag WHERE is_paused").fetchone() == (0,)


def left_out(database: Database, run_id: str) -> list[str]:
    schema = "run_" + run_id.lower().replace("-", "_")
    rows = database.rows(f"SELECT source_id FROM {schema}.plan WHERE action IN ('blocked', 'held')")
    return [str(row["source_id"]) for row in rows]
