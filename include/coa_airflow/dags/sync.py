"""DAG `coa_sync`: scheduled deltas until cut-over, under a standing approval."""

from __future__ import annotations

from airflow.sdk import DAG

from coa_airflow import sync_tasks, tasks
from coa_airflow.dags.edition import Edition
from coa_airflow.dags.stages import chain_in_order, extract_both, load_in_lanes
from coa_airflow.documents import SYNC
from coa_airflow.params import form
from coa_airflow.verdict import verdict_of


def build(edition: Edition) -> DAG:
    """The DAG of kind `sync`, with the ids, params and owners of an edition."""
    orgs = edition.pair.params()
    with edition.dag(
        "sync",
        "Carries changes of the source to the target, on a schedule, under a standing approval",
        params=form("sync", edition.pair),
        writes=True,
        doc=SYNC,
        schedule=sync_tasks.schedule(),
        max_active_runs=1,
        is_paused_upon_creation=True,
    ) as dag:
        chain_in_order(
            start=tasks.start(connections=orgs, under_grant=True),
            preflight=tasks.preflight(),
            extract=extract_both(),
            transform=tasks.transform(),
            reconcile=tasks.reconcile(),
            plan=tasks.plan(),
            approve=sync_tasks.standing_approval.override(task_id="approve")(),
            load=load_in_lanes(),
            verify=tasks.verify(),
            report=tasks.report(),
            verdict=verdict_of(edition.pair)(),
        )
    return dag
