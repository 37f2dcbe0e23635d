"""Writes the artifacts of a run into its folder: `<artifacts>/<run_id>/`."""

from __future__ import annotations

from typing import Any

from coa.artifacts import Artifacts, Folder, as_json
from coa.load.mended import mended
from coa.load.observed import observed_document
from coa.readiness.assess import READINESS_COLUMNS, readiness_rows
from coa.report.audit import audit_document, events
from coa.report.casework import casework
from coa.report.csv_files import (
    DIFFERENCE_COLUMNS,
    ID_MAP_COLUMNS,
    OPEN_ORDER_COLUMNS,
    REFERENCE_COLUMNS,
    REJECTED_COLUMNS,
    difference_rows,
    id_map_rows,
    open_rows,
    reference_rows,
    rejected_rows,
    write_csv,
)
from coa.report.data_loader import write_data_loader_files
from coa.report.html import report_html
from coa.report.licenses import COVERAGE_COLUMNS, coverage_rows
from coa.report.relink import RELINK_COLUMNS, relink_rows
from coa.report.summary import summarize
from coa.report.totals import TOTAL_COLUMNS, total_rows
from coa.staging.runs import Run
from coa.tabular import can_write_parquet, write_parquet
from coa.verify.totals import ORDER_COLUMNS, ORDER_KINDS, order_rows

__all__ = ["Folder", "write_artifacts", "write_json", "write_text"]


def write_text(folder: Folder, name: str, text: str) -> None:
    """A file of the folder, UTF-8, line ends as they are."""
    with (folder / name).open("wb") as file:
        file.write(text.encode("utf-8"))


def write_json(folder: Folder, name: str, document: Any) -> None:
    """A JSON file of the folder."""
    write_text(folder, name, as_json(document) + "\n")


def write_artifacts(run: Run, folder: Folder, state: str) -> dict[str, Any]:
    """All files of the run as it stands now; the summary. Works for a run that stopped in any stage."""
    folder.mkdir(parents=True, exist_ok=True)
    artifacts = Artifacts(folder)
    for name in ("plan.json", "corrections.csv"):
        artifacts.list_existing(name)
    summary = summarize(run, state)
    artifacts.write_json("summary.json", summary)
    learnt = observed_document(run)
    if learnt is not None:
        artifacts.write_json("observed.json", learnt | {"mended": mended(run)})
    for name, columns, rows in (
        ("id_map.csv", ID_MAP_COLUMNS, id_map_rows),
        ("rejected_rows.csv", REJECTED_COLUMNS, rejected_rows),
        ("differences.csv", DIFFERENCE_COLUMNS, difference_rows),
        ("relink.csv", RELINK_COLUMNS, relink_rows),
        ("open_orders.csv", OPEN_ORDER_COLUMNS, open_rows),
        ("references.csv", REFERENCE_COLUMNS, reference_rows),
        ("license_coverage.csv", COVERAGE_COLUMNS, coverage_rows),
        ("totals.csv", TOTAL_COLUMNS, total_rows),
        ("orders.csv", ORDER_COLUMNS, order_rows),
        ("gtm_readiness.csv", READINESS_COLUMNS, readiness_rows),
    ):
        with artifacts.text(name, encoding="utf-8-sig") as file:
            count = write_csv(file, columns, rows(run) if run.record.pair_id is not None else [])
        artifacts.listed[-1]["rows"] = count
    if can_write_parquet():
        write_parquet(
            artifacts,
            "orders.parquet",
            ORDER_KINDS,
            order_rows(run) if run.record.pair_id is not None else [],
        )
    write_data_loader_files(run, artifacts)
    artifacts.write("casework.md", casework(run, summary))
    # A copy of the list: the trail cannot hold its own hash.
    artifacts.write_json_with(
        "audit.json", audit_document(run, list(artifacts.listed)), "events", events(run)
    )
    artifacts.write("report.html", report_html(run, summary, list(artifacts.listed)))
    return summary
