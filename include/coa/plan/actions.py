"""Gives every source record exactly one action, in the table `plan` of the run."""

from __future__ import annotations

from psycopg import sql

from coa.codes import MOVED, WRITTEN, Action, ReasonCode
from coa.explanations import Cause, sentence
from coa.fields.bulk_values import bulk_cannot_carry
from coa.fields.compare import Comparison, actual_hash, changed_fields, comparisons
from coa.fields.field_map import FieldMapping
from coa.fields.links import link_to_new_records
from coa.model import (
    CUSTOMER,
    CUSTOMER_ORG_ID,
    DETAIL,
    DETAIL_ORDER,
    DRAFT,
    FROZEN_DETAIL_FIELDS,
    IN_FLIGHT,
    LOADED,
    MIGRATION_FIELDS,
    ORDER,
    ORDER_CUSTOMER,
    STATUS,
)
from coa.reasons import reason, reason_sql
from coa.staging import tables
from coa.staging.fragments import ledger_of, list_of
from coa.staging.runs import TARGET, Run
from coa.staging.tables import Table

# Which of several problems is named as the reason: causes before consequences.
REASON_ORDER = tuple(ReasonCode)


def assign_actions(run: Run, carried: dict[str, list[FieldMapping]]) -> None:
    """Fills `plan`: records in the target are compared with it; all others are blocked, held or inserted."""
    # Made and filled in one transaction, key last: the embedded server then writes the table itself and no log of it.
    with run.db.transaction() as connection:
        tables.create(connection, run, Table.PLAN, keyed=False)
        for sobject in LOADED:
            connection.execute(_actions(run, sobject, carried[sobject]))
        tables.add_key(connection, run, Table.PLAN)
    _add_index(run, "plan_by_parent")
    _tell_changed_matches(run)
    _apply_conflict_policy(run)
    _block_frozen_terms(run)
    _block_late_terms(run, carried[DETAIL])
    _hold(run)
    link_to_new_records(run, carried)
    _number_chunks(run)
    _add_index(run, "plan_by_chunk")
    run.db.execute(sql.SQL("ANALYZE {}").format(run.table(Table.PLAN)))


def _add_index(run: Run, index: str) -> None:
    with run.db.transaction() as connection:
        tables.add_index(connection, run, Table.PLAN, index)


def _parent(sobject: str) -> sql.Composable:
    lookup = {ORDER: ORDER_CUSTOMER, DETAIL: DETAIL_ORDER}.get(sobject)
    return sql.SQL("d.{}").format(sql.Identifier(lookup)) if lookup else sql.SQL("NULL::text")


def _actions(run: Run, sobject: str, fields: list[FieldMapping]) -> sql.Composed:
    """INSERT of one row a record of an sObject."""
    compared, joins = comparisons(run, sobject, fields)
    writeable = [c for c in compared if c.field.updateable]
    status = sql.SQL("d.{}").format(sql.Identifier(STATUS)) if sobject == ORDER else sql.SQL("NULL::text")
    created = (
        sql.SQL('s."CreatedDate"') if "CreatedDate" in run.columns(Table.SOURCE, sobject) else sql.SQL("''")
    )
    return sql.SQL(
        """INSERT INTO {plan} (sobject, source_id, parent_id, target_id, action, reason_code, field, reason,
                               next_step, changed, status, created_at)
           SELECT {sobject}, d.source_id, {parent}, l.target_id,
             CASE WHEN l.origin = 'matched' THEN 'match'
                  WHEN t."Id" IS NOT NULL AND c.changed = '{{}}' THEN 'unchanged'
                  WHEN p.reason_code IS NOT NULL THEN 'blocked'
                  WHEN t."Id" IS NOT NULL AND {conflict} THEN 'blocked'
                  WHEN t."Id" IS NOT NULL THEN 'update'
                  ELSE 'insert' END,
             CASE WHEN l.origin = 'matched' OR (t."Id" IS NOT NULL AND c.changed = '{{}}') THEN ''
                  WHEN p.reason_code IS NOT NULL THEN p.reason_code
                  WHEN t."Id" IS NOT NULL AND {conflict} THEN 'conflict' ELSE '' END,
             COALESCE(p.field, ''), COALESCE(p.reason, ''), COALESCE(p.next_step, ''),
             CASE WHEN t."Id" IS NOT NULL AND l.origin = 'inserted' THEN c.changed ELSE '{{}}' END,
             {status}, {created}
           FROM {desired} d
           JOIN {source} s ON s."Id" = d.source_id
           LEFT JOIN {ledgers} l
             ON l.pair_id = {pair} AND l.sobject = {sobject} AND l.source_id = d.source_id
           LEFT JOIN {target} t ON t."Id" = l.target_id AND l.origin = 'inserted'
           {joins}
           LEFT JOIN LATERAL (SELECT CASE WHEN t."Id" IS NULL THEN '{{}}'::text[] ELSE {changed} END
                              AS changed OFFSET 0) c
             ON true
           LEFT JOIN LATERAL (SELECT q.* FROM {problem} q WHERE q.sobject = {sobject}
               AND q.source_id = d.source_id ORDER BY array_position({order}, q.reason_code), q.field LIMIT 1) p
             ON true"""
    ).format(
        ledgers=run.ledger,
        plan=run.table(Table.PLAN),
        sobject=sql.Literal(sobject),
        parent=_parent(sobject),
        conflict=_changed_in_target(writeable),
        status=status,
        created=created,
        desired=run.table(Table.DESIRED, sobject),
        source=run.table(Table.SOURCE, sobject),
        target=run.table(TARGET, sobject),
        pair=sql.Literal(run.pair_id),
        joins=joins,
        changed=changed_fields(writeable),
        problem=run.table(Table.PROBLEM),
        order=sql.Literal(list(REASON_ORDER)),
    )


def _tell_changed_matches(run: Run) -> None:
    """Customers whose org id, by which they were matched, is another one now: with the other match, or none."""
    created = reason_sql("match_changed:created", target_id=sql.SQL("l.error"))
    matched = reason_sql("match_changed:matched", target_id=sql.SQL("l.error"))
    run.db.execute(
        sql.SQL(
            """UPDATE {plan} p SET reason_code = {code}, field = {field}, reason = {reason},
                      next_step = CASE WHEN p.action = 'insert' THEN {if_created} ELSE {if_matched} END
               FROM {ledgers} l WHERE {ledger}
                 AND l.error_code = {code} AND l.last_run = {run} AND p.sobject = {customer}
                 AND p.action IN {customers}"""
        ).format(
            ledgers=run.ledger,
            ledger=ledger_of(run.pair_id, "p"),
            plan=run.table(Table.PLAN),
            code=created.code,
            reason=created.message,
            if_created=created.next_step,
            if_matched=matched.next_step,
            field=sql.Literal(CUSTOMER_ORG_ID),
            run=sql.Literal(run.run_id),
            customer=sql.Literal(CUSTOMER),
            customers=list_of({Action.INSERT, Action.MATCH}),
        )
    )


def _changed_in_target(compared: list[Comparison]) -> sql.Composed:
    """Whether somebody changed the record in the target since it was last proved equal.

    If only our migration fields would be written, nobody's change is overwritten: the fields were removed
    and deployed again.
    """
    if not compared:
        return sql.SQL("false").format()
    actual = actual_hash(compared)
    return sql.SQL(
        """(l.verified_hash IS NOT NULL AND split_part(l.verified_hash, ':', 1) = split_part({a}, ':', 1)
            AND l.verified_hash <> {a} AND NOT c.changed <@ {ours})"""
    ).format(a=actual, ours=sql.Literal(list(MIGRATION_FIELDS)))


def _apply_conflict_policy(run: Run) -> None:
    policy = run.params.conflict_policy
    if policy == "source_wins":
        run.db.execute(
            sql.SQL(
                "UPDATE {} SET action = 'update', reason_code = '' "
                "WHERE action = 'blocked' AND reason_code = 'conflict'"
            ).format(run.table(Table.PLAN))
        )
    elif policy == "target_wins":
        run.db.execute(
            sql.SQL(
                """INSERT INTO coa.explained (run_id, sobject, source_id, field, cause, reason)
                   SELECT %s, sobject, source_id, f, %s, %s
                   FROM {}, unnest(changed) f WHERE action = 'blocked' AND reason_code = 'conflict'
                   ON CONFLICT DO NOTHING"""
            ).format(run.table(Table.PLAN)),
            [run.run_id, Cause.TARGET_WINS.value, sentence(Cause.TARGET_WINS)],
        )
        run.db.execute(
            sql.SQL(
                """UPDATE {} SET action = 'unchanged', reason_code = '', changed = '{{}}'
                   WHERE action = 'blocked' AND reason_code = 'conflict'"""
            ).format(run.table(Table.PLAN))
        )
    else:
        conflict = reason_sql("conflict", fields=sql.SQL("array_to_string(changed, ', ')"))
        run.db.execute(
            sql.SQL(
                """UPDATE {} SET reason = {}, next_step = {}
                   WHERE action = 'blocked' AND reason_code = {}"""
            ).format(run.table(Table.PLAN), conflict.message, conflict.next_step, conflict.code)
        )


def _block_frozen_terms(run: Run) -> None:
    """The package refuses changed special terms once the order is neither Draft nor Error."""
    frozen = reason("refused_by_org:frozen_terms")
    run.db.execute(
        sql.SQL(
            """UPDATE {plan} p SET action = 'blocked', reason_code = {code}, reason = {reason}, next_step = {next_step}
               FROM {details} t JOIN {orders} o ON o."Id" = t.{parent}
               WHERE p.sobject = {detail} AND p.action = 'update' AND p.changed && {frozen}
                 AND t."Id" = p.target_id AND o.{status} NOT IN ('Draft', 'Error')"""
        ).format(
            plan=run.table(Table.PLAN),
            details=run.table(TARGET, DETAIL),
            orders=run.table(TARGET, ORDER),
            code=sql.Literal(frozen.code),
            reason=sql.Literal(frozen.message),
            next_step=sql.Literal(frozen.next_step),
            parent=sql.Identifier(DETAIL_ORDER),
            detail=sql.Literal(DETAIL),
            frozen=sql.Literal(sorted(FROZEN_DETAIL_FIELDS)),
            status=sql.Identifier(STATUS),
        )
    )


def _block_late_terms(run: Run, fields: list[FieldMapping]) -> None:
    """Blocks new details of an order that has left Draft if only a later update could set their special
    terms exactly.

    What Bulk cannot carry follows the insert by REST. Here the package would refuse that, and the text
    would be lost.
    """
    frozen = [f for f in fields if f.name in FROZEN_DETAIL_FIELDS]
    if not frozen:
        return
    late_terms = reason("refused_by_org:late_terms")
    late = sql.SQL(" OR ").join(
        bulk_cannot_carry(f, sql.SQL("d.{}").format(sql.Identifier(f.name)), run.settings) for f in frozen
    )
    run.db.execute(
        sql.SQL(
            """UPDATE {plan} p SET action = 'blocked', reason_code = {code}, reason = {reason}, next_step = {next_step}
               FROM {desired} d, {plan} o JOIN {orders} t ON t."Id" = o.target_id
               WHERE p.sobject = {detail} AND p.action = 'insert' AND d.source_id = p.source_id AND ({late})
                 AND o.sobject = {order} AND o.source_id = p.parent_id AND t.{status} NOT IN ('Draft', 'Error')"""
        ).format(
            plan=run.table(Table.PLAN),
            code=sql.Literal(late_terms.code),
            reason=sql.Literal(late_terms.message),
            next_step=sql.Literal(late_terms.next_step),
            desired=run.table(Table.DESIRED, DETAIL),
            orders=run.table(TARGET, ORDER),
            detail=sql.Literal(DETAIL),
            late=late,
            order=sql.Literal(ORDER),
            status=sql.Identifier(STATUS),
        )
    )


def _hold(run: Run) -> None:
    """New orders that a policy leaves in the source for now, with their details."""
    for policy, statuses, why in (
        (run.params.draft_orders, (DRAFT,), reason("held_draft")),
        (run.params.in_flight_orders, IN_FLIGHT, reason("held_in_flight")),
    ):
        if policy != "hold":
            continue
        run.db.execute(
            sql.SQL(
                """UPDATE {plan} SET action = 'held', reason_code = %(code)s, field = '', reason = %(message)s,
                                     next_step = %(next_step)s
                   WHERE sobject = %(order)s AND action = 'insert' AND status = ANY (%(statuses)s)"""
            ).format(plan=run.table(Table.PLAN)),
            {**why._asdict(), "order": ORDER, "statuses": list(statuses)},
        )
    run.db.execute(
        sql.SQL(
            """UPDATE {plan} d SET action = 'held', reason_code = o.reason_code, field = '', reason = o.reason,
                                   next_step = o.next_step
               FROM {plan} o WHERE d.sobject = %s AND o.sobject = %s AND d.parent_id = o.source_id
                 AND o.action = 'held' AND d.action = 'insert'"""
        ).format(plan=run.table(Table.PLAN)),
        [DETAIL, ORDER],
    )


def _number_chunks(run: Run) -> None:
    """Divides orders with work into chunks (`RunParams.orders_a_chunk`); details go with their order.

    Oldest first, but before them the orders whose status is not right yet, which an earlier run left as
    Draft.
    """
    values = {"order": ORDER, "detail": DETAIL, "status": STATUS}
    work = sql.SQL(
        """SELECT o.source_id, row_number() OVER (ORDER BY (%(status)s = ANY (o.changed)) DESC,
                          o.created_at, o.source_id) - 1 AS n
           FROM {plan} o WHERE o.sobject = %(order)s AND o.action IN {moved}
             AND (o.action <> 'unchanged' OR EXISTS (SELECT FROM {plan} d WHERE d.sobject = %(detail)s
                    AND d.parent_id = o.source_id AND d.action IN {written}))"""
    ).format(plan=run.table(Table.PLAN), moved=list_of(MOVED), written=list_of(WRITTEN))
    orders = run.db.value(sql.SQL("SELECT count(*) FROM ({}) w").format(work), values)
    run.db.execute(
        sql.SQL(
            """UPDATE {plan} p SET chunk_no = w.n / %(size)s FROM ({work}) w
               -- One equality: an OR of two would be a nested loop over the orders.
               WHERE w.source_id = CASE p.sobject WHEN %(order)s THEN p.source_id ELSE p.parent_id END
                 AND (p.sobject = %(order)s OR (p.sobject = %(detail)s AND p.action IN {written}))"""
        ).format(plan=run.table(Table.PLAN), work=work, written=list_of(WRITTEN)),
        {**values, "size": run.params.orders_a_chunk(orders)},
    )
