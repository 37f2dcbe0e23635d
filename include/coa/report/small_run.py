"""`report.html` of the smaller runs, which write to the target under a plan of their own: roll-back and re-linking."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.resources import files
from itertools import islice
from typing import Any

from markupsafe import Markup

from coa.approval.record import approvals
from coa.report import audit
from coa.report.casework import org_facts
from coa.report.csv_files import difference_rows
from coa.report.page import environment
from coa.staging.runs import Run

MOST_ROWS = 1000
"""Rows of one list on the page; the CSV beside it has all."""


@dataclass(frozen=True)
class SmallRunWords:
    """What the page calls things. `verdicts`: state -> grade and sentence; `by_object`, `differ`: captions of the
    counts and of the differences."""

    heading: str
    done: str
    by_object: str
    stays: str
    differ: str
    verdicts: Mapping[str, tuple[str, str]]
    files: tuple[str, ...]


def small_run_html(
    run: Run,
    summary: dict[str, Any],
    counts: Iterable[str],
    words: SmallRunWords,
    left: Iterable[dict[str, Any]],
) -> str:
    """The page; every text that comes from an org is escaped by the template. `left`: what was not done, and why."""
    grade, verdict = words.verdicts.get(summary["state"], ("warn", "The run is still under way."))
    return (
        environment()
        .get_template("small_run.html.j2")
        .render(
            run=run.record,
            summary=summary,
            counts=tuple(counts),
            grade=grade,
            verdict=verdict,
            words=words,
            target=org_facts(run, "target"),
            style=Markup(files("coa.report").joinpath("templates", "report.css").read_text("utf-8")),
            left=list(islice(left, MOST_ROWS)),
            differences=list(difference_rows(run, MOST_ROWS)),
            approvals=approvals(run),
            findings=audit.findings(run),
            most_rows=MOST_ROWS,
        )
    )
