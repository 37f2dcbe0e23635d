"""`make migrate`, `make preflight`, `make verify`, `make rollback`, `make relink`, `make contract`: one run of a
DAG without a server, for scripts.

    python -m coa_airflow.local.headless coa_migrate        PARAMS='{"dry_run": true}' in the environment

This process shows the run and outlives it; a second one (`headless_run`) does the work, so that it can
be killed at any moment: the ledger lets the next run go on. Airflow's tables of the run are its own and end
with it (`metadata`). The last line of the output is the run's artifacts folder. Exit status 0 only for good
states (`coa.states.GOOD_STATES`).
"""

from __future__ import annotations

import json
import os
import secrets
import signal
import sys
from datetime import UTC, datetime
from typing import Any

from coa.config import RunParams, Settings, refuse_asking
from coa.errors import CoaError, InvalidParams
from coa.private_files import keep_files_private
from coa.staging.folders import logs_folder
from coa_airflow.local.imports import uncollected
from coa_airflow.local.worker import NOT_STARTED, Interrupted, started_worker
from coa_airflow.pair import Pair, chosen


def main(arguments: list[str]) -> int:
    """One run of a DAG without a server; `arguments`: the id of the DAG. Gives the exit status."""
    keep_files_private()
    if len(arguments) != 1:
        print(
            "usage: python -m coa_airflow.local.headless "
            "coa_migrate|coa_preflight|coa_verify|coa_rollback|coa_relink|coa_contract",
            file=sys.stderr,
        )
        return NOT_STARTED
    try:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, _interrupt)
        # Before anything starts: the tasks would meet the same fault, each with a log of its own.
        Settings.from_environment()
        return run(arguments[0], params_from_environment())
    except CoaError as error:
        _say_in_red(error.message)
        if error.next_step:
            print(f"Next step: {error.next_step}", flush=True)
        return NOT_STARTED
    except Interrupted as interruption:
        print(interruption, flush=True)
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
    refuse_asking(params, nobody="a headless run cannot ask anyone")
    chosen(params, Pair().params())
    return params


def run(dag_id: str, params: dict[str, Any]) -> int:
    """Exit status of one run of the DAG. Raises `ConfigurationError` when it could not be started."""
    token = secrets.token_hex(8)
    log = logs_folder() / f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{dag_id}-{token[:6]}.log"
    print(f"{dag_id}: starting; full log in {log}", flush=True)
    # The worker's imports take longer than all that it needs from us: it begins before ours.
    with started_worker(dag_id, params, log) as worker:
        with uncollected():
            from coa_airflow.local.follow import follow

        return follow(worker, token, log)


def _say_in_red(text: str) -> None:
    from rich.console import Console
    from rich.markup import escape

    Console(highlight=False, soft_wrap=True).print(f"[red]{escape(text)}[/red]")


def _interrupt(number: int, _frame: object) -> None:
    raise Interrupted(f"Stopped by {signal.Signals(number).name}.")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
