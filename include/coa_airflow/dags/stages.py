"""The tasks that several DAGs have, and their order, which `coa.stages` gives."""

from __future__ import annotations

from typing import Any

from airflow.sdk import DAG, TaskGroup, chain

from coa.stages import EXTRACT, LOAD, in_order, members
from coa_airflow import tasks
from coa_airflow.canary_gate import CanaryApprovalOperator, canary_form


def extract_both() -> TaskGroup:
    """Reads both orgs, at the same time."""
    with TaskGroup(EXTRACT, tooltip="Both orgs, at the same time") as extract:
        for stage in members(EXTRACT):
            role = stage.name.removeprefix("extract_")
            tasks.extract.override(task_id=role)(role)
    return extract


def load_in_lanes() -> TaskGroup:
    """The canary, then customers, orders in lanes, the links between orders, and what is to be mended."""
    with TaskGroup(LOAD, tooltip="Writes to the target") as load:
        lanes = tasks.prepare()
        made = {
            "prepare_load": lanes,
            "load_canary": tasks.canary(),
            "approve_canary": CanaryApprovalOperator(
                task_id="approve_canary",
                params=canary_form(),
                doc_md="Asks a person whether the rest is to be loaded, where `canary_gate` is `ask`; else it passes.",
            ),
            "load_customers": tasks.customers(),
            "load_lanes": tasks.lane.expand(lanes=lanes),
            "load_links": tasks.links(),
            "mend": tasks.mend(),
        }
        chain(*(made[stage.name] for stage in members(LOAD)))
    return load


def chain_in_order(**made: Any) -> None:
    """Puts tasks and groups, by the names of their stages, one after another as the pipeline has them.

    A task that failed ends those that come after it at once, while others go on beside it. The end of the run is told
    when nothing works on it any more: `report` waits for every task that may run beside another.
    """
    chain(*(made[name] for name in in_order(made)))
    for task in _side_by_side(made["report"].operator.dag):
        task.set_downstream(made["report"])


def _side_by_side(dag: DAG) -> list[Any]:
    """Tasks of which several instances run at once, or that may run at the same time as another one."""
    before = {task.task_id: task.get_flat_relative_ids(upstream=True) for task in dag.tasks}
    ordered = {name: before[name] | {n for n, ids in before.items() if name in ids} for name in before}
    return [t for t in dag.tasks if t.is_mapped or len(ordered[t.task_id]) < len(before) - 1]
