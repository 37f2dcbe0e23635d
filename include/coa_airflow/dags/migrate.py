"""DAG `coa_migrate`: one migration run, full or delta, dry or real."""

from __future__ import annotations

from airflow.sdk import DAG

from coa_airflow import tasks
from coa_airflow.dags.edition import Edition
from coa_airflow.dags.stages import chain_in_order, extract_both, load_in_lanes
from coa_airflow.documents import MIGRATE
from coa_airflow.gate import PlanApprovalOperator, approval_form
from coa_airflow.params import form
from coa_airflow.verdict import verdict_of


def build(edition: Edition) -> DAG:
    """The DAG of kind `migrate`, with the ids, params and owners of an edition."""
    orgs = edition.pair.params()
    with edition.dag(
        "migrate",
        "Moves Channel Order App orders from one org to another and proves it field by field",
        params=form("migrate", edition.pair),
        writes=True,
        doc=MIGRATE,
    ) as dag:
        chain_in_order(
            start=tasks.start(connections=orgs),
            preflight=tasks.preflight(),
            extract=extract_both(),
            transform=tasks.transform(),
            reconcile=tasks.reconcile(),
            plan=tasks.plan(),
            approve=PlanApprovalOperator(
                task_id="approve",
                params=approval_form(edition.dag_id("sync")),
                doc_md="Asks a person to approve the plan. Nothing is written before.",
            ),
            load=load_in_lanes(),
            verify=tasks.verify(),
            freeze_check=tasks.freeze_check(),
            report=tasks.report(),
            verdict=verdict_of(edition.pair)(),
        )
    return dag
