"""Success and error files in the form of Salesforce's Data Loader, an sObject a file, for those who work with it.

Data Loader writes, after an insert or update, the new id first and a column STATUS last for each row that was taken,
and the row as it was with a column ERROR for each that was not, ready to be put right and loaded again (Data Loader
Guide, "Review Data Loader Output Files").
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from psycopg import sql

from coa.artifacts import Artifacts
from coa.codes import LEFT_OUT, WRITTEN
from coa.model import LOADED, SOURCE_ID
from coa.report.csv_files import write_csv
from coa.staging.fragments import ledger_of, list_of, same_record
from coa.staging.runs import Run
from coa.staging.tables import Table

SUCCESS_COLUMNS = ("ID", SOURCE_ID, "STATUS")
ERROR = "ERROR"
STATUSES = {"insert": "Item Created", "update": "Item Updated"}


def success_name(sobject: str) -> str:
    """File of what was written of an sObject."""
    return f"success_{sobject}.csv"


def error_name(sobject: str) -> str:
    """File of what was not."""
    return f"error_{sobject}.csv"


NAMES = tuple(name(sobject) for sobject in LOADED for name in (success_name, error_name))


def write_data_loader_files(run: Run, artifacts: Artifacts) -> None:
    """Both files of each sObject that has a plan; none for a run that made none."""
    if not run.has_table(Table.PLAN):
        return
    for sobject in LOADED:
        _write(artifacts, success_name(sobject), SUCCESS_COLUMNS, success_rows(run, sobject))
        _write(artifacts, error_name(sobject), error_columns(run, sobject), error_rows(run, sobject))


def _write(artifacts: Artifacts, name: str, columns: tuple[str, ...], rows: Iterable[dict[str, Any]]) -> None:
    with artifacts.text(name, encoding="utf-8-sig") as file:
        count = write_csv(file, columns, rows)
    artifacts.listed[-1]["rows"] = count


def success_rows(run: Run, sobject: str) -> Iterator[dict[str, Any]]:
    """What this run inserted or updated: id in the target, id in the source, and Data Loader's status."""
    if not run.has_table(Table.WORK):
        return
    for row in run.db.stream(
        sql.SQL(
            """SELECT l.target_id AS "ID", p.source_id, p.action FROM {plan} p
               JOIN coa.ledger l ON {ledger}
               WHERE p.sobject = %s AND p.action IN {written}
                 AND EXISTS (SELECT FROM {work} w WHERE {w_is_p}
                             AND w.state = 'accepted')
                 AND NOT EXISTS (SELECT FROM coa.rejection r WHERE r.run_id = %s AND {r_is_p})
               ORDER BY 2"""
        ).format(
            plan=run.table(Table.PLAN),
            work=run.table(Table.WORK),
            ledger=ledger_of(run.pair_id, "p"),
            written=list_of(WRITTEN),
            w_is_p=same_record("w", "p"),
            r_is_p=same_record("r", "p"),
        ),
        [sobject, run.run_id],
    ):
        yield {"ID": row["ID"], SOURCE_ID: row["source_id"], "STATUS": STATUSES[row["action"]]}


def error_columns(run: Run, sobject: str) -> tuple[str, ...]:
    """The source's id, the target's fields as they were to be written, and the error."""
    fields = [name for name in run.columns(Table.DESIRED, sobject) if name not in ("source_id", SOURCE_ID)]
    return (SOURCE_ID, *fields, ERROR)


def error_rows(run: Run, sobject: str) -> Iterator[dict[str, Any]]:
    """What the plan left out or the org refused, with all values: put right, they can be loaded by hand.

    Lookups to records that are moved as well hold the source's ids: match them by the external id.
    """
    if not run.has_table(Table.DESIRED, sobject):
        return
    for row in run.db.stream(
        sql.SQL(
            """SELECT d.*, e.error AS {error} FROM (
                 SELECT source_id, concat_ws(': ', reason_code, reason) AS error FROM {plan}
                 WHERE sobject = %(sobject)s AND action IN {left_out}
                 UNION ALL
                 SELECT source_id, string_agg(concat_ws(': ', error_code, error), '; ' ORDER BY step, error_code)
                 FROM coa.rejection WHERE run_id = %(run)s AND sobject = %(sobject)s GROUP BY 1) e
               JOIN {desired} d USING (source_id) ORDER BY d.source_id"""
        ).format(
            error=sql.Identifier(ERROR),
            plan=run.table(Table.PLAN),
            desired=run.table(Table.DESIRED, sobject),
            left_out=list_of(LEFT_OUT),
        ),
        {"sobject": sobject, "run": run.run_id},
    ):
        yield {**row, SOURCE_ID: row["source_id"]}
