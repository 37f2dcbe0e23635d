"""What people are told: texts only, made of what a run has in staging. No org's text takes effect as markup."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin

from coa.states import GOOD_STATES, RunState
from coa.wording import escape_markdown

if TYPE_CHECKING:
    from coa.staging.runs import Run

KINDS = {
    "gate": "a plan, or a canary, is waiting for an answer",
    "reminder": "it still does",
    "verdict": "a run ended well",
    "failure": "a run ended otherwise",
    "draft": "an order has been a Draft for longer than COA_DRAFT_MINUTES",
    "late": "a run has not ended within COA_RUN_HOURS",
}
"""Kinds of messages, with what each is about; a channel asks for some or all."""


@dataclass(frozen=True)
class Message:
    """`lines`: sentences, one a line. `link`: where to look or to answer; empty where Airflow knows no address."""

    title: str
    lines: tuple[str, ...]
    link: str = ""

    def html(self) -> str:
        """For mail."""
        body = "".join(f"<p>{escape(line)}</p>" for line in self.lines)
        link = f'<p><a href="{escape(self.link)}">{escape(self.link)}</a></p>' if self.link else ""
        return f"{body}{link}"

    def slack(self) -> str:
        """Slack asks for three characters to be escaped (https://docs.slack.dev/messaging/formatting-message-text)."""
        text = "\n".join([f"*{self.title}*", *self.lines, *filter(None, [self.link])])
        return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")

    def teams_card(self) -> dict[str, Any]:
        """The body that a Teams workflow expects: a message with one adaptive card."""
        blocks: list[dict[str, Any]] = [
            {"type": "TextBlock", "text": escape_markdown(self.title), "weight": "Bolder"}
        ]
        blocks += [{"type": "TextBlock", "text": escape_markdown(line), "wrap": True} for line in self.lines]
        card: dict[str, Any] = {
            "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
            "type": "AdaptiveCard",
            "version": "1.4",
            "body": blocks,
        }
        if self.link:
            card["actions"] = [{"type": "Action.OpenUrl", "title": "Open in Airflow", "url": self.link}]
        return {
            "type": "message",
            "attachments": [{"contentType": "application/vnd.microsoft.card.adaptive", "content": card}],
        }


# ---- the messages --------------------------------------------------------------------------------------
def gate_opened(run: Run, what: str, hours: float) -> Message:
    """`what` is `plan` or `canary`; `hours`: how long the gate waits."""
    return Message(
        f"The {what} of run {run.run_id} is waiting for an answer",
        (_orgs(run), *_amounts(run), f"Without an answer within {hours:g} hours the run is not approved."),
        _page(run),
    )


def reminder(run: Run, what: str, since: str) -> Message:
    """`since`: when the question was asked."""
    return Message(
        f"The {what} of run {run.run_id} is still waiting for an answer",
        (_orgs(run), f"It was asked at {since}.", *_amounts(run)),
        _page(run),
    )


def end_kind(state: RunState) -> str:
    """Whether the end of a run is a `verdict` or a `failure`."""
    return "verdict" if state in GOOD_STATES else "failure"


def ended(run: Run, state: RunState, artifacts: Any) -> Message:
    """The run has ended: its state, amounts and report."""
    from coa.report.summary import note_of

    return Message(
        f"Run {run.run_id} ended as {state.replace('_', ' ')}",
        (_orgs(run), note_of(run.record.summary or {}), *_amounts(run), f"Report: {artifacts}/report.html"),
        _page(run),
    )


def left_as_draft(run: Run, orders: int, minutes: float) -> Message:
    """Orders that should not be Drafts have been Drafts in the target for longer than the limit."""
    drafts = "order is a Draft" if orders == 1 else "orders are Drafts"
    return Message(
        f"{orders:,} {drafts} in the target of run {run.run_id} and should not be",
        (
            _orgs(run),
            f"{orders:,} {drafts} there for more than {minutes:g} minutes, and should not be. "
            "Do not submit Draft orders in that org.",
            "Next step: let the run continue, or trigger the migration again; it completes these orders first.",
        ),
        _page(run),
    )


def late(run: Run, hours: float) -> Message:
    """The run has not ended within its deadline."""
    return Message(
        f"Run {run.run_id} has not ended after {hours:g} hours",
        (_orgs(run), f"It is at the stage {str(run.record.stage).replace('_', ' ')}."),
        _page(run),
    )


def _orgs(run: Run) -> str:
    source, target = (str(run.record.org(role).get("name") or role) for role in ("source", "target"))
    return f"Channel Order App orders from {source} to {target}; {run.record.dag_id}."


def _amounts(run: Run) -> list[str]:
    """The order value, one line a currency, as the plan has it."""
    from coa.plan.amounts import amounts, amounts_shown

    if run.record.pair_id is None:
        return []
    shown = amounts_shown(amounts(run), moved=run.record.loaded_at is not None)
    return [
        f"Order value in {row['currency'] or 'no currency'}: "
        + ", ".join(f"{row[name]} {title}" for name, title in shown["outcomes"] if row[name] != "0.00")
        + "."
        for row in shown["currencies"]
    ]


def _page(run: Run) -> str:
    """The run's page in Airflow; empty where Airflow's own address is not configured."""
    from airflow.sdk.configuration import conf

    from coa_airflow.ui.links import page_url

    base = str(conf.get("api", "base_url", fallback="") or "")
    return urljoin(base, page_url(run.record.dag_id, run.record.airflow_run_id)) if base else ""
