"""DAG `coa_preflight`: everything up to the plan; writes nothing to any org."""

from __future__ import annotations

from airflow.sdk import DAG, TaskGroup, chain

from coa_airflow import tasks
from coa_airflow.documents import PREFLIGHT
from coa_airflow.params import policy_params
from coa_airflow.retries import DEFAULT_ARGS
from coa_airflow.ui.links import link_to_page

with DAG(
    "coa_preflight",
    description="Checks two orgs and computes the plan of a migration; writes nothing",
    schedule=None,
    catchup=False,
    params=policy_params(),
    default_args=DEFAULT_ARGS,
    doc_md=PREFLIGHT,
    tags=["channel-order-app", "migration", "read-only"],
) as dag:
    with TaskGroup("extract", tooltip="Both orgs, at the same time") as extract:
        tasks.extract.override(task_id="source")("source")
        tasks.extract.override(task_id="target")("target")

    chain(
        tasks.start(only_plan=True),
        tasks.preflight(),
        extract,
        tasks.transform(),
        tasks.reconcile(),
        tasks.plan(),
        tasks.report(),
        tasks.verdict(),
    )

link_to_page(*dag.tasks)
