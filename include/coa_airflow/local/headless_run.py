"""The worker of a headless run: runs one DAG in this process.

Started by `headless` only, which writes two lines to our standard input: the environment, as JSON, when the
server of Airflow's database is up, and `go` when that database is there. What can be imported meanwhile is.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from contextlib import suppress
from importlib import import_module
from typing import Any

from coa.private_files import keep_files_private
from coa_airflow.local.imports import uncollected

GO = "go"


def main(dag_id: str, params: dict[str, Any]) -> int:
    """The worker: waits for its environment on standard input, then runs the DAG once. Gives the exit status."""
    keep_files_private()
    with uncollected():
        _import_what_needs_no_settings()
        line = sys.stdin.readline()
        if not line:
            return 1
        os.environ.clear()
        os.environ.update(json.loads(line))

        from coa_airflow.environment import HEADLESS, staging
        from coa_airflow.headless_token import alive
        from coa_airflow.local.one_run import OneRun

        run = OneRun(dag_id)
    if sys.stdin.readline().strip() != GO:
        return 1
    threading.Thread(target=_end_with_parent, daemon=True).start()
    token = os.environ[HEADLESS]
    with alive(staging(), token):
        run.execute(params, token)
    return 0


LIBRARIES = (
    "coa.pipeline",
    "libcst",
    "sqlalchemy.orm",
    "opentelemetry.sdk.trace",
    "httpx",
    "jinja2",
    "cryptography.fernet",
)
"""What takes longest to import of all that Airflow's code imports, but for Airflow itself; our engine first."""


def _import_what_needs_no_settings() -> None:
    """While the server starts. Airflow itself reads its settings while it is imported."""
    for name in LIBRARIES:
        # Another version of Airflow may do without one of them: then nothing is gained by it.
        with suppress(ImportError):
            import_module(name)


def _end_with_parent() -> None:
    """The other end of our standard input closes when the parent ends, however that happens."""
    sys.stdin.read()
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], json.loads(sys.argv[2])))
