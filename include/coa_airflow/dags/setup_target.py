"""DAG `coa_setup_target`: the migration's fields and permission set, deployed after an approval."""

from __future__ import annotations

from airflow.sdk import DAG, TaskGroup

from coa_airflow import setup_tasks, tasks
from coa_airflow.dags.edition import Edition
from coa_airflow.dags.stages import chain_in_order
from coa_airflow.documents import SETUP_TARGET
from coa_airflow.gate import reason_form
from coa_airflow.params import form
from coa_airflow.verdict import verdict


def build(edition: Edition) -> DAG:
    """The DAG of kind `setup_target`, with the ids, params and owners of an edition."""
    with edition.dag(
        "setup_target",
        "Deploys the migration's fields and permission set to the target, after an approval",
        params=form("setup_target", edition.pair),
        writes=True,
        doc=SETUP_TARGET,
    ) as dag:
        approve = setup_tasks.SetupApprovalOperator(
            task_id="approve",
            params=reason_form(),
            doc_md="Asks a person whether it may be deployed. Nobody is asked where nothing is missing.",
        )

        with TaskGroup("load", tooltip="Deploys and assigns") as load:
            setup_tasks.deploy()

        chain_in_order(
            start=tasks.start(connections=edition.pair.params()),
            preflight=setup_tasks.preflight(),
            plan=setup_tasks.plan(),
            approve=approve,
            load=load,
            report=tasks.report(),
            verdict=verdict(),
        )
    return dag
