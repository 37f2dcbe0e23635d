"""Whether the run that holds a pair of orgs can still do anything."""

from __future__ import annotations

from typing import Any

from airflow.sdk import get_current_context

ENDED = ("success", "failed")


def lease_holder_ended(run_row: dict[str, Any]) -> bool:
    """True when that run's process is dead (headless), or its Airflow run has ended.

    Only of a run of this Airflow: another one may have given the same ids to runs of its own.
    """
    from coa_airflow.deployment import deployment
    from coa_airflow.environment import staging
    from coa_airflow.headless_token import process_lives

    token = run_row["headless_token"]
    if token:
        return not process_lives(staging(), token)
    if run_row["deployment"] != deployment(staging()):
        return False
    ti: Any = get_current_context()["ti"]
    try:
        return ti.get_dagrun_state(run_row["dag_id"], run_row["airflow_run_id"]) in ENDED
    except Exception as error:  # noqa: BLE001  # deleted meanwhile: only its lease tells
        import structlog

        structlog.get_logger(__name__).info(
            "holder unknown to this Airflow", run=run_row["run_id"], why=str(error)[:200]
        )
        return False
