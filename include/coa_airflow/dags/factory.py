"""Makes the DAGs for a pair of orgs: those in `dags/` without arguments, others with."""

from __future__ import annotations

from collections.abc import Callable

from airflow.sdk import DAG
from airflow.sdk.definitions.param import ParamsDict

from coa.kinds import KINDS
from coa_airflow.dags import contract, migrate, preflight, relink, rollback, setup_target, sync, verify
from coa_airflow.dags.edition import PREFIX, Edition
from coa_airflow.pair import Pair
from coa_airflow.ui.links import link_to_page

_BUILDERS: dict[str, Callable[[Edition], DAG]] = {
    "preflight": preflight.build,
    "migrate": migrate.build,
    "sync": sync.build,
    "verify": verify.build,
    "rollback": rollback.build,
    "relink": relink.build,
    "contract": contract.build,
    "setup_target": setup_target.build,
}


def migration_dags(
    *,
    source_conn_id: str = Pair.source,
    target_conn_id: str = Pair.target,
    team: str = "",
    prefix: str = PREFIX,
) -> list[DAG]:
    """All DAGs for one pair of orgs, ids `<prefix>_preflight`, `<prefix>_migrate` ...

    Call it at the top level of a file in a DAGs folder; Airflow finds the DAGs by themselves. Several pairs
    may share one staging database: what was moved is kept by pair of orgs. `team` becomes the owner of the
    tasks and a tag. Raises `ConfigurationError` for names that Airflow could not use.
    """
    edition = Edition(Pair(source_conn_id, target_conn_id), team, prefix)
    return [_built(kind, edition) for kind in KINDS]


def migration_dag(
    kind: str,
    *,
    source_conn_id: str = Pair.source,
    target_conn_id: str = Pair.target,
    team: str = "",
    prefix: str = PREFIX,
) -> DAG:
    """One of them, for files that hold one DAG each; `kind` is one of `coa.kinds.KINDS`."""
    return _built(kind, Edition(Pair(source_conn_id, target_conn_id), team, prefix))


def _built(kind: str, edition: Edition) -> DAG:
    dag = _BUILDERS[kind](edition)
    for task in dag.tasks:
        # Airflow gives each task a copy of the DAG's fifty params, which it stores and checks task by task, and
        # merges them in again when the task runs: a task keeps those that are its own, such as the gate's form.
        task.params = ParamsDict.filter_params_by_source(task.params, source="task")
    link_to_page(*dag.tasks)
    return dag
