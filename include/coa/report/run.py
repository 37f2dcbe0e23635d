"""Writes the artifacts of a run into its folder: `<artifacts>/<run_id>/`."""

from __future__ import annotations

import json
from typing import IO, Any, Protocol

from coa.model import LOADED
from coa.report.csv_files import (
    DIFFERENCE_COLUMNS,
    ID_MAP_COLUMNS,
    REJECTED_COLUMNS,
    difference_rows,
    id_map_rows,
    rejected_rows,
    write_csv,
)
from coa.report.html import report_html
from coa.report.summary import summarize
from coa.staging.runs import Run


class Folder(Protocol):
    """What is needed of a path: `pathlib.Path` and Airflow's `ObjectStoragePath` both do."""

    def __truediv__(self, name: str) -> Folder: ...
    def mkdir(self, mode: int = ..., parents: bool = ..., exist_ok: bool = ...) -> None: ...
    def open(self, mode: str = ..., **options: Any) -> IO[Any]: ...


def write_text(folder: Folder, name: str, text: str) -> None:
    with (folder / name).open("wb") as file:
        file.write(text.encode("utf-8"))


def write_json(folder: Folder, name: str, document: Any) -> None:
    write_text(folder, name, json.dumps(document, indent=2, default=str, ensure_ascii=False) + "\n")


def write_artifacts(run: Run, folder: Folder, state: str) -> dict[str, Any]:
    """All files of the run as it stands now; the summary."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, columns, rows in (
        ("id_map.csv", ID_MAP_COLUMNS, id_map_rows),
        ("rejected_rows.csv", REJECTED_COLUMNS, rejected_rows),
        ("differences.csv", DIFFERENCE_COLUMNS, difference_rows),
    ):
        with (folder / name).open("w", encoding="utf-8-sig", newline="") as file:
            write_csv(file, columns, rows(run) if run.row["pair_id"] is not None else [])
    summary = summarize(run, state)
    write_json(folder, "summary.json", summary)
    write_text(folder, "report.html", report_html(run, summary))
    return summary


def decide_state(run: Run, error: str | None, stopped_state: str | None) -> str:
    """The state of a run that is over: the first of DESIGN §2's table that holds.

    `stopped_state`: the state of the `RunStopped` that ended it, None when nothing stopped it.
    """
    if stopped_state:
        return stopped_state
    refused = int(run.db.value("SELECT count(*) FROM coa.rejection WHERE run_id = %s", [run.run_id]))
    if error and not refused:
        return "failed"
    if refused:
        return "rows_rejected"
    if run.params.dry_run:
        return "dry_run"
    unexplained = int(
        run.db.value(
            "SELECT count(*) FROM coa.difference WHERE run_id = %s AND kind <> 'explained'", [run.run_id]
        )
    )
    if unexplained:
        return "differences"
    if not all(run.has_table("expected", name) for name in LOADED):
        # Verification never got to its end: nothing is proved.
        return "failed"
    return "verified"
