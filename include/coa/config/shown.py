"""How a param is shown: part of its declaration, from which form, JSON schema and docs are made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import GetJsonSchemaHandler
from pydantic_core import CoreSchema

OPEN_SECTION = "Run Parameters"
"""The one section that Airflow's form opens by itself; by this name, in every language (`ConfigForm` of 3.3)."""

MIGRATION = ("migrate", "preflight", "sync")
"""Kinds of DAGs (`coa.kinds`) that make a plan of a migration: they share the policies."""


@dataclass(frozen=True, eq=False)
class Shown:
    """`text` is Markdown. `kinds`: the kinds of DAGs that have the param.

    `words`: what a choice shows for each of its values instead of the bare code. `elsewhere`: kind -> (title, text)
    where another DAG means something else by it. `offers`: kind -> the values that it offers, default first, where
    those are not all. `schema`: more members of the JSON schema. `code`: a text that is an id or a measure of ours and
    none that somebody writes, such as a path or a condition; what is no text is one anyway.
    """

    title: str
    text: str
    section: str = OPEN_SECTION
    kinds: tuple[str, ...] = MIGRATION
    words: Mapping[str, str] = field(default_factory=dict)
    elsewhere: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    offers: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    schema: Mapping[str, Any] = field(default_factory=dict)
    code: bool = False

    def __get_pydantic_json_schema__(
        self, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        shown = {"title": self.title, "description": self.text, "section": self.section}
        if self.words:
            # The code behind the words: docs and `PARAMS` name the value by it.
            shown["values_display"] = {code: f"{words} ({code})" for code, words in self.words.items()}  # type: ignore[assignment]
        return {**_flat(handler(core_schema)), **shown, **self.schema}


def _flat(schema: dict[str, Any]) -> dict[str, Any]:
    """One schema with a list of types instead of `anyOf`, which Airflow's form does not know."""
    if "anyOf" not in schema:
        return schema
    merged: dict[str, Any] = {}
    for one in schema["anyOf"]:
        merged |= one
    return {
        **merged,
        "type": sorted((one["type"] for one in schema["anyOf"]), key=lambda kind: kind != "null"),
    }
