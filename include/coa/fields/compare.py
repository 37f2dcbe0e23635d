"""How a desired record and a record of the target are compared, field by field, in SQL.

Used by reconcile (what has to change), load (what automation changed) and verify (what differs).
Aliases: `d` the desired row, `t` the target row; parents are joined from the ledger as `p<n>`.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import md5

from psycopg import sql

from coa.config import RunParams
from coa.fields.field_map import FieldMapping
from coa.model import LOADED, RECEIVED_AT
from coa.staging.runs import Run


@dataclass(frozen=True)
class Comparison:
    """One field: the expected value and the actual one as SQL; equal when not distinct."""

    field: FieldMapping
    expected: sql.Composed
    actual: sql.Composed

    @property
    def differs(self) -> sql.Composed:
        return sql.SQL("({} IS DISTINCT FROM {})").format(self.expected, self.actual)


def comparisons(run: Run, sobject: str, fields: list[FieldMapping]) -> tuple[list[Comparison], sql.Composed]:
    """The comparisons of an sObject and the joins that they need."""
    compared, joins = [], []
    for n, one in enumerate(fields):
        if not is_compared(one, run.params):
            continue
        column = sql.Identifier(one.name)
        expected = sql.SQL("d.{}").format(column)
        if one.kind == "parent":
            alias = sql.Identifier(f"p{n}")
            joins.append(parent_join(run, sobject, one, alias))
            expected = sql.SQL("{}.target_id").format(alias)
        actual = sql.SQL("coa.{}(t.{})").format(sql.Identifier(one.target.canonical_function), column)
        if one.target.type == "datetime":
            expected, actual = (sql.SQL("coa.to_second({})").format(v) for v in (expected, actual))
        if one.name in ("OwnerId", "CreatedById"):
            # No desired value: the org filled in the user who loads, and no one asked for another.
            expected = sql.SQL("COALESCE({}, {})").format(expected, actual)
        compared.append(Comparison(one, expected, actual))
    return compared, sql.SQL(" ").join(joins)


def is_compared(one: FieldMapping, params: RunParams) -> bool:
    return not (one.name == RECEIVED_AT and params.received_dates == "accept_reset")


def parent_join(run: Run, sobject: str, one: FieldMapping, alias: sql.Identifier) -> sql.Composed:
    """Joins the ledger row of the parent that `d` points at (parents are kept as source ids)."""
    parent = LOADED[sobject].parents.get(one.name) or next(r for r in one.refers_to if r in LOADED)
    return sql.SQL(
        "LEFT JOIN coa.ledger {a} ON {a}.pair_id = {pair} AND {a}.sobject = {parent} AND {a}.source_id = d.{f}"
    ).format(a=alias, pair=sql.Literal(run.pair_id), parent=sql.Literal(parent), f=sql.Identifier(one.name))


def changed_fields(compared: list[Comparison]) -> sql.Composed:
    """SQL for the array of names of the fields that differ."""
    if not compared:
        return sql.SQL("'{{}}'::text[]").format()
    return sql.SQL("array_remove(ARRAY[{}]::text[], NULL)").format(
        sql.SQL(", ").join(
            sql.SQL("CASE WHEN {} THEN {} END").format(c.differs, sql.Literal(c.field.name)) for c in compared
        )
    )


def actual_hash(compared: list[Comparison]) -> sql.Composed:
    """SQL for a hash of the target's carried values: `<fields>:<values>`.

    Hashes of different field sets never count as a change of the record.
    """
    fields = md5(",".join(sorted(c.field.name for c in compared)).encode()).hexdigest()[:8]
    values = sql.SQL(", ").join(
        sql.SQL("COALESCE({}, E'\\x1e')").format(c.actual)
        for c in sorted(compared, key=lambda c: c.field.name)
    )
    # An array, for a function takes no more than 100 arguments.
    return sql.SQL("{} || md5(array_to_string(ARRAY[{}]::text[], E'\\x1f'))").format(
        sql.Literal(fields + ":"), values
    )
