"""`make migrate`, `make preflight`, `make verify`, `make rollback`: one run of a DAG without a server, for scripts.

    python -m coa_airflow.local.headless coa_migrate        PARAMS='{"dry_run": true}' in the environment

This process shows the run and outlives it; a second one (`headless_run`) does the work, so that it can
be killed at any moment: the ledger lets the next run go on. Airflow's tables of the run are its own and end
with it (`metadata`). The last line of the output is the run's artifacts folder. Exit status 0 only for the
states `verified` and `dry_run`.
"""

from __future__ import annotations

import json
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape

from coa.config import RunParams, Settings, refuse_asking
from coa.errors import CoaError, ConfigurationError, InvalidParams
from coa.staging.database import Database
from coa.staging.embedded import EmbeddedPostgres, local_folder
from coa.states import GOOD_STATES
from coa_airflow.environment import HEADLESS, artifacts_root, connection_in, staging_url
from coa_airflow.headless_token import ARTIFACTS_KEY, TOKEN_KEY
from coa_airflow.local.headless_run import GO
from coa_airflow.local.home import airflow_home, common_environment, with_our_packages
from coa_airflow.local.metadata import bound_to, reserved_database
from coa_airflow.local.processes import end_group
from coa_airflow.local.view import RunView, show_findings, show_totals
from coa_airflow.pair import Pair, chosen

NOT_STARTED = 2
FOLLOW_PARENT = "COA_FOLLOW_PARENT"
"""Set by the Makefile: end with `make`, even when that is killed and can tell nobody."""


class Interrupted(Exception):
    """A signal, or the death of `make`, asks us to end."""


def main(arguments: list[str]) -> int:
    if len(arguments) != 1:
        print(
            "usage: python -m coa_airflow.local.headless coa_migrate|coa_preflight|coa_verify",
            file=sys.stderr,
        )
        return NOT_STARTED
    console = Console(highlight=False, soft_wrap=True)
    try:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, _interrupt)
        # Before anything starts: the tasks would meet the same fault, each with a log of its own.
        Settings.from_environment()
        return run(arguments[0], params_from_environment(), console)
    except CoaError as error:
        console.print(f"[red]{escape(error.message)}[/red]")
        if error.next_step:
            console.print(f"Next step: {escape(error.next_step)}")
        return NOT_STARTED
    except Interrupted as interruption:
        console.print(escape(str(interruption)))
        return 130


def params_from_environment() -> dict[str, Any]:
    """PARAMS as JSON, checked before anything is started. Raises `InvalidParams`."""
    text = os.environ.get("PARAMS", "").strip()
    try:
        params = json.loads(text) if text else {}
    except ValueError as error:
        raise InvalidParams(
            f"PARAMS is not JSON: {error}.",
            next_step="""write it as in PARAMS='{"dry_run": true}' make migrate.""",
        ) from error
    if not isinstance(params, dict):
        raise InvalidParams(
            "PARAMS is not a JSON object.", next_step="""write it as in '{"dry_run": true}'."""
        )
    RunParams.parse(params)
    refuse_asking(params, nobody="nobody can be asked in a headless run")
    chosen(params, Pair().params())
    return params


def run(dag_id: str, params: dict[str, Any], console: Console) -> int:
    """Exit status of one run of the DAG. Raises `ConfigurationError` when it could not be started."""
    token = secrets.token_hex(8)
    log = local_folder() / "logs" / f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{dag_id}-{token[:6]}.log"
    console.print(f"{dag_id}: starting; full log in {log}")
    # The worker's imports take longer than all that it needs from us: it begins first.
    with _worker(dag_id, params, log) as worker, EmbeddedPostgres().in_use() as server:
        environment = _environment(server, token)
        with reserved_database(server, token, environment) as metadata:
            _tell(worker, json.dumps(bound_to(environment, metadata.url)))
            metadata.create()
            _tell(worker, GO)
            db = Database(staging_address(server))
            row = _follow(db, token, worker, console)
            if row is None:
                console.print(
                    f"[red]The run did not start (exit status {worker.returncode}).[/red] The log ends:"
                )
                console.print(escape(_tail(log)))
                console.print(
                    f"Nothing was written to any org. Next step: mend what the log names; all of it is in {log}."
                )
                return NOT_STARTED
            return conclude(db, row, console)


def conclude(db: Database, row: dict[str, Any], console: Console) -> int:
    """Shows how the run ended; its artifacts folder is the last line."""
    run_id, state = str(row["run_id"]), row["state"]
    console.print()
    show_findings(db, run_id, console)
    show_totals({**(row["summary"] or {}), "state": state}, console)
    good = state in GOOD_STATES
    console.print(f"State: [{'green' if good else 'red'}]{state}[/]  {escape(row['message'] or '')}")
    console.print(_artifacts(row))
    return 0 if good else 1


# ---- the run ---------------------------------------------------------------------------------
def _follow(
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
            _end(worker)
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
    """Gives a run whose process is dead its end: state, lease, artifacts as far as they go."""
    from coa import pipeline
    from coa.staging.runs import Run

    folder = _artifacts(row)
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
    return db.row(f"SELECT * FROM coa.run WHERE versions ->> '{TOKEN_KEY}' = %s", [token])


def _artifacts(row: dict[str, Any]) -> str:
    return str((row["versions"] or {}).get(ARTIFACTS_KEY, ""))


@contextmanager
def _worker(dag_id: str, params: dict[str, Any], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """The process that does the work, once it was told its environment and to go.

    It ends when its standard input closes, that is with us at the latest.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as output:
        worker = subprocess.Popen(
            [sys.executable, "-m", "coa_airflow.local.headless_run", dag_id, json.dumps(params)],
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=output,
            env=with_our_packages(dict(os.environ)),
            # Ctrl-C in the terminal reaches us alone.
            start_new_session=True,
        )
    try:
        yield worker
    finally:
        _end(worker)


def _tell(worker: subprocess.Popen[bytes], line: str) -> None:
    assert worker.stdin is not None
    # A worker that has ended by itself is noticed, and told about, where its end is waited for.
    with suppress(BrokenPipeError):
        worker.stdin.write(f"{line}\n".encode())
        worker.stdin.flush()


def _end(worker: subprocess.Popen[bytes]) -> None:
    # Once a task has run, Airflow's handler swallows SIGTERM; and the ledger is made for being killed.
    end_group(worker.pid, seconds=0.5)
    worker.wait()


def _environment(server: EmbeddedPostgres, token: str) -> dict[str, str]:
    environment = {
        **common_environment(server),
        HEADLESS: token,
        "AIRFLOW__LOGGING__LOGGING_LEVEL": os.environ.get("AIRFLOW__LOGGING__LOGGING_LEVEL", "INFO"),
    }
    # The database that we look at is the one that the tasks use, whatever else Airflow knows.
    environment.setdefault("AIRFLOW_CONN_COA_STAGING", server.url())
    environment.pop("PARAMS", None)
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


def _interrupt(number: int, _frame: object) -> None:
    raise Interrupted(f"Stopped by {signal.Signals(number).name}.")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
