"""The worker of a headless run: brings Airflow's tables up to date and runs one DAG in this process.

Started by `headless` only, which holds the launch lock until the run exists.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from typing import Any

from coa_airflow.environment import HEADLESS
from coa_airflow.headless_token import alive, process_lives, token_of


def main(dag_id: str, params: dict[str, Any]) -> int:
    threading.Thread(target=_end_with_parent, daemon=True).start()
    token, url = os.environ[HEADLESS], os.environ["AIRFLOW_CONN_COA_STAGING"]
    with alive(url, token):
        _bring_tables_up_to_date()
        _close_runs_of_dead_processes(url)
        _dag(dag_id).test(run_conf=params)
    return 0


def _end_with_parent() -> None:
    """The other end of our standard input closes when the parent ends, however that happens."""
    os.read(0, 1)
    os.kill(os.getpid(), signal.SIGKILL)


def _bring_tables_up_to_date() -> None:
    from airflow.utils import db

    try:
        db.check_migrations(timeout=1)
    except TimeoutError:
        db.upgradedb()


def _close_runs_of_dead_processes(staging_url: str) -> None:
    """Airflow would show them as running for ever, and a scheduler on the same tables would go on with them."""
    from airflow.models.dagrun import DagRun
    from airflow.utils.session import create_session
    from airflow.utils.state import DagRunState, TaskInstanceState
    from airflow.utils.types import DagRunTriggeredByType
    from sqlalchemy import select

    from coa.staging.database import Database

    database = Database(staging_url)
    with create_session() as session:
        running = session.scalars(
            select(DagRun).where(
                DagRun.state == DagRunState.RUNNING, DagRun.triggered_by == DagRunTriggeredByType.TEST
            )
        ).all()
        for dag_run in running:
            row = database.row(
                "SELECT versions FROM coa.run WHERE dag_id = %s AND airflow_run_id = %s",
                [dag_run.dag_id, dag_run.run_id],
            )
            token = token_of(row) if row else ""
            if token and process_lives(database, token):
                continue
            for instance in dag_run.get_task_instances(session=session):
                if instance.state not in ("success", "failed", "skipped", "upstream_failed", "removed"):
                    instance.set_state(TaskInstanceState.FAILED, session=session)
            dag_run.set_state(DagRunState.FAILED)
    database.dispose()


def _dag(dag_id: str) -> Any:
    from airflow.dag_processing.dagbag import DagBag

    bag = DagBag(os.environ["AIRFLOW__CORE__DAGS_FOLDER"])
    dag = bag.get_dag(dag_id)
    if dag is None:
        errors = "\n".join(bag.import_errors.values())
        raise SystemExit(f"There is no DAG {dag_id}.\n{errors}")
    return dag


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], json.loads(sys.argv[2])))
