"""What depends on a blocked record is blocked as well: orders on customers, details on orders.

Only if the parent is not in the target yet.
"""

from __future__ import annotations

from psycopg import sql

from coa.model import CUSTOMER, DETAIL, DETAIL_ORDER, ORDER, ORDER_CUSTOMER
from coa.reasons import Reason, reason
from coa.staging.fragments import ledger_of
from coa.staging.runs import Run
from coa.staging.tables import Table

FOUND_HERE = ("key_of_other_source", "possible_duplicate", "order_incomplete", "parent_blocked")
"""Problems that reconcile finds itself; the others come from the transform."""


def forget_own_problems(run: Run) -> None:
    """Deletes the problems of an earlier try of this task."""
    run.db.execute(
        sql.SQL("DELETE FROM {} WHERE reason_code = ANY (%s)").format(run.table(Table.PROBLEM)),
        [list(FOUND_HERE)],
    )


def drop_problems_of_matched(run: Run) -> None:
    """Nothing is written to a matched record, so nothing can stand against it."""
    run.db.execute(
        sql.SQL(
            """DELETE FROM {} p USING {ledgers} l
               WHERE {} AND l.origin = 'matched'"""
        ).format(run.table(Table.PROBLEM), ledger_of(run.pair_id, "p"), ledgers=run.ledger)
    )
    run.db.execute(
        sql.SQL(
            """DELETE FROM coa.explained e USING {ledgers} l
               WHERE e.run_id = %s AND {} AND l.origin = 'matched'"""
        ).format(ledger_of(run.pair_id, "e"), ledgers=run.ledger),
        [run.run_id],
    )


def pass_on_blocks(run: Run) -> None:
    """Adds `parent_blocked` and, with `incomplete_orders: block`, `order_incomplete`."""
    _block_children(run, ORDER, ORDER_CUSTOMER, CUSTOMER, reason("parent_blocked:order"))
    if run.params.incomplete_orders == "block":
        _block_incomplete_orders(run)
    _block_children(run, DETAIL, DETAIL_ORDER, ORDER, reason("parent_blocked:detail"))


def _block_incomplete_orders(run: Run) -> None:
    why = reason("order_incomplete")
    run.db.execute(
        sql.SQL(
            """INSERT INTO {problem}
               SELECT DISTINCT {order}, d.{parent}, {code}, '', {reason}, {next_step}, 'block'
               FROM {problem} p JOIN {desired} d ON p.sobject = {detail} AND d.source_id = p.source_id
               WHERE p.verdict = 'block' AND d.{parent} IS NOT NULL
                 AND NOT EXISTS (SELECT FROM {ledgers} l WHERE l.pair_id = {pair} AND l.sobject = {order}
                                   AND l.source_id = d.{parent} AND l.target_id IS NOT NULL)
               ON CONFLICT DO NOTHING"""
        ).format(
            ledgers=run.ledger,
            problem=run.table(Table.PROBLEM),
            code=sql.Literal(why.code),
            reason=sql.Literal(why.message),
            next_step=sql.Literal(why.next_step),
            order=sql.Literal(ORDER),
            detail=sql.Literal(DETAIL),
            parent=sql.Identifier(DETAIL_ORDER),
            desired=run.table(Table.DESIRED, DETAIL),
            pair=sql.Literal(run.pair_id),
        )
    )


def _block_children(run: Run, child: str, lookup: str, parent: str, why: Reason) -> None:
    run.db.execute(
        sql.SQL(
            """INSERT INTO {problem}
               SELECT {child}, d.source_id, {code}, {lookup_name}, {reason}, {next_step}, 'block'
               FROM {desired} d
               WHERE EXISTS (SELECT FROM {problem} p WHERE p.sobject = {parent} AND p.source_id = d.{lookup}
                               AND p.verdict = 'block')
                 AND NOT EXISTS (SELECT FROM {ledgers} l WHERE l.pair_id = {pair} AND l.sobject = {parent}
                                   AND l.source_id = d.{lookup} AND l.target_id IS NOT NULL)
                 AND NOT EXISTS (SELECT FROM {problem} q WHERE q.sobject = {child}
                               AND q.source_id = d.source_id AND q.verdict = 'block')
               ON CONFLICT DO NOTHING"""
        ).format(
            ledgers=run.ledger,
            problem=run.table(Table.PROBLEM),
            child=sql.Literal(child),
            parent=sql.Literal(parent),
            lookup=sql.Identifier(lookup),
            lookup_name=sql.Literal(lookup),
            code=sql.Literal(why.code),
            reason=sql.Literal(why.message),
            next_step=sql.Literal(why.next_step),
            desired=run.table(Table.DESIRED, child),
            pair=sql.Literal(run.pair_id),
        )
    )
