"""What the new orders of a plan can show, and a bounded number of orders that together show each thing at least
once.

Set-based over the plan: for each stratum one order is picked. All picks use one seeded order of the source ids,
so one order serves for as many strata as possible. Only the picked orders reach Python, however many the plan
has.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

from psycopg import sql

from coa.fields.bulk_values import is_text
from coa.fields.field_map import FieldMapping
from coa.load.canary_choice import Candidate, Stratum
from coa.load.conditions import not_held_back
from coa.model import (
    AUDIT_FIELDS,
    CLONED_FROM,
    CUSTOMER,
    DETAIL,
    LOADED,
    ORDER,
    ORDER_CONTRACT,
    ORDER_TYPE,
    STATUS,
)
from coa.plan.expected_corrections import COPIED_PRICING
from coa.staging.database import Row
from coa.staging.fragments import same_record
from coa.staging.runs import Run
from coa.staging.tables import Table

VALUES_A_FIELD = 40
"""Of a field with more values than that the others are left to chance: a canary is small."""
FILL_UP = 4
"""Orders beside those that show something, as a multiple of the canary: what is left of it is a random sample."""
SEED_LENGTH = 32

NAMED = {
    (ORDER, STATUS): "status",
    (ORDER, ORDER_TYPE): "order_type",
    (ORDER, ORDER_CONTRACT): "contract",
    (DETAIL, COPIED_PRICING): "pricing",
}


@dataclass(frozen=True)
class _Shown:
    """What a field of a record shows: which value it has (`by_value`), or that it has one."""

    kind: str
    field: FieldMapping
    by_value: bool
    condition: sql.Composed | None = None
    """SQL over `d`, in the place of having a value."""

    @property
    def value(self) -> sql.Composed:
        if self.condition is not None:
            return sql.SQL("CASE WHEN {} THEN '' END").format(self.condition)
        column = sql.SQL("d.{}").format(sql.Identifier(self.field.name))
        if self.by_value:
            return sql.SQL("COALESCE({}, '')").format(column)
        return sql.SQL("CASE WHEN {} IS NOT NULL THEN '' END").format(column)


def candidates(run: Run, carried: dict[str, list[FieldMapping]], seed: str, orders: int) -> list[Candidate]:
    """New orders of the plan for a canary of so many `orders`, in the seeded order of their ids."""
    shown = {name: _what_is_shown(run, name, carried[name]) for name in LOADED}
    longest: dict[str, set[Stratum]] = defaultdict(set)
    pool: set[str] = set()
    for name in LOADED:
        pool |= _one_of_each_value(run, seed, name, [s for s in shown[name] if s.by_value])
        fields = [s for s in shown[name] if not s.by_value]
        pool |= _one_of_each_field(run, seed, name, fields)
        for stratum, order in _longest_texts(run, seed, name, carried[name]).items():
            longest[order].add(stratum)
    pool |= _one_of_each_effect(run, seed) | set(longest) | _at_random(run, seed, FILL_UP * orders)
    pool |= _originals(run, seed, pool)
    strata = _strata_of(run, seed, sorted(pool), shown)
    for order, more in longest.items():
        strata[order] |= more
    return [
        Candidate(str(r["source_id"]), int(r["rows"]), frozenset(strata[r["source_id"]]), str(r["original"]))
        for r in _sizes(run, seed, sorted(pool))
    ]


def count_new_orders(run: Run) -> int:
    """Orders that the plan creates and that did not change since."""
    return int(run.db.value(sql.SQL("{} SELECT count(*) FROM new_order").format(_new_orders(run, ""))))


def _what_is_shown(run: Run, sobject: str, fields: list[FieldMapping]) -> list[_Shown]:
    shown = []
    for one in fields:
        if one.rule.rewrite_links:
            shown.append(_Shown("link_in_text", one, False, _has_link(run, sobject, one)))
        if (sobject, one.name) in NAMED:
            shown.append(_Shown(NAMED[sobject, one.name], one, True))
        elif one.kind == "value" and one.target.type in ("picklist", "boolean"):
            shown.append(_Shown("picklist", one, True))
        elif one.name in AUDIT_FIELDS:
            shown.append(_Shown("audit", one, False))
        elif one.deferred:
            shown.append(_Shown("clone" if one.name == CLONED_FROM else "lookup", one, False))
        elif one.kind in ("value", "lookup"):
            shown.append(_Shown("lookup" if one.kind == "lookup" else "filled", one, False))
    return shown


def _has_link(run: Run, sobject: str, one: FieldMapping) -> sql.Composed:
    return sql.SQL(
        "EXISTS (SELECT FROM {} x WHERE x.sobject = {} AND x.field = {} AND x.source_id = d.source_id AND x.fits)"
    ).format(run.table(Table.TEXT_LINK), sql.Literal(sobject), sql.Literal(one.name))


# ---- SQL -----------------------------------------------------------------------------------------
def _new_orders(run: Run, seed: str) -> sql.Composed:
    """`WITH new_order`: source id, customer and `pick`, which sorts by the seed and ends with the id."""
    return sql.SQL(
        """WITH new_order AS MATERIALIZED (
             SELECT p.source_id, p.parent_id, md5({seed} || p.source_id) || p.source_id AS pick FROM {plan} p
             WHERE p.sobject = {order} AND p.action = 'insert' AND {not_held})"""
    ).format(
        seed=sql.Literal(seed),
        plan=run.table(Table.PLAN),
        order=sql.Literal(ORDER),
        not_held=not_held_back(run),
    )


def _records(run: Run, sobject: str) -> sql.Composed:
    """FROM clause: the records of an sObject (`q`, its wanted values `d`) that come with each new order (`o`)."""
    comes_with = {
        ORDER: sql.SQL("q.source_id = o.source_id"),
        DETAIL: sql.SQL("q.parent_id = o.source_id"),
        CUSTOMER: sql.SQL("q.source_id = o.parent_id"),
    }[sobject]
    return sql.SQL(
        """FROM new_order o JOIN {plan} q ON q.sobject = {sobject} AND q.action = 'insert' AND {comes_with}
           JOIN {desired} d ON d.source_id = q.source_id"""
    ).format(
        plan=run.table(Table.PLAN),
        sobject=sql.Literal(sobject),
        comes_with=comes_with,
        desired=run.table(Table.DESIRED, sobject),
    )


def _values(shown: list[_Shown]) -> sql.Composed:
    return sql.SQL(", ").join(
        sql.SQL("({}, {})").format(sql.Literal(n), one.value) for n, one in enumerate(shown)
    )


def _id_of(pick: str) -> str:
    return pick[SEED_LENGTH:]


def _one_of_each_value(run: Run, seed: str, sobject: str, shown: list[_Shown]) -> set[str]:
    if not shown:
        return set()
    rows = run.db.rows(
        sql.SQL(
            """{new_orders} SELECT pick FROM (
                 SELECT min(o.pick) AS pick, row_number() OVER (PARTITION BY v.n ORDER BY min(o.pick)) AS nth
                 {records} CROSS JOIN LATERAL (VALUES {values}) AS v (n, value) GROUP BY v.n, v.value) g
               WHERE nth <= {most}"""
        ).format(
            new_orders=_new_orders(run, seed),
            records=_records(run, sobject),
            values=_values(shown),
            most=sql.Literal(VALUES_A_FIELD),
        )
    )
    return {_id_of(str(r["pick"])) for r in rows}


def _one_of_each_field(run: Run, seed: str, sobject: str, shown: list[_Shown]) -> set[str]:
    if not shown:
        return set()
    picks = sql.SQL(", ").join(
        sql.SQL("min(o.pick) FILTER (WHERE {} IS NOT NULL)").format(one.value) for one in shown
    )
    row = run.db.row(
        sql.SQL("{} SELECT ARRAY[{}] AS picks {}").format(
            _new_orders(run, seed), picks, _records(run, sobject)
        )
    )
    assert row is not None
    return {_id_of(str(pick)) for pick in row["picks"] if pick is not None}


def _longest_texts(run: Run, seed: str, sobject: str, fields: list[FieldMapping]) -> dict[Stratum, str]:
    """Each text field's longest value -> the order that it comes with."""
    texts = [one for one in fields if is_text(one) and one.target.type != "picklist"]
    if not texts:
        return {}
    picks = sql.SQL(", ").join(
        sql.SQL("max(lpad(char_length({f})::text, 9, '0') || o.pick) FILTER (WHERE {f} IS NOT NULL)").format(
            f=sql.SQL("d.{}").format(sql.Identifier(one.name))
        )
        for one in texts
    )
    row = run.db.row(
        sql.SQL("{} SELECT ARRAY[{}] AS picks {}").format(
            _new_orders(run, seed), picks, _records(run, sobject)
        )
    )
    assert row is not None
    return {
        Stratum("longest", sobject, one.name): _id_of(str(pick)[9:])
        for one, pick in zip(texts, row["picks"], strict=True)
        if pick is not None
    }


def _effects(run: Run) -> sql.Composed:
    """FROM clause: what is expected to befall the records that come with each new order (`o`)."""
    return sql.SQL(
        """FROM new_order o JOIN {plan} q ON q.action = 'insert' AND (
               (q.sobject = {order} AND q.source_id = o.source_id) OR
               (q.sobject = {detail} AND q.parent_id = o.source_id) OR
               (q.sobject = {customer} AND q.source_id = o.parent_id))
           JOIN {expected} x ON {x_is_q}"""
    ).format(
        plan=run.table(Table.PLAN),
        order=sql.Literal(ORDER),
        detail=sql.Literal(DETAIL),
        customer=sql.Literal(CUSTOMER),
        expected=run.table(Table.EXPECTED_CORRECTIONS),
        x_is_q=same_record("x", "q"),
    )


def _one_of_each_effect(run: Run, seed: str) -> set[str]:
    rows = run.db.rows(
        sql.SQL("{} SELECT min(o.pick) AS pick {} GROUP BY x.sobject, x.field, x.effect").format(
            _new_orders(run, seed), _effects(run)
        )
    )
    return {_id_of(str(r["pick"])) for r in rows}


def _at_random(run: Run, seed: str, orders: int) -> set[str]:
    rows = run.db.rows(
        sql.SQL("{} SELECT source_id FROM new_order ORDER BY pick LIMIT {}").format(
            _new_orders(run, seed), sql.Literal(orders)
        )
    )
    return {str(r["source_id"]) for r in rows}


def _originals(run: Run, seed: str, pool: set[str]) -> set[str]:
    """The new orders that those of the pool were cloned from."""
    if CLONED_FROM not in run.columns(Table.DESIRED, ORDER):
        return set()
    rows = run.db.rows(
        sql.SQL(
            """{} SELECT o.source_id FROM {} d JOIN new_order o ON o.source_id = d.{}
               WHERE d.source_id = ANY (%s)"""
        ).format(_new_orders(run, seed), run.table(Table.DESIRED, ORDER), sql.Identifier(CLONED_FROM)),
        [sorted(pool)],
    )
    return {str(r["source_id"]) for r in rows}


def _strata_of(
    run: Run, seed: str, pool: list[str], shown: dict[str, list[_Shown]]
) -> dict[str, set[Stratum]]:
    """Order of the pool -> what it shows with its details and its customer, but for the longest texts."""
    strata: dict[str, set[Stratum]] = defaultdict(set)
    for sobject, fields in shown.items():
        if not fields:
            continue
        rows = run.db.rows(
            sql.SQL(
                """{} SELECT DISTINCT o.source_id, v.n, v.value {} CROSS JOIN LATERAL (VALUES {}) AS v (n, value)
                   WHERE o.source_id = ANY (%s) AND v.value IS NOT NULL"""
            ).format(_new_orders(run, seed), _records(run, sobject), _values(fields)),
            [pool],
        )
        for r in rows:
            one = fields[r["n"]]
            strata[r["source_id"]].add(Stratum(one.kind, sobject, one.field.name, str(r["value"])))
    for r in run.db.rows(
        sql.SQL(
            "{} SELECT DISTINCT o.source_id, x.sobject, x.field, x.effect {} WHERE o.source_id = ANY (%s)"
        ).format(_new_orders(run, seed), _effects(run)),
        [pool],
    ):
        strata[r["source_id"]].add(Stratum("effect", r["sobject"], r["field"], r["effect"]))
    return strata


def _sizes(run: Run, seed: str, pool: list[str]) -> list[Row]:
    """source_id, rows, original ('' where none is created) of each order of the pool, in seeded order."""
    clone: sql.Composable = sql.SQL("NULL::text")
    if CLONED_FROM in run.columns(Table.DESIRED, ORDER):
        clone = sql.SQL("d.{}").format(sql.Identifier(CLONED_FROM))
    return run.db.rows(
        sql.SQL(
            """{new_orders} SELECT o.source_id, COALESCE(c.source_id, '') AS original,
                 1 + (SELECT count(*) FROM {plan} q WHERE q.sobject = {detail} AND q.parent_id = o.source_id
                        AND q.action = 'insert')
                   + (SELECT count(*) FROM {plan} q WHERE q.sobject = {customer} AND q.source_id = o.parent_id
                        AND q.action = 'insert') AS rows
               FROM new_order o JOIN {desired} d ON d.source_id = o.source_id
               LEFT JOIN new_order c ON c.source_id = {clone}
               WHERE o.source_id = ANY (%s) ORDER BY o.pick"""
        ).format(
            new_orders=_new_orders(run, seed),
            plan=run.table(Table.PLAN),
            detail=sql.Literal(DETAIL),
            customer=sql.Literal(CUSTOMER),
            desired=run.table(Table.DESIRED, ORDER),
            clone=clone,
        ),
        [pool],
    )
