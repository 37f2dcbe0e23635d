"""The parent of a headless run while its worker works: starts the embedded server, shows the progress and the
end.
"""

from __future__ import annotations

import json
import os
import subprocess
import time
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape

from coa.config import Settings
from coa.errors import CoaError, ConfigurationError
from coa.staging.database import Database
from coa.staging.embedded import EmbeddedPostgres
from coa.states import GOOD_STATES
from coa_airflow.environment import HEADLESS, artifacts_root, connection_in, staging_url
from coa_airflow.local import worker as at_work
from coa_airflow.local.headless_run import GO
from coa_airflow.local.home import airflow_home, common_environment
from coa_airflow.local.metadata import bound_to, reserved_database
from coa_airflow.local.view import RunView, show_answers, show_findings, show_totals
from coa_airflow.local.worker import NOT_STARTED, Interrupted, tell

FOLLOW_PARENT = "COA_FOLLOW_PARENT"
"""Set by the Makefile: end with `make`, even when that is killed and can tell nobody."""


def follow(worker: subprocess.Popen[bytes], token: str, log: Path) -> int:
    """Gives the worker what it waits for, shows the run, and its end; the exit status. Raises `ConfigurationError`."""
    console = Console(highlight=False, soft_wrap=True)
    with EmbeddedPostgres().in_use() as server:
        environment = _environment(server, token)
        with reserved_database(server, token, environment) as metadata:
            tell(worker, json.dumps(bound_to(environment, metadata.url)))
            metadata.create()
            tell(worker, GO)
            db = Database(staging_address(server))
            row = _watch(db, token, worker, console)
            if row is None:
                console.print(
                    f"[red]The run did not start (exit status {worker.returncode}).[/red] The log ends:"
                )
                console.print(escape(_tail(log)))
                console.print(
                    f"Nothing was written to any org. Next step: fix what the log names; the complete log is in {log}."
                )
                return NOT_STARTED
            return conclude(db, row, console)


def conclude(db: Database, row: dict[str, Any], console: Console) -> int:
    """Shows how the run ended; its artifacts folder is the last line."""
    run_id, state = str(row["run_id"]), row["state"]
    console.print()
    show_findings(db, run_id, console)
    show_totals({**(row["summary"] or {}), "state": state}, console)
    show_answers(row["summary"], console)
    good = state in GOOD_STATES
    console.print(f"State: [{'green' if good else 'red'}]{state}[/]  {escape(row['message'] or '')}")
    console.print(str(row["artifacts"]))
    return 0 if good else 1


def _watch(
    db: Database, token: str, worker: subprocess.Popen[bytes], console: Console
) -> dict[str, Any] | None:
    """Shows the run until its worker ends; the run's row as it is then, None if there never was one."""
    parent = os.getppid()
    follow_parent = bool(os.environ.get(FOLLOW_PARENT))
    row: dict[str, Any] | None = None
    with RunView(db, console) as view:
        try:
            while worker.poll() is None:
                time.sleep(0.2)
                if follow_parent and os.getppid() != parent:
                    raise Interrupted("The command that started this run is gone; the run ends with it.")
                if row is None:
                    row = _row(db, token)
                    if row:
                        view.run_id = str(row["run_id"])
                        console.print(f"Run {view.run_id}")
                view.update()
        except Interrupted as interruption:
            view.pause()
            at_work.end(worker)
            row = _row(db, token)
            if row and row["state"] is None:
                _close(db, row, str(interruption))
            raise
        view.run_id = view.run_id or str((_row(db, token) or {}).get("run_id", ""))
        view.update()
    row = _row(db, token)
    if row and row["state"] is None:
        _close(db, row, f"The run's process ended with status {worker.returncode}.")
        row = _row(db, token)
    return row


def _close(db: Database, row: dict[str, Any], why: str) -> None:
    """Records the end of a run whose process is dead: its state, its lease, and artifacts as far as possible."""
    from coa import pipeline
    from coa.staging.runs import Run

    folder = str(row["artifacts"])
    try:
        run = Run.load(db, Settings.from_environment(), str(row["run_id"]), ending=True)
        pipeline.finish(run, artifacts_root(folder), why)
    except CoaError as error:
        # A run whose params nobody can use has no more to it than its row.
        db.execute(
            "UPDATE coa.run SET state = 'failed', message = %s, finished_at = now() WHERE run_id = %s",
            [f"{why} {error}", row["run_id"]],
        )


def _row(db: Database, token: str) -> dict[str, Any] | None:
    return db.row("SELECT * FROM coa.run WHERE headless_token = %s", [token])


def _environment(server: EmbeddedPostgres, token: str) -> dict[str, str]:
    environment = {
        **common_environment(server),
        HEADLESS: token,
        "AIRFLOW__LOGGING__LOGGING_LEVEL": os.environ.get("AIRFLOW__LOGGING__LOGGING_LEVEL", "INFO"),
        # The provider sends its events from forks, and here a fork that asks Airflow's API, which is in this very
        # process, waits for ever.
        "AIRFLOW__OPENLINEAGE__DISABLED": "True",
    }
    # The database that we look at is the one that the tasks use, whatever else Airflow knows.
    environment.setdefault("AIRFLOW_CONN_COA_STAGING", server.url())
    return environment


def staging_address(server: EmbeddedPostgres) -> str:
    """Address of the staging database of a run that is started here. Raises `ConfigurationError`."""
    if not os.environ.get("AIRFLOW_CONN_COA_STAGING"):
        return server.url()
    os.environ["AIRFLOW_HOME"] = str(airflow_home())
    try:
        fields = connection_in("coa_staging", os.environ["AIRFLOW_CONN_COA_STAGING"])
    except Exception as error:  # noqa: BLE001  # the cause may hold the password
        problem = type(error).__name__
    else:
        return staging_url(fields)
    raise ConfigurationError(
        f"The connection coa_staging cannot be read ({problem}).",
        next_step="write AIRFLOW_CONN_COA_STAGING as JSON, or as postgresql://login:password@host:5432/database.",
    )


def _tail(log: Path, lines: int = 25) -> str:
    return "\n".join(log.read_text("utf-8", "replace").splitlines()[-lines:])
