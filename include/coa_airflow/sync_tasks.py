"""What `coa_sync` does otherwise than `coa_migrate`: its schedule, its approval."""

from __future__ import annotations

from typing import Any

from airflow.sdk import task
from airflow.sdk.exceptions import AirflowSkipException

from coa.config import Settings
from coa_airflow.running import task_run


def schedule() -> str | None:
    """COA_SYNC_SCHEDULE: a cron expression or a preset such as `@hourly`; empty: only by hand.

    Read from the environment: an Airflow variable would be asked for at every parse of the file.
    """
    return Settings.from_environment("sync_schedule").sync_schedule or None


@task
def standing_approval() -> dict[str, Any]:
    """Approves the plan by the standing approval of this pair of orgs, if it covers the plan.

    Skipped (`AirflowSkipException`) in a dry run.
    """
    from coa.approval import record as approval

    with task_run() as run:
        if run.params.dry_run:
            raise AirflowSkipException("Dry run: the plan is ready, nothing is written.")
        granted = approval.record_standing(run)
        return {"standing_id": granted["standing_id"], "granted_by": granted["granted_by"]}
