"""The frame around each task: finds the run, adds it to the log's context, records errors.

A task is given no run id: the run is the one that belongs to the task's own Airflow run, so a forged XCom
cannot point a task at another run's plan.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import structlog
from airflow.sdk import get_current_context
from airflow.sdk.exceptions import AirflowException

from coa.errors import BY_RULE, CoaError, ConfigurationError, JobStillRunning, RetryableError, RunStopped
from coa.private_files import keep_files_private
from coa_airflow.approvers import who_triggers
from coa_airflow.deployment import origin_of
from coa_airflow.environment import settings, staging

if TYPE_CHECKING:
    from coa.staging.database import Database
    from coa.staging.runs import Run

TASK_FAILED = "task_failed"
"""Event of a run: a task ended badly; data: task, kind, state, message."""


@contextmanager
def task_run(*, ending: bool = False) -> Iterator[Run]:
    """The run of the current task. What goes wrong inside is kept for the run's end state.

    Raises `ConfigurationError` when the Airflow run only has the id of the one that the run was made for.

    `ending`: the task only looks at what the others did. Any other task that runs again (somebody
    cleared it) reopens a run that had ended.
    """
    from coa.failures import classified
    from coa.staging.runs import Run, require_same

    keep_files_private()
    context = get_current_context()
    ti, dag_run = context["ti"], context["dag_run"]
    db = staging()
    origin = origin_of(dag_run, db)
    run_id = run_id_of(db, origin.deployment, ti.dag_id, ti.run_id)
    with structlog.contextvars.bound_contextvars(coa_run=run_id):
        run = Run.load(db, settings(), run_id, ending=ending)
        # Not in `start` alone: its task may have been marked as success.
        require_same(run.record, origin, who_triggers(dag_run))
        if not ending:
            run.reopen()
        try:
            with run.at_work():
                yield run
        except AirflowException:
            raise  # skipping and parking are no failures
        except JobStillRunning as waiting:
            from coa_airflow.deferral import defer

            defer(run, waiting)
        except Exception as error:
            known = classified(error, f"Task {task_name(ti)} of run {run_id}") or error
            record_failure(run, task_name(ti), known)
            if known is error:
                raise
            raise known from error


def run_id_of(db: Database, deployment: str, dag_id: str, airflow_run_id: str) -> str:
    """Raises `ConfigurationError` when the Airflow run has no run of ours (its task `start` did not pass)."""
    from coa.staging.runs import find_run_id

    found = find_run_id(db, deployment, dag_id, airflow_run_id)
    if found is None:
        raise ConfigurationError(
            f"The Airflow run {airflow_run_id} of {dag_id} has not started a migration run.",
            next_step="look at the log of its task `start`.",
        )
    return found


def _remember_stop(run: Run, stopped: RunStopped) -> None:
    """As `coa.pipeline` does for a rule that stops one of its own stages."""
    run.update(message=str(stopped), stopped_state=stopped.state)


def record_failure(run: Run, task: str, error: BaseException) -> None:
    """One event that says which task failed and why, in words for the run's message."""
    if isinstance(error, RunStopped):
        _remember_stop(run, error)
    run.events.add(
        TASK_FAILED,
        "error",
        task=task,
        kind=type(error).__name__,
        retryable=isinstance(error, RetryableError),
        state=error.state if isinstance(error, RunStopped) else "",
        message=str(error) if isinstance(error, CoaError) else f"{type(error).__name__}: {first_line(error)}",
    )


def first_line(error: BaseException) -> str:
    """First line of an error, at most 500 characters."""
    return (str(error).strip().splitlines() or [""])[0][:500]


def task_name(ti: Any) -> str:
    """As Airflow's list of states names it: `load.lane_2` is the third mapped instance of `load.lane`."""
    index = getattr(ti, "map_index", -1)
    return f"{ti.task_id}_{index}" if index is not None and index >= 0 else str(ti.task_id)


def failed_tasks(ti: Any) -> list[str]:
    """Names of the tasks of this Airflow run that failed for good, `upstream_failed` not counted."""
    states: dict[str, dict[str, str]] = ti.get_task_states(dag_id=ti.dag_id, run_ids=[ti.run_id])
    return sorted(task for task, state in states.get(ti.run_id, {}).items() if state == "failed")


def failures(run: Run, failed: list[str]) -> tuple[str | None, bool]:
    """Why tasks failed, None when none did; and whether one failed that no rule of ours ended.

    What a rule says stands in the run already. A task that was killed leaves no message: it is named instead.
    """
    events = run.db.rows(
        "SELECT data FROM coa.event WHERE run_id = %s AND event = %s ORDER BY event_id",
        [run.run_id, TASK_FAILED],
    )
    last = {str(event["data"]["task"]): event["data"] for event in events}
    known = {task: last.get(task) for task in failed}
    messages = [
        f"{task}: {data['message']}" if data else f"{task}: it ended without a message (killed?)."
        for task, data in known.items()
        if not (data and data["state"])
    ]
    by_rule = {kind.__name__ for kind in BY_RULE}
    crashed = any(data is None or data["kind"] not in by_rule for data in known.values())
    return " ".join(messages) or None, crashed
