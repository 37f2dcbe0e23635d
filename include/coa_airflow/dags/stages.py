"""Groups of tasks that several DAGs have."""

from __future__ import annotations

from airflow.sdk import TaskGroup, chain

from coa_airflow import tasks


def extract_both() -> TaskGroup:
    """Reads both orgs, at the same time."""
    with TaskGroup("extract", tooltip="Both orgs, at the same time") as extract:
        tasks.extract.override(task_id="source")("source")
        tasks.extract.override(task_id="target")("target")
    return extract


def load_in_lanes() -> TaskGroup:
    """Customers, then orders in lanes, then the links between orders."""
    with TaskGroup("load", tooltip="Writes to the target") as load:
        lanes = tasks.prepare()
        customers = tasks.customers()
        orders = tasks.lane.expand(lanes=lanes)
        chain(lanes, customers, orders, tasks.links())
    return load
