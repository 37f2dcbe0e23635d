"""Pieces of SQL that several stages share: each is written here and nowhere else (`tests/unit/test_fragments.py`)."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum

from psycopg import sql

from coa.codes import Severity

EXAMPLES = 10
"""Of the records of a finding or a count."""


def list_of(codes: Iterable[StrEnum]) -> sql.Composed:
    """What `IN` takes: a set of codes (`coa.codes`).

    >>> from coa.codes import Action
    >>> list_of({Action.UPDATE, Action.INSERT}).as_string(None)
    "('insert', 'update')"
    """
    return sql.SQL("({})").format(sql.SQL(", ").join(sql.Literal(code.value) for code in sorted(codes)))


def most_severe_first() -> sql.Composed:
    """For ORDER BY: findings by their severity, blockers first.

    >>> most_severe_first().as_string(None)
    "array_position(ARRAY['blocker', 'warning', 'note'], severity)"
    """
    listed = sql.SQL(", ").join(sql.Literal(severity.value) for severity in Severity)
    return sql.SQL("array_position(ARRAY[{}], severity)").format(listed)


def same_record(one: str, other: str) -> sql.Composed:
    """Condition: a row of each of two tables, by their aliases, is about the same record (sobject, source_id).

    >>> same_record("w", "p").as_string(None)
    'w.sobject = p.sobject AND w.source_id = p.source_id'
    """
    return sql.SQL("{a}.sobject = {b}.sobject AND {a}.source_id = {b}.source_id").format(
        a=sql.SQL(one), b=sql.SQL(other)
    )


def ledger_of(pair_id: int, record: str, ledger: str = "l") -> sql.Composed:
    """Condition: `ledger` is the row of `coa.ledger` of the record that a row `record` (sobject, source_id) is about.

    `pair_id` is that of the run's pair of orgs.
    """
    return sql.SQL("{}.pair_id = {} AND {}").format(
        sql.SQL(ledger), sql.Literal(pair_id), same_record(ledger, record)
    )


def examples(column: str = "source_id", *, order_by: str = "") -> sql.Composed:
    """Aggregate: the first ten values of a column, in the order of another if need be."""
    return sql.SQL("(array_agg({column} ORDER BY {order_by}))[1:{number}]").format(
        column=sql.SQL(column), order_by=sql.SQL(order_by or column), number=sql.Literal(EXAMPLES)
    )
