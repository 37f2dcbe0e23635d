"""Purges what runs kept, and deletes one person's data: staging and artifacts hold it only as long as it is needed.

    python -m coa.retention --older-than 90                       runs that ended more than 90 days ago
    python -m coa.retention --run 20261123T144200Z-a1b2c3         this run
    python -m coa.retention --run 20261123T144200Z-a1b2c3 --force it was killed and has no end
    python -m coa.retention --person ada@example.com --person 'Ada Lovelace' --person a0XUS0000012345
    python -m coa.retention --person -                            the same, one a line from standard input
    ... --dry-run                                                 only says what would go

What goes and what stays: `coa.retention.register`. Airflow's task logs on other machines, its rows of the run and
artifacts in an object store are reached by `python -m coa_airflow.retention`, with the same options.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence

from coa.errors import CoaError
from coa.private_files import keep_files_private
from coa.retention.person import Person, erase
from coa.retention.places import Places
from coa.retention.purge import purge, run_to_purge, runs_to_purge
from coa.staging.command import add_staging, staging_url
from coa.staging.database import Database
from coa.wording import counted

FROM_INPUT = "-"


def parser(prog: str) -> argparse.ArgumentParser:
    """The options of the command, but for the staging database."""
    made = argparse.ArgumentParser(prog=prog, description="Purges what runs kept.")
    which = made.add_mutually_exclusive_group(required=True)
    which.add_argument("--older-than", type=float, metavar="DAYS", help="runs that ended longer ago")
    which.add_argument("--run", default="", metavar="RUN_ID", help="this run")
    which.add_argument(
        "--person",
        action="append",
        metavar="TEXT",
        help="everything about this person: e-mail address, name or record id; - reads them from standard input",
    )
    made.add_argument("--force", action="store_true", help="with --run: it was killed and has no end")
    made.add_argument("--dry-run", action="store_true", help="only say what would be deleted")
    return made


def carry_out(db: Database, given: argparse.Namespace, places: Places) -> None:
    """What the options ask for, told on standard output. Raises `ConfigurationError` before anything is deleted."""
    if given.person:
        _erase(db, given, places)
        return
    rows = (
        [run_to_purge(db, given.run, force=given.force)]
        if given.run
        else runs_to_purge(db, older_than_days=given.older_than)
    )
    for row in rows:
        if given.dry_run:
            print(f"would purge {row['run_id']} ({row['dag_id']}, {row['state'] or 'no end'})")
        else:
            print(purge(db, row, places))
    print(counted(len(rows), "run"))


def _erase(db: Database, given: argparse.Namespace, places: Places) -> None:
    named = [one for text in given.person for one in (sys.stdin if text == FROM_INPUT else [text])]
    done = erase(db, Person.named(named), places, dry_run=given.dry_run)
    for one in done:
        print(f"{'would delete from' if given.dry_run else 'deleted from'} {one}")
    print(f"{counted(len(done), 'run')} held data of this person")


def told(work: Callable[[], None]) -> int:
    """The exit status of a command: an error of ours is one sentence and its next step."""
    try:
        work()
    except CoaError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; its exit status."""
    keep_files_private()
    options = parser("python -m coa.retention")
    add_staging(options)
    given = options.parse_args(arguments)

    def work() -> None:
        with staging_url(given.staging) as url:
            db = Database(url)
            carry_out(db, given, Places())
            db.dispose()

    return told(work)


if __name__ == "__main__":
    sys.exit(main())
