"""Purges what a run kept, by the register: its tables, texts in permanent tables, artifacts, salts, logs.

The proof stays: the ledger (which record became which), who approved which plan hash, counts, `summary.json`,
`id_map.csv`, and `evidence/` without the salts. A purged run cannot be resumed or rolled back, and is not the
base of a delta.
"""

from __future__ import annotations

from dataclasses import dataclass

import psycopg
from psycopg import sql

from coa.errors import ConfigurationError
from coa.retention.places import Places, delete_logs, purge_artifacts
from coa.retention.register import PERMANENT, Kept
from coa.staging.database import Database, Row
from coa.staging.lease import release
from coa.staging.tables import schema_of

ANSWER_DAYS = 8
"""A run that waits for its approval renews no lease; it is over when nobody answered for a week."""


@dataclass(frozen=True)
class Purged:
    """One run that was purged. `folder` is empty when this program cannot reach its artifacts."""

    run_id: str
    folder: str
    files: int
    logs: int
    airflow: str = ""

    def __str__(self) -> str:
        where = (
            f"{self.files} files of {self.folder}"
            if self.folder
            else "its artifacts lie elsewhere: purge them there"
        )
        told = f"purged {self.run_id}; {where}; {self.logs} log files"
        return f"{told}; {self.airflow}" if self.airflow else told


def runs_to_purge(db: Database, *, older_than_days: float) -> list[Row]:
    """Runs that ended so long ago and are not purged yet; none that is running or whose standing approval
    is in force.
    """
    rows = db.rows(
        """SELECT * FROM coa.run WHERE purged_at IS NULL
             AND COALESCE(finished_at, started_at) < now() - make_interval(secs => %s) ORDER BY started_at""",
        [older_than_days * 86_400],
    )
    return [r for r in rows if not reason_to_keep(db, r)]


def run_to_purge(db: Database, run_id: str, *, force: bool = False) -> Row:
    """The run of this id. `force`: it has no end because it was killed; a live lease protects it all the
    same.

    Raises `ConfigurationError` for a run that does not exist, is running, or whose standing approval is in
    force.
    """
    row = db.row("SELECT * FROM coa.run WHERE run_id = %s", [run_id])
    if row is None:
        raise ConfigurationError(
            f"There is no run {run_id} in the staging database.", next_step="check its id."
        )
    reason = reason_to_keep(db, row, force=force)
    if reason is not None:
        raise reason
    return row


def reason_to_keep(db: Database, row: Row, *, force: bool = False) -> ConfigurationError | None:
    """Why a run cannot be purged now, and what to do; None when it can be."""
    run_id = row["run_id"]
    granted = db.row(
        """SELECT expires_at FROM coa.standing_approval
           WHERE granted_in = %s AND revoked_at IS NULL AND expires_at > clock_timestamp()""",
        [run_id],
    )
    if granted:
        return ConfigurationError(
            f"Run {run_id} granted a standing approval that is in force until {granted['expires_at']:%Y-%m-%d %H:%M}.",
            next_step="withdraw it, or purge the run when it has expired.",
        )
    if row["state"] is not None:
        return None
    lease = db.value(
        "SELECT expires_at FROM coa.lease WHERE run_id = %s AND expires_at > clock_timestamp()", [run_id]
    )
    if lease:
        return ConfigurationError(
            f"Run {run_id} is under way.",
            next_step=f"purge it when it has ended; if it was killed, --force purges it after {lease:%H:%M:%S %Z}, "
            "when its lease expires.",
        )
    heard_of = db.value(
        "SELECT max(at) > now() - make_interval(days => %s) FROM coa.event WHERE run_id = %s",
        [ANSWER_DAYS, run_id],
    )
    if heard_of and not force:
        return ConfigurationError(
            f"Run {run_id} is under way: it has no end, and may be waiting for its approval.",
            next_step="purge it when it has ended; if it was killed, use --force.",
        )
    return None


def has_schema(db: Database, run_id: str) -> bool:
    """Whether the tables of a run are there."""
    return bool(db.value("SELECT to_regnamespace(%s) IS NOT NULL", [schema_of(run_id)]))


def purge(db: Database, row: Row, places: Places | None = None) -> Purged:
    """Deletes what one run kept: logs and files first, so that an interrupted purge is found and repeated."""
    places = places or Places()
    run_id = str(row["run_id"])
    folder = places.artifacts(row)
    files = purge_artifacts(folder) if folder is not None else 0
    logs = delete_logs(places.logs(row))
    airflow = places.forget_in_airflow(row) if places.forget_in_airflow else ""
    with db.transaction() as connection:
        connection.execute(
            sql.SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(sql.Identifier(schema_of(run_id)))
        )
        for table, kept in PERMANENT.items():
            _purge_rows(connection, table, kept, run_id)
        release(connection, run_id)
        connection.execute(
            """UPDATE coa.run SET purged_at = clock_timestamp(), state = COALESCE(state, 'failed'),
                      finished_at = COALESCE(finished_at, clock_timestamp()) WHERE run_id = %s""",
            [run_id],
        )
        connection.execute(
            "INSERT INTO coa.event (run_id, level, event, data) VALUES (%s, 'info', 'purged', '{}')", [run_id]
        )
    return Purged(run_id, str(folder or ""), files, logs, airflow)


def _purge_rows(connection: psycopg.Connection[Row], table: str, kept: Kept, run_id: str) -> None:
    name, of_run = sql.Identifier("coa", table), sql.SQL(kept.of_run)
    if kept.deleted:
        connection.execute(sql.SQL("DELETE FROM {} WHERE {}").format(name, of_run), {"run": run_id})
    elif kept.emptied:
        assignments = sql.SQL(", ").join(
            sql.SQL("{} = {}").format(sql.Identifier(column), sql.SQL(becomes))
            for column, becomes in kept.emptied.items()
        )
        connection.execute(
            sql.SQL("UPDATE {} SET {} WHERE {}").format(name, assignments, of_run), {"run": run_id}
        )
