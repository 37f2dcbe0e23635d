"""Which records must be in the target now: from the plan of a migration, or from the ledger of the pair."""

from __future__ import annotations

from psycopg import sql

from coa.codes import MOVED
from coa.model import LOADED
from coa.staging import tables
from coa.staging.fragments import ledger_of, list_of, same_record
from coa.staging.runs import SOURCE, Run
from coa.staging.tables import Table


def expect_planned(run: Run, only: sql.Identifier | None = None) -> None:
    """`expected__<slug>`: what the plan wanted there, with the target id that the ledger knows.

    `rejected` marks records that the org refused for good: they are reported as such, not as missing.
    `only`: a table (sobject, source_id) of the records that are meant; None means all.
    """
    among = sql.SQL("").format()
    if only is not None:
        among = sql.SQL("AND EXISTS (SELECT FROM {} o WHERE {o_is_p})").format(
            only, o_is_p=same_record("o", "p")
        )
    for sobject in LOADED:
        unchanged = sql.SQL("").format()
        if run.has_table(Table.CHANGED_SINCE_PLAN):
            unchanged = sql.SQL("AND NOT EXISTS (SELECT FROM {} h WHERE {h_is_p})").format(
                run.table(Table.CHANGED_SINCE_PLAN), h_is_p=same_record("h", "p")
            )
        _create(
            run,
            sobject,
            sql.SQL(
                """SELECT p.source_id, l.target_id, l.target_id IS NULL AND EXISTS (
                     SELECT FROM coa.rejection r WHERE r.run_id = {run} AND {r_is_p}) AS rejected
                   FROM {plan} p LEFT JOIN coa.ledger l
                     ON {ledger}
                   WHERE p.sobject = {sobject} AND p.action IN {moved} {unchanged} {among}"""
            ).format(
                ledger=ledger_of(run.pair_id, "p"),
                run=sql.Literal(run.run_id),
                plan=run.table(Table.PLAN),
                sobject=sql.Literal(sobject),
                unchanged=unchanged,
                among=among,
                moved=list_of(MOVED),
                r_is_p=same_record("r", "p"),
            ),
        )


def expect_migrated(run: Run, of_run: str) -> None:
    """The same from the ledger: all that was ever inserted on this pair, or what `of_run` inserted.

    Records that the source does not have any more are not expected: they are listed on their own.
    """
    for sobject in LOADED:
        _create(
            run,
            sobject,
            sql.SQL(
                """SELECT l.source_id, l.target_id, false AS rejected FROM coa.ledger l
                   WHERE l.pair_id = {pair} AND l.sobject = {sobject} AND l.origin = 'inserted'
                     AND l.target_id IS NOT NULL AND ({of_run} = '' OR l.inserted_run = {of_run})
                     AND EXISTS (SELECT FROM {source} s WHERE s."Id" = l.source_id)"""
            ).format(
                pair=sql.Literal(run.pair_id),
                sobject=sql.Literal(sobject),
                of_run=sql.Literal(of_run),
                source=run.table(SOURCE, sobject),
            ),
        )


def _create(run: Run, sobject: str, query: sql.Composed) -> None:
    with run.db.transaction() as connection:
        tables.create_as(connection, run, Table.EXPECTED, query, sobject)
        tables.add_index(connection, run, Table.EXPECTED, "expected_by_target", sobject)
        connection.execute(sql.SQL("ANALYZE {}").format(run.table(Table.EXPECTED, sobject)))
