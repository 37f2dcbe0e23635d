"""Purges what a run kept: staging and artifacts hold personal data, and only as long as they are needed.

    python -m coa.retention --older-than 90        runs that ended more than 90 days ago
    python -m coa.retention --run 20261123T144200Z-a1b2c3
    python -m coa.retention --older-than 90 --dry-run

Dropped: the run's own schema (raw extracts, desired records, plan, work list), the values in its differences,
what policies changed, rejection texts, describes, examples in findings, and of its artifacts folder all but the
proof. Kept: the ledger (which source record is which target record), who approved which plan hash, counts,
`summary.json`, `plan.json`, `id_map.csv`, and of `evidence/` all but the salts. A purged run cannot be rolled back, and is no base of a delta.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from psycopg import sql

from coa.errors import CoaError, ConfigurationError
from coa.evidence.coa_verify_evidence import FOLDER, LEAVES, PROGRAM, SIGNATURE, STATEMENT
from coa.private_files import keep_files_private
from coa.staging.database import Database, Row
from coa.staging.embedded import EmbeddedPostgres
from coa.staging.tables import Table, identifier, schema_of

PROOF = frozenset({"summary.json", "plan.json", "id_map.csv"})
"""Artifacts without personal data: counts, hashes, pairs of record ids."""
SEALED = frozenset({LEAVES, PROGRAM, STATEMENT, SIGNATURE})
"""What is kept of the evidence. Without the salts nobody can try values against the hashes."""
# Rows of a run that hold values, texts or descriptions of records.
VALUE_TABLES = ("describe", "explained", "rejection", "difference", "progress")


@dataclass(frozen=True)
class Purged:
    """One run that was purged; `folder` is empty when its artifacts lie where this program cannot reach."""

    run_id: str
    folder: str
    files: int


def runs_to_purge(db: Database, *, older_than_days: float | None = None, run_id: str = "") -> list[Row]:
    """Ended runs whose tables are still there. A run under way is never among them.

    Raises `ConfigurationError` for a run that does not exist or has not ended.
    """
    if run_id:
        row = db.row("SELECT * FROM coa.run WHERE run_id = %s", [run_id])
        if row is None:
            raise ConfigurationError(
                f"There is no run {run_id} in the staging database.", next_step="check its id."
            )
        if _under_way(db, row):
            raise ConfigurationError(f"Run {run_id} is under way.", next_step="purge it when it has ended.")
        return [row]
    rows = db.rows(
        """SELECT * FROM coa.run WHERE COALESCE(finished_at, started_at) < now() - make_interval(secs => %s)
           ORDER BY started_at""",
        [(older_than_days or 0) * 86_400],
    )
    return [r for r in rows if not _under_way(db, r) and _has_schema(db, str(r["run_id"]))]


def _under_way(db: Database, row: Row) -> bool:
    if row["state"] is not None:
        return False
    holds = db.value(
        "SELECT count(*) FROM coa.lease WHERE run_id = %s AND expires_at > clock_timestamp()", [row["run_id"]]
    )
    # A run that waits for its approval renews no lease; it is old when nobody answered for a week.
    waits = db.value(
        "SELECT max(at) > now() - interval '8 days' FROM coa.event WHERE run_id = %s", [row["run_id"]]
    )
    return bool(holds or waits)


def _has_schema(db: Database, run_id: str) -> bool:
    return bool(db.value("SELECT to_regnamespace(%s) IS NOT NULL", [schema_of(run_id)]))


def purge(db: Database, row: Row) -> Purged:
    """Drops what one run kept; the whole of it in one transaction, then the files."""
    run_id = str(row["run_id"])
    with db.transaction() as connection:
        connection.execute(
            sql.SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(sql.Identifier(schema_of(run_id)))
        )
        for table in VALUE_TABLES:
            connection.execute(
                sql.SQL("DELETE FROM {} WHERE run_id = %s").format(sql.Identifier("coa", table)), [run_id]
            )
        connection.execute("UPDATE coa.finding SET examples = '{}' WHERE run_id = %s", [run_id])
        connection.execute(
            "INSERT INTO coa.event (run_id, level, event, data) VALUES (%s, 'info', 'purged', '{}')", [run_id]
        )
    folder = _local_folder(row)
    files = 0
    if folder:
        for file in sorted(folder.rglob("*")):
            if file.is_file() and not _is_proof(file.relative_to(folder)):
                file.unlink()
                files += 1
    return Purged(run_id, str(folder or ""), files)


def _is_proof(file: Path) -> bool:
    """`file`: relative to the run's folder."""
    if file.parent == Path(FOLDER):
        return file.name in SEALED
    return file.parent == Path() and file.name in PROOF


def _local_folder(row: Row) -> Path | None:
    """The run's artifacts folder when it is one of this machine and really that of the run."""
    text = str(row["artifacts"]).removeprefix("file://")
    folder = Path(text)
    if not text or "://" in text or folder.name != row["run_id"] or not folder.is_dir():
        return None
    return folder


def drop_idle_syncs(db: Database, pair_id: int, newest: str) -> int:
    """Drops the tables of earlier scheduled runs that wrote nothing: a newer one is the base of the next delta.

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
        if _has_schema(db, run_id) and not _sent_anything(db, run_id):
            db.execute(sql.SQL("DROP SCHEMA {} CASCADE").format(sql.Identifier(schema_of(run_id))))
            dropped += 1
    return dropped


def _sent_anything(db: Database, run_id: str) -> bool:
    """A run that wrote keeps its tables: they are the pre-image of its roll-back."""
    work = identifier(run_id, Table.WORK)
    return db.has_table(work) and bool(db.value(sql.SQL("SELECT EXISTS (SELECT FROM {})").format(work)))


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; its exit status."""
    keep_files_private()
    parser = argparse.ArgumentParser(prog="python -m coa.retention", description="Purges what runs kept.")
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--older-than", type=float, metavar="DAYS", help="runs that ended longer ago")
    which.add_argument("--run", default="", metavar="RUN_ID", help="this run")
    parser.add_argument("--dry-run", action="store_true", help="only say what would be purged")
    parser.add_argument(
        "--staging",
        default=os.environ.get("COA_STAGING_URL", ""),
        metavar="URL",
        help="PostgreSQL URL (or COA_STAGING_URL); default: the embedded database of the project",
    )
    given = parser.parse_args(arguments)
    try:
        if given.staging:
            return _purge_all(Database(given.staging), given)
        with EmbeddedPostgres().in_use() as server:
            return _purge_all(Database(server.url()), given)
    except CoaError as error:
        print(error, file=sys.stderr)
        return 1


def _purge_all(db: Database, given: argparse.Namespace) -> int:
    rows = runs_to_purge(db, older_than_days=given.older_than, run_id=given.run)
    for row in rows:
        if given.dry_run:
            print(f"would purge {row['run_id']} ({row['dag_id']}, {row['state']})")
            continue
        done = purge(db, row)
        where = (
            f"{done.files} files of {done.folder}"
            if done.folder
            else "its artifacts lie elsewhere: purge them there"
        )
        print(f"purged {done.run_id}; {where}")
    print(f"{len(rows)} runs")
    db.dispose()
    return 0


if __name__ == "__main__":
    sys.exit(main())
