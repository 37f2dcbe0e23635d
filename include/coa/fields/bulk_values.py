"""What an insert carries, and which values Bulk CSV cannot carry as they are."""

from __future__ import annotations

from psycopg import sql

from coa.config import Settings
from coa.fields.field_map import FieldMapping
from coa.model import STATUS

NULL_MARK = "#N/A"
"""Null in the CSV of an update (Bulk API 2.0 guide, "Prepare CSV files")."""


def is_text(one: FieldMapping) -> bool:
    """Whether the field's values are compared and sent as text."""
    return one.kind == "value" and one.target.canonical_function == "canon_text"


def bulk_cannot_carry(one: FieldMapping, value: sql.Composable, settings: Settings) -> sql.Composed:
    """SQL: whether a value must not go through Bulk CSV as it is."""
    if not is_text(one):
        return sql.SQL("false").format()
    test = sql.SQL("{} = {}").format(value, sql.Literal(NULL_MARK))
    if settings.embedded_cr == "rest" and one.target.type in ("textarea", "string"):
        test = sql.SQL("({} OR position(E'\\r' in {}) > 0)").format(test, value)
    return sql.SQL("COALESCE({}, false)").format(test)


def insert_fields(fields: list[FieldMapping]) -> list[FieldMapping]:
    """What an insert carries: all but the status (the package makes it Draft) and links to later records."""
    return [f for f in fields if f.createable and not f.deferred and f.name != STATUS]
