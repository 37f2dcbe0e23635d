"""The gate between the plan and the first write.

Only this code writes approvals, and the load reads only what it wrote. A gate that somebody marked as success,
or an XCom that somebody posted, has written nothing, so the load refuses.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.providers.standard.operators.hitl import HITLOperator
from airflow.sdk import Param
from airflow.sdk.exceptions import AirflowSkipException

from coa.casework.topics import TOPICS
from coa.config import Settings
from coa.errors import RunStopped
from coa.kinds import kind_of
from coa_airflow.approvers import asked, may_answer, may_waive
from coa_airflow.environment import HEADLESS, artifacts_of
from coa_airflow.notify import notify
from coa_airflow.notify.messages import gate_opened
from coa_airflow.running import first_line, task_run
from coa_airflow.ui.links import file_url, page_url

if TYPE_CHECKING:
    from coa.staging.runs import Run

APPROVE = "Approve"
REJECT = "Reject"
NOT_APPROVED = "not_approved"
PLAN_SUMMARY = "plan_summary"
"""Event of a run: the plan as Markdown; data: plan_hash, markdown."""
APPROVAL_ASKED = "approval_asked"
"""Event of a run: a person was shown a plan; data: plan_hash."""


def text_field(title: str, description: str) -> Param:
    """A field of a form that may stay empty. Airflow's form shows `description` and drops `description_md`."""
    return Param("", type=["null", "string"], title=title, description=description, maxLength=1000)


def reason_form() -> dict[str, Param]:
    """What the approver of any plan may fill in; the cases and the standing approval are of migrations."""
    return {
        "reason": text_field("Reason", "Why this plan is approved or rejected."),
        "ticket": text_field("Ticket", "Number of the change ticket."),
    }


def approval_form(sync_dag: str = "coa_sync") -> dict[str, Param]:
    """What the approver may fill in beside the answer. It is kept with the approval and in the report.

    `sync_dag`: the DAG that loads under the standing approval.
    """
    return {
        **reason_form(),
        **{
            topic.field: text_field(
                f"Case: {topic.title}",
                "Number of the case with Salesforce; kept in the checklist of these two orgs.",
            )
            for topic in TOPICS
        },
        "standing_until": Param(
            None,
            type=["null", "string"],
            format="date-time",
            title="Standing approval until",
            description=f"Lets the scheduled DAG `{sync_dag}` load deltas of these two orgs until then, without "
            "asking. Empty: no standing approval is granted.",
        ),
        "standing_records": Param(
            None,
            type=["null", "integer"],
            minimum=0,
            title="Standing approval: records per run",
            description="A scheduled run whose plan writes more is not approved. 0 withdraws "
            "what was granted before.",
        ),
        "standing_actions": Param(
            ["insert", "update"],
            type=["null", "array"],
            items={"type": "string", "enum": ["insert", "update", "delete"]},
            examples=["insert", "update", "delete"],
            title="Standing approval: actions",
            description="What scheduled runs may do. `delete` only counts with `deletions: carry`.",
        ),
    }


def response_hours() -> float:
    """How long the gate waits; then the run is not approved. Raises `InvalidParams`."""
    return Settings.from_environment("approval_hours").approval_hours


@dataclass(frozen=True)
class PersonsAnswer:
    """What a person chose in a form of ours; `form`: its fields that were filled in."""

    approved: bool
    name: str
    form: dict[str, Any]


class AskingOperator(HITLOperator):  # type: ignore[misc]  # Airflow has no types for us
    """A question that a person answers with yes or no; what plan and canary have in common."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(
            options=[APPROVE, REJECT], response_timeout=timedelta(hours=response_hours()), **kwargs
        )

    def _ask(
        self, run: Run, context: Any, *, about: str, subject: str, body: str, event: str, **data: Any
    ) -> Any:
        """Waits for an answer of those who may give one; `event` and `data` keep what was shown."""
        self.subject, self.body = subject, body
        self.assigned_users = asked(str(run.record.triggered_by or "")) or None
        run.events.add(event, **data, assigned=[u["id"] for u in self.assigned_users or []])
        notify(
            run,
            "gate",
            lambda: gate_opened(run, about, response_hours()),
            once=f"{about} {data['plan_hash']}",
        )
        return super().execute(context)

    def _read(
        self, run: Run, context: Any, event: dict[str, Any], *, about: str, next_step: str
    ) -> PersonsAnswer:
        """Raises `RunStopped` (not_approved) for an answer that cannot be used, and what `may_answer` raises."""
        try:
            answer = super().execute_complete(context, event)
        except ValueError as unreadable:
            # The API takes any JSON; what the form would not allow comes to light here.
            raise RunStopped(
                f"The answer to the {about} cannot be used: {first_line(unreadable)}.",
                state=NOT_APPROVED,
                next_step=next_step,
            ) from unreadable
        who = answer["responded_by_user"] or {}
        name = str(who.get("name") or who.get("id") or "")
        if name:
            # Not recorded as an answer: the question stays open for those who may answer it.
            may_answer(run, str(who.get("id") or ""), name)
        return PersonsAnswer(
            # Without an answerer nobody has answered: Airflow fills defaults in without one.
            approved=answer["chosen_options"] == [APPROVE] and bool(name),
            name=name,
            form={k: v for k, v in (answer["params_input"] or {}).items() if v or v == 0},
        )


class PlanApprovalOperator(AskingOperator):
    """Asks a person to approve the plan, or records that nobody was to be asked.

    Passes on an approval or a waiver, skips what follows on a dry run, and fails as `not_approved` when
    the plan was rejected, when nobody answered in time, or when there is nobody to ask (headless).
    A plan that was answered is not asked about again, however often the task runs.
    `params` is the form beside the answer: `approval_form`.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(subject="Approve the plan of this migration?", **kwargs)

    def execute(self, context: Any) -> Any:
        """Asks for approval, or records a waiver or the use of a standing approval. Raises `AirflowSkipException` in
        a dry run, `TaskDeferred` to wait, `RunStopped` when the run may not go on.
        """
        from coa.approval import record as approval

        with task_run() as run:
            plan_hash = str(run.record.plan_hash or "")
            if run.params.dry_run:
                raise AirflowSkipException("Dry run: the plan is ready, nothing is written.")
            if not run.params.require_approval:
                who = may_waive(run)
                approval.record(
                    run,
                    kind="waiver",
                    approved=True,
                    answered_by=who,
                    plan_hash=plan_hash,
                    reason="Triggered with require_approval false.",
                    form={"params": run.record.params},
                )
                self.log.info("No approval asked for: %s waived it for the plan %s.", who, plan_hash)
                return {"waived_by": who, "plan_hash": plan_hash}
            answer = approval.given_answer(run, plan_hash)
            if answer:
                return self._follow(run, answer)
            if os.environ.get(HEADLESS):
                raise RunStopped(
                    "The plan needs an approval, and a headless run cannot ask anyone.",
                    state=NOT_APPROVED,
                    next_step="""read the plan, then run again with PARAMS='{"require_approval": false}'; """
                    "or run it under `make up`, where a person answers in the browser.",
                )
            return self._ask(
                run,
                context,
                about="plan",
                subject=f"Approve the plan of run {run.run_id}?",
                body=plan_text(run, plan_hash),
                event=APPROVAL_ASKED,
                plan_hash=plan_hash,
            )

    def execute_complete(self, context: Any, event: dict[str, Any]) -> Any:
        """Records the answer with the hash of the plan that was shown. Raises `RunStopped` when it is a refusal or
        never came.
        """
        from coa.approval import record as approval
        from coa.casework.checklist import carry_on

        with task_run() as run:
            # What was shown counts, not what the plan is by now: the load compares the two.
            shown_hash = shown_plan(run)
            if event.get("error_type") == "timeout":
                message = f"Nobody answered within {response_hours():g} hours."
                approval.record(
                    run, kind="approval", approved=False, answered_by="", plan_hash=shown_hash, reason=message
                )
                raise RunStopped(
                    message, state=NOT_APPROVED, next_step="trigger the run again when somebody can answer."
                )
            answer = self._read(
                run,
                context,
                event,
                about="plan",
                next_step="clear the task `approve` and answer again; leave out fields that stay empty.",
            )
            kept = approval.record(
                run,
                kind="approval",
                approved=answer.approved,
                answered_by=answer.name,
                plan_hash=shown_hash,
                reason=str(answer.form.get("reason", "")),
                form=answer.form,
            )
            if kind_of(run.record.dag_id) == "migrate":
                for title in carry_on(run, answer.form, answer.name):
                    self.log.info("%s: the case number is kept in the checklist.", title)
            return self._follow(run, kept)

    def _follow(self, run: Run, answer: dict[str, Any]) -> dict[str, str]:
        """What becomes of the run by a recorded answer. Raises `RunStopped` (not_approved) when it was no."""
        from coa.approval import standing

        name, reason = answer["answered_by"], answer["reason"]
        if not answer["approved"]:
            raise RunStopped(
                f"{name or 'Nobody'} rejected the plan{': ' + reason if reason else ''}.",
                state=NOT_APPROVED,
                next_step="resolve the objection, then trigger a new run.",
            )
        self.log.info("%s approved the plan %s.", name, answer["plan_hash"])
        # Granted once for each answer: it may have been withdrawn since.
        if kind_of(run.record.dag_id) == "migrate" and not standing.granted_since(run, answer["answered_at"]):
            told = standing.grant_from_form(run, answer["form"], name)
            if told:
                self.log.info(told)
        return {"approved_by": name, "plan_hash": answer["plan_hash"]}


def keep_page(run: Run, markdown: str) -> None:
    """Keeps the approver's page of the plan that was just made, with the plan's hash.

    In staging, where only our own code writes: an approver reads nothing that an XCom could forge.
    """
    run.refresh()
    run.events.add(PLAN_SUMMARY, plan_hash=run.record.plan_hash, markdown=markdown)


def plan_text(run: Run, plan_hash: str) -> str:
    """The page the approver reads. Raises `RunStopped` when the kept text is of another plan."""
    # They bring psycopg, which reading the DAG files must not.
    from coa.casework.checklist import checklist_markdown, checklist_of
    from coa.staging.tables import Table

    shown = last_event(run, PLAN_SUMMARY)
    if shown.get("plan_hash") != plan_hash:
        raise RunStopped(
            "The plan has changed since its summary was written.",
            state=NOT_APPROVED,
            next_step="clear the task `plan`; it computes plan and summary again.",
        )
    of_run = (run.record.dag_id, run.record.airflow_run_id)
    files = (
        "plan.json",
        *(["rejected_rows.csv"] if kind_of(run.record.dag_id) not in ("contract", "setup_target") else []),
        *(["corrections.csv"] if run.has_table(Table.EXPECTED_CORRECTIONS) else []),
    )
    links = [f"[{name}]({file_url(*of_run, name)})" for name in files]
    cases = checklist_markdown(checklist_of(run)) if kind_of(run.record.dag_id) == "migrate" else ""
    return (
        f"{shown['markdown']}{cases}\n\nThe full plan: {', '.join(links)}, [migration page]({page_url(*of_run)}); "
        f"in `{artifacts_of(run.run_id)}`. Plan hash: `{plan_hash}`."
    )


def shown_plan(run: Run) -> str:
    """Hash of the plan that the person who is asked was shown; empty where nobody was asked."""
    return str(last_event(run, APPROVAL_ASKED).get("plan_hash", ""))


def last_event(run: Run, name: str) -> dict[str, Any]:
    """Data of the run's newest event of this name; empty where there is none."""
    row = run.db.row(
        "SELECT data FROM coa.event WHERE run_id = %s AND event = %s ORDER BY event_id DESC LIMIT 1",
        [run.run_id, name],
    )
    return dict(row["data"]) if row else {}
