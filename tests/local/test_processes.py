"""What the local commands start, they end, whole; and what they need, they check first."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from coa.errors import ConfigurationError
from coa.staging.folders import project_folder
from coa_airflow.environment import artifacts_root, staging_url
from coa_airflow.local.home import port_from, require_free
from coa_airflow.local.processes import Group, end_registered, same_process, wait_until

FAMILY = """
import subprocess, sys, time
subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
print("started", flush=True)
time.sleep(600)
"""


def family(tmp_path: Path, register: Path | None = None) -> tuple[Group, list[psutil.Process]]:
    group = Group("family", [sys.executable, "-c", FAMILY], dict(os.environ), tmp_path / "log", register)
    assert wait_until(lambda: "started" in group.log_tail(), 60)
    return group, psutil.Process(group.process.pid).children()


def gone(processes: list[psutil.Process]) -> bool:
    return not any(p.is_running() and p.status() != psutil.STATUS_ZOMBIE for p in processes)


def test_a_stopped_group_leaves_no_descendant_not_even_one_that_left_it(tmp_path: Path) -> None:
    group, children = family(tmp_path)
    assert len(children) == 2

    group.stop()

    assert not group.running
    assert gone(children)


def test_what_a_killed_starter_left_is_ended_by_the_next_one(tmp_path: Path) -> None:
    register = tmp_path / "groups"
    group, children = family(tmp_path, register)

    end_registered(register)

    group.process.wait(10)
    assert gone([c for c in children if os.getsid(0) != c.pid])


def test_a_pid_that_belongs_to_another_process_by_now_is_left_alone() -> None:
    other = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    try:
        assert same_process(other.pid, psutil.Process(other.pid).create_time())
        assert not same_process(other.pid, time.time() - 86400)
    finally:
        other.send_signal(signal.SIGKILL)
        other.wait()


def test_a_busy_port_is_told_with_the_setting_that_chooses_another() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]

        with pytest.raises(ConfigurationError, match=f"Port {port}, meant for Airflow, is in use") as refusal:
            require_free(port, "Airflow", "AIRFLOW_PORT")

    assert "AIRFLOW_PORT=" in refusal.value.next_step


@pytest.mark.parametrize("text", ["http", "0", "70000", "-1"])
def test_a_port_that_is_none_is_refused_by_the_name_of_its_setting(
    monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.setenv("AIRFLOW_PORT", text)

    with pytest.raises(ConfigurationError, match="AIRFLOW_PORT"):
        port_from("AIRFLOW_PORT", 8080)


def test_artifacts_go_to_the_project_a_folder_or_a_file_url() -> None:
    assert artifacts_root("") == project_folder() / "artifacts"
    assert artifacts_root("/data/coa") == Path("/data/coa")
    assert artifacts_root("file:///data/coa") == Path("/data/coa")


class Fields:
    conn_type: str | None = "postgres"
    host: str | None = "db"
    port: int | None = 5433
    schema: str | None = "coa_staging"
    login: str | None = "coa"
    password: str | None = "p@ss/word"

    def __init__(self, **changes: object) -> None:
        self.extra_dejson = {"sslmode": "verify-full"}
        for name, value in changes.items():
            setattr(self, name, value)


def test_a_staging_connection_becomes_a_url_with_its_options() -> None:
    assert staging_url(Fields()) == "postgresql://coa:p%40ss%2Fword@db:5433/coa_staging?sslmode=verify-full"


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"conn_type": "mysql"}, "type mysql"),
        ({"host": None}, "lacks its host"),
        ({"schema": ""}, "lacks its database"),
    ],
)
def test_a_staging_connection_that_cannot_work_is_refused(change: dict[str, object], says: str) -> None:
    with pytest.raises(ConfigurationError, match=says):
        staging_url(Fields(**change))
