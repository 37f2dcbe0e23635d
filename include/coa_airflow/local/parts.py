"""What a local Airflow consists of: PostgreSQL, and Airflow's four components as processes of their own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from coa.child_environment import Child, child_environment
from coa.errors import ConfigurationError
from coa.staging.embedded import EmbeddedPostgres
from coa_airflow.local.processes import Group, end_group

POSTGRES = "PostgreSQL"
COMPONENTS = {
    # Tasks are processes of the scheduler; the triggerer waits for the orgs' jobs.
    "api-server": Child.AIRFLOW,
    "scheduler": Child.WORKER,
    "dag-processor": Child.AIRFLOW,
    "triggerer": Child.WORKER,
}
"""Component -> what it has to know."""


class PostgresPart:
    """The embedded PostgreSQL as a part that is looked after."""

    name = POSTGRES
    needs = ""

    def __init__(self, server: EmbeddedPostgres) -> None:
        self._server = server

    def alive(self) -> bool:
        """Whether the server runs."""
        return self._server.postmaster() is not None

    def start(self) -> None:
        """Starts the server."""
        self._server.start()

    def stop(self) -> None:
        """Its users stop it, when the last of them leaves."""

    def how_it_ended(self) -> str:
        """What is logged when the server does not run any more."""
        return "has ended"


class ProcessPart:
    """A program in a group of its own, with a log of its own."""

    def __init__(
        self,
        name: str,
        command: list[str],
        environment: dict[str, str],
        log: Path,
        register: Path | None = None,
        needs: str = "",
    ) -> None:
        self.name = name
        self.needs = needs
        self.log = log
        self._command = command
        self._environment = environment
        self._register = register
        self._group: Group | None = None

    @property
    def pid(self) -> int | None:
        """Process id; None before the first start."""
        return self._group.process.pid if self._group else None

    def alive(self) -> bool:
        """Whether the program runs."""
        return self._group is not None and self._group.running

    def start(self) -> None:
        """Starts the program. Ends first what is left of an earlier start."""
        if self._group:
            # What a killed process leaves of its children would hold its ports and do its work beside the new one.
            end_group(self._group.process.pid, seconds=2)
        self._group = Group(self.name, self._command, self._environment, self.log, self._register)

    def stop(self) -> None:
        """Stops the program and everything that it started."""
        if self._group:
            self._group.stop()

    def how_it_ended(self) -> str:
        """Process id and exit status, for the log."""
        assert self._group is not None
        return f"(pid {self.pid}) ended with status {self._group.process.poll()}"


def airflow_parts(environment: dict[str, str], logs: Path, register: Path | None = None) -> list[ProcessPart]:
    """Airflow's components. `environment`: of what runs tasks; the others get less."""
    return [
        ProcessPart(
            component,
            [sys.executable, "-m", "airflow", component],
            child_environment(child, environment),
            logs / f"{component}.log",
            register,
            POSTGRES,
        )
        for component, child in COMPONENTS.items()
    ]


def migrate_metadata(environment: dict[str, str], log: Path) -> None:
    """Airflow's own tables, made or brought up to date. Raises `ConfigurationError`."""
    with log.open("ab") as output:
        done = subprocess.run(
            [sys.executable, "-m", "airflow", "db", "migrate"],
            env=child_environment(Child.AIRFLOW, environment),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            check=False,
        )
    if done.returncode:
        raise ConfigurationError("Airflow's tables could not be created.", next_step=f"read {log}.")
