"""What must be true of a planned record before a step may write it: SQL over the plan (alias `p`).

A step that cannot be undone waits for what it depends on: a record for its parent, an order's release for all
its details. What cannot be sent for that reason is listed as refused; the next run continues from there.
"""

from __future__ import annotations

from psycopg import sql

from coa.load.one_pass_state import of_one_pass
from coa.load_steps import FROZEN_TERMS, FROZEN_TERMS_EXACT
from coa.model import CUSTOMER, DETAIL, ORDER
from coa.staging.fragments import ledger_of, same_record
from coa.staging.runs import Run
from coa.staging.tables import Table

PARENTS = {ORDER: CUSTOMER, DETAIL: ORDER}
"""What the column `parent_id` of the plan points at."""
WHILE_DRAFT_STEPS = (FROZEN_TERMS.name, FROZEN_TERMS_EXACT.name)
PARENT_REJECTED = "PARENT_REJECTED"
DETAILS_REJECTED = "DETAILS_REJECTED"
INCOMPLETE = "INCOMPLETE"


def not_held_back(run: Run, alias: str = "p") -> sql.Composed:
    """Condition: the record did not change in the source since the plan."""
    return sql.SQL(
        "NOT EXISTS (SELECT FROM {} h WHERE h.sobject = {a}.sobject AND h.source_id = {a}.source_id)"
    ).format(run.table(Table.CHANGED_SINCE_PLAN), a=sql.Identifier(alias))


def is_missing(run: Run) -> sql.Composed:
    """The record is not in the target.

    A look at its row of the ledger, as in `has_parent`: a join would read all of the ledger for each chunk.
    """
    return sql.SQL("(SELECT l.target_id FROM coa.ledger l WHERE {}) IS NULL").format(
        ledger_of(run.pair_id, "p")
    )


def has_parent(run: Run, sobject: str) -> sql.Composed:
    """Condition: the record needs no parent, or its parent is in the target."""
    if sobject not in PARENTS:
        return sql.SQL("true").format()
    return sql.SQL(
        """(p.parent_id IS NULL OR (SELECT q.target_id FROM coa.ledger q
             WHERE q.pair_id = {pair} AND q.sobject = {parent}
             AND q.source_id = p.parent_id) IS NOT NULL)"""
    ).format(pair=sql.Literal(run.pair_id), parent=sql.Literal(PARENTS[sobject]))


def planned_details_are_there(run: Run) -> sql.Composed:
    """Condition for an order: every planned detail is in the target."""
    return sql.SQL(
        """(NOT EXISTS (SELECT FROM {plan} x LEFT JOIN coa.ledger xl
              ON {ledger_xl}
              WHERE x.sobject = {detail} AND x.parent_id = p.source_id AND x.action = 'insert'
                AND xl.target_id IS NULL AND {not_held}))"""
    ).format(
        ledger_xl=ledger_of(run.pair_id, "x", "xl"),
        plan=run.table(Table.PLAN),
        detail=sql.Literal(DETAIL),
        not_held=not_held_back(run, "x"),
    )


def is_complete(run: Run) -> sql.Composed:
    """Condition for an order: every planned detail is in the target, and the special terms, which can no
    longer change once the order is released, are exact.
    """
    return sql.SQL(
        """({there} AND NOT EXISTS (SELECT FROM {work} xw JOIN {plan} x
              ON {x_is_xw}
              WHERE xw.sobject = {detail} AND xw.step = ANY ({steps}) AND xw.chunk_no = p.chunk_no
                AND xw.state <> 'accepted' AND x.parent_id = p.source_id))"""
    ).format(
        there=planned_details_are_there(run),
        plan=run.table(Table.PLAN),
        detail=sql.Literal(DETAIL),
        work=run.table(Table.WORK),
        steps=sql.Literal(list(WHILE_DRAFT_STEPS)),
        x_is_xw=same_record("x", "xw"),
    )


def list_orphans(run: Run, sobject: str, step: str, chunk_no: int) -> None:
    """Lists records whose parent the org refused; they are not sent."""
    parent = PARENTS[sobject]
    word = "customer" if parent == CUSTOMER else "order"
    run.db.execute(
        sql.SQL(
            """INSERT INTO coa.rejection (run_id, sobject, source_id, step, error_code, error)
               SELECT {run}, p.sobject, p.source_id, {step}, {code}, {said} || p.parent_id || ' was not created'
               FROM {plan} p
               WHERE p.sobject = {sobject} AND p.chunk_no = {chunk} AND p.action = 'insert'
                 AND NOT {has_parent} AND {missing} AND {not_held}
               ON CONFLICT DO NOTHING"""
        ).format(
            missing=is_missing(run),
            run=sql.Literal(run.run_id),
            step=sql.Literal(step),
            code=sql.Literal(PARENT_REJECTED),
            said=sql.Literal(f"its {word} "),
            plan=run.table(Table.PLAN),
            sobject=sql.Literal(sobject),
            chunk=sql.Literal(chunk_no),
            not_held=not_held_back(run),
            has_parent=has_parent(run, sobject),
        )
    )


def left_draft(run: Run, step: str, due: str) -> sql.Composed:
    """INSERT that lists orders that must stay Drafts: those of the query `due` (source_id, waits) for which
    `waits` is true.
    """
    return sql.SQL(
        """INSERT INTO coa.rejection (run_id, sobject, source_id, step, error_code, error)
           SELECT {run}, {order}, s.source_id, {step}, {code},
                  'a detail of it was refused, or its special terms could not be written'
           FROM {due} s WHERE s.waits ON CONFLICT DO NOTHING"""
    ).format(
        run=sql.Literal(run.run_id),
        order=sql.Literal(ORDER),
        step=sql.Literal(step),
        code=sql.Literal(DETAILS_REJECTED),
        due=sql.Identifier(due),
    )


def list_incomplete(run: Run, step: str, chunk_no: int) -> None:
    """Lists orders of a chunk that were created as released and lack a detail."""
    run.db.execute(
        sql.SQL(
            """INSERT INTO coa.rejection (run_id, sobject, source_id, step, error_code, error)
               SELECT {run}, p.sobject, p.source_id, {step}, {code}, 'a detail of it was refused'
               FROM {plan} p JOIN coa.ledger l
                 ON {ledger}
               WHERE p.sobject = {order} AND p.chunk_no = {chunk} AND l.target_id IS NOT NULL
                 AND {one_pass} AND NOT {there} ON CONFLICT DO NOTHING"""
        ).format(
            ledger=ledger_of(run.pair_id, "p"),
            run=sql.Literal(run.run_id),
            step=sql.Literal(step),
            code=sql.Literal(INCOMPLETE),
            plan=run.table(Table.PLAN),
            order=sql.Literal(ORDER),
            chunk=sql.Literal(chunk_no),
            one_pass=of_one_pass(run, ORDER),
            there=planned_details_are_there(run),
        )
    )
