"""The Airflow asset that a verified migration updates, so that a team's own DAGs start from it.

The asset is `coa://<organization id of the target>/orders`. Which org a connection leads to is known only when a
run has asked it, so the DAGs declare an alias, named after the target's connection, and the run names the asset.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.sdk import Asset, AssetAlias

from coa.states import RunState
from coa_airflow.pair import Pair

if TYPE_CHECKING:
    from coa.staging.runs import Run

WRITING_KINDS = frozenset({"migrate", "sync"})
"""Kinds of DAGs whose verified runs have brought orders to the target."""


def orders_alias(pair: Pair) -> AssetAlias:
    """What a DAG of this pair declares as its outlet, and another DAG may be scheduled on."""
    return AssetAlias(f"coa_orders_{pair.target}")


def orders_asset(org_id: str) -> Asset:
    """The orders of one org; `org_id` has 15 or 18 characters, as the org gave it."""
    return Asset(f"coa://{org_id}/orders")


def update_asset(run: Run, context: Any, state: RunState, kind: str) -> bool:
    """Records the asset event of a verified migration; whether there was one.

    Every other end leaves the asset alone: a DAG that starts from it sees proved orders only. `kind` of the DAG.
    """
    if state != RunState.VERIFIED or kind not in WRITING_KINDS:
        return False
    from coa.report.summary import objects_of  # brings psycopg, which reading the DAG files must not

    counts = objects_of(run.record.summary or {})
    extra = {
        "run_id": run.run_id,
        "plan_hash": str(run.record.plan_hash),
        "source_org": str(run.record.source_org["id"]),
        "written": {name: of["inserted"] + of["updated"] for name, of in counts.items()},
    }
    for alias in context["task"].outlets:
        context["outlet_events"][alias].add(orders_asset(str(run.record.target_org["id"])), extra=extra)
    return True
