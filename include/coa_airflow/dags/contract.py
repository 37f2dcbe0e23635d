"""DAG `coa_contract`: asks a sandbox how it behaves."""

from __future__ import annotations

from airflow.sdk import DAG, TaskGroup

from coa_airflow import contract_tasks, tasks
from coa_airflow.dags.edition import Edition
from coa_airflow.dags.stages import chain_in_order
from coa_airflow.documents import CONTRACT
from coa_airflow.params import form
from coa_airflow.verdict import verdict


def build(edition: Edition) -> DAG:
    """The DAG of kind `contract`, with the ids, params and owners of an edition."""
    orgs = edition.pair.params()
    with edition.dag(
        "contract",
        "Asks a sandbox how it behaves, with marked records that are deleted again, and keeps the answers as a file",
        params=form("contract", edition.pair),
        writes=True,
        doc=CONTRACT,
    ) as dag:
        approve = contract_tasks.ContractApprovalOperator(
            task_id="approve",
            params=contract_tasks.contract_form(),
            doc_md="Asks a person whether the records of the probes may be made. Nothing is written before.",
        )

        with TaskGroup("load", tooltip="Makes records, and deletes them") as load:
            contract_tasks.ask()

        chain_in_order(
            start=tasks.start(connections=orgs),
            preflight=contract_tasks.preflight(),
            plan=contract_tasks.plan(),
            approve=approve,
            load=load,
            report=tasks.report(),
            verdict=verdict(),
        )
    return dag
