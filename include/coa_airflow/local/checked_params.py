"""Params that were checked before, for tasks that would check each of them again."""

from __future__ import annotations

from typing import Any

from airflow.sdk import Param
from airflow.sdk.definitions._internal.types import NOTSET, is_arg_set
from airflow.sdk.definitions.param import ParamsDict


class _Checked(Param):  # type: ignore[misc]  # Airflow has no types for us
    """Takes a value as it is. A param without one is Airflow's to refuse."""

    def resolve(self, value: Any = NOTSET, suppress_exception: bool = False) -> Any:
        if value is not NOTSET:
            self.value = value
        return (
            self.value if is_arg_set(self.value) else super().resolve(suppress_exception=suppress_exception)
        )


def take_as_checked(dag: Any) -> None:
    """Leaves out the JSON schemas of a DAG's params, by which each task checks all of them before it begins.

    For a run whose command has checked what it was given (`headless.params_from_environment`), by the classes that the
    schemas are made from; `start` does so again.
    """
    for owner in (dag, *dag.tasks):
        owner.params = ParamsDict(
            {
                name: _Checked(
                    param.value, description=param.description, source=param.source, **param.schema
                )
                for name, param in owner.params.items()
            }
        )
