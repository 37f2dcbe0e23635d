"""Recorded answers to plans. The load asks only this module, and without a recorded yes it refuses.

Only the approval gate calls `record`. Marking the gate's task as success, or posting an XCom, writes nothing
here, so it approves nothing.
"""

from __future__ import annotations

from typing import Any

from coa.approval import standing
from coa.errors import RunStopped
from coa.staging.database import json_value
from coa.staging.runs import Run


def record(
    run: Run,
    *,
    kind: str,
    approved: bool,
    answered_by: str,
    plan_hash: str,
    reason: str = "",
    form: dict[str, Any] | None = None,
    observed_hash: str = "",
) -> dict[str, Any]:
    """Writes an answer and returns it as a row of `coa.approval`.

    `kind` is `approval` (a person), `waiver` (require_approval false), `standing`, or `canary`: a person's second
    answer, which binds what the canary showed (`observed_hash`) beside the plan.
    """
    written = run.db.rows(
        """INSERT INTO coa.approval (run_id, plan_hash, kind, approved, answered_by, reason, form, observed_hash)
           VALUES (%s, %s, %s, %s, %s, %s, %s, %s) RETURNING *""",
        [run.run_id, plan_hash, kind, approved, answered_by, reason, json_value(form or {}), observed_hash],
    )
    run.events.add(
        "plan_answered", kind=kind, approved=approved, answered_by=answered_by, plan_hash=plan_hash
    )
    return written[0]


def record_standing(run: Run) -> dict[str, Any]:
    """Answers a scheduled run's plan by the standing approval of its pair, which is returned.

    Raises `RunStopped` (not_approved) when there is none in force, or when the plan goes beyond it.
    """
    granted = standing.check(run)
    record(
        run,
        kind="standing",
        approved=True,
        answered_by=granted["granted_by"],
        plan_hash=str(run.record.plan_hash),
        reason=f"Standing approval {granted['standing_id']}, granted in run {granted['granted_in']}.",
        form={"standing_id": granted["standing_id"], "expires_at": str(granted["expires_at"])},
    )
    return granted


def last_answer(run: Run) -> dict[str, Any] | None:
    """The newest answer to the run's plan, None when nobody answered."""
    return run.db.row(
        """SELECT * FROM coa.approval WHERE run_id = %s AND kind <> 'canary'
           ORDER BY approval_id DESC LIMIT 1""",
        [run.run_id],
    )


def approvals(run: Run) -> list[dict[str, Any]]:
    """All answers of the run, the first one first."""
    return run.db.rows(
        """SELECT kind, approved, answered_by, answered_at, reason, plan_hash, observed_hash, form FROM coa.approval
           WHERE run_id = %s ORDER BY approval_id""",
        [run.run_id],
    )


def canary_answer(run: Run, plan_hash: str, observed_hash: str) -> dict[str, Any] | None:
    """The newest answer to what the canary of this very plan showed, None when nobody answered."""
    return run.db.row(
        """SELECT * FROM coa.approval WHERE run_id = %s AND kind = 'canary' AND plan_hash = %s
             AND observed_hash = %s ORDER BY approval_id DESC LIMIT 1""",
        [run.run_id, plan_hash, observed_hash],
    )


def require_canary_answer(run: Run, plan_hash: str, observed_hash: str) -> None:
    """Raises `RunStopped` (not_approved) unless a person approved what the canary showed."""
    answer = canary_answer(run, plan_hash, observed_hash)
    if answer is None or not answer["approved"]:
        said = f"{answer['answered_by'] or 'Nobody'} did not approve" if answer else "Nobody has answered to"
        raise RunStopped(
            f"{said} what the canary of run {run.run_id} showed; only the canary was written.",
            state="not_approved",
            next_step=f"""resolve the objection and run again, or remove the canary with make rollback """
            f"""PARAMS='{{"run_id": "{run.run_id}"}}'.""",
        )


def given_answer(run: Run, plan_hash: str) -> dict[str, Any] | None:
    """What somebody answered to this very plan before; None when nobody did, or nobody in time.

    The gate may run twice for one question. Airflow 3.3 tries a task again when its answer comes while the
    process that asked is still ending: the scheduler takes the end of that process for the end of the
    resumed one (`process_executor_events`). The first answer then counts, so that nobody is asked twice.
    """
    answer = last_answer(run)
    return answer if answer and answer["answered_by"] and answer["plan_hash"] == plan_hash else None


def require(run: Run, current_hash: str) -> None:
    """Raises `RunStopped` (not_approved) unless the plan as it is now was approved.

    A standing approval must still be in force, and the plan within its limits.
    """
    answer = last_answer(run)
    if answer is None:
        raise RunStopped(
            f"The plan of run {run.run_id} has no recorded answer; nothing is written.",
            state="not_approved",
            next_step="answer the approval task; marking it as success does not approve anything.",
        )
    if not answer["approved"]:
        raise RunStopped(
            f"{answer['answered_by']} did not approve the plan of run {run.run_id}"
            + (f": {answer['reason']}." if answer["reason"] else "."),
            state="not_approved",
            next_step="resolve the reason, then trigger a new run.",
        )
    if answer["plan_hash"] != current_hash:
        raise RunStopped(
            f"The plan of run {run.run_id} is not the one that {answer['answered_by']} approved.",
            state="not_approved",
            next_step="trigger a new run and have its plan approved.",
        )
    if answer["kind"] == "standing" and run.record.loaded_at is None:
        # It may have been withdrawn, or have expired, since the gate saw it. A load that has begun is brought to
        # its end all the same: half of it would leave orders standing as Draft.
        standing.check(run)
