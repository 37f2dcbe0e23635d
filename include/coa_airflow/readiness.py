"""Which customers and products could move to the Go-To-Market app, from the newest snapshot of the source.

    python -m coa_airflow.readiness [--run RUN_ID] [--as-of YYYY-MM-DD] [--rules FILE]
    make readiness ARGS='--as-of 2027-01-31'                  the same for the local Airflow

It asks no org and writes to none: the snapshot that a run staged is enough. Every run's own `gtm_readiness.csv` is as
of its snapshot; this one is as of today, or of another day, and lies beside it. Exit status 3: there is no snapshot.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from coa.codes import MIGRATING
from coa.config import Settings
from coa.errors import CoaError, ConfigurationError
from coa.private_files import keep_files_private
from coa.readiness.assess import READINESS_COLUMNS, readiness_rows
from coa.readiness.contracts import has_orders
from coa.readiness.rules import Rules, parse_rules, shipped_rules
from coa.report.csv_files import write_csv_file
from coa.staging.runs import Run, run_named
from coa_airflow.retention import artifacts

if TYPE_CHECKING:
    from coa.staging.database import Database

FAILED = 2
NO_SNAPSHOT = 3
RUNS_LOOKED_AT = 50


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; its exit status."""
    keep_files_private()
    given = _parser().parse_args(arguments)
    from coa.staging.database import Database
    from coa_airflow.ui.staging import find_url

    try:
        rules = _rules(given.rules)
        db = Database(find_url())
        try:
            run_id = run_named(db, given.run) if given.run else newest_snapshot(db)
            if run_id is None:
                print("There is no snapshot of the source's orders.", file=sys.stderr)
                return NO_SNAPSHOT
            print(write_readiness(db, run_id, given.as_of, rules))
        finally:
            db.dispose()
    except CoaError as error:
        print(error, file=sys.stderr)
        return FAILED
    return 0


def _parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(prog="python -m coa_airflow.readiness")
    made.add_argument(
        "--run", default="", metavar="RUN_ID", help="the run whose snapshot is read; default: the newest"
    )
    made.add_argument(
        "--as-of",
        type=date.fromisoformat,
        default=datetime.now(UTC).date(),
        metavar="YYYY-MM-DD",
        help="the day that is asked about; default: today",
    )
    made.add_argument("--rules", default="", metavar="FILE", help="rules in place of those of the package")
    return made


def _rules(path: str) -> Rules:
    if not path:
        return shipped_rules()
    try:
        return parse_rules(Path(path).read_text("utf-8"), path)
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(
            f"The rules {path} cannot be read: {error}.", next_step="check the path; the file is UTF-8."
        ) from error


def newest_snapshot(db: Database) -> str | None:
    """The run with the newest extract of all orders of a source; None when none is left."""
    for row in db.rows(
        """SELECT run_id FROM coa.run
           WHERE mode = ANY (%s) AND COALESCE(params ->> 'orders_where', '') = '' AND purged_at IS NULL
           ORDER BY started_at DESC LIMIT %s""",
        [sorted(MIGRATING), RUNS_LOOKED_AT],
    ):
        if has_orders(Run.load(db, Settings(), str(row["run_id"]), ending=True)):
            return str(row["run_id"])
    return None


def write_readiness(db: Database, run_id: str, day: date, rules: Rules) -> str:
    """Writes the list of that day into the artifacts folder of the run, where retention finds it; its path.

    Raises `ConfigurationError` for a run without a snapshot, or whose folder cannot be reached from here.
    """
    run = Run.load(db, Settings(), run_id, ending=True)
    if not has_orders(run):
        raise ConfigurationError(
            f"Run {run_id} has no snapshot of the source's orders.",
            next_step="name another run, or make one with make preflight.",
        )
    folder = artifacts({"artifacts": run.record.artifacts, "run_id": run_id})
    if folder is None:
        raise ConfigurationError(
            f"The artifacts folder of run {run_id} cannot be reached: {run.record.artifacts or 'it has none yet'}.",
            next_step="run this where the folder is, or make a new snapshot with make preflight.",
        )
    name = f"gtm_readiness_{day}.csv"
    write_csv_file(folder, name, READINESS_COLUMNS, readiness_rows(run, day, rules))
    return str(folder / name)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
