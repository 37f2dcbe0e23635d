"""The tasks of `coa_setup_target`; its start, report and verdict are those of `coa_migrate`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.sdk import task

from coa.errors import ConfigurationError
from coa_airflow.environment import artifacts_of, metadata_folder, org
from coa_airflow.gate import PlanApprovalOperator, keep_page
from coa_airflow.retries import PREFLIGHT_POLICY
from coa_airflow.running import task_run

if TYPE_CHECKING:
    from coa.staging.runs import Run


class SetupApprovalOperator(PlanApprovalOperator):
    """The gate of a set-up. Where nothing is missing nobody is asked."""

    def execute(self, context: Any) -> Any:
        """Asks as the gate of a plan does, except where nothing is to be done."""
        from coa.target_fields.stage import todo_of

        with task_run() as run:
            if not todo_of(run):
                self.log.info("Nothing is missing: nothing to approve.")
                return {}
        return super().execute(context)


@task(retry_policy=PREFLIGHT_POLICY)
def preflight() -> None:
    """Is this an org that the fields may be deployed to, and may the user? Lists what is missing."""
    from coa import pipeline
    from coa_airflow.holder import lease_holder_ended

    with task_run() as run:
        sources, why = _sources(run)
        pipeline.setup_begin(run, org(run, "target"), sources, why, lease_holder_ended=lease_holder_ended)


def _sources(run: Run) -> tuple[list[str], str]:
    """Ids of the orgs behind the source's connection, and why there is none: there may be no source yet."""
    try:
        return [org(run, "source").organization_id()], ""
    except ConfigurationError as error:
        return [], error.message


@task
def plan() -> None:
    """What is to be deployed and assigned, with a hash, as a page for the approver and as plan.json."""
    from coa import pipeline

    with task_run() as run:
        keep_page(run, pipeline.setup_plan(run, artifacts_of(run.run_id)))


@task
def deploy() -> str:
    """Deploys fields and permission set by the Metadata API, assigns, and looks at them again."""
    from coa import pipeline

    with task_run() as run:
        return pipeline.setup_deploy(run, org(run, "target"), metadata_folder())
