"""Airflow with its UI on this machine: `make up` and `make down`, and the server of the demo.

    python -m coa_airflow.local.server up|down|run

`up` starts a keeper in the background (`run`), which holds the embedded PostgreSQL and Airflow, and
ends both when it is told to. `down` tells it, and ends what a killed keeper left behind.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
from rich.console import Console

from coa.config import Settings
from coa.errors import CoaError, ConfigurationError
from coa.staging.embedded import EmbeddedPostgres
from coa.staging.folders import local_folder
from coa_airflow.local.api import AirflowApi
from coa_airflow.local.home import (
    airflow_home,
    passwords,
    port_from,
    require_free,
    server_environment,
)
from coa_airflow.local.processes import Group, end_group, same_process, wait_until

DEFAULT_PORT = 8080
START_SECONDS = 600
"""Ten seconds as a rule; a first start on a machine that is busy otherwise took two minutes."""


@contextmanager
def local_airflow(
    server: EmbeddedPostgres, port: int, extra: dict[str, str] | None = None, register: Path | None = None
) -> Iterator[Group]:
    """`airflow standalone` as long as the block lasts. It may not answer yet: see `wait_until_up`."""
    passwords()
    airflow = Group(
        "airflow",
        [sys.executable, "-m", "airflow", "standalone"],
        {**server_environment(server, port), **(extra or {})},
        local_folder() / "logs" / "airflow.log",
        register,
    )
    try:
        yield airflow
    finally:
        airflow.stop()


def wait_until_up(airflow: Group, port: int) -> AirflowApi:
    """Raises `ConfigurationError` with the log's end when Airflow does not come up."""
    api = AirflowApi(f"http://localhost:{port}", "admin", passwords()["admin"])
    wait_until(lambda: api.up() or not airflow.running, START_SECONDS, every=0.5)
    if not api.up():
        raise ConfigurationError(
            f"Airflow did not come up on port {port}. Its log says last:\n{_what_broke(airflow)}",
            next_step=f"read {airflow.log}.",
        )
    return api


def _what_broke(airflow: Group) -> str:
    """The log's end, without the statistics that one component writes over the others' errors."""
    lines = [line for line in airflow.log_tail(400).splitlines() if not line.startswith("dag-processor")]
    return "\n".join(lines[-15:])


# ---- make up, make down -----------------------------------------------------------------------
def state_file() -> Path:
    return airflow_home() / "server.json"


def up(console: Console) -> int:
    port = port_from("AIRFLOW_PORT", DEFAULT_PORT)
    known = _state()
    if known and same_process(known["pid"], known["created"]):
        console.print(f"Airflow runs already: http://localhost:{known['port']}  (make down stops it)")
        return 0
    # Every task would meet the fault; here it is one sentence.
    Settings.from_environment()
    require_free(port, "Airflow", "AIRFLOW_PORT")
    log = local_folder() / "logs" / "server.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        keeper = subprocess.Popen(
            [sys.executable, "-m", "coa_airflow.local.server", "run"],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    _remember(keeper.pid, port)
    console.print(f"Airflow starts on port {port}; log in {local_folder() / 'logs' / 'airflow.log'}")
    passwords()
    api = AirflowApi(f"http://localhost:{port}", "admin", passwords()["admin"])
    wait_until(lambda: api.up() or keeper.poll() is not None, START_SECONDS, every=0.5)
    if not api.up():
        down(console)
        raise ConfigurationError(
            "Airflow did not come up.", next_step=f"read {log} and airflow.log beside it."
        )
    show_access(console, port)
    _warn_of_missing_connections(console)
    return 0


def down(console: Console) -> int:
    known = _state()
    if not known:
        console.print("Nothing to stop.")
        return 0
    if same_process(known["pid"], known["created"]):
        os.kill(known["pid"], signal.SIGTERM)
        wait_until(lambda: not same_process(known["pid"], known["created"]), 40)
    if same_process(known["pid"], known["created"]):
        os.kill(known["pid"], signal.SIGKILL)
    # A keeper that was killed could not end its Airflow.
    group = known.get("airflow")
    if group and same_process(group["pid"], group["created"]):
        end_group(group["pid"])
    EmbeddedPostgres().stop_if_unused()
    state_file().unlink(missing_ok=True)
    console.print("Airflow is stopped.")
    return 0


def keep() -> int:
    """Holds PostgreSQL and Airflow until SIGTERM, or until Airflow ends by itself."""
    ended: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda n, _frame: ended.append(n))
    port = port_from("AIRFLOW_PORT", DEFAULT_PORT)
    with EmbeddedPostgres().in_use() as server, local_airflow(server, port) as airflow:
        _remember(os.getpid(), port, airflow.process.pid)
        while airflow.running and not ended:
            time.sleep(0.3)
    return 0


def show_access(console: Console, port: int) -> None:
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


def _remember(pid: int, port: int, airflow: int | None = None) -> None:
    state: dict[str, Any] = {"pid": pid, "created": psutil.Process(pid).create_time(), "port": port}
    if airflow:
        state["airflow"] = {"pid": airflow, "created": psutil.Process(airflow).create_time()}
    path = state_file()
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    path.write_text(json.dumps(state), "utf-8")


def _state() -> dict[str, Any] | None:
    try:
        state: dict[str, Any] = json.loads(state_file().read_text("utf-8"))
    except (OSError, ValueError):
        return None
    return state


def main(arguments: list[str]) -> int:
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
