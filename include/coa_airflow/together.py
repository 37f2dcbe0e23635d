"""Both orgs read at the same time where tasks run one after another, as in a headless run.

The first of the two tasks reads both orgs; what became of the other reading is told by the task whose it is, as if it
had read its org itself: with its own failure, and with tries of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from coa.salesforce.session import Org
    from coa.staging.runs import Run

_begun: dict[tuple[str, str], Future[None] | None] = {}
"""Readings by run and role; None once its task has been told."""


def extract_together(run: Run, open_org: Callable[[str], Org], role: str) -> None:
    """Extracts the org of this role, and with it the other one, unless that was begun before.

    `open_org` is called in this thread: Airflow gives connections to a task's own thread only.
    """
    from coa import pipeline
    from coa.staging.runs import SOURCE, TARGET

    if done := _begun.get((run.run_id, role)):
        _begun[run.run_id, role] = None
        done.result()
        return
    # A task that is tried again finds what it has read so far in staging.
    _begun[run.run_id, role] = None
    mine, other = open_org(role), TARGET if role == SOURCE else SOURCE
    with ThreadPoolExecutor(1) as pool:
        if (run.run_id, other) not in _begun:
            theirs = open_org(other)
            _begun[run.run_id, other] = pool.submit(copy_context().run, pipeline.extract, run, theirs, other)
        pipeline.extract(run, mine, role)
