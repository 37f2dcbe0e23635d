"""Retention with all that a deployment keeps: staging, artifacts wherever they lie, task logs, Airflow's own rows.

    python -m coa_airflow.retention --older-than 90 --dry-run
    make purge ARGS='--older-than 90 --dry-run'              the same for the local Airflow

The options are those of `python -m coa.retention`. Run it where Airflow's configuration is, with the right to write its
metadata database: there a run's conf (its params) and the form of its approval, which names customers, are kept.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from coa.private_files import keep_files_private
from coa.retention.__main__ import carry_out, parser, told
from coa.retention.places import Places, local_artifacts, local_logs, task_logs

if TYPE_CHECKING:
    from coa.artifacts import Folder
    from coa.staging.database import Row


def artifacts(row: Row) -> Folder | None:
    """The run's artifacts on this machine or in an object store that Airflow has a connection to."""
    place = str(row["artifacts"])
    if "://" not in place or place.startswith("file://"):
        return local_artifacts(row)
    from airflow.sdk import ObjectStoragePath

    folder: Any = ObjectStoragePath(place)
    return folder if folder.name == row["run_id"] and folder.is_dir() else None


def logs(row: Row) -> list[Path]:
    """Logs below the folder that Airflow is configured with; those of remote logging are named by `forget`."""
    from airflow.configuration import conf

    base = Path(conf.get("logging", "base_log_folder"))
    return list(dict.fromkeys([*task_logs(base, row), *local_logs(row)]))


def forget(row: Row) -> str:
    """Deletes Airflow's row of the run with all that hangs on it: tasks, XComs, forms, notes, audit log.

    A headless run had a metadata database of its own, which is gone.
    """
    from airflow.configuration import conf
    from airflow.models.dagrun import DagRun
    from airflow.models.log import Log
    from airflow.utils.session import create_session
    from sqlalchemy import delete

    of_run = {"dag_id": row["dag_id"], "run_id": row["airflow_run_id"]}
    if not row["airflow_run_id"]:
        return ""
    with create_session() as session:
        session.execute(delete(Log).filter_by(**of_run))
        # Not by the ORM: what hangs on the run goes by the foreign keys of the database.
        gone = session.execute(delete(DagRun).filter_by(**of_run)).rowcount
    said = "Airflow's row of it deleted" if gone else "Airflow had no row of it"
    if conf.getboolean("logging", "remote_logging", fallback=False):
        said += f"; delete its logs in {conf.get('logging', 'remote_base_log_folder')} there"
    return said


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; its exit status."""
    keep_files_private()
    given = parser("python -m coa_airflow.retention").parse_args(arguments)

    def work() -> None:
        from coa.staging.database import Database
        from coa_airflow.ui.staging import find_url

        db = Database(find_url())
        carry_out(db, given, Places(artifacts, logs, forget))
        db.dispose()

    return told(work)


if __name__ == "__main__":
    sys.exit(main())
