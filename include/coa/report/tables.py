"""The tables among a run's artifacts: files that grow with the number of orders.

The stage `report` writes them. The end of the run, which alone knows its state, would write the same files
again. So the stage keeps a list of what it wrote; the list is used once, and any stage that begins later
deletes it.
"""

from __future__ import annotations

from typing import Any

from psycopg import sql

from coa.artifacts import Artifacts, Folder
from coa.attachments import history
from coa.attachments.totals import COLUMNS as ATTACHED_COLUMNS
from coa.attachments.totals import rows as attached_rows
from coa.readiness.assess import READINESS_COLUMNS, readiness_rows
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
from coa.report.licenses import COVERAGE_COLUMNS, GAP_COLUMNS, coverage_rows, gap_rows
from coa.report.relink import RELINK_COLUMNS, relink_rows
from coa.report.totals import TOTAL_COLUMNS, total_rows
from coa.staging import tables
from coa.staging.database import Row, json_value
from coa.staging.runs import Run
from coa.staging.tables import Table
from coa.tabular import can_write_parquet, write_parquet
from coa.verify.totals import ORDER_COLUMNS, ORDER_KINDS, order_rows

_TABLES = (
    ("id_map.csv", ID_MAP_COLUMNS, id_map_rows),
    ("rejected_rows.csv", REJECTED_COLUMNS, rejected_rows),
    ("differences.csv", DIFFERENCE_COLUMNS, difference_rows),
    ("relink.csv", RELINK_COLUMNS, relink_rows),
    ("open_orders.csv", OPEN_ORDER_COLUMNS, open_rows),
    ("references.csv", REFERENCE_COLUMNS, reference_rows),
    ("license_coverage.csv", COVERAGE_COLUMNS, coverage_rows),
    ("license_gaps.csv", GAP_COLUMNS, gap_rows),
    ("totals.csv", TOTAL_COLUMNS, total_rows),
    ("orders.csv", ORDER_COLUMNS, order_rows),
    ("gtm_readiness.csv", READINESS_COLUMNS, readiness_rows),
)


def write_tables(run: Run, folder: Folder) -> list[dict[str, Any]]:
    """Writes all of them; name, bytes, SHA-256 and rows of each, in their order."""
    artifacts = Artifacts(folder)
    read = run.record.pair_id is not None
    for name, columns, rows in _TABLES:
        with artifacts.text(name, encoding="utf-8-sig") as file:
            count = write_csv(file, columns, rows(run) if read else [])
        artifacts.listed[-1]["rows"] = count
    if can_write_parquet():
        write_parquet(artifacts, "orders.parquet", ORDER_KINDS, order_rows(run) if read else [])
    write_data_loader_files(run, artifacts)
    if run.has_table(Table.ATTACHED):
        with artifacts.text("attached.csv", encoding="utf-8-sig") as file:
            count = write_csv(file, ATTACHED_COLUMNS, attached_rows(run))
        artifacts.listed[-1]["rows"] = count
    if history.has_history(run):
        _write_history(run, artifacts)
    return artifacts.listed


def _write_history(run: Run, artifacts: Artifacts) -> None:
    """In a folder of its own: an archive that is kept when the rest is not needed any more."""
    (artifacts.folder / history.FOLDER).mkdir(exist_ok=True)
    name = f"{history.FOLDER}/{history.FILE}"
    with artifacts.text(f"{name}.csv", encoding="utf-8-sig") as file:
        count = write_csv(file, tuple(history.COLUMNS), history.history_rows(run))
    artifacts.listed[-1]["rows"] = count
    if can_write_parquet():
        write_parquet(artifacts, f"{name}.parquet", history.COLUMNS, history.history_rows(run))


def keep_tables(run: Run, folder: Folder, written: list[dict[str, Any]]) -> None:
    """Keeps the list for the end of the run, in place of what was kept before."""
    with run.db.transaction() as connection:
        tables.ensure(connection, run, Table.WRITTEN)
        connection.execute(sql.SQL("DELETE FROM {}").format(run.table(Table.WRITTEN)))
        connection.execute(
            sql.SQL("INSERT INTO {} (folder, files) VALUES (%s, %s)").format(run.table(Table.WRITTEN)),
            [str(folder), json_value(written)],
        )


def take_kept(run: Run, folder: Folder) -> list[dict[str, Any]] | None:
    """The list that was kept, which is then deleted; None if there is none, or if one of its files is missing."""
    kept = forget_kept(run)
    if kept is None or kept["folder"] != str(folder):
        return None
    there = {entry.name for entry in folder.iterdir()}
    return kept["files"] if all(file["name"].split("/")[0] in there for file in kept["files"]) else None


def forget_kept(run: Run) -> Row | None:
    """Deletes the list: a stage that begins may change what the tables say."""
    if not run.has_table(Table.WRITTEN):
        return None
    return run.db.row(sql.SQL("DELETE FROM {} RETURNING folder, files").format(run.table(Table.WRITTEN)))
