"""Links between records that we move: to records of the same plan, and to records that stay behind.

A link is expected to be as in the source. It is left empty only where a row of `coa.explained` says so. These
rows are written here, from the plan alone; what the load does later excuses nothing.
"""

from __future__ import annotations

from psycopg import sql

from coa.codes import MOVED_BEFORE
from coa.explanations import Cause, sentence
from coa.fields.compare import parent_join, parent_of
from coa.fields.field_map import FieldMapping
from coa.fields.text_links import text_join, text_value
from coa.model import CLONED_FROM, DETAIL_ORDER
from coa.staging.fragments import list_of, same_record
from coa.staging.runs import SOURCE, Run
from coa.staging.tables import Table

ALIAS = sql.Identifier("linked")


def link_to_new_records(run: Run, carried: dict[str, list[FieldMapping]]) -> None:
    """Plans the update of records that are already in the target and point at a record of this plan.

    Not where the target's version wins: an update would correct all other fields of the record as well.
    There the link is explained, as the other fields are. A detail never changes its order (master-detail).
    """
    for sobject, fields in carried.items():
        for one in fields:
            if one.kind == "parent" and one.updateable and one.name != DETAIL_ORDER:
                _link_one(run, sobject, one, _lookup(run, sobject, one))
            elif one.rule.rewrite_links and one.updateable:
                _link_one(run, sobject, one, _in_texts(run, sobject, one))


def _lookup(run: Run, sobject: str, one: FieldMapping) -> sql.Composed:
    """SELECT of source_id and of what it points at: sobject, record_id."""
    return sql.SQL("SELECT source_id, {}::text AS sobject, {} AS record_id FROM {}").format(
        sql.Literal(parent_of(sobject, one)), sql.Identifier(one.name), run.table(Table.DESIRED, sobject)
    )


def _in_texts(run: Run, sobject: str, one: FieldMapping) -> sql.Composed:
    return sql.SQL(
        """SELECT source_id, record_sobject AS sobject, record_id FROM {}
           WHERE sobject = {} AND field = {} AND fits AND record_id <> ''"""
    ).format(run.table(Table.TEXT_LINK), sql.Literal(sobject), sql.Literal(one.name))


def _link_one(run: Run, sobject: str, one: FieldMapping, links: sql.Composed) -> None:
    names = {"plan": run.table(Table.PLAN), "links": links}
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
               FROM {plan} p JOIN ({links}) k ON k.source_id = p.source_id
               JOIN {plan} o ON o.sobject = k.sobject AND o.source_id = k.record_id AND o.action = 'insert'
               JOIN coa.explained x ON x.run_id = %(run)s AND {x_is_p} AND x.cause = %(target_wins)s
               WHERE p.sobject = %(sobject)s AND p.action = 'unchanged' ON CONFLICT DO NOTHING"""
        ).format(**names, x_is_p=same_record("x", "p")),
        values,
    )
    run.db.execute(
        sql.SQL(
            """UPDATE {plan} p SET action = 'update', changed = p.changed || ARRAY[%(field)s]
               FROM ({links}) k JOIN {plan} o ON o.sobject = k.sobject AND o.source_id = k.record_id
               WHERE p.sobject = %(sobject)s AND k.source_id = p.source_id AND o.action = 'insert'
                 AND p.action IN {moved_before} AND NOT %(field)s = ANY (p.changed)
                 AND NOT EXISTS (SELECT FROM coa.explained x WHERE x.run_id = %(run)s AND x.sobject = %(sobject)s
                                   AND x.source_id = p.source_id AND x.cause = %(target_wins)s)"""
        ).format(**names, moved_before=list_of(MOVED_BEFORE)),
        values,
    )


def explain_links_outside(run: Run, carried: dict[str, list[FieldMapping]]) -> None:
    """Explains links that stay empty because the record that they lead to is not moved, now or earlier;
    they are listed.

    Without a plan (in a verification), moved means known to the ledger.
    """
    comes = sql.SQL("SELECT sobject, source_id FROM {} WHERE action = 'insert'").format(run.table(Table.PLAN))
    if not run.has_table(Table.PLAN):
        comes = sql.SQL("SELECT NULL::text AS sobject, NULL::text AS source_id").format()
    _explain(run, carried, Cause.LINK_NOT_MOVED, comes, sql.SQL("o.source_id IS NULL"))


def explain_links_to_held(run: Run, carried: dict[str, list[FieldMapping]]) -> None:
    """Explains links to records that the load held back because they changed since the plan; the next delta
    brings both.
    """
    if run.has_table(Table.CHANGED_SINCE_PLAN):
        held = sql.SQL("SELECT sobject, source_id FROM {}").format(run.table(Table.CHANGED_SINCE_PLAN))
        _explain(run, carried, Cause.LINK_CHANGED_SINCE, held, sql.SQL("o.source_id IS NOT NULL"))


def explain_links_in_texts(run: Run, carried: dict[str, list[FieldMapping]]) -> None:
    """Explains texts that differ from the source because links in them now lead to the target, as far as
    the ledger knows.
    """
    alias = sql.Identifier("rewritten")
    for sobject, one in ((sobject, f) for sobject, fields in carried.items() for f in fields):
        if not one.rule.rewrite_links or one.source is None:
            continue
        run.db.execute(
            sql.SQL(
                """INSERT INTO coa.explained AS known (run_id, sobject, source_id,
                     field, source_value, target_value, cause, reason)
                   SELECT {run}, {sobject}, d.source_id, {name}, s.{from_field}, {value}, {cause}, {reason}
                   FROM {expected} e JOIN {desired} d ON d.source_id = e.source_id
                   JOIN {source} s ON s."Id" = d.source_id {join}
                   WHERE e.target_id IS NOT NULL AND {value} IS DISTINCT FROM d.{field}
                   ON CONFLICT (run_id, sobject, source_id, field) DO UPDATE SET target_value = EXCLUDED.target_value
                     WHERE known.cause <> {target_wins}"""
            ).format(
                run=sql.Literal(run.run_id),
                sobject=sql.Literal(sobject),
                name=sql.Literal(one.name),
                from_field=sql.Identifier(one.source.name),
                value=text_value(one, alias),
                cause=sql.Literal(Cause.LINKS_REWRITTEN.value),
                reason=sql.Literal(sentence(Cause.LINKS_REWRITTEN)),
                expected=run.table(Table.EXPECTED, sobject),
                desired=run.table(Table.DESIRED, sobject),
                source=run.table(SOURCE, sobject),
                join=text_join(run, sobject, one, alias),
                field=sql.Identifier(one.name),
                target_wins=sql.Literal(Cause.TARGET_WINS.value),
            )
        )


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
                """INSERT INTO coa.explained (run_id, sobject, source_id,
                     field, source_value, target_value, cause, reason)
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
