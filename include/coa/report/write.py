"""Writes the artifacts of a run into its folder: `<artifacts>/<run_id>/`."""

from __future__ import annotations

from typing import Any

from coa.artifacts import Artifacts, Folder, as_json
from coa.load.mended import mended
from coa.load.observed import observed_document
from coa.report.audit import audit_document, events
from coa.report.casework import casework
from coa.report.html import report_html
from coa.report.summary import summarize
from coa.report.tables import keep_tables, take_kept, write_tables
from coa.staging.runs import Run

__all__ = ["Folder", "write_artifacts", "write_json", "write_text"]


def write_text(folder: Folder, name: str, text: str) -> None:
    """A file of the folder, UTF-8, line ends as they are."""
    with (folder / name).open("wb") as file:
        file.write(text.encode("utf-8"))


def write_json(folder: Folder, name: str, document: Any) -> None:
    """A JSON file of the folder."""
    write_text(folder, name, as_json(document) + "\n")


def write_artifacts(run: Run, folder: Folder, state: str, *, at_the_end: bool = False) -> dict[str, Any]:
    """All files of the run as it is now; the summary. Works for a run that stopped in any stage.

    `at_the_end`: the tables stay as the stage `report` has written them, if nothing was done since.
    """
    folder.mkdir(parents=True, exist_ok=True)
    artifacts = Artifacts(folder)
    for name in ("plan.json", "corrections.csv"):
        artifacts.list_existing(name)
    summary = summarize(run, state)
    artifacts.write_json("summary.json", summary)
    learnt = observed_document(run)
    if learnt is not None:
        artifacts.write_json("observed.json", learnt | {"mended": mended(run)})
    artifacts.listed += _tables(run, folder, at_the_end=at_the_end)
    artifacts.write("casework.md", casework(run, summary))
    # A copy of the list: the trail cannot hold its own hash.
    artifacts.write_json_with(
        "audit.json", audit_document(run, list(artifacts.listed)), "events", events(run)
    )
    artifacts.write("report.html", report_html(run, summary, list(artifacts.listed)))
    return summary


def _tables(run: Run, folder: Folder, *, at_the_end: bool) -> list[dict[str, Any]]:
    if at_the_end and (kept := take_kept(run, folder)) is not None:
        return kept
    written = write_tables(run, folder)
    if run.record.pair_id is not None and not at_the_end:
        keep_tables(run, folder, written)
    return written
