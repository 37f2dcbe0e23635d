"""The tasks of `coa_relink`; its start, gate, report and verdict are those of `coa_migrate`."""

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
    """Was anything moved between these orgs, and can the rules of the mapping file be followed? Takes the pair."""
    from coa import pipeline
    from coa_airflow.holder import lease_holder_ended

    with task_run() as run:
        pipeline.relink_begin(
            run,
            org(run, "source"),
            org(run, "target"),
            artifacts_of(run.run_id),
            lease_holder_ended=lease_holder_ended,
        )


@waiting_task
def extract() -> None:
    """The records of the target that the rules look at, as they are now."""
    from coa import pipeline

    with task_run() as run:
        pipeline.relink_extract(run, org(run, "target", deferrable=True))


@task
def plan() -> None:
    """Which lookups are set and which are left, with its hash, as a page for the approver and as plan.json."""
    from coa import pipeline

    with task_run() as run:
        keep_page(run, pipeline.relink_plan(run, artifacts_of(run.run_id)))


@waiting_task
def set_lookups() -> None:
    """Checks the approval, then sets the lookups that are still as the plan saw them. Skipped in a dry run
    (`AirflowSkipException`)."""
    from coa import pipeline

    with task_run() as run:
        if run.params.dry_run:
            raise AirflowSkipException("Dry run: nothing is written.")
        pipeline.relink_load(run, org(run, "target", deferrable=True))


@waiting_task
def verify() -> None:
    """Reads the records again: each lookup leads to the moved record."""
    from coa import pipeline

    with task_run() as run:
        pipeline.relink_verify(run, org(run, "target", deferrable=True))
