"""`report.html`: the run on one self-contained page."""

from __future__ import annotations

from html import escape
from typing import Any

from coa.model import NS
from coa.report.summary import COUNTS
from coa.staging.runs import Run


def report_html(run: Run, summary: dict[str, Any]) -> str:
    """The page; every text that comes from an org is escaped."""
    rows = "".join(
        f"<tr><th scope=row>{escape(name.removeprefix(NS))}</th>"
        + "".join(f"<td>{counts[c]:,}</td>" for c in COUNTS)
        + "</tr>"
        for name, counts in summary["objects"].items()
    )
    head = "".join(f"<th scope=col>{c}</th>" for c in COUNTS)
    return (
        "<!doctype html><html lang=en><meta charset=utf-8>"
        f"<title>Migration {escape(run.run_id)}</title>"
        f"<h1>{escape(summary['state'])}</h1><p>{escape(run.row['message'])}</p>"
        f"<table><tr><th scope=col>sObject</th>{head}</tr>{rows}</table></html>"
    )
