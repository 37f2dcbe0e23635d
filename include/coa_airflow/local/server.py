"""Airflow with its UI on this machine: `make up` and `make down`, and the server of the demo.

    python -m coa_airflow.local.server up|down|run

`up` starts a keeper in the background (`run`), which holds the embedded PostgreSQL and Airflow's components, starts
again what ends by itself (`supervisor`), and ends them all when it is told to. `down` tells it, and ends what a
killed keeper left behind. `server.json` says which parts there are and how they are.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil
from rich.console import Console

from coa.child_environment import Child, child_environment
from coa.config import Settings
from coa.errors import CoaError, ConfigurationError
from coa.private_files import keep_files_private, private_folder
from coa.staging.embedded import EmbeddedPostgres
from coa.staging.folders import logs_folder
from coa_airflow.local.api import AirflowApi
from coa_airflow.local.home import (
    airflow_home,
    passwords,
    port_from,
    require_free,
    server_environment,
)
from coa_airflow.local.parts import PostgresPart, ProcessPart, airflow_parts, migrate_metadata
from coa_airflow.local.processes import end_registered, same_process, wait_until
from coa_airflow.local.supervisor import State, Supervisor

DEFAULT_PORT = 8080
START_SECONDS = 600
"""Ten seconds as a rule; a first start on a machine that is busy otherwise took two minutes."""
LOOK_SECONDS = 1.0
RECOVERY_SECONDS = 60.0
"""So long `up` waits for a part that is being started again, before it tells that it is not there."""


class LocalAirflow:
    """PostgreSQL and Airflow's components, looked after in a thread."""

    def __init__(
        self,
        server: EmbeddedPostgres,
        components: list[ProcessPart],
        tell: Callable[[str], None],
        changed: Callable[[dict[str, str]], None],
    ) -> None:
        self.components = components
        self._supervisor = Supervisor([PostgresPart(server), *components], tell)
        self._changed = changed
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    @property
    def running(self) -> bool:
        """Whether no part was given up."""
        return not self._supervisor.given_up

    @property
    def watched(self) -> bool:
        """Whether the thread that looks after the parts runs."""
        return self._thread.is_alive()

    def start(self) -> None:
        """Starts the parts and the thread."""
        self._supervisor.start()
        self._changed(self._supervisor.states())
        self._thread.start()

    def stop(self) -> None:
        """Ends the thread, then the parts."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()
        self._supervisor.stop()

    def what_broke(self) -> str:
        """The ends of the logs of what was given up, else of all components."""
        broken = self._supervisor.given_up
        return "\n".join(
            f"{part.log}:\n{_tail(part.log)}" for part in self.components if part.name in broken or not broken
        )

    def _watch(self) -> None:
        while not self._stopping.wait(LOOK_SECONDS):
            if self._supervisor.look():
                self._changed(self._supervisor.states())


@contextmanager
def local_airflow(
    server: EmbeddedPostgres,
    port: int,
    extra: dict[str, str] | None = None,
    register: Path | None = None,
    changed: Callable[[dict[str, str]], None] = lambda _: None,
) -> Iterator[LocalAirflow]:
    """Airflow as long as the block lasts. It may not answer yet: see `wait_until_up`.

    `changed`: told the states of its parts whenever one of them changes.
    """
    passwords()
    environment = {**server_environment(server, port), **(extra or {})}
    logs = logs_folder()
    migrate_metadata(environment, logs / "db-migrate.log")
    airflow = LocalAirflow(server, airflow_parts(environment, logs, register), tell, changed)
    try:
        airflow.start()
        yield airflow
    finally:
        airflow.stop()


def tell(sentence: str) -> None:
    """A line of the keeper's log."""
    print(f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ} {sentence}", flush=True)


def wait_until_up(airflow: LocalAirflow, port: int) -> AirflowApi:
    """Raises `ConfigurationError` with the log's end when Airflow does not come up."""
    api = _api(port)
    wait_until(lambda: api.up() or not airflow.running, START_SECONDS, every=0.5)
    if not api.up():
        raise ConfigurationError(
            f"Airflow did not start on port {port}. The last lines of its logs:\n{airflow.what_broke()}",
            next_step=f"read the logs in {logs_folder()}.",
        )
    return api


def _api(port: int) -> AirflowApi:
    return AirflowApi(f"http://localhost:{port}", "admin", passwords()["admin"])


def _tail(log: Path, lines: int = 15) -> str:
    try:
        return "\n".join(log.read_text("utf-8", "replace").splitlines()[-lines:])
    except OSError:
        return "(no log)"


# ---- the state of `make up` -------------------------------------------------------------------
@dataclass(frozen=True)
class Server:
    """What `server.json` says: the keeper, its port, and how its parts were when last one changed."""

    pid: int
    created: float
    port: int
    parts: dict[str, str]

    @property
    def kept(self) -> bool:
        """Whether its keeper lives, without which nothing is started again."""
        return same_process(self.pid, self.created)

    @property
    def down(self) -> dict[str, str]:
        """Parts that are not running, with their states."""
        return {
            name: state for name, state in self.parts.items() if not state.startswith(State.RUNNING.value)
        }

    @property
    def restarted(self) -> dict[str, str]:
        """State of the parts that run and had to be started again, by name."""
        return {
            n: s
            for n, s in self.parts.items()
            if s.startswith(State.RUNNING.value) and s != State.RUNNING.value
        }


def state_file() -> Path:
    """Where the server writes how its parts are."""
    return airflow_home() / "server.json"


def known_server() -> Server | None:
    """The server that `make up` started and nobody has stopped."""
    try:
        state: dict[str, Any] = json.loads(state_file().read_text("utf-8"))
        return Server(state["pid"], state["created"], state["port"], state.get("parts", {}))
    except (OSError, ValueError, KeyError):
        return None


def _remember(pid: int, port: int, parts: dict[str, str]) -> None:
    state = {"pid": pid, "created": psutil.Process(pid).create_time(), "port": port, "parts": parts}
    # Readers never meet a half-written file.
    new = private_folder(airflow_home()) / "server.json.new"
    new.write_text(json.dumps(state), "utf-8")
    new.replace(state_file())


def _register() -> Path:
    """The groups of processes that the keeper started, for whoever comes after one that was killed."""
    return airflow_home() / "groups"


# ---- make up, make down -----------------------------------------------------------------------
def up(console: Console) -> int:
    """`make up`: starts the server and waits until it answers. Gives the exit status.

    Raises `ConfigurationError` when a setting or the port cannot be used, or Airflow does not start.
    """
    known = known_server()
    if known and known.kept:
        return _already(known, console)
    if known:
        console.print("The Airflow of an earlier `make up` was not stopped: what is left of it is ended.")
        down(console)
    port = port_from("AIRFLOW_PORT", DEFAULT_PORT)
    # Every task would meet the fault; here it is one sentence.
    Settings.from_environment()
    require_free(port, "Airflow", "AIRFLOW_PORT")
    log = _keeper_log()
    with log.open("ab") as output:
        keeper = subprocess.Popen(
            [sys.executable, "-m", "coa_airflow.local.server", "run"],
            env=child_environment(Child.WORKER),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    _remember(keeper.pid, port, {})
    console.print(f"Airflow starts on port {port}; logs in {logs_folder()}")
    api = _api(port)
    wait_until(
        lambda: api.up() or keeper.poll() is not None or _has_given_up(known_server()),
        START_SECONDS,
        every=0.5,
    )
    if not api.up():
        broken = known_server()
        down(console)
        parts = ", ".join(f"{name}: {state}" for name, state in (broken.down if broken else {}).items())
        raise ConfigurationError(
            f"Airflow did not start{f' ({parts})' if parts else ''}.",
            next_step=f"read {log} and the logs of its components in the same folder.",
        )
    show_access(console, port)
    _warn_of_missing_connections(console)
    return 0


def _already(known: Server, console: Console) -> int:
    """Says how the Airflow that runs is; waits a moment for what is being started again. Exit status."""

    def settled() -> bool:
        server = known_server()
        return not server or _has_given_up(server) or not (server.down or _api(server.port).unhealthy())

    wait_until(settled, RECOVERY_SECONDS, every=1)
    server = known_server() or known
    unwell = {**dict.fromkeys(_api(server.port).unhealthy(), "shows no life"), **server.down}
    for name, state in {**server.restarted, **unwell}.items():
        console.print(f"{name}: {state}")
    if not unwell:
        console.print(f"Airflow runs already: http://localhost:{server.port}  (make down stops it)")
        return 0
    console.print(f"Airflow runs only in part: {', '.join(unwell)}. {_keeper_log()} says what happened.")
    console.print("Next step: make down, fix what the logs name, make up.")
    return 1


def _has_given_up(server: Server | None) -> bool:
    return server is not None and State.GIVEN_UP.value in server.parts.values()


def _keeper_log() -> Path:
    return logs_folder() / "server.log"


def down(console: Console) -> int:
    """`make down`: ends the server and all its parts. Gives the exit status."""
    known = known_server()
    if not known:
        console.print("Nothing to stop.")
        return 0
    if known.kept:
        os.kill(known.pid, signal.SIGTERM)
        wait_until(lambda: not known.kept, 90)
    if known.kept:
        os.kill(known.pid, signal.SIGKILL)
    # A keeper that was killed could not end its Airflow.
    end_registered(_register())
    _register().unlink(missing_ok=True)
    EmbeddedPostgres().stop_if_unused()
    state_file().unlink(missing_ok=True)
    console.print("Airflow is stopped.")
    return 0


def keep() -> int:
    """Holds PostgreSQL and Airflow until SIGTERM. Exit status: 1 when nobody looks after them any more."""
    ended: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda n, _frame: ended.append(n))
    port = port_from("AIRFLOW_PORT", DEFAULT_PORT)

    def changed(parts: dict[str, str]) -> None:
        _remember(os.getpid(), port, parts)

    with (
        EmbeddedPostgres().in_use() as server,
        local_airflow(server, port, register=_register(), changed=changed) as airflow,
    ):
        while not ended and airflow.watched:
            time.sleep(0.3)
    return 0 if ended else 1


def show_access(console: Console, port: int) -> None:
    """Prints URL, users and passwords."""
    known = passwords()
    console.print(f"Airflow:  http://localhost:{port}")
    for user in ("admin", "operator", "viewer"):
        console.print(f"          user {user:<9} password {known[user]}", highlight=False)


def _warn_of_missing_connections(console: Console) -> None:
    missing = [n for n in ("coa_source", "coa_target") if not os.environ.get(f"AIRFLOW_CONN_{n.upper()}")]
    if missing:
        console.print(
            f"Define the connection{'s' if len(missing) > 1 else ''} {' and '.join(missing)} (type Salesforce) under "
            "Admin, Connections, if you have not: docs/connect-your-orgs.md"
        )


def main(arguments: list[str]) -> int:
    """One of the commands `up`, `down` and `run`. Gives the exit status."""
    keep_files_private()
    console = Console(highlight=False, soft_wrap=True)
    command = arguments[0] if len(arguments) == 1 else ""
    try:
        if command == "up":
            return up(console)
        if command == "down":
            return down(console)
        if command == "run":
            return keep()
    except CoaError as error:
        console.print(f"[red]{error.message}[/red]")
        console.print(f"Next step: {error.next_step}")
        return 1
    print("usage: python -m coa_airflow.local.server up|down", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
