"""Which source records have a counterpart in the target already: updates the ledger from the snapshot.

A fresh snapshot counts more than the ledger. What is not in the target any more is not there, whatever the
ledger says; what has our migration key is there, unless it came from another source.
"""

from __future__ import annotations

from psycopg import sql

from coa.codes import MIGRATING, NOT_INSERTED, ReasonCode
from coa.fields.customers import customers_alike
from coa.model import CUSTOMER, LOADED, SOURCE_ID
from coa.plan.foreign_keys import is_ours, note_what_others_left
from coa.staging.fragments import list_of, same_record
from coa.staging.runs import SOURCE, TARGET, Run
from coa.staging.tables import Table


def sync_ledger(run: Run) -> None:
    """A ledger row for each source record with a counterpart, with the target id that the snapshot shows.

    Of the others only customers get a row, which matching fills in. A new order or detail has none until it
    is created: this saves one write a record, and readers join the ledger from the left.
    """
    note_what_others_left(run)
    for sobject in LOADED:
        _forget_what_is_gone(run, sobject)
        _recognise_our_own(run, sobject)
    _add_unknown(run, CUSTOMER)
    match_customers(run)
    run.db.execute(sql.SQL("ANALYZE {}").format(run.ledger))


def _forget_what_is_gone(run: Run, sobject: str) -> None:
    run.db.execute(
        sql.SQL(
            """UPDATE {ledgers} l SET target_id = NULL, origin = 'none', step = 'none', verified_hash = NULL,
                      updated_at = clock_timestamp()
               WHERE pair_id = %s AND sobject = %s AND target_id IS NOT NULL
                 AND NOT EXISTS (SELECT FROM {} t WHERE t."Id" = l.target_id)"""
        ).format(run.table(TARGET, sobject), ledgers=run.ledger),
        [run.pair_id, sobject],
    )


def _recognise_our_own(run: Run, sobject: str) -> None:
    """By migration key, where `is_ours` allows it. A record that the ledger did not know as created starts
    at step `created`.

    Its creator is known as well: runs on a target never overlap, and each starts from a fresh snapshot, so
    it was the last run that loaded. Without this, a roll-back of that run would leave the record behind.
    """
    run.db.execute(
        sql.SQL(
            """INSERT INTO {ledgers} AS l (pair_id, sobject, source_id, target_id, origin, step, inserted_run)
               SELECT %s, %s, s."Id", t."Id", 'inserted', 'created',
                      (SELECT run_id FROM coa.run WHERE pair_id = %s AND loaded_at IS NOT NULL
                         AND mode IN {migrating} ORDER BY loaded_at DESC LIMIT 1)
               FROM {target} t JOIN {source} s ON s."Id" = coa.id18(t.{key})
               LEFT JOIN {desired} d ON d.source_id = s."Id"
               LEFT JOIN {ledgers} k ON k.pair_id = %s AND k.sobject = %s AND k.source_id = s."Id"
               WHERE {ours}
               ON CONFLICT (pair_id, sobject, source_id) DO UPDATE
                 SET target_id = EXCLUDED.target_id, origin = 'inserted',
                     inserted_run = COALESCE(l.inserted_run, EXCLUDED.inserted_run),
                     step = CASE WHEN l.target_id = EXCLUDED.target_id THEN l.step ELSE 'created' END,
                     verified_hash = CASE WHEN l.target_id = EXCLUDED.target_id THEN l.verified_hash END,
                     updated_at = clock_timestamp()
                 WHERE l.target_id IS DISTINCT FROM EXCLUDED.target_id OR l.origin <> 'inserted'"""
        ).format(
            ledgers=run.ledger,
            migrating=list_of(MIGRATING),
            target=run.table(TARGET, sobject),
            source=run.table(SOURCE, sobject),
            desired=run.table(Table.DESIRED, sobject),
            key=sql.Identifier(SOURCE_ID),
            ours=is_ours(run, sobject),
        ),
        [run.pair_id, sobject, run.pair_id, run.pair_id, sobject],
    )


def _add_unknown(run: Run, sobject: str) -> None:
    run.db.execute(
        sql.SQL(
            """INSERT INTO {ledgers} (pair_id, sobject, source_id)
               SELECT %s, %s, "Id" FROM {} ON CONFLICT DO NOTHING"""
        ).format(run.table(SOURCE, sobject), ledgers=run.ledger),
        [run.pair_id, sobject],
    )


MATCH_CHANGED = ReasonCode.MATCH_CHANGED


def match_customers(run: Run) -> None:
    """Matches customers that the target has already.

    A match only holds while its key does: another org id in either org leads to another match, or to a new
    customer; then `match_changed` is noted in the ledger's row for this run's plan.
    """
    run.db.execute(
        sql.SQL(
            """UPDATE {} SET error_code = NULL, error = NULL
               WHERE pair_id = %s AND sobject = %s AND error_code = %s AND last_run IS DISTINCT FROM %s"""
        ).format(run.ledger),
        [run.pair_id, CUSTOMER, MATCH_CHANGED, run.run_id],
    )
    run.db.execute(
        sql.SQL(
            """WITH candidate AS ({candidates})
               UPDATE {ledgers} l SET target_id = n.target_id, updated_at = clock_timestamp(),
                      origin = CASE WHEN n.target_id IS NULL THEN 'none' ELSE 'matched' END,
                      step = CASE WHEN n.target_id IS NULL THEN 'none' ELSE 'done' END,
                      error_code = CASE WHEN l.origin = 'matched' THEN {changed} ELSE l.error_code END,
                      error = CASE WHEN l.origin = 'matched' THEN l.target_id ELSE l.error END,
                      last_run = CASE WHEN l.origin = 'matched' THEN {run} ELSE l.last_run END
               FROM {ledgers} o LEFT JOIN candidate n ON n.source_id = o.source_id
               WHERE o.pair_id = {pair} AND o.sobject = {customer} AND o.origin IN {not_inserted}
                 AND o.target_id IS DISTINCT FROM n.target_id
                 AND l.pair_id = o.pair_id AND {l_is_o}
                 AND EXISTS (SELECT FROM {source} s WHERE s."Id" = o.source_id)"""
        ).format(
            ledgers=run.ledger,
            candidates=customers_alike(run, run.table(TARGET, CUSTOMER)),
            changed=sql.Literal(MATCH_CHANGED),
            run=sql.Literal(run.run_id),
            pair=sql.Literal(run.pair_id),
            customer=sql.Literal(CUSTOMER),
            source=run.table(SOURCE, CUSTOMER),
            not_inserted=list_of(NOT_INSERTED),
            l_is_o=same_record("l", "o"),
        )
    )
