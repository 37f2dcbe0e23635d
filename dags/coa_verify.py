"""DAG `coa_verify`: compares what was migrated, at any time; writes nothing to any org."""

from __future__ import annotations

from airflow.sdk import DAG, chain

from coa_airflow import tasks
from coa_airflow.documents import VERIFY
from coa_airflow.params import verify_params
from coa_airflow.retries import DEFAULT_ARGS
from coa_airflow.ui.links import link_to_page

with DAG(
    "coa_verify",
    description="Compares what was migrated, field by field, at any time; writes nothing",
    schedule=None,
    catchup=False,
    params=verify_params(),
    default_args=DEFAULT_ARGS,
    doc_md=VERIFY,
    tags=["channel-order-app", "migration", "read-only"],
) as dag:
    chain(
        tasks.start(),
        tasks.verify_migrated.override(task_id="verify")(),
        tasks.report(),
        tasks.verdict(),
    )

link_to_page(*dag.tasks)
