"""DAG `coa_sync`: scheduled deltas until cut-over, under a standing approval."""

from __future__ import annotations

from airflow.sdk import DAG, TaskGroup, chain

from coa_airflow import sync_tasks, tasks
from coa_airflow.documents import SYNC
from coa_airflow.retries import DEFAULT_ARGS
from coa_airflow.ui.links import link_to_page

with DAG(
    "coa_sync",
    description="Brings what changed in the source to the target, on a schedule, under a standing approval",
    schedule=sync_tasks.schedule(),
    catchup=False,
    max_active_runs=1,
    is_paused_upon_creation=True,
    params=sync_tasks.sync_params(),
    default_args=DEFAULT_ARGS,
    doc_md=SYNC,
    tags=["channel-order-app", "migration", "writes"],
) as dag:
    with TaskGroup("extract", tooltip="Both orgs, at the same time") as extract:
        tasks.extract.override(task_id="source")("source")
        tasks.extract.override(task_id="target")("target")

    plan = tasks.plan()

    with TaskGroup("load", tooltip="Writes to the target") as load:
        lanes = tasks.prepare()
        customers = tasks.customers()
        orders = tasks.lane.expand(lanes=lanes)
        chain(lanes, customers, orders, tasks.links())

    chain(tasks.start(), tasks.preflight(), extract, tasks.transform(), tasks.reconcile(), plan)
    chain(
        plan,
        sync_tasks.standing_approval.override(task_id="approve")(),
        load,
        tasks.verify(),
        tasks.report(),
        tasks.verdict(),
    )

link_to_page(*dag.tasks)
