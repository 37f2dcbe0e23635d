"""DAG `coa_rollback`: undoes one run, with a plan and an approval of its own."""

from __future__ import annotations

from airflow.sdk import DAG, TaskGroup, chain

from coa_airflow import rollback_tasks, tasks
from coa_airflow.documents import ROLLBACK
from coa_airflow.gate import PlanApprovalOperator
from coa_airflow.retries import DEFAULT_ARGS
from coa_airflow.ui.links import link_to_page

with DAG(
    "coa_rollback",
    description="Undoes a migration run: deletes what it inserted, restores what it updated, if untouched since",
    schedule=None,
    catchup=False,
    params=rollback_tasks.rollback_params(),
    default_args=DEFAULT_ARGS,
    doc_md=ROLLBACK,
    tags=["channel-order-app", "migration", "writes"],
) as dag:
    approve = PlanApprovalOperator(
        task_id="approve",
        params=rollback_tasks.rollback_form(),
        doc_md="Asks a person to approve the plan of the roll-back. Nothing is written before.",
    )

    with TaskGroup("load", tooltip="Writes to the target") as load:
        rollback_tasks.undo()

    chain(
        tasks.start(),
        rollback_tasks.preflight(),
        rollback_tasks.extract(),
        rollback_tasks.plan(),
        approve,
        load,
        rollback_tasks.verify(),
        tasks.report(),
        tasks.verdict(),
    )

link_to_page(*dag.tasks)
