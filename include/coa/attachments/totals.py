"""What was carried beside the records, counted and listed: for the summary, the report and `attached.csv`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from psycopg import sql

from coa.attachments import planned
from coa.codes import ARRIVED, DifferenceKind, LeftBehind, RunMode
from coa.hanging import KIND
from coa.staging.fragments import list_of, same_record
from coa.staging.runs import Run
from coa.staging.tables import Table

COLUMNS = (
    *("sobject", "source_id", "target_id", "record_sobject", "record_source_id", "record_target_id", "name"),
    *("bytes", "sha256", "action", "reason", "state", "inserted_run"),
)
COUNTS = ("carried", "carried_bytes", "verified", "rejected", "different", "missing", "duplicated")


def totals(run: Run) -> dict[str, dict[str, int]]:
    """Kind -> the plan's counts (`planned.counts`) and `COUNTS`; empty where nothing was to be carried."""
    found = {name: counts | dict.fromkeys(COUNTS, 0) for name, counts in planned.counts(run).items()}
    if not found:
        return {}
    for r in run.db.rows(
        sql.SQL(
            """SELECT a.sobject, count(*) AS carried, COALESCE(sum(m.bytes), 0) AS carried_bytes,
                      count(*) FILTER (WHERE m.state = 'proved') AS verified
               FROM {} a JOIN coa.attached m ON m.pair_id = %s AND {m_is_a}
               WHERE a.action = 'carry' AND m.state IN {arrived} GROUP BY 1"""
        ).format(run.table(Table.ATTACHED), arrived=list_of(ARRIVED), m_is_a=same_record("m", "a")),
        [run.pair_id],
    ):
        found[r["sobject"]] |= {name: int(r[name]) for name in ("carried", "carried_bytes", "verified")}
    for r in run.db.rows(
        "SELECT sobject, count(DISTINCT source_id) AS n FROM coa.rejection WHERE run_id = %s GROUP BY 1",
        [run.run_id],
    ):
        if r["sobject"] in found:
            found[r["sobject"]]["rejected"] = int(r["n"])
    for r in run.db.rows(
        sql.SQL(
            """SELECT sobject, count(DISTINCT source_id) FILTER (WHERE kind NOT IN {of_records}) AS different,
                      count(DISTINCT source_id) FILTER (WHERE kind = 'missing') AS missing,
                      count(*) FILTER (WHERE kind = 'duplicate') AS duplicated
               FROM coa.difference WHERE run_id = %s GROUP BY 1"""
        ).format(of_records=list_of({DifferenceKind.MISSING, DifferenceKind.DUPLICATE})),
        [run.run_id],
    ):
        if r["sobject"] in found:
            found[r["sobject"]] |= {name: int(r[name]) for name in ("different", "missing", "duplicated")}
    if run.record.mode == RunMode.VERIFY:
        # By what was found now, and not by what was proved once.
        for counts in found.values():
            counts["verified"] = counts["carried"] - counts["different"] - counts["missing"]
    return found


def rows(run: Run) -> Iterator[dict[str, Any]]:
    """Everything that hangs on the records, and what became of it; of a version the record is its document."""
    if not run.has_table(Table.ATTACHED):
        return
    for r in run.db.stream(
        sql.SQL(
            """SELECT a.sobject, a.source_id, m.target_id, a.parent_sobject AS record_sobject,
                      a.parent_id AS record_source_id, m.target_parent AS record_target_id,
                      COALESCE(a.data ->> 'Title', a.data ->> 'Name', a.data ->> 'Subject') AS name, a.bytes,
                      m.sha256, a.action, a.reason,
                      CASE WHEN {verification} AND EXISTS (SELECT FROM coa.difference d WHERE d.run_id = {run}
                             AND {d_is_a}) THEN 'different'
                           ELSE m.state END AS state, m.inserted_run
               FROM {} a LEFT JOIN coa.attached m
                 ON m.pair_id = %s AND {m_is_a}
               ORDER BY a.sobject, a.parent_id, a.nth, a.source_id"""
        ).format(
            run.table(Table.ATTACHED),
            m_is_a=same_record("m", "a"),
            d_is_a=same_record("d", "a"),
            verification=sql.Literal(run.record.mode == RunMode.VERIFY),
            run=sql.Literal(run.run_id),
        ),
        [run.pair_id],
    ):
        reason = planned.WORDS[LeftBehind(r["reason"])] if r["reason"] else ""
        yield r | {"reason": reason, "bytes": r["bytes"] if KIND[r["sobject"]].size else ""}
