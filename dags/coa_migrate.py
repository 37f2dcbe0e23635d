"""DAG `coa_migrate`: one migration run, full or delta, dry or real."""

from __future__ import annotations

from airflow.sdk import DAG, TaskGroup, chain

from coa_airflow import tasks
from coa_airflow.documents import MIGRATE
from coa_airflow.gate import PlanApprovalOperator, approval_form
from coa_airflow.params import migrate_params
from coa_airflow.retries import DEFAULT_ARGS
from coa_airflow.ui.links import link_to_page

with DAG(
    "coa_migrate",
    description="Moves Channel Order App orders from one org to another and proves it field by field",
    schedule=None,
    catchup=False,
    params=migrate_params(),
    default_args=DEFAULT_ARGS,
    doc_md=MIGRATE,
    tags=["channel-order-app", "migration", "writes"],
) as dag:
    with TaskGroup("extract", tooltip="Both orgs, at the same time") as extract:
        tasks.extract.override(task_id="source")("source")
        tasks.extract.override(task_id="target")("target")

    plan = tasks.plan()
    approve = PlanApprovalOperator(
        task_id="approve",
        params=approval_form(),
        doc_md="Asks a person to approve the plan. Nothing is written before.",
    )

    with TaskGroup("load", tooltip="Writes to the target") as load:
        lanes = tasks.prepare()
        customers = tasks.customers()
        orders = tasks.lane.expand(lanes=lanes)
        chain(lanes, customers, orders, tasks.links())

    verify = tasks.verify()
    report = tasks.report()

    chain(tasks.start(), tasks.preflight(), extract, tasks.transform(), tasks.reconcile(), plan)
    chain(plan, approve, load, verify, tasks.freeze_check(), report, tasks.verdict())

link_to_page(*dag.tasks)
