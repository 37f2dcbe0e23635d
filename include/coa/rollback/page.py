"""`report.html` of a roll-back: what was undone, what stays and why, who approved it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from coa.report.small_run import SmallRunWords, small_run_html
from coa.report.summary import UNDO_COUNTS
from coa.staging.runs import Run

VERDICTS = {
    "verified": ("good", "Everything in the plan was undone and proved; what stays is listed below."),
    "dry_run": ("good", "The plan is ready; nothing was written."),
    "differences": ("bad", "Not everything is as it was before the run."),
    "rows_rejected": ("bad", "The target refused some of the planned records."),
    "not_approved": ("warn", "The plan was not approved; nothing was written."),
    "blocked": ("warn", "Findings stopped the roll-back before the first write."),
    "failed": ("bad", "The roll-back could not go on. Trigger it again: its plan holds what is left to do."),
}


def rollback_html(run: Run, summary: dict[str, Any], left: Iterable[dict[str, Any]]) -> str:
    """The page. `left`: see `left_rows`."""
    words = SmallRunWords(
        heading=f"Roll-back of run {summary['rolls_back']}",
        done="What was undone",
        by_object="Records by sObject",
        stays="What stays, and what was refused",
        differ="What is not as it was before the run",
        verdicts=VERDICTS,
        files=("summary.json", "plan.json", "rolled_back.csv", "rejected_rows.csv", "differences.csv"),
    )
    return small_run_html(run, summary, UNDO_COUNTS, words, left)
