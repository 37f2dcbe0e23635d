"""The tasks of `coa_contract`; its start, report and verdict are those of `coa_migrate`."""

from __future__ import annotations

from typing import Any

from airflow.sdk import Param, task

from coa_airflow.environment import artifacts_of, org
from coa_airflow.gate import PlanApprovalOperator, keep_page, reason_form
from coa_airflow.retries import PREFLIGHT_POLICY
from coa_airflow.running import task_run


def contract_form() -> dict[str, Param]:
    """What the approver may fill in and tick."""
    return {
        **reason_form(),
        "confirm_status_probes": Param(
            False,
            type=["null", "boolean"],
            title="Orders may be made something else than Draft",
            description="Only for a run with status_probes. Each such order is deleted as soon as it was looked at.",
        ),
        "confirm_submit_risk": Param(
            False,
            type=["null", "boolean"],
            title="Also where an order could be sent",
            description="The findings name the jobs, flows and triggers, or the live connection.",
        ),
    }


class ContractApprovalOperator(PlanApprovalOperator):
    """The gate of a contract. A source is only read: nobody is asked."""

    def execute(self, context: Any) -> Any:
        """Asks as the gate of a plan does, except for a source."""
        with task_run() as run:
            if run.params.role == "source":
                self.log.info("The source is only read: nothing to approve.")
                return {}
        return super().execute(context)


@task(retry_policy=PREFLIGHT_POLICY)
def preflight() -> None:
    """Is this an org that may be asked? Deletes what a contract that was killed has left in it."""
    from coa import pipeline
    from coa_airflow.holder import lease_holder_ended

    with task_run() as run:
        pipeline.contract_begin(run, org(run, run.params.role), lease_holder_ended=lease_holder_ended)


@task
def plan() -> None:
    """The questions, and how many records they make, with a hash, as a page for the approver and as plan.json."""
    from coa import pipeline

    with task_run() as run:
        keep_page(run, pipeline.contract_plan(run, artifacts_of(run.run_id)))


@task
def ask() -> dict[str, int]:
    """Asks, keeps the answers as a cassette, deletes every record that it made, and proves it."""
    from coa import pipeline

    with task_run() as run:
        return pipeline.contract_ask(run, org(run, run.params.role))
