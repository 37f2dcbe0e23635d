"""DAG `coa_verify`: compares what was migrated, at any time; writes nothing to any org."""

from __future__ import annotations

from airflow.sdk import DAG

from coa_airflow import tasks
from coa_airflow.dags.edition import Edition
from coa_airflow.dags.stages import chain_in_order
from coa_airflow.documents import VERIFY
from coa_airflow.params import form
from coa_airflow.verdict import verdict


def build(edition: Edition) -> DAG:
    """The DAG of kind `verify`, with the ids, params and owners of an edition."""
    orgs = edition.pair.params()
    with edition.dag(
        "verify",
        "Compares what was migrated, field by field, at any time; writes nothing",
        params=form("verify", edition.pair),
        writes=False,
        doc=VERIFY,
    ) as dag:
        chain_in_order(
            start=tasks.start(connections=orgs),
            verify=tasks.verify_migrated.override(task_id="verify")(),
            report=tasks.report(),
            verdict=verdict(),
        )
    return dag
