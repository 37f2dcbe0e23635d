"""The tasks of `coa_rollback`; its start, gate, report and verdict are those of `coa_migrate`."""

from __future__ import annotations

from airflow.sdk import task
from airflow.sdk.exceptions import AirflowSkipException

from coa_airflow.environment import artifacts_of, org
from coa_airflow.gate import keep_page
from coa_airflow.retries import PREFLIGHT_POLICY
from coa_airflow.running import task_run
from coa_airflow.waiting import waiting_task


@task(retry_policy=PREFLIGHT_POLICY)
def preflight() -> None:
    """Can this run be undone, and is this the org that it wrote to? Takes the pair of orgs."""
    from coa import pipeline
    from coa_airflow.holder import lease_holder_ended

    with task_run() as run:
        pipeline.rollback_begin(run, org(run, "target"), lease_holder_ended=lease_holder_ended)


@waiting_task
def extract() -> None:
    """Customers, orders and details of the target as they are now."""
    from coa import pipeline

    with task_run() as run:
        pipeline.rollback_extract(run, org(run, "target", deferrable=True))


@task
def plan() -> None:
    """What will be deleted, restored and left, with its hash, as a page for the approver and as plan.json."""
    from coa import pipeline

    with task_run() as run:
        keep_page(run, pipeline.rollback_plan(run, artifacts_of(run.run_id)))


@waiting_task
def undo() -> None:
    """Checks the approval, restores, then deletes children first. Skipped (`AirflowSkipException`) in a dry run."""
    from coa import pipeline

    with task_run() as run:
        if run.params.dry_run:
            raise AirflowSkipException("Dry run: nothing is written.")
        pipeline.rollback_load(run, org(run, "target", deferrable=True))


@waiting_task
def verify() -> None:
    """Reads the target again: what was deleted is gone, what was restored is as it was before."""
    from coa import pipeline

    with task_run() as run:
        pipeline.rollback_verify(run, org(run, "target", deferrable=True))
