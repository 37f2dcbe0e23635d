"""Files of a run: lists straight from staging, as streams; report and plan from the artifacts folder."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Iterator
from typing import IO, Any

from coa.attachments import history
from coa.codes import RunMode
from coa.config import Settings
from coa.readiness.assess import READINESS_COLUMNS, readiness_rows
from coa.relink import report as relinked
from coa.report.corrections import COLUMNS as CORRECTION_COLUMNS
from coa.report.corrections import expected_corrections_rows
from coa.report.csv_files import (
    DIFFERENCE_COLUMNS,
    ID_MAP_COLUMNS,
    OPEN_ORDER_COLUMNS,
    REFERENCE_COLUMNS,
    REJECTED_COLUMNS,
    difference_rows,
    id_map_rows,
    neutral,
    open_rows,
    reference_rows,
    rejected_rows,
)
from coa.report.data_loader import NAMES as DATA_LOADER_FILES
from coa.report.licenses import COVERAGE_COLUMNS, GAP_COLUMNS, coverage_rows, gap_rows
from coa.report.relink import RELINK_COLUMNS, relink_rows
from coa.report.totals import TOTAL_COLUMNS, total_rows
from coa.rollback import report as rolled_back
from coa.staging.runs import Run
from coa.verify.totals import ORDER_COLUMNS, order_rows
from coa_airflow.ui.staging import database

BOM = "\ufeff"
"""Spreadsheets take a CSV file as UTF-8 only with it."""
FLUSH_BYTES = 64 * 1024


def _rejected_rows(run: Run) -> Iterable[dict[str, Any]]:
    """As the artifact of that name: what a roll-back or a re-linking leaves is in tables of its own."""
    rows = {RunMode.ROLLBACK: rolled_back.left_rows, RunMode.RELINK: relinked.left_rows}
    return rows.get(RunMode(run.record.mode), rejected_rows)(run)


LISTS: dict[str, tuple[tuple[str, ...], Callable[[Run], Iterable[dict[str, Any]]]]] = {
    "rejected_rows": (REJECTED_COLUMNS, _rejected_rows),
    "differences": (DIFFERENCE_COLUMNS, difference_rows),
    "corrections": (CORRECTION_COLUMNS, expected_corrections_rows),
    "open_orders": (OPEN_ORDER_COLUMNS, open_rows),
    "id_map": (ID_MAP_COLUMNS, id_map_rows),
    "relink": (RELINK_COLUMNS, relink_rows),
    "references": (REFERENCE_COLUMNS, reference_rows),
    "license_coverage": (COVERAGE_COLUMNS, coverage_rows),
    "license_gaps": (GAP_COLUMNS, gap_rows),
    "totals": (TOTAL_COLUMNS, total_rows),
    "orders": (ORDER_COLUMNS, order_rows),
    "gtm_readiness": (READINESS_COLUMNS, readiness_rows),
}

PARQUET = "application/vnd.apache.parquet"
DOCUMENTS = {
    "report.html": "text/html; charset=utf-8",
    "plan.json": "application/json",
    "summary.json": "application/json",
    "audit.json": "application/json",
    "observed.json": "application/json",
    "cassette.json": "application/json",
    "contract.md": "text/markdown; charset=utf-8",
    "casework.md": "text/markdown; charset=utf-8",
    "mapping_template.yaml": "application/yaml; charset=utf-8",
    "relink_template.yaml": "application/yaml; charset=utf-8",
    **dict.fromkeys(
        (*DATA_LOADER_FILES, "attached.csv", "rolled_back.csv", "relinked.csv"), "text/csv; charset=utf-8"
    ),
    "orders.parquet": PARQUET,
    f"{history.FOLDER}/{history.FILE}.csv": "text/csv; charset=utf-8",
    f"{history.FOLDER}/{history.FILE}.parquet": PARQUET,
}
"""Artifacts that are given out as they are in the run's folder, with their media types."""


def csv_stream(name: str, row: dict[str, Any]) -> Iterator[bytes]:
    """The same file as the artifact of that name, as of now; memory does not grow with it.

    `row`: the run's row of `coa.run`.
    """
    columns, rows = LISTS[name]
    # A run that its params stopped has its lists as well: they are empty.
    run = Run.load(database(), Settings(), row["run_id"], ending=True)
    buffer = io.StringIO(BOM)
    buffer.seek(0, io.SEEK_END)
    writer = csv.writer(buffer, lineterminator="\r\n")
    writer.writerow(columns)
    # A run that stopped before its orgs were known has no rows of anything.
    for line in rows(run) if row["pair_id"] is not None else []:
        writer.writerow([neutral(line.get(column)) for column in columns])
        if buffer.tell() > FLUSH_BYTES:
            yield buffer.getvalue().encode()
            buffer.seek(0)
            buffer.truncate()
    yield buffer.getvalue().encode()


def artifact_stream(run: dict[str, Any], name: str) -> Iterator[bytes] | None:
    """An artifact of the run, in pieces; None if this process cannot read the place where it is."""
    from coa_airflow.environment import artifacts_root

    place = str(run["artifacts"])
    if not place:
        return None
    try:
        file = (artifacts_root(place) / name).open("rb")
    except OSError:
        # Written by a worker on another machine into a folder of its own.
        return None
    return _pieces(file)


def _pieces(file: IO[bytes]) -> Iterator[bytes]:
    with file:
        while piece := file.read(FLUSH_BYTES):
            yield piece
