"""DAG `coa_relink`: sets lookups of other records in the target to what was moved."""

from __future__ import annotations

from airflow.sdk import DAG, TaskGroup

from coa_airflow import relink_tasks, tasks
from coa_airflow.dags.edition import Edition
from coa_airflow.dags.stages import chain_in_order
from coa_airflow.documents import RELINK
from coa_airflow.gate import PlanApprovalOperator, reason_form
from coa_airflow.params import form
from coa_airflow.verdict import verdict


def build(edition: Edition) -> DAG:
    """The DAG of kind `relink`, with the ids, params and owners of an edition."""
    orgs = edition.pair.params()
    with edition.dag(
        "relink",
        "Sets lookups of other records in the target to what was moved, where the old id stands in a text",
        params=form("relink", edition.pair),
        writes=True,
        doc=RELINK,
    ) as dag:
        approve = PlanApprovalOperator(
            task_id="approve",
            params=reason_form(),
            doc_md="Asks a person to approve which lookups are set. Nothing is written before.",
        )

        with TaskGroup("load", tooltip="Writes to the target") as load:
            relink_tasks.set_lookups()

        chain_in_order(
            start=tasks.start(connections=orgs),
            preflight=relink_tasks.preflight(),
            extract=relink_tasks.extract(),
            plan=relink_tasks.plan(),
            approve=approve,
            load=load,
            verify=relink_tasks.verify(),
            report=tasks.report(),
            verdict=verdict(),
        )
    return dag
