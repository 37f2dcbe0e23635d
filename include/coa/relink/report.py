"""What a run of `coa_relink` leaves behind: `relinked.csv`, `summary.json`, what was left and what differs,
the page."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from psycopg import sql

from coa.codes import Relink, RowState
from coa.load_steps import RELINKS
from coa.reasons import reason
from coa.relink.plan import plan_counts
from coa.report.csv_files import DIFFERENCE_COLUMNS, REJECTED_COLUMNS, difference_rows, write_csv_file
from coa.report.reasons import plain_words
from coa.report.small_run import SmallRunWords, small_run_html
from coa.report.summary import RELINK_COUNTS, _api_calls, _seconds
from coa.report.write import Folder, write_json, write_text
from coa.staging.runs import Run
from coa.staging.tables import Table

RELINKED_COLUMNS = (
    "sobject",
    "record_id",
    "field",
    "points_at",
    "source_id",
    "target_id",
    "held",
    "action",
    "reason_code",
    "reason",
    "next_step",
)
WORDS = SmallRunWords(
    heading="Lookups set to moved records",
    done="What was set",
    by_object="Lookups by sObject",
    stays="What was left, held back or refused",
    differ="What does not lead to the moved record",
    verdicts={
        "verified": ("good", "Every lookup of the plan was set and proved; what was left is listed below."),
        "dry_run": ("good", "The plan is ready; nothing was written."),
        "differences": ("bad", "Not every lookup leads to the moved record."),
        "rows_rejected": ("bad", "The target refused some of the planned records."),
        "not_approved": ("warn", "The plan was not approved; nothing was written."),
        "blocked": ("warn", "Findings stopped the run before the first write."),
        "failed": ("bad", "The run could not go on. Trigger it again: its plan holds what is left to do."),
    },
    files=(
        "summary.json",
        "plan.json",
        "relinked.csv",
        "rejected_rows.csv",
        "differences.csv",
        "relink_template.yaml",
    ),
)


def summarize_relink(run: Run, state: str) -> dict[str, Any]:
    """`summary.json`: counts of lookups an sObject (`RELINK_COUNTS`), state, calls, seconds."""
    objects = {name: dict.fromkeys(RELINK_COUNTS, 0) | counts for name, counts in plan_counts(run).items()}
    if run.has_table(Table.WORK):
        for column, records in _what_became_of_records(run).items():
            for row in run.db.rows(
                sql.SQL(
                    """SELECT p.sobject, count(*) AS n FROM {} p
                       WHERE p.action = %s AND (p.sobject, p.record_id) IN ({})
                       GROUP BY 1"""
                ).format(run.table(Table.RELINK), records),
                [Relink.SET.value],
            ):
                objects[row["sobject"]][column] = int(row["n"])
    for row in run.db.rows(
        "SELECT sobject, count(*) AS n FROM coa.difference WHERE run_id = %s GROUP BY 1", [run.run_id]
    ):
        objects[row["sobject"]]["different"] = int(row["n"])
    for name, counts in objects.items():
        if run.has_table(Table.VERIFY, name):
            counts["verified"] = counts["set"] - counts["different"]
    return {
        "run_id": run.run_id,
        "mode": run.record.mode,
        "state": state,
        "plan_hash": run.record.plan_hash,
        "objects": objects,
        "api_calls": _api_calls(run),
        "seconds": _seconds(run),
        "message": run.record.message,
    }


def _what_became_of_records(run: Run) -> dict[str, sql.Composable]:
    """Count -> SQL for (sObject, id) of the records of which it is true; each of their lookups shares that."""
    return {
        "set": sql.SQL("SELECT sobject, source_id FROM {} WHERE step = {} AND state = {}").format(
            run.table(Table.WORK), sql.Literal(RELINKS.name), sql.Literal(RowState.ACCEPTED.value)
        ),
        "held": sql.SQL("SELECT sobject, source_id FROM {}").format(run.table(Table.CHANGED_SINCE_PLAN)),
        "rejected": sql.SQL("SELECT sobject, source_id FROM coa.rejection WHERE run_id = {}").format(
            sql.Literal(run.run_id)
        ),
    }


def relinked_rows(run: Run) -> Iterable[dict[str, Any]]:
    """Rows of `relinked.csv`, streamed; none where the plan was not made."""
    if run.has_table(Table.RELINK):
        yield from run.db.stream(
            sql.SQL("SELECT * FROM {} ORDER BY action, sobject, field, record_id").format(
                run.table(Table.RELINK)
            )
        )


def left_rows(run: Run) -> Iterator[dict[str, Any]]:
    """Lookups that the plan left, records that were held back, and those that the org refused: with what to do."""
    base = str(run.record.target_org.get("instance_url", ""))

    def shown(row: dict[str, Any], record_id: str, **more: Any) -> dict[str, Any]:
        return {
            **row,
            "source_id": record_id,
            "target_id": record_id,
            "source_url": f"{base}/{record_id}",
            **more,
        }

    for row in relinked_rows(run):
        if row["action"] == "left":
            yield shown(row, row["record_id"], step="plan")
    if run.has_table(Table.CHANGED_SINCE_PLAN):
        for row in run.db.stream(
            sql.SQL("SELECT sobject, source_id, reason FROM {} ORDER BY 1, 2").format(
                run.table(Table.CHANGED_SINCE_PLAN)
            )
        ):
            yield shown(
                row,
                row["source_id"],
                action="held",
                step="load",
                reason_code="changed_since_plan",
                next_step=reason("changed_since_plan:relinked").next_step,
            )
    for row in run.db.stream(
        """SELECT sobject, source_id, step, error_code, error, fields FROM coa.rejection
           WHERE run_id = %s ORDER BY sobject, error_code, source_id""",
        [run.run_id],
    ):
        told, next_step = plain_words(row["error_code"], row["error"])
        yield shown(
            row,
            row["source_id"],
            action="rejected",
            reason_code="refused_by_org",
            reason=told,
            next_step=next_step,
            field=row["fields"],
        )


def write_relink_artifacts(run: Run, folder: Folder, state: str) -> dict[str, Any]:
    """Writes all files of the run as it stands now; the summary."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, columns, rows in (
        ("relinked.csv", RELINKED_COLUMNS, relinked_rows),
        ("rejected_rows.csv", REJECTED_COLUMNS, left_rows),
        ("differences.csv", DIFFERENCE_COLUMNS, difference_rows),
    ):
        write_csv_file(folder, name, columns, rows(run))
    summary = summarize_relink(run, state)
    write_json(folder, "summary.json", summary)
    write_text(folder, "report.html", small_run_html(run, summary, RELINK_COUNTS, WORDS, left_rows(run)))
    return summary
