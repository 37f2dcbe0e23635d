"""Describes in a few words, and a run without a database: what the pure core is made of.

describe("Thing__c", number("Size__c", 8, 2), text("Note__c", 80), reference("Owner__c", "User"))
"""

from __future__ import annotations

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

from psycopg import sql

from coa.config import RunParams, Settings
from coa.salesforce.describe import Describe

FieldData = dict[str, Any]


def any_field(name: str, kind: str = "string", **said: Any) -> FieldData:
    """A field that may be written and left empty, unless something else is said."""
    return {"name": name, "type": kind, "createable": True, "updateable": True, "nillable": True, **said}


def text(name: str, length: int = 80, **said: Any) -> FieldData:
    return any_field(name, length=length, **said)


def number(name: str, precision: int = 18, scale: int = 2, **said: Any) -> FieldData:
    return any_field(name, "double", precision=precision, scale=scale, **said)


def picklist(name: str, *values: str, restricted: bool = True, **said: Any) -> FieldData:
    offered = [{"value": v, "active": True} for v in values]
    return any_field(
        name, "picklist", picklistValues=offered, restrictedPicklist=restricted, length=255, **said
    )


def reference(name: str, *to: str, **said: Any) -> FieldData:
    return any_field(name, "reference", referenceTo=list(to), **said)


def read_only(data: FieldData) -> FieldData:
    return {**data, "createable": False, "updateable": False}


def formula(name: str, kind: str = "string") -> FieldData:
    return read_only(any_field(name, kind, calculated=True))


def describe(name: str, *fields: FieldData) -> Describe:
    return Describe({"name": name, "createable": True, "updateable": True, "fields": list(fields)})


def shown(part: sql.Composable) -> str:
    """SQL as text, on one line."""
    return " ".join(part.as_string(None).split())


@dataclass
class PaperRun:
    """As much of a run as the pure functions look at: params, names of tables, columns of the extracts."""

    params: RunParams = field(default_factory=RunParams)
    pair_id: str = "pair"
    settings: Settings = field(default_factory=Settings)
    tables: dict[tuple[str, str], list[str]] = field(default_factory=dict)
    run_id: str = "run"
    record: Any = field(default_factory=lambda: SimpleNamespace(target_org={}, org=lambda role: {}))
    """Nothing is known of either org."""
    ledger: sql.Identifier = field(default_factory=lambda: sql.Identifier("coa", "ledger"))

    def table(self, kind: str, sobject: str = "") -> sql.Identifier:
        return sql.Identifier(f"{kind}__{sobject.lower()}" if sobject else kind)

    def columns(self, kind: str, sobject: str = "") -> list[str]:
        return self.tables.get((kind, sobject), [])


def paper_run(columns: dict[tuple[str, str], list[str]] | None = None, **params: Any) -> Any:
    """Any: a stand-in where the engine's `Run` is asked for."""
    return PaperRun(RunParams.parse(params), tables=columns or {})
