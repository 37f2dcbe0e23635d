"""The trigger forms of the DAGs, made of the model of the params (`coa.config.params`), which checks them again."""

from __future__ import annotations

from functools import cache
from typing import Any

from airflow.sdk import Param

from coa.config.params import SHOWN, RunParams
from coa.config.shown import MIGRATION
from coa_airflow.pair import Pair, allowed


def form(kind: str, pair: Pair) -> dict[str, Param]:
    """The params of a kind of DAG (`coa.kinds`) that names this pair of connections."""
    connections = pair.params()
    return {
        name: _connection(name, connections[name]) if name in connections else _param(kind, name)
        for name, shown in SHOWN.items()
        if kind in shown.kinds
    }


def _param(kind: str, name: str) -> Param:
    shown, schema = SHOWN[name], _schema(name)
    if kind in shown.elsewhere:
        schema["title"], schema["description_md"] = shown.elsewhere[kind]
    if kind not in MIGRATION:
        # So few that all of them stand open.
        del schema["section"]
    if kind in shown.offers:
        schema["enum"] = list(shown.offers[kind])
        schema["values_display"] = {code: schema["values_display"][code] for code in shown.offers[kind]}
        schema["default"] = schema["enum"][0]
    return Param(schema.pop("default"), **schema)


def _connection(name: str, named: str) -> Param:
    """Offers what is allowed and nothing else."""
    schema = _schema(name)
    del schema["default"]
    return Param(named, enum=allowed(named), **schema)


def _schema(name: str) -> dict[str, Any]:
    schema = dict(_properties()[name])
    schema["description_md"] = schema.pop("description")
    return schema


@cache
def _properties() -> dict[str, Any]:
    found: dict[str, Any] = RunParams.model_json_schema()["properties"]
    return found


NO_TEXT = frozenset({"max_blocked", "chunk_size"})
"""Params of which an emptied field is no value instead of empty text."""


def given(params: Any) -> dict[str, Any]:
    """The values of a task's `params`, as plain data; an emptied text field counts as empty text."""
    values = dict(params.dump() if hasattr(params, "dump") else params)
    return {name: "" if value is None and name not in NO_TEXT else value for name, value in values.items()}
