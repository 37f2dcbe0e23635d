"""One DAG run in this process, task after task, without scheduler and server.

`DAG.test` of Airflow does the same for tests of DAGs, and pays for it each time: it reads and stores every DAG
of the folder, builds all earlier versions of its execution API, and sleeps for a second wherever a round of
scheduling only skips tasks: ten seconds of a run. Here the one DAG is read and stored, the API is that of this
version, and a pause is made only while a failed task waits for its next try.
"""

from __future__ import annotations

import logging
import os
import time
from pathlib import Path
from typing import Any
from uuid import UUID

from coa.config import Settings
from coa.errors import ConfigurationError

RETRY_LOOK_SECONDS = 0.5

log = logging.getLogger(__name__)


class OneRun:
    """A DAG, and the means to run it; without any connection to a database before `execute`.

    Raises `ConfigurationError` when there is no such DAG.
    """

    def __init__(self, dag_id: str) -> None:
        from coa_airflow.local.task_api import task_api_client

        self.dag = read_dag(dag_id)
        # No scheduler is here to notice a deadline, and Airflow looks stored ones up when a run has ended well.
        self.dag.deadline = None
        self.client = task_api_client()

    def execute(self, conf: dict[str, Any], token: str) -> str:
        """Runs the DAG with `conf` as its params; the end state of the DAG run."""
        from airflow.utils.state import DagRunState

        from airflow import settings
        from coa_airflow.local.checked_params import take_as_checked

        session = settings.Session()
        dag_run = _create_run(self.dag, conf, token, session)
        take_as_checked(self.dag)
        while dag_run.state == DagRunState.RUNNING:
            before = _states(dag_run, session)
            ready, _ = dag_run.update_state(session=session)
            self._run_tasks(ready, session)
            session.expire_all()
            if not ready and dag_run.state == DagRunState.RUNNING and _states(dag_run, session) == before:
                time.sleep(RETRY_LOOK_SECONDS)
        return str(dag_run.state)

    def _run_tasks(self, ready: list[Any], session: Any) -> None:
        from airflow.sdk.execution_time.supervisor import run_task_in_process
        from airflow.utils.state import TaskInstanceState

        for ti in ready:
            ti.try_number += 1
            ti.state = TaskInstanceState.QUEUED
        session.commit()
        for ti in ready:
            log.info("task %s, try %d", ti.task_id, ti.try_number)
            try:
                run_task_in_process(_sdk_instance(ti), self.dag.task_dict[ti.task_id], self.client)
            except Exception:
                # Outside of the task's own code: it would be tried again for ever.
                log.exception("task %s could not be run", ti.task_id)
                session.expire_all()
                ti.state = TaskInstanceState.FAILED
                session.commit()


def read_dag(dag_id: str) -> Any:
    """The DAG from the file of its name, else from any file of the folder.

    Raises `ConfigurationError` when no file has it.
    """
    from airflow.dag_processing.dagbag import DagBag

    folder = Path(os.environ["AIRFLOW__CORE__DAGS_FOLDER"])
    own = folder / f"{dag_id}.py"
    bag = DagBag(own if own.exists() else folder, bundle_path=folder, bundle_name=_bundle())
    dag = bag.dags.get(dag_id)
    if dag is None:
        errors = "\n".join(bag.import_errors.values())
        raise ConfigurationError(
            f"There is no DAG {dag_id} in {folder}. {errors}".strip(),
            next_step="name one of its DAGs, or correct the file.",
        )
    return dag


def _bundle() -> str:
    from airflow.dag_processing.bundles.manager import DagBundlesManager

    return str(next(iter(DagBundlesManager().get_all_dag_bundles())).name)


def _create_run(dag: Any, conf: dict[str, Any], token: str, session: Any) -> Any:
    """Stores the DAG and its run, whose name no other run has: staging knows runs by it."""
    from airflow.dag_processing.bundles.manager import DagBundlesManager
    from airflow.dag_processing.collection import update_dag_parsing_results_in_db
    from airflow.sdk import timezone
    from airflow.serialization.serialized_objects import LazyDeserializedDAG
    from airflow.utils.state import DagRunState
    from airflow.utils.types import DagRunTriggeredByType, DagRunType

    DagBundlesManager().sync_bundles_to_db(session=session)
    session.commit()
    stored = LazyDeserializedDAG.from_dag(dag)
    update_dag_parsing_results_in_db(_bundle(), None, [stored], {}, None, set(), session=session)
    session.commit()
    now = timezone.utcnow()
    dag_run = stored._real_dag.create_dagrun(
        run_id=f"headless__{now:%Y-%m-%dT%H:%M:%S}_{token[:8]}",
        logical_date=now,
        data_interval=(now, now),
        run_after=now,
        conf=conf,
        run_type=DagRunType.MANUAL,
        state=DagRunState.RUNNING,
        triggered_by=DagRunTriggeredByType.CLI,
        triggering_user_name=Settings.from_environment("triggered_by").triggered_by or None,
        start_date=now,
        session=session,
    )
    session.commit()
    return dag_run


def _states(dag_run: Any, session: Any) -> dict[Any, Any]:
    return {ti.id: ti.state for ti in dag_run.get_task_instances(session=session)}


def _sdk_instance(ti: Any) -> Any:
    """A task instance as the Task SDK knows it."""
    from airflow.sdk.api.datamodels._generated import TaskInstance

    return TaskInstance(
        id=UUID(str(ti.id)),
        task_id=ti.task_id,
        dag_id=ti.dag_id,
        run_id=ti.run_id,
        try_number=ti.try_number,
        map_index=ti.map_index,
        dag_version_id=UUID(str(ti.dag_version_id)),
    )
