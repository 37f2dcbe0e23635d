"""What Airflow itself keeps of a run goes with a purge: its row, what hangs on it, the audit log, the task logs."""

from __future__ import annotations

from pathlib import Path

from tests.airflow_home import HOME, make_tables

from coa_airflow import retention


def test_airflow_forgets_the_run_and_no_other(shared_folder: Path) -> None:
    make_tables(shared_folder)
    from airflow.models.dagrun import DagRun, DagRunNote
    from airflow.models.log import Log
    from airflow.utils.session import create_session
    from airflow.utils.types import DagRunTriggeredByType, DagRunType
    from sqlalchemy import select

    ids = ("purged", "other")
    with create_session() as session:
        for run_id in ids:
            run = DagRun(
                dag_id="coa_migrate",
                run_id=run_id,
                run_type=DagRunType.MANUAL,
                conf={"orders_where": "Name = 'Ada'"},
                triggered_by=DagRunTriggeredByType.TEST,
            )
            session.add(run)
            session.flush()
            note = DagRunNote(content="Ada asked")
            note.dag_run_id = run.id
            session.add(note)
            session.add(Log(event="trigger_dag_run", dag_id="coa_migrate", run_id=run_id, extra="Ada"))
    for run_id in ids:
        log = HOME / "logs" / "dag_id=coa_migrate" / f"run_id={run_id}" / "task_id=approve" / "attempt=1.log"
        log.parent.mkdir(parents=True)
        log.write_text("Ada")
    row = {"dag_id": "coa_migrate", "airflow_run_id": "purged", "headless_token": ""}

    assert retention.forget(row) == "Airflow's row of it deleted"
    [folder] = retention.logs(row)
    assert folder.name == "run_id=purged"

    with create_session() as session:
        # Other tests of this worker have runs in the same Airflow.
        assert {r.run_id for r in session.scalars(select(DagRun))} & set(ids) == {"other"}
        notes = session.execute(select(DagRun.run_id).join(DagRunNote, DagRunNote.dag_run_id == DagRun.id))
        assert {run_id for (run_id,) in notes} & set(ids) == {"other"}
        assert {r.run_id for r in session.scalars(select(Log))} & set(ids) == {"other"}
    assert retention.forget(row) == "Airflow had no row of it"


def test_a_run_id_that_steps_out_of_the_log_folder_is_not_followed() -> None:
    assert retention.logs({"dag_id": "coa_migrate", "airflow_run_id": "../../x", "headless_token": ""}) == []
