"""A part of the local Airflow that ends is started again, with growing gaps, and given up when that does not help."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path

import psutil
import pytest
from rich.console import Console
from tests.files import open_to_others

from coa.errors import ConfigurationError
from coa_airflow.local import check, server
from coa_airflow.local.parts import ProcessPart
from coa_airflow.local.processes import wait_until
from coa_airflow.local.supervisor import LONGEST_GAP_SECONDS, RESTARTS, STABLE_SECONDS, Supervisor

SLEEPS = [sys.executable, "-c", "import time; time.sleep(600)"]


class Fake:
    """A part that lives until it is told not to."""

    def __init__(self, name: str, needs: str = "") -> None:
        self.name, self.needs = name, needs
        self.lives, self.starts, self.fails = False, 0, False

    def alive(self) -> bool:
        return self.lives

    def start(self) -> None:
        self.starts += 1
        if self.fails:
            raise ConfigurationError("No room.", next_step="make room.")
        self.lives = True

    def stop(self) -> None:
        self.lives = False

    def how_it_ended(self) -> str:
        return "ended with status -9"


class Scene:
    def __init__(self, *parts: Fake) -> None:
        self.now = 0.0
        self.said: list[str] = []
        self.parts = parts
        self.supervisor = Supervisor(parts, self.said.append, lambda: self.now)
        self.supervisor.start()

    def pass_time(self, seconds: float) -> None:
        until = self.now + seconds
        while self.now < until:
            self.now += 0.5
            self.supervisor.look()


def test_what_lives_is_left_alone() -> None:
    scene = Scene(Fake("scheduler"))

    scene.pass_time(600)

    assert scene.parts[0].starts == 1
    assert scene.said == []
    assert scene.supervisor.states() == {"scheduler": "running"}


def test_a_part_that_ended_is_started_again_within_seconds_and_told() -> None:
    scene = Scene(Fake("PostgreSQL"), Fake("scheduler"))
    scene.parts[1].lives = False

    assert scene.supervisor.look() is True
    assert scene.supervisor.states()["scheduler"] == "waiting to be started again"
    scene.pass_time(2)

    assert [part.starts for part in scene.parts] == [1, 2]
    assert scene.supervisor.states() == {
        "PostgreSQL": "running",
        "scheduler": "running, started again 1 time",
    }
    assert scene.said == [
        "scheduler ended with status -9; it is started again in 0.5 s.",
        f"scheduler was started again (1 of {RESTARTS}).",
    ]


def test_gaps_grow_and_what_ends_each_time_is_given_up_and_the_others_go_on() -> None:
    scene = Scene(Fake("scheduler"), Fake("triggerer"))
    starts = []
    for _ in range(200):
        if scene.parts[0].lives:
            starts.append(scene.now)
            scene.parts[0].lives = False
        scene.pass_time(0.5)

    gaps = [later - sooner for sooner, later in pairwise(starts)]
    assert len(starts) == 1 + RESTARTS
    assert gaps == sorted(gaps)
    assert max(gaps) <= LONGEST_GAP_SECONDS + 1
    assert sum(gaps) < 30
    assert scene.supervisor.given_up == ["scheduler"]
    assert scene.supervisor.states()["scheduler"] == "given up"
    assert "it is given up" in scene.said[-1]
    assert scene.parts[1].alive()


def test_a_part_that_lived_for_a_while_has_all_its_restarts_again() -> None:
    scene = Scene(Fake("scheduler"))
    for _ in range(3 * RESTARTS):
        scene.parts[0].lives = False
        scene.pass_time(LONGEST_GAP_SECONDS + STABLE_SECONDS + 1)

    assert scene.supervisor.given_up == []
    assert scene.supervisor.states() == {"scheduler": f"running, started again {3 * RESTARTS} times"}


def test_a_start_that_fails_counts_like_an_end() -> None:
    scene = Scene(Fake("scheduler"))
    scene.parts[0].lives, scene.parts[0].fails = False, True

    scene.pass_time(60)

    assert scene.parts[0].starts == 1 + RESTARTS
    assert scene.supervisor.given_up == ["scheduler"]
    assert "could not be started (No room." in scene.said[1]


def test_nothing_is_started_while_what_it_needs_is_down() -> None:
    scene = Scene(Fake("PostgreSQL"), Fake("scheduler", needs="PostgreSQL"))
    scene.parts[0].fails = True
    for part in scene.parts:
        part.lives = False

    scene.pass_time(3)
    without = scene.parts[1].starts
    scene.parts[0].fails = False
    scene.pass_time(LONGEST_GAP_SECONDS)

    assert without == 1
    assert [part.alive() for part in scene.parts] == [True, True]


# ---- real processes ----------------------------------------------------------------------------
FAMILY = """
import subprocess, sys, time
subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
print("started", flush=True)
time.sleep(600)
"""


def test_a_killed_process_comes_back_and_what_it_left_is_ended(tmp_path: Path) -> None:
    log = tmp_path / "log"
    part = ProcessPart(
        "scheduler", [sys.executable, "-c", FAMILY], dict(os.environ), log, tmp_path / "groups"
    )
    supervisor = Supervisor([part], lambda _: None)
    supervisor.start()
    try:
        assert wait_until(lambda: "started" in log.read_text(), 60)
        assert part.pid is not None
        killed, orphans = part.pid, psutil.Process(part.pid).children()
        os.kill(killed, signal.SIGKILL)

        def again() -> bool:
            supervisor.look()
            return part.alive() and part.pid != killed

        assert wait_until(again, 30)
        assert orphans
        assert not any(o.is_running() and o.status() != psutil.STATUS_ZOMBIE for o in orphans)
        assert [line.split()[0] for line in (tmp_path / "groups").read_text().splitlines()] == [
            str(killed),
            str(part.pid),
        ]
    finally:
        supervisor.stop()
    assert not part.alive()


def test_a_process_that_cannot_live_is_given_up_with_its_status(tmp_path: Path) -> None:
    said: list[str] = []
    now = iter(range(10_000))
    part = ProcessPart("triggerer", [sys.executable, "-c", "raise SystemExit(3)"], {}, tmp_path / "log")
    supervisor = Supervisor([part], said.append, lambda: float(next(now)))
    supervisor.start()

    assert wait_until(lambda: supervisor.look() is None or bool(supervisor.given_up), 60, every=0.02)

    assert "ended with status 3" in said[0]
    supervisor.stop()


# ---- what `make up` and `make check` say -------------------------------------------------------
class Api:
    """An Airflow that says of its parts what a test wants."""

    sick: tuple[str, ...] = ()

    def __init__(self, *_: str) -> None:
        pass

    def unhealthy(self) -> list[str]:
        return list(self.sick)


@pytest.fixture
def local(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("COA_LOCAL_FOLDER", str(tmp_path))
    monkeypatch.setattr(server, "AirflowApi", Api)
    monkeypatch.setattr(server, "RECOVERY_SECONDS", 0.01)
    monkeypatch.setattr(Api, "sick", ())
    return tmp_path


def kept_by_us(**parts: str) -> None:
    server._remember(os.getpid(), 8080, parts)


def said_by_up() -> tuple[int, str]:
    console = Console(record=True, soft_wrap=True, quiet=False, file=open(os.devnull, "w"))  # noqa: SIM115
    status = server.up(console)
    return status, console.export_text()


def test_a_whole_airflow_runs_already(local: Path) -> None:
    kept_by_us(PostgreSQL="running", scheduler="running")

    assert said_by_up() == (0, "Airflow runs already: http://localhost:8080  (make down stops it)\n")
    assert [(item.good, item.text) for item in check._local_airflow()] == [(True, "http://localhost:8080.")]


def test_an_airflow_of_which_a_part_was_given_up_does_not_run_already(local: Path) -> None:
    kept_by_us(PostgreSQL="running", scheduler="given up")

    status, text = said_by_up()

    assert status == 1
    assert "runs already" not in text
    assert "scheduler: given up" in text
    assert "Next step: make down" in text
    assert [item.good for item in check._local_airflow()] == [False]
    assert "scheduler: given up" in check._local_airflow()[0].text


def test_an_airflow_of_which_a_part_shows_no_life_does_not_run_already(
    local: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept_by_us(scheduler="running")
    monkeypatch.setattr(Api, "sick", ("triggerer",))

    status, text = said_by_up()

    assert status == 1
    assert "triggerer: shows no life" in text


def test_a_part_that_was_started_again_is_told(local: Path) -> None:
    kept_by_us(scheduler="running, started again 1 time")

    status, text = said_by_up()

    assert status == 0
    assert "scheduler: running, started again 1 time" in text
    assert [item.good for item in check._local_airflow()] == [None]


def test_what_a_killed_keeper_left_is_ended_before_a_new_start(
    local: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keeper = subprocess.Popen(SLEEPS)
    server._remember(keeper.pid, 8080, {"scheduler": "running"})
    keeper.kill()
    keeper.wait()
    part = ProcessPart("scheduler", SLEEPS, {}, local / "log", server._register())
    part.start()
    assert [item.good for item in check._local_airflow()] == [False]
    monkeypatch.setenv("AIRFLOW_PORT", "none")

    # It gets as far as the port of the new one.
    with pytest.raises(ConfigurationError, match="AIRFLOW_PORT"):
        said_by_up()

    assert wait_until(lambda: not part.alive(), 10)
    assert server.known_server() is None


def test_where_none_was_started_there_is_nothing_to_say(local: Path) -> None:
    assert check._local_airflow() == []


# ---- the real thing ----------------------------------------------------------------------------
@pytest.mark.lane
@pytest.mark.airflow
@pytest.mark.timeout(1200)
def test_each_part_of_a_real_airflow_that_is_killed_is_back_within_30_seconds(tmp_path: Path) -> None:
    from coa.staging.embedded import EmbeddedPostgres
    from coa_airflow.local.api import AirflowApi
    from coa_airflow.local.home import free_ports

    clean = {k: v for k, v in os.environ.items() if not k.startswith(("AIRFLOW", "COA_"))}
    port = free_ports(1)[0]
    environment = {
        **clean,
        "PYTHONPATH": str(Path(server.__file__).parents[2]),
        "COA_LOCAL_FOLDER": str(tmp_path),
        "AIRFLOW_PORT": str(port),
    }

    def command(word: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "coa_airflow.local.server", word],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=700,
        )

    def pids() -> dict[str, int]:
        """The newest process of each part, by the register of groups and the server's own file."""
        found = {}
        for line in (tmp_path / "airflow" / "groups").read_text().splitlines():
            pid, name = int(line.split()[0]), line.split(maxsplit=2)[2]
            if psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
                found[name] = pid
        running = EmbeddedPostgres(tmp_path / "postgres").postmaster()
        return {**found, "PostgreSQL": running.pid} if running else found

    names = {"PostgreSQL", "api-server", "scheduler", "dag-processor", "triggerer"}
    up = command("up")
    assert up.returncode == 0, up.stdout
    try:
        postgres = EmbeddedPostgres(tmp_path / "postgres")
        before, database_port = pids(), postgres.postmaster().port  # type: ignore[union-attr]
        assert set(before) == names
        for name in sorted(names):
            victim = pids()[name]
            os.kill(victim, signal.SIGKILL)
            began = time.monotonic()
            back = wait_until(lambda n=name, v=victim: pids().get(n, v) != v, 60)  # type: ignore[misc]
            assert back, name
            assert time.monotonic() - began < 30, name
        assert postgres.postmaster().port == database_port  # type: ignore[union-attr]
        second = command("up")
        assert second.returncode == 0, second.stdout
        assert "runs already" in second.stdout
        assert "started again" in second.stdout
        api = AirflowApi(
            f"http://localhost:{port}",
            "admin",
            json.loads((tmp_path / "airflow/passwords.json").read_text())["admin"],
        )
        assert wait_until(lambda: api.unhealthy() == [], 120, every=1)
        last = list(pids().values())
        # PostgreSQL makes and removes files of its own meanwhile, each of them for its user.
        others = [path for name in ("airflow", "logs") for path in open_to_others(tmp_path / name)]
    finally:
        down = command("down")
    assert down.returncode == 0
    assert others == []
    assert not [pid for pid in last if psutil.pid_exists(pid) and psutil.Process(pid).status() != "zombie"]
    assert "was started again (1 of" in (tmp_path / "logs" / "server.log").read_text()
