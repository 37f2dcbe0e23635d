"""The note on a DAG run: what became of it, in one line, where Airflow lists its runs.

Tasks cannot write notes. The task `verdict` leaves the text as an XCom, and this listener, which runs in
the scheduler, copies it when the run ends: a few small statements in Airflow's own database, in the
transaction that ends the run. Imports stay inside: every task process loads the plugin's listeners.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.listeners import hookimpl

from coa.kinds import kind_of

if TYPE_CHECKING:
    from airflow.models.dagrun import DagRun
    from sqlalchemy.orm import Session

NOTE = "note"
"""Key of the XCom."""
VERDICT = "verdict"
MOST_CHARACTERS = 1000


@hookimpl
def on_dag_run_success(dag_run: DagRun, msg: str) -> None:
    """Called by Airflow when a run has succeeded."""
    copy_note(dag_run)


@hookimpl
def on_dag_run_failed(dag_run: DagRun, msg: str) -> None:
    """Called by Airflow when a run has failed."""
    copy_note(dag_run)


def copy_note(dag_run: DagRun) -> None:
    """Sets the note of a run of ours, unless a person wrote one."""
    if not dag_run.dag_id.startswith("coa_") and not kind_of(dag_run.dag_id):
        return
    from airflow.utils.session import create_session
    from sqlalchemy.orm import object_session

    session = object_session(dag_run)
    if session is not None:
        # The scheduler's own: it holds the run's row locked, another session would wait for it for ever.
        _copy(dag_run, session)
    else:
        with create_session() as own:
            _copy(dag_run, own)


def _copy(dag_run: DagRun, session: Session) -> None:
    from airflow.models.dagrun import DagRunNote
    from airflow.models.xcom import XComModel
    from sqlalchemy import select

    value: Any = session.scalar(
        select(XComModel.value).where(
            XComModel.dag_id == dag_run.dag_id,
            XComModel.run_id == dag_run.run_id,
            XComModel.task_id == VERDICT,
            XComModel.key == NOTE,
        )
    )
    note = session.get(DagRunNote, dag_run.id)
    if value is None or (note and note.user_id):
        return
    text = str(value)[:MOST_CHARACTERS]
    if note:
        note.content = text
        return
    note = DagRunNote(text)
    note.dag_run_id = dag_run.id
    session.add(note)
