"""Links between records of ours: to what comes with the same plan, and to what stays behind.

A link is expected as the source has it. It is left empty only where a line of `coa.explained` says so, written
here, from the plan alone: what the load then brings about excuses nothing.
"""

from __future__ import annotations

from psycopg import sql

from coa.explanations import Cause, sentence
from coa.fields.compare import parent_join, parent_of
from coa.fields.field_map import FieldMapping
from coa.model import CLONED_FROM, DETAIL_ORDER
from coa.staging.runs import Run
from coa.staging.tables import Table

ALIAS = sql.Identifier("linked")


def link_to_new_records(run: Run, carried: dict[str, list[FieldMapping]]) -> None:
    """A record that is there already gets its link when the other one comes with this plan.

    Not where the target's version wins: an update would correct all the rest of the record as well. The link
    is explained there, as the other fields are. A detail never changes its order (master-detail).
    """
    for sobject, fields in carried.items():
        for one in fields:
            if one.kind == "parent" and one.updateable and one.name != DETAIL_ORDER:
                _link_one(run, sobject, one)


def _link_one(run: Run, sobject: str, one: FieldMapping) -> None:
    names = {
        "plan": run.table(Table.PLAN),
        "desired": run.table(Table.DESIRED, sobject),
        "link": sql.Identifier(one.name),
        "parent": sql.Literal(parent_of(sobject, one)),
    }
    values = {
        "field": one.name,
        "sobject": sobject,
        "run": run.run_id,
        "target_wins": Cause.TARGET_WINS.value,
    }
    run.db.execute(
        sql.SQL(
            """INSERT INTO coa.explained (run_id, sobject, source_id, field, cause, reason)
               SELECT DISTINCT %(run)s, p.sobject, p.source_id, %(field)s, x.cause, x.reason
               FROM {plan} p JOIN {desired} d ON d.source_id = p.source_id
               JOIN {plan} o ON o.sobject = {parent} AND o.source_id = d.{link} AND o.action = 'insert'
               JOIN coa.explained x ON x.run_id = %(run)s AND x.sobject = p.sobject
                 AND x.source_id = p.source_id AND x.cause = %(target_wins)s
               WHERE p.sobject = %(sobject)s AND p.action = 'unchanged' ON CONFLICT DO NOTHING"""
        ).format(**names),
        values,
    )
    run.db.execute(
        sql.SQL(
            """UPDATE {plan} p SET action = 'update', changed = p.changed || ARRAY[%(field)s]
               FROM {desired} d JOIN {plan} o ON o.sobject = {parent} AND o.source_id = d.{link}
               WHERE p.sobject = %(sobject)s AND d.source_id = p.source_id AND o.action = 'insert'
                 AND p.action IN ('unchanged', 'update') AND NOT %(field)s = ANY (p.changed)
                 AND NOT EXISTS (SELECT FROM coa.explained x WHERE x.run_id = %(run)s AND x.sobject = %(sobject)s
                                   AND x.source_id = p.source_id AND x.cause = %(target_wins)s)"""
        ).format(**names),
        values,
    )


def explain_links_outside(run: Run, carried: dict[str, list[FieldMapping]]) -> None:
    """Links that may follow later, to records that are neither moved now nor were before: left empty, and listed.

    Without a plan (a verification) moved is what the ledger knows.
    """
    comes = sql.SQL("SELECT sobject, source_id FROM {} WHERE action = 'insert'").format(run.table(Table.PLAN))
    if not run.has_table(Table.PLAN):
        comes = sql.SQL("SELECT NULL::text AS sobject, NULL::text AS source_id").format()
    _explain(run, carried, Cause.LINK_NOT_MOVED, comes, sql.SQL("o.source_id IS NULL"))


def explain_links_to_held(run: Run, carried: dict[str, list[FieldMapping]]) -> None:
    """Links to records that the load held back because they changed since the plan: the next delta brings both."""
    if run.has_table(Table.CHANGED_SINCE_PLAN):
        held = sql.SQL("SELECT sobject, source_id FROM {}").format(run.table(Table.CHANGED_SINCE_PLAN))
        _explain(run, carried, Cause.LINK_CHANGED_SINCE, held, sql.SQL("o.source_id IS NOT NULL"))


def _told(cause: Cause, one: FieldMapping) -> Cause:
    """Of an order that is a clone, in words of its own."""
    return Cause.CLONE_NOT_MOVED if cause is Cause.LINK_NOT_MOVED and one.name == CLONED_FROM else cause


def _explain(
    run: Run, carried: dict[str, list[FieldMapping]], cause: Cause, others: sql.Composed, condition: sql.SQL
) -> None:
    """`others`: records as sobject and source_id, joined to what a link points at as `o`."""
    for sobject, one in ((sobject, f) for sobject, fields in carried.items() for f in fields if f.deferred):
        run.db.execute(
            sql.SQL(
                """INSERT INTO coa.explained (run_id, sobject, source_id, field, source_value, target_value, cause, reason)
                   SELECT {run}, {sobject}, d.source_id, {name}, d.{link}, NULL, {cause}, {reason}
                   FROM {desired} d {parent_join}
                   LEFT JOIN ({others}) o ON o.sobject = {parent} AND o.source_id = d.{link}
                   WHERE d.{link} IS NOT NULL AND {alias}.target_id IS NULL AND {condition} ON CONFLICT DO NOTHING"""
            ).format(
                run=sql.Literal(run.run_id),
                sobject=sql.Literal(sobject),
                name=sql.Literal(one.name),
                link=sql.Identifier(one.name),
                cause=sql.Literal(_told(cause, one).value),
                reason=sql.Literal(sentence(_told(cause, one))),
                desired=run.table(Table.DESIRED, sobject),
                parent_join=parent_join(run, sobject, one, ALIAS),
                others=others,
                parent=sql.Literal(parent_of(sobject, one)),
                alias=ALIAS,
                condition=condition,
            )
        )
