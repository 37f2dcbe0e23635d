"""The tasks that several DAGs have, and their order, which `coa.stages` gives."""

from __future__ import annotations

from typing import Any

from airflow.sdk import TaskGroup, chain

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
    """Puts tasks and groups, by the names of their stages, one after another as the pipeline has them."""
    chain(*(made[name] for name in in_order(made)))
