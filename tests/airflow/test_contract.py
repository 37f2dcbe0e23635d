"""`make contract` as a person types it: the end state, the artifacts, and what a kill leaves behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.airflow.conftest import FAST, connection_to
from tests.airflow.test_headless import ended, local_folder, wait_for, worker_of
from tests.airflow_home import PROJECT
from tests.contract.test_run import marked

from coa.contract.ledger import open_keys
from coa.staging.database import Database
from orgsim.launch import RunningOrg, running_org

pytestmark = pytest.mark.airflow
__all__ = ["local_folder"]


@pytest.fixture
def org() -> Iterator[RunningOrg]:
    """A sandbox whose Bulk jobs take a moment, so that a run can be met in the middle."""
    with running_org(role="target", orders=5, sandbox=True, job_delay=0.05) as target:
        yield target


@pytest.fixture
def contract(
    local_folder: Path,
    org: RunningOrg,
    database_url: str,
    tmp_path: Path,
) -> Callable[..., subprocess.Popen[str]]:
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("AIRFLOW", "COA_"))}

    def start(**params: Any) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "coa_airflow.local.headless", "coa_contract"],
            cwd=PROJECT,
            env={
                **clean,
                **FAST,
                "PYTHONPATH": str(PROJECT / "include"),
                "COA_LOCAL_FOLDER": str(local_folder),
                "COA_ARTIFACTS_PATH": str(tmp_path / "artifacts"),
                "AIRFLOW_CONN_COA_TARGET": connection_to(org),
                "AIRFLOW_CONN_COA_STAGING": database_url,
                "PARAMS": json.dumps(params),
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    return start


@pytest.mark.lane
def test_after_kill_9_the_next_call_leaves_nothing_and_its_cassette_can_be_compared(
    contract: Callable[..., Any], database: Database, org: RunningOrg
) -> None:
    first = contract(require_approval=False, status_probes=True)
    wait_for(lambda: marked(org) > 10, first)
    worker = worker_of(first)
    first.send_signal(signal.SIGKILL)
    worker.kill()
    first.wait()
    worker.wait(10)
    assert marked(org) > 0

    status, lines = ended(contract(require_approval=False, status_probes=True))

    assert status == 0, lines
    assert marked(org) == 0
    assert open_keys(database, org.org_id) == []
    folder = Path(lines[-1])
    summary = json.loads((folder / "summary.json").read_text("utf-8"))
    assert (summary["state"], summary["differ"], summary["facts"]["not_asked"]) == ("verified", [], 0)
    compared = subprocess.run(
        [sys.executable, "-m", "coa_airflow.local.contract_diff", str(folder / "cassette.json")],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(PROJECT / "include")},
        check=True,
    )
    assert compared.stdout.startswith(f"{summary['facts']['hold']} hold, 0 differ\n")


@pytest.mark.lane
def test_without_a_yes_nothing_is_written_and_it_says_what_to_set(
    contract: Callable[..., Any], org: RunningOrg
) -> None:
    status, lines = ended(contract())

    assert status == 1
    assert '"require_approval": false' in "\n".join(lines)
    assert marked(org) == 0


@pytest.mark.parametrize("content", ["", "nowhere.json"])
def test_a_cassette_that_is_not_there_is_told_with_what_to_name(content: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "coa_airflow.local.contract_diff", content],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(PROJECT / "include")},
        check=False,
    )

    assert done.returncode == 2
    assert "cassette.json" in done.stderr
