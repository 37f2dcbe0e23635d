"""The second gate, between the canary and the rest, where `canary_gate` is `ask`.

It comes in addition to the answer to the plan. As there, only this code writes the answer, which is bound to
the hashes of the plan and of what was observed; the load reads nothing else.
"""

from __future__ import annotations

import os
from typing import Any

from airflow.sdk import Param

from coa.config import refuse_asking
from coa.policies import Policies
from coa_airflow.environment import HEADLESS
from coa_airflow.gate import AskingOperator, last_event, response_hours, text_field
from coa_airflow.running import task_run

CANARY_ASKED = "canary_asked"
"""Event of a run: a person was shown what the canary did; data: plan_hash, observed_hash."""


def refuse_asking_nobody(raw: dict[str, Any], kind: str) -> None:
    """`kind` of the DAG; raises `InvalidParams` in a headless run and in a scheduled one."""
    if os.environ.get(HEADLESS):
        refuse_asking(raw, nobody="a headless run cannot ask anyone")
    if kind == "sync":
        refuse_asking(raw, nobody="a scheduled run cannot ask anyone")


def canary_form() -> dict[str, Param]:
    """What the approver may fill in beside the answer; it is kept with it."""
    return {"reason": text_field("Reason", "Why the rest is loaded, or not.")}


class CanaryApprovalOperator(AskingOperator):
    """Asks a person whether the rest is to be loaded; passes at once where nobody is to be asked.

    Fails as `not_approved` when the answer was no, or when nobody answered in time.
    `params` is the form beside the answer: `canary_form`.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(subject="Load the rest?", **kwargs)

    def execute(self, context: Any) -> Any:
        """Asks, or passes on where an answer exists or nobody is to be asked. Raises `TaskDeferred` to wait,
        `RunStopped` after a refusal.
        """
        from coa.approval import record as approval
        from coa.load.canary_state import canary_of
        from coa.load.observed import observed_markdown

        with task_run() as run:
            canary = canary_of(run)
            if canary is None or not Policies(run.params).asks_after_canary:
                return None
            plan_hash, seen = str(run.record.plan_hash), str(canary["observed_hash"])
            answer = approval.canary_answer(run, plan_hash, seen)
            if answer and answer["answered_by"]:
                return self._follow(run, answer)
            return self._ask(
                run,
                context,
                about="canary",
                subject=f"Load the rest of run {run.run_id}? Its canary is proved.",
                body=f"{observed_markdown(run)}\n\nPlan hash `{plan_hash}`, observed `{seen}`.",
                event=CANARY_ASKED,
                plan_hash=plan_hash,
                observed_hash=seen,
            )

    def execute_complete(self, context: Any, event: dict[str, Any]) -> Any:
        """Records the answer. Raises `RunStopped` when it is a refusal or never came."""
        from coa.approval import record as approval

        with task_run() as run:
            # What was shown counts: the load compares it with what there is by then.
            shown = last_event(run, CANARY_ASKED)

            def kept(approved: bool, answered_by: str, reason: str) -> dict[str, Any]:
                return approval.record(
                    run,
                    kind="canary",
                    approved=approved,
                    answered_by=answered_by,
                    plan_hash=str(shown.get("plan_hash", "")),
                    reason=reason,
                    observed_hash=str(shown.get("observed_hash", "")),
                )

            if event.get("error_type") == "timeout":
                return self._follow(
                    run, kept(False, "", f"Nobody answered within {response_hours():g} hours.")
                )
            answer = self._read(
                run,
                context,
                event,
                about="canary",
                next_step="clear the task `approve_canary` and answer again.",
            )
            reason = str(answer.form.get("reason", ""))
            return self._follow(run, kept(answer.approved, answer.name, reason))

    def _follow(self, run: Any, answer: dict[str, Any]) -> dict[str, str]:
        from coa.approval import record as approval

        approval.require_canary_answer(run, answer["plan_hash"], answer["observed_hash"])
        self.log.info("%s approved what the canary showed.", answer["answered_by"])
        return {"approved_by": answer["answered_by"], "observed_hash": answer["observed_hash"]}
