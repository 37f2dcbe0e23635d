"""Rows on their way into the org: decoding of columns and JSON members to field values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from orgsim.errors import RowError
from orgsim.schema.model import Field, Schema, SObject
from orgsim.values import BadValue, from_json, parser_for


class Row:
    """One record of a request: its values in stored form, its links by external id, and what became of it."""

    __slots__ = ("created", "error", "id", "links", "values")

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}
        self.links: list[Link] = []
        self.error: RowError | None = None
        self.id = ""
        self.created = False


@dataclass(frozen=True, slots=True)
class Link:
    """A parent given by one of its indexed fields: ``Parent__r.Ext__c``."""

    field: Field
    parent: SObject
    key: Field
    value: str


@dataclass(frozen=True, slots=True)
class ColumnBinding:
    """What an uploaded column means: a field, or a parent's indexed field."""

    header: str
    field: Field
    parent: SObject | None = None
    key: Field | None = None


class UnknownColumn(Exception):
    """A column that the object does not have, or that nobody may write: the whole Bulk job fails (contract B5)."""

    def __init__(self, header: str) -> None:
        super().__init__(header)
        self.header = header


def bind(schema: Schema, sobject: SObject, header: str, *, polymorphic_prefix: bool = True) -> ColumnBinding:
    """The meaning of a CSV header; raises :class:`UnknownColumn`."""
    if "." not in header:
        one = schema.visible(sobject, header)
        if one is None:
            raise UnknownColumn(header)
        return ColumnBinding(header, one)
    relation, _, key_name = header.partition(".")
    type_name, _, relation_name = relation.rpartition(":")
    link = sobject.by_relationship.get(relation_name.lower())
    if link is None or schema.is_hidden(sobject, link) or "." in key_name:
        raise UnknownColumn(header)
    if link.polymorphic != bool(type_name) and polymorphic_prefix:
        raise UnknownColumn(header)
    parent = schema.get(type_name) if type_name else schema.get(link.reference_to[0])
    key = schema.visible(parent, key_name) if parent is not None else None
    if (
        parent is None
        or parent.name not in link.reference_to
        or key is None
        or not (key.external_id or key.id_lookup)
    ):
        raise UnknownColumn(header)
    return ColumnBinding(header, link, parent, key)


def decode_cells(bindings: Sequence[ColumnBinding], records: Sequence[Sequence[str]]) -> list[Row]:
    """Rows of a CSV chunk: an empty cell is left out, ``#N/A`` is null (contract B5)."""
    rows = [Row() for _ in records]
    width = len(bindings)
    for row, record in zip(rows, records, strict=True):
        if len(record) != width:
            row.error = RowError(
                "INVALID_FIELD", f"The number of columns ({len(record)}) is not that of the header ({width})"
            )
    for position, binding in enumerate(bindings):
        if binding.parent is not None:
            _decode_links(binding, position, rows, records)
            continue
        field, name = binding.field, binding.field.name
        parse = parser_for(field)
        column = [record[position] if len(record) == width else "" for record in records]
        # Many columns have few values: each distinct one is parsed once.
        parsed: dict[str, Any] = {}
        for text in set(column):
            if text == "#N/A":
                parsed[text] = None if field.type != "boolean" else 0
            elif text:
                try:
                    parsed[text] = parse(text, field)
                except BadValue as bad:
                    parsed[text] = bad.error
        for row, text in zip(rows, column, strict=True):
            if text:
                value = parsed[text]
                if value.__class__ is RowError:
                    row.error = row.error or value
                else:
                    row.values[name] = value
    return rows


def _decode_links(
    binding: ColumnBinding, position: int, rows: list[Row], records: Sequence[Sequence[str]]
) -> None:
    assert binding.parent is not None
    assert binding.key is not None
    for row, record in zip(rows, records, strict=True):
        if row.error is None and record[position] not in ("", "#N/A"):
            row.links.append(Link(binding.field, binding.parent, binding.key, record[position]))
        elif row.error is None and record[position] == "#N/A":
            row.values[binding.field.name] = None


def decode_json(schema: Schema, sobject: SObject, record: dict[str, Any]) -> Row:
    """A row of a JSON record; nested objects are parents by external id."""
    row = Row()
    for name, value in record.items():
        if name == "attributes":
            continue
        try:
            if isinstance(value, dict):
                _nested(schema, sobject, name, value, row)
                continue
            field = schema.visible(sobject, name)
            if field is None:
                row.error = RowError(
                    "INVALID_FIELD", f"No such column '{name}' on sobject of type {sobject.name}"
                )
                return row
            row.values[field.name] = from_json(value, field)
        except BadValue as bad:
            row.error = row.error or bad.error
    return row


def _nested(schema: Schema, sobject: SObject, name: str, value: dict[str, Any], row: Row) -> None:
    link = sobject.by_relationship.get(name.lower())
    keys = [(key, one) for key, one in value.items() if key != "attributes"]
    attributes = value.get("attributes")
    type_name = attributes.get("type") if isinstance(attributes, dict) else None
    parent = schema.get(str(type_name)) if type_name else (schema[link.reference_to[0]] if link else None)
    if link is None or parent is None or len(keys) != 1:
        row.error = RowError("INVALID_FIELD", f"No such column '{name}' on sobject of type {sobject.name}")
        return
    key = schema.visible(parent, keys[0][0])
    if key is None or not key.id_lookup or isinstance(keys[0][1], (dict, list)):
        row.error = RowError(
            "INVALID_FIELD", f"{keys[0][0]} is not an External ID or indexed field for {parent.name}"
        )
        return
    row.links.append(Link(link, parent, key, str(keys[0][1])))
