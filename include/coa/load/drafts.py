"""Orders that are Drafts in the target although they should not be."""

from __future__ import annotations

from psycopg import sql

from coa.model import DRAFT, ORDER, STATUS
from coa.staging.runs import Run
from coa.staging.tables import Table


def overdue_drafts(run: Run, seconds: float) -> int:
    """How many orders that this run inserted still are such Drafts after so long, by the ledger."""
    if run.record.pair_id is None or not run.has_table(Table.DESIRED, ORDER):
        return 0
    return int(
        run.db.value(
            sql.SQL(
                """SELECT count(*) FROM coa.ledger l JOIN {} d ON d.source_id = l.source_id
                   WHERE l.pair_id = %s AND l.sobject = %s AND l.inserted_run = %s AND l.step = 'created'
                     AND d.{} IS DISTINCT FROM %s AND l.draft_until IS NULL
                     AND l.draft_since < clock_timestamp() - make_interval(secs => %s)"""
            ).format(run.table(Table.DESIRED, ORDER), sql.Identifier(STATUS)),
            [run.pair_id, ORDER, run.run_id, DRAFT, seconds],
        )
    )
