"""DAG `coa_rollback`: undoes one run, with a plan and an approval of its own."""

from __future__ import annotations

from airflow.sdk import DAG, TaskGroup

from coa_airflow import rollback_tasks, tasks
from coa_airflow.dags.edition import Edition
from coa_airflow.dags.stages import chain_in_order
from coa_airflow.documents import ROLLBACK
from coa_airflow.gate import PlanApprovalOperator, reason_form
from coa_airflow.params import form
from coa_airflow.verdict import verdict


def build(edition: Edition) -> DAG:
    """The DAG of kind `rollback`, with the ids, params and owners of an edition."""
    orgs = edition.pair.params("target_conn_id")
    with edition.dag(
        "rollback",
        "Undoes a migration run: deletes what it inserted, restores what it updated, if untouched since",
        params=form("rollback", edition.pair),
        writes=True,
        doc=ROLLBACK,
    ) as dag:
        approve = PlanApprovalOperator(
            task_id="approve",
            params=reason_form(),
            doc_md="Asks a person to approve the plan of the roll-back. Nothing is written before.",
        )

        with TaskGroup("load", tooltip="Writes to the target") as load:
            rollback_tasks.undo()

        chain_in_order(
            start=tasks.start(connections=orgs),
            preflight=rollback_tasks.preflight(),
            extract=rollback_tasks.extract(),
            plan=rollback_tasks.plan(),
            approve=approve,
            load=load,
            verify=rollback_tasks.verify(),
            report=tasks.report(),
            verdict=verdict(),
        )
    return dag
