"""`report.html` of a roll-back: what was undone, what stays and why, who approved it."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.resources import files
from itertools import islice
from typing import Any

from markupsafe import Markup

from coa.approval.record import approvals
from coa.report import audit
from coa.report.casework import org_facts
from coa.report.csv_files import difference_rows
from coa.report.page import environment
from coa.report.summary import UNDO_COUNTS
from coa.staging.runs import Run

MOST_ROWS = 1000
"""Rows of one list on the page; the CSV beside it has all."""
FILES = ("summary.json", "plan.json", "rolled_back.csv", "rejected_rows.csv", "differences.csv")
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
    """The page; every text that comes from an org is escaped by the template. `left`: see `left_rows`."""
    grade, words = VERDICTS.get(summary["state"], ("warn", "The roll-back is still under way."))
    return (
        environment()
        .get_template("rollback.html.j2")
        .render(
            run=run.record,
            summary=summary,
            counts=UNDO_COUNTS,
            grade=grade,
            words=words,
            target=org_facts(run, "target"),
            style=Markup(files("coa.report").joinpath("templates", "report.css").read_text("utf-8")),
            left=list(islice(left, MOST_ROWS)),
            differences=list(difference_rows(run, MOST_ROWS)),
            approvals=approvals(run),
            findings=audit.findings(run),
            files=FILES,
            most_rows=MOST_ROWS,
        )
    )
