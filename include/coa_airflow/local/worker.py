"""The worker of a headless run as its parent holds it: started first of all, told what it needs when that is known.

Light to import: whatever the parent imports before the worker begins, the run waits for.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import coa
from coa.child_environment import Child, child_environment

NOT_STARTED = 2
"""Exit status of a command whose run could not begin."""


class Interrupted(Exception):
    """A signal, or the death of `make`, asks us to end."""


@contextmanager
def started_worker(dag_id: str, params: dict[str, Any], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """The process that does the work, once it was told its environment and to go.

    It ends when its standard input closes, that is with us at the latest.
    """
    with log.open("wb") as output:
        worker = subprocess.Popen(
            [sys.executable, "-m", "coa_airflow.local.headless_run", dag_id, json.dumps(params)],
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=output,
            env=with_our_packages(child_environment(Child.WORKER)),
            # Ctrl-C in the terminal reaches us alone.
            start_new_session=True,
        )
    try:
        yield worker
    finally:
        end(worker)


def tell(worker: subprocess.Popen[bytes], line: str) -> None:
    """Sends the worker a line on its standard input."""
    assert worker.stdin is not None
    # A worker that has ended by itself is noticed, and told about, where its end is waited for.
    with suppress(BrokenPipeError):
        worker.stdin.write(f"{line}\n".encode())
        worker.stdin.flush()


def end(worker: subprocess.Popen[bytes]) -> None:
    """Ends the worker and everything that it started."""
    from coa_airflow.local.processes import end_group

    # Once a task has run, Airflow's handler swallows SIGTERM; and the ledger is made for being killed.
    end_group(worker.pid, seconds=0.5)
    worker.wait()


def with_our_packages(environment: dict[str, str]) -> dict[str, str]:
    """The environment with the folder of our packages on Python's path."""
    ours = str(Path(coa.__file__).parents[1])
    return {
        **environment,
        "PYTHONPATH": os.pathsep.join([ours, *filter(None, [environment.get("PYTHONPATH")])]),
    }
