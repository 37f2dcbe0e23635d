"""What no running task can notice: a question without an answer, a run that does not end, orders left as Draft.

Airflow's deadline alerts call these functions in the triggerer, whatever the run's own tasks do.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, timedelta
from typing import TYPE_CHECKING, Any

from airflow.sdk.definitions.callback import AsyncCallback
from airflow.sdk.definitions.deadline import DeadlineAlert, DeadlineReference

from coa.config import Settings

if TYPE_CHECKING:
    from coa.staging.runs import Run


def deadlines() -> list[DeadlineAlert]:
    """Alerts of a DAG that asks people and writes; none unless the environment asks for them.

    Not by default: `airflow dags test` of Airflow 3.3 fails at the end of a DAG that has deadlines, because it looks up
    stored alerts that it has not stored. Raises `InvalidParams` for a value that is no number.
    """
    settings = Settings.from_environment("remind_hours", "run_hours")
    alerts = [
        DeadlineAlert(
            name=f"waits for an answer after {hours:g} h",
            reference=DeadlineReference.DAGRUN_QUEUED_AT,
            interval=timedelta(hours=hours),
            callback=AsyncCallback(remind, {"hours": hours}),
        )
        for hours in settings.remind_hours
    ]
    return alerts + [
        DeadlineAlert(
            name=f"not ended after {hours:g} h",
            reference=DeadlineReference.DAGRUN_QUEUED_AT,
            interval=timedelta(hours=hours),
            callback=AsyncCallback(tell_late, {"hours": hours}),
        )
        for hours in settings.run_hours
    ]


def draft_minutes() -> float:
    """For how long an order that is none may stand as Draft until people are told."""
    return Settings.from_environment("draft_minutes").draft_minutes


async def remind(hours: float, context: Any = None) -> None:
    """Called by Airflow `hours` after a run was queued, if it has not ended well since."""
    await asyncio.to_thread(_look, context, hours, _remind)


async def tell_late(hours: float, context: Any = None) -> None:
    """The same for a run that should have ended by then."""
    await asyncio.to_thread(_look, context, hours, _tell_late)


def _look(context: Any, hours: float, tell: Any) -> None:
    """Tells of the run that an Airflow run is, unless it has ended or never began."""
    from coa.staging.runs import Run
    from coa_airflow.environment import settings, staging

    dag_run, db = context["dag_run"], staging()
    row = db.row(
        "SELECT run_id FROM coa.run WHERE dag_id = %s AND airflow_run_id = %s AND state IS NULL",
        [dag_run["dag_id"], dag_run["dag_run_id"]],
    )
    if row is None:
        return
    run = Run.load(db, settings(), str(row["run_id"]), ending=True)
    tell(run, hours)
    tell_drafts(run)


def _remind(run: Run, hours: float) -> None:
    from coa_airflow.notify import notify
    from coa_airflow.notify.messages import reminder

    waiting = open_question(run)
    if waiting:
        notify(run, "reminder", lambda: reminder(run, *waiting), once=f"{waiting[0]} {hours:g}")


def _tell_late(run: Run, hours: float) -> None:
    from coa_airflow.notify import notify
    from coa_airflow.notify.messages import late

    notify(run, "late", lambda: late(run, hours), once=f"{hours:g}")


def open_question(run: Run) -> tuple[str, str] | None:
    """(`plan` or `canary`, when it was asked) of the newest question that nobody has answered since."""
    from coa_airflow.canary_gate import CANARY_ASKED
    from coa_airflow.gate import APPROVAL_ASKED

    asked = run.db.row(
        """SELECT e.event, e.at FROM coa.event e WHERE e.run_id = %s AND e.event IN (%s, %s)
             AND NOT EXISTS (SELECT FROM coa.approval a WHERE a.run_id = e.run_id AND a.answered_at >= e.at)
           ORDER BY e.event_id DESC LIMIT 1""",
        [run.run_id, APPROVAL_ASKED, CANARY_ASKED],
    )
    if asked is None:
        return None
    return "plan" if asked[
        "event"
    ] == APPROVAL_ASKED else "canary", f"{asked['at'].astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def tell_drafts(run: Run) -> None:
    """Tells, once a run, that orders of it stand as Draft for longer than they may."""
    from coa.load.drafts import overdue_drafts
    from coa_airflow.notify import notify
    from coa_airflow.notify.messages import left_as_draft

    minutes = draft_minutes()
    orders = overdue_drafts(run, minutes * 60)
    if orders:
        notify(run, "draft", lambda: left_as_draft(run, orders, minutes), once="overdue")
