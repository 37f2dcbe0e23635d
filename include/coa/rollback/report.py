"""What a roll-back leaves behind: its state, `summary.json`, and the lists."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain
from typing import Any

from psycopg import sql

from coa.attachments import undo
from coa.load_steps import DELETIONS
from coa.reasons import reason
from coa.report.csv_files import (
    DIFFERENCE_COLUMNS,
    REJECTED_COLUMNS,
    difference_rows,
    write_csv_file,
)
from coa.report.reasons import plain_words
from coa.report.summary import UNDO_COUNTS, _api_calls, _seconds
from coa.report.write import Folder, write_json, write_text
from coa.rollback.page import rollback_html
from coa.rollback.plan import plan_counts
from coa.rollback.scope import undone_objects
from coa.staging.runs import Run
from coa.staging.tables import Table

ROLLED_BACK_COLUMNS = ("sobject", "source_id", "target_id", "action", "reason_code", "reason", "next_step")


def summarize_rollback(run: Run, state: str) -> dict[str, Any]:
    """`summary.json` of a roll-back: counts an sObject (`UNDO_COUNTS`), state, calls, seconds."""
    objects = {name: dict.fromkeys(UNDO_COUNTS, 0) for name in undone_objects(run) if name}
    for name, counts in plan_counts(run).items():
        objects[name] |= counts
    if run.has_table(Table.WORK):
        for r in run.db.rows(
            sql.SQL(
                """SELECT sobject, count(*) FILTER (WHERE step = %(deletions)s) AS deleted,
                          count(DISTINCT source_id) FILTER (WHERE step <> %(deletions)s) AS restored
                   FROM {} WHERE state = 'accepted' GROUP BY 1"""
            ).format(run.table(Table.WORK)),
            {"deletions": DELETIONS.name},
        ):
            objects[r["sobject"]] |= {"deleted": int(r["deleted"]), "restored": int(r["restored"])}
    for column, table in (("rejected", "rejection"), ("different", "difference")):
        for r in run.db.rows(
            sql.SQL(
                "SELECT sobject, count(DISTINCT source_id) AS n FROM {} WHERE run_id = %s GROUP BY 1"
            ).format(sql.Identifier("coa", table)),
            [run.run_id],
        ):
            if r["sobject"] in objects:
                objects[r["sobject"]][column] = int(r["n"])
    if all(run.has_table(Table.VERIFY, name) for name in objects):
        for counts in objects.values():
            wanted = counts["to_delete"] + counts["to_restore"]
            counts["verified"] = wanted - counts["different"]
    return {
        "run_id": run.run_id,
        "mode": run.record.mode,
        "rolls_back": run.params.run_id,
        "state": state,
        "plan_hash": run.record.plan_hash,
        "objects": objects,
        "attached": undo.counts(run),
        "api_calls": _api_calls(run),
        "seconds": _seconds(run),
        "message": run.record.message,
    }


def rolled_back_rows(run: Run) -> Iterable[dict[str, Any]]:
    """Rows of `rolled_back.csv`, streamed; none where the plan was not made."""
    if run.has_table(Table.ROLLBACK):
        yield from run.db.stream(
            sql.SQL("SELECT * FROM {} ORDER BY action, sobject, source_id").format(run.table(Table.ROLLBACK))
        )


def left_rows(run: Run) -> Iterable[dict[str, Any]]:
    """What stays although the run wrote it, and what the org refused: with what to do."""
    base = str(run.record.target_org.get("instance_url", ""))
    for row in rolled_back_rows(run):
        # Of a record with several lookups one may be restored and another left.
        if row["action"] == "left" or row["reason"]:
            yield {**row, "step": "plan", "source_url": f"{base}/{row['target_id']}"}
    for row in undo.rows(run):
        if row["action"] == "left":
            yield {**row, "step": "plan", "source_url": f"{base}/{row['target_id']}"}
    yield from _held_rows(run, base)
    for r in run.db.stream(
        """SELECT sobject, source_id, step, error_code, error, fields FROM coa.rejection
           WHERE run_id = %s ORDER BY sobject, error_code, source_id""",
        [run.run_id],
    ):
        told, next_step = plain_words(r["error_code"], r["error"])
        yield {
            **r,
            "reason_code": "refused_by_org",
            "reason": told,
            "next_step": next_step,
            "field": r["fields"],
            "action": "rejected",
        }


def _held_rows(run: Run, base: str) -> Iterable[dict[str, Any]]:
    """Records whose lookups somebody changed after the plan of the undo was made."""
    if run.has_table(Table.CHANGED_SINCE_PLAN):
        for row in run.db.stream(
            sql.SQL("SELECT * FROM {} ORDER BY sobject, source_id").format(
                run.table(Table.CHANGED_SINCE_PLAN)
            )
        ):
            yield {
                **row,
                "target_id": row["source_id"],
                "source_url": f"{base}/{row['source_id']}",
                "action": "held",
                "step": "load",
                "reason_code": "changed_since_plan",
                "next_step": reason("changed_since_plan:relinked").next_step,
            }


def write_rollback_artifacts(run: Run, folder: Folder, state: str) -> dict[str, Any]:
    """Writes all files of a roll-back as it stands now; the summary."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, columns, rows in (
        ("rolled_back.csv", ROLLED_BACK_COLUMNS, lambda run: chain(rolled_back_rows(run), undo.rows(run))),
        ("rejected_rows.csv", REJECTED_COLUMNS, left_rows),
        ("differences.csv", DIFFERENCE_COLUMNS, difference_rows),
    ):
        write_csv_file(folder, name, columns, rows(run))
    summary = summarize_rollback(run, state)
    write_json(folder, "summary.json", summary)
    write_text(folder, "report.html", rollback_html(run, summary, left_rows(run)))
    return summary
