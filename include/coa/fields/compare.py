"""How a desired record and a record of the target are compared, field by field, in SQL.

Used by reconcile (what has to change), load (what automation changed) and verify (what differs).
Aliases: `d` the desired row, `t` the target row; parents are joined from the ledger as `p<n>`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from hashlib import md5

from psycopg import sql

from coa.config import RunParams
from coa.fields.customers import customers_alike
from coa.fields.field_map import FieldMapping
from coa.fields.text_links import text_join, text_value
from coa.model import CUSTOMER, LOADED, RECEIVED_AT
from coa.policies import Policies
from coa.staging.runs import Run
from coa.staging.tables import Table


class Unresolved(Enum):
    """What is expected of a link to a record that we move, that is not in the target, and whose absence
    nothing explains.
    """

    EMPTY = "empty"
    """The plan: whoever is created with it gets the link by `coa.plan.links`."""
    LEFT_ALONE = "left alone"
    """The load: nothing is written over a link as long as its record is missing."""
    MISSING = "missing"
    """The proof: the link of the source is expected, in whatever way it came to be absent."""


class LinksInTexts(Enum):
    """What is expected of a text whose links are rewritten when some of them lead to records that are there."""

    REWRITTEN = "rewritten"
    """The plan and the proof, and every correction after the step that rewrites them."""
    LATER = "later"
    """The corrections before that step: such a text is its business, whatever it holds now."""
    EITHER = "either"
    """Whoever watches the load: as the source has them, or rewritten."""


@dataclass(frozen=True)
class Comparison:
    """One field: the expected value and the actual one as SQL; equal when not distinct."""

    field: FieldMapping
    expected: sql.Composed
    actual: sql.Composed

    @property
    def differs(self) -> sql.Composed:
        """Condition: the two values are different; an empty value equals an empty one."""
        return sql.SQL("({} IS DISTINCT FROM {})").format(self.expected, self.actual)


def comparisons(
    run: Run,
    sobject: str,
    fields: list[FieldMapping],
    unresolved: Unresolved = Unresolved.EMPTY,
    in_texts: LinksInTexts = LinksInTexts.REWRITTEN,
) -> tuple[list[Comparison], sql.Composed]:
    """The comparisons of an sObject and the joins that they need."""
    compared, joins = [], []
    for n, one in enumerate(fields):
        if not is_compared(one, run.params):
            continue
        column = sql.Identifier(one.name)
        expected = sql.SQL("d.{}").format(column)
        if one.kind == "parent":
            alias = sql.Identifier(f"p{n}")
            now = unresolved is Unresolved.MISSING and parent_of(sobject, one) == CUSTOMER
            joins.append((customer_now if now else parent_join)(run, sobject, one, alias))
            expected = sql.SQL("{}.target_id").format(alias)
        actual = sql.SQL("coa.{}(t.{})").format(sql.Identifier(one.target.canonical_function), column)
        if one.kind == "parent" and unresolved is not Unresolved.EMPTY:
            instead = actual if unresolved is Unresolved.LEFT_ALONE else sql.SQL("d.{}").format(column)
            expected = sql.SQL("CASE WHEN {} THEN {} ELSE {} END").format(
                is_unresolved(run, sobject, one, sql.Identifier(f"p{n}")), instead, expected
            )
        if one.rule.rewrite_links:
            alias = sql.Identifier(f"w{n}")
            joins.append(text_join(run, sobject, one, alias))
            expected = _text_expected(one, alias, actual, in_texts)
        if one.target.type == "datetime":
            expected, actual = (sql.SQL("coa.to_second({})").format(v) for v in (expected, actual))
        if one.name in ("OwnerId", "CreatedById"):
            # No desired value: the org filled in the user who loads, and no one asked for another.
            expected = sql.SQL("COALESCE({}, {})").format(expected, actual)
        compared.append(Comparison(one, expected, actual))
    return compared, sql.SQL(" ").join(joins)


def _text_expected(
    one: FieldMapping, alias: sql.Identifier, actual: sql.Composed, in_texts: LinksInTexts
) -> sql.Composed:
    value, as_planned = text_value(one, alias), sql.SQL("d.{}").format(sql.Identifier(one.name))
    if in_texts is LinksInTexts.LATER:
        return sql.SQL("CASE WHEN {v} IS DISTINCT FROM {d} THEN {a} ELSE {d} END").format(
            v=value, d=as_planned, a=actual
        )
    if in_texts is LinksInTexts.EITHER:
        return sql.SQL("CASE WHEN {a} = {d} THEN {a} ELSE {v} END").format(v=value, d=as_planned, a=actual)
    return value


def customer_now(run: Run, sobject: str, one: FieldMapping, alias: sql.Identifier) -> sql.Composed:
    """Joins the customer that a link has to lead to as both orgs are now.

    An earlier match only counts while its key still holds, whatever the ledger says.
    """
    return sql.SQL(
        """LEFT JOIN (SELECT l.source_id,
                          CASE WHEN l.origin = 'matched' THEN m.target_id ELSE l.target_id END AS target_id
             FROM {ledgers} l LEFT JOIN ({alike}) m ON m.source_id = l.source_id
             WHERE l.pair_id = {pair} AND l.sobject = {customer}) {a} ON {a}.source_id = d.{f}"""
    ).format(
        ledgers=run.ledger,
        alike=customers_alike(run, run.table(Table.VERIFY, CUSTOMER)),
        pair=sql.Literal(run.pair_id),
        customer=sql.Literal(CUSTOMER),
        a=alias,
        f=sql.Identifier(one.name),
    )


def is_compared(one: FieldMapping, params: RunParams) -> bool:
    """Whether a difference in this field is one: received dates are not compared where their reset is accepted."""
    return one.name != RECEIVED_AT or Policies(params).restores_received_dates


def parent_of(sobject: str, one: FieldMapping) -> str:
    """The loaded sObject that a field of the kind `parent` points at."""
    return LOADED[sobject].parents.get(one.name) or next(r for r in one.refers_to if r in LOADED)


def parent_join(run: Run, sobject: str, one: FieldMapping, alias: sql.Identifier) -> sql.Composed:
    """Joins the ledger row of the parent that `d` points at (parents are kept as source ids)."""
    parent = parent_of(sobject, one)
    return sql.SQL(
        "LEFT JOIN {ledgers} {a} ON {a}.pair_id = {pair} AND {a}.sobject = {parent} AND {a}.source_id = d.{f}"
    ).format(
        a=alias,
        pair=sql.Literal(run.pair_id),
        parent=sql.Literal(parent),
        f=sql.Identifier(one.name),
        ledgers=run.ledger,
    )


def is_unresolved(run: Run, sobject: str, one: FieldMapping, alias: sql.Identifier) -> sql.Composed:
    """SQL over `d` and a parent's join: the source has a link whose record is not in the target, unexplained."""
    return sql.SQL(
        """({a}.target_id IS NULL AND d.{f} IS NOT NULL AND NOT EXISTS (SELECT FROM coa.explained q
             WHERE q.run_id = {run} AND q.sobject = {sobject} AND q.source_id = d.source_id AND q.field = {name}))"""
    ).format(
        a=alias,
        f=sql.Identifier(one.name),
        run=sql.Literal(run.run_id),
        sobject=sql.Literal(sobject),
        name=sql.Literal(one.name),
    )


def changed_fields(compared: list[Comparison]) -> sql.Composed:
    """SQL for the array of names of the fields that differ.

    A subquery that gives it must end with OFFSET 0. Otherwise PostgreSQL repeats the whole expression
    wherever it is used, which costs the square of the number of fields.
    """
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
