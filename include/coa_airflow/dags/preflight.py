"""DAG `coa_preflight`: everything up to the plan; writes nothing to any org."""

from __future__ import annotations

from airflow.sdk import DAG

from coa_airflow import tasks
from coa_airflow.dags.edition import Edition
from coa_airflow.dags.stages import chain_in_order, extract_both
from coa_airflow.documents import PREFLIGHT
from coa_airflow.params import connection_params, policy_params


def build(edition: Edition) -> DAG:
    orgs = edition.pair.params()
    with edition.dag(
        "preflight",
        "Checks two orgs and computes the plan of a migration; writes nothing",
        params={**policy_params(), **connection_params(orgs)},
        writes=False,
        doc=PREFLIGHT,
    ) as dag:
        chain_in_order(
            start=tasks.start(only_plan=True, connections=orgs),
            preflight=tasks.preflight(),
            extract=extract_both(),
            transform=tasks.transform(),
            reconcile=tasks.reconcile(),
            plan=tasks.plan(),
            report=tasks.report(),
            verdict=tasks.verdict(),
        )
    return dag
