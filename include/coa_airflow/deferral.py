"""Parks the current task until a Bulk job is over."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

from airflow.sdk.exceptions import TaskDeferred

from coa_airflow.job_trigger import BulkJobTrigger
from coa_airflow.pair import role_of

if TYPE_CHECKING:
    from coa.errors import JobStillRunning
    from coa.staging.runs import Run

RESUME = "resume"
"""Name of the method of `WaitingOperator` that Airflow calls when the trigger fired."""


def defer(run: Run, waiting: JobStillRunning) -> NoReturn:
    """Raises `TaskDeferred`: Airflow parks the current task until the job is over."""
    role = role_of(run, waiting.org)
    run.events.add("wait_handed_over", job_id=waiting.job_id, org=role, kind=waiting.kind)
    raise TaskDeferred(
        trigger=BulkJobTrigger(run.run_id, role, waiting.kind, waiting.job_id),
        method_name=RESUME,
    )
