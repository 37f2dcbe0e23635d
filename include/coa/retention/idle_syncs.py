"""Scheduled runs that wrote nothing: when a newer run is the base of the next delta, their tables are dropped."""

from __future__ import annotations

from psycopg import sql

from coa.retention.purge import has_schema
from coa.staging.database import Database
from coa.staging.tables import Table, identifier, schema_of


def drop_idle_syncs(db: Database, pair_id: int, newest: str) -> int:
    """Drops the tables of earlier scheduled runs that wrote nothing; of how many runs.

    Without this an hourly delta would keep a copy of all orders for each hour.
    """
    dropped = 0
    for row in db.rows(
        """SELECT r.run_id FROM coa.run r WHERE r.pair_id = %s AND r.run_id <> %s AND right(r.dag_id, 5) = '_sync'
             AND r.state IS NOT NULL
             AND r.started_at < (SELECT started_at FROM coa.run WHERE run_id = %s)""",
        [pair_id, newest, newest],
    ):
        run_id = str(row["run_id"])
        if has_schema(db, run_id) and not _sent_anything(db, run_id):
            db.execute(sql.SQL("DROP SCHEMA {} CASCADE").format(sql.Identifier(schema_of(run_id))))
            dropped += 1
    return dropped


def _sent_anything(db: Database, run_id: str) -> bool:
    """A run that wrote keeps its tables: they are the pre-image of its roll-back."""
    work = identifier(run_id, Table.WORK)
    return db.has_table(work) and bool(db.value(sql.SQL("SELECT EXISTS (SELECT FROM {})").format(work)))
