"""What `coa_sync` does otherwise than `coa_migrate`: its schedule, its params, its approval."""

from __future__ import annotations

import os
from typing import Any

from airflow.sdk import Param, task
from airflow.sdk.exceptions import AirflowSkipException

from coa_airflow.params import policy_params
from coa_airflow.running import task_run


def schedule() -> str | None:
    """COA_SYNC_SCHEDULE: a cron expression or a preset such as `@hourly`; empty: only by hand.

    Read from the environment: an Airflow variable would be asked for at every parse of the file.
    """
    return os.environ.get("COA_SYNC_SCHEDULE", "").strip() or None


def sync_params() -> dict[str, Param]:
    params = policy_params()
    params["mode"] = Param(
        "delta",
        type="string",
        enum=["delta"],
        title="Mode",
        description_md="What changed since the last run of this pair of orgs.",
        section="What to do",
    )
    gate = params["canary_gate"]
    gate.schema["enum"] = [choice for choice in gate.schema["enum"] if choice != "ask"]
    return params


@task
def standing_approval() -> dict[str, Any]:
    """Approves the plan by the standing approval of this pair of orgs, if it covers the plan."""
    from coa.approval import record as approval

    with task_run() as run:
        if run.params.dry_run:
            raise AirflowSkipException("Dry run: the plan is ready, nothing is written.")
        granted = approval.record_standing(run)
        return {"standing_id": granted["standing_id"], "granted_by": granted["granted_by"]}
