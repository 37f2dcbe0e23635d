"""DAG `coa_preflight`: everything up to the plan; writes nothing to any org."""

from __future__ import annotations

from airflow.sdk import DAG, chain

from coa_airflow import tasks
from coa_airflow.dags.edition import Edition
from coa_airflow.dags.stages import chain_in_order, extract_both
from coa_airflow.documents import PREFLIGHT
from coa_airflow.params import form
from coa_airflow.verdict import verdict


def build(edition: Edition) -> DAG:
    """The DAG of kind `preflight`, with the ids, params and owners of an edition."""
    orgs = edition.pair.params()
    with edition.dag(
        "preflight",
        "Checks two orgs and computes the plan of a migration; writes nothing",
        params=form("preflight", edition.pair),
        writes=False,
        doc=PREFLIGHT,
    ) as dag:
        started, prepared = tasks.start(only_plan=True, connections=orgs), tasks.preflight()
        # Not a stage of the pipeline: the quick answer before the thorough one.
        chain(started, tasks.check(), prepared)
        chain_in_order(
            start=started,
            preflight=prepared,
            extract=extract_both(),
            transform=tasks.transform(),
            reconcile=tasks.reconcile(),
            plan=tasks.plan(),
            report=tasks.report(),
            verdict=verdict(),
        )
    return dag
