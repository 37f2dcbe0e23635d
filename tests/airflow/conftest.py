"""Airflow for tests: a home of its own, set before the first import of airflow."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.airflow_home import PROJECT, be_quick, make_tables
from tests.engine.checker import Dump

from coa.staging.database import Database
from orgsim.launch import RunningOrg, running_pair

ORDERS = 60
LENIENT: dict[str, Any] = {
    "require_approval": False,
    "max_blocked": "100%",
    "draft_orders": "load",
    "unmatched_contract_policy": "block_record",
    "picklist_policy": "block_record",
    "too_long_policy": "block_record",
    "chunk_size": 25,
    "lanes": 2,
}
# The simulated orgs answer in milliseconds: waiting a second for them would only slow the tests down.
FAST = {
    "COA_POLL_FIRST_SECONDS": "0.05",
    "COA_POLL_MAX_SECONDS": "0.5",
    "COA_RETRY_FIRST_SECONDS": "0.05",
    "COA_RETRY_MAX_SECONDS": "0.5",
    "COA_REQUEST_RETRIES": "3",
}


def connection_to(org: RunningOrg, **changes: Any) -> str:
    extra = {"consumer_key": org.consumer_key, "consumer_secret": org.consumer_secret, **changes}
    return json.dumps({"conn_type": "salesforce", "host": org.url, "extra": extra})


def read_dags(dag_id: str = "") -> Any:
    """All DAGs of the project, or the one, parsed as Airflow does."""
    from airflow.dag_processing.dagbag import DagBag

    return DagBag(PROJECT / "dags" / f"{dag_id}.py" if dag_id else PROJECT / "dags")


@pytest.fixture(scope="session")
def dags(shared_folder: Path) -> Any:
    """All DAGs of the project, and Airflow's tables beside them."""
    make_tables(shared_folder)
    be_quick()
    return read_dags()


@pytest.fixture
def orgs() -> Iterator[tuple[RunningOrg, RunningOrg]]:
    with running_pair(orders=ORDERS, seed=7, job_delay=0.02) as pair:
        yield pair


@dataclass
class Ended:
    """A DAG run that is over."""

    row: dict[str, Any]
    airflow_state: str
    folder: Path
    tasks: dict[str, str]

    @property
    def state(self) -> str:
        return str(self.row["state"])

    @property
    def message(self) -> str:
        return str(self.row["message"])

    @property
    def objects(self) -> dict[str, dict[str, int]]:
        counts: dict[str, dict[str, int]] = json.loads((self.folder / "summary.json").read_text())["objects"]
        return {name.removeprefix("CHANNEL_ORDERS__"): of for name, of in counts.items()}


@dataclass
class Stage:
    """Two orgs, a staging database, and DAGs that can be run on them in this process."""

    source: RunningOrg
    target: RunningOrg
    database: Database
    artifacts: Path
    environment: pytest.MonkeyPatch

    def connect(self, role: str, connection: str) -> None:
        self.environment.setenv(f"AIRFLOW_CONN_COA_{role.upper()}", connection)

    def run(
        self,
        dag_id: str = "coa_migrate",
        mark_success: str | None = None,
        retries: int | None = None,
        **params: Any,
    ) -> Ended:
        from airflow.models.dagrun import DagRun

        # `dag.test()` leaves the params of a run in the DAG it was called on: each run reads its own.
        dag = read_dags(dag_id).get_dag(dag_id)
        for task in dag.tasks:
            task.retries = task.retries if retries is None else retries
        run: DagRun = dag.test(run_conf=params, mark_success_pattern=mark_success)
        row = self.database.row("SELECT * FROM coa.run WHERE airflow_run_id = %s", [run.run_id])
        assert row is not None
        tasks = {ti.task_id: str(ti.state) for ti in run.get_task_instances()}
        return Ended(row, str(run.state), self.artifacts / row["run_id"], tasks)

    def migrate(self, **params: Any) -> Ended:
        return self.run(**{**LENIENT, **params})

    def records(self) -> dict[str, dict[str, Any]]:
        """All there is in the target, to be compared with what there is later."""
        return Dump(self.target).records


@pytest.fixture
def stage(
    orgs: tuple[RunningOrg, RunningOrg],
    database_url: str,
    dags: Any,  # Airflow's tables
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Stage]:
    source, target = orgs
    for name, value in FAST.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("COA_ARTIFACTS_PATH", str(tmp_path))
    monkeypatch.setenv("AIRFLOW_CONN_COA_STAGING", database_url)
    monkeypatch.setenv("COA_HEADLESS", "tests")
    database = Database(database_url)
    made = Stage(source, target, database, tmp_path, monkeypatch)
    made.connect("source", connection_to(source))
    made.connect("target", connection_to(target))
    yield made
    database.dispose()


Run = Callable[..., Ended]
