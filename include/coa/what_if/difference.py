"""What is another one in the plan of a what-if: records, and values of records that both plans write."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from psycopg import sql

from coa.codes import WRITTEN, Action
from coa.model import LOADED
from coa.plan.reconcile import action_counts
from coa.staging.fragments import examples, list_of
from coa.staging.runs import Run
from coa.staging.tables import Table

COLUMNS = (
    *("what", "sobject", "source_id", "field", "was", "becomes"),
    *("reason_was", "reason_becomes", "next_step"),
)
"""Of `what_if.csv`: a row a record whose action or reason is another one (`what`: action),
and a row a value (value)."""
EXAMPLES = 3
Rows = list[dict[str, Any]]


def actions(base: Run, run: Run) -> dict[str, dict[str, dict[str, int]]]:
    """sObject -> action -> records as `was` and `becomes`."""
    before, after = action_counts(base), action_counts(run)
    return {
        sobject: {
            action.value: {
                "was": before[sobject].get(action, 0),
                "becomes": after[sobject].get(action, 0),
            }
            for action in Action
        }
        for sobject in LOADED
    }


def moves(base: Run, run: Run) -> Rows:
    """Records by sObject, action and reason of either plan, where these are not the same; with a few source ids."""
    return run.db.rows(
        sql.SQL(
            """SELECT sobject, was, becomes, reason_was, reason_becomes, count(*) AS records, {examples} AS examples
               FROM ({pairs}) p GROUP BY 1, 2, 3, 4, 5 ORDER BY 1, 6 DESC, 2, 3, 4, 5"""
        ).format(examples=examples(), pairs=_other_actions(base, run))
    )


def values(base: Run, run: Run) -> Rows:
    """sobject, field, records, examples (source ids): values that are others in records which both plans write."""
    found: Rows = []
    for sobject in LOADED:
        if query := _other_values(base, run, sobject):
            found += run.db.rows(
                sql.SQL(
                    """SELECT sobject, field, count(*) AS records, {examples} AS examples
                       FROM ({values}) v GROUP BY 1, 2 ORDER BY 3 DESC, 2"""
                ).format(examples=examples(), values=query)
            )
    return [{**row, "examples": row["examples"][:EXAMPLES]} for row in found]


def rows(base: Run, run: Run) -> Iterator[dict[str, Any]]:
    """The rows of `what_if.csv`."""
    for row in run.db.stream(
        sql.SQL("SELECT * FROM ({}) p ORDER BY sobject, source_id").format(_other_actions(base, run))
    ):
        yield {"what": "action", "field": "", **row}
    for sobject in LOADED:
        if query := _other_values(base, run, sobject):
            for row in run.db.stream(sql.SQL("SELECT * FROM ({}) v ORDER BY source_id, field").format(query)):
                yield {"what": "value", "reason_was": "", "reason_becomes": "", "next_step": "", **row}


def _other_actions(base: Run, run: Run) -> sql.Composed:
    return sql.SQL(
        """SELECT sobject, source_id, a.action AS was, b.action AS becomes, a.reason_code AS reason_was,
                  b.reason_code AS reason_becomes, b.next_step
           FROM {before} a FULL JOIN {after} b USING (sobject, source_id)
           WHERE (a.action, a.reason_code) IS DISTINCT FROM (b.action, b.reason_code)"""
    ).format(before=base.table(Table.PLAN), after=run.table(Table.PLAN))


def _other_values(base: Run, run: Run, sobject: str) -> sql.Composed | None:
    """Columns sobject, source_id, field, was, becomes; None where the plans have no field of it."""
    before, after = (set(one.columns(Table.DESIRED, sobject)) - {"source_id"} for one in (base, run))
    fields = sorted(before | after)
    if not fields:
        return None

    def value(alias: str, known: set[str], name: str) -> sql.Composable:
        # A field that only the other plan carries.
        return sql.Identifier(alias, name) if name in known else sql.SQL("NULL::text")

    pairs = sql.SQL(", ").join(
        sql.SQL("({}, {}, {})").format(sql.Literal(f), value("a", before, f), value("b", after, f))
        for f in fields
    )
    return sql.SQL(
        """SELECT {sobject} AS sobject, b.source_id, v.field, v.was, v.becomes
           FROM {before} a JOIN {after} b USING (source_id)
           JOIN {plan} p ON p.sobject = {sobject} AND p.source_id = a.source_id AND p.action IN {written}
           JOIN {new_plan} q ON q.sobject = {sobject} AND q.source_id = a.source_id
                            AND q.action IN {written}
           CROSS JOIN LATERAL (VALUES {pairs}) v (field, was, becomes)
           WHERE v.was IS DISTINCT FROM v.becomes"""
    ).format(
        sobject=sql.Literal(sobject),
        before=base.table(Table.DESIRED, sobject),
        after=run.table(Table.DESIRED, sobject),
        plan=base.table(Table.PLAN),
        new_plan=run.table(Table.PLAN),
        pairs=pairs,
        written=list_of(WRITTEN),
    )
