"""The plan for files, notes and activities: an action for each, what they need in the target, the lines in the
approval page.
"""

from __future__ import annotations

import math
from typing import Any

from psycopg import sql

from coa.codes import ARRIVED, LeftBehind
from coa.findings.finding import Finding, finding
from coa.hanging import EMAIL, KIND, KINDS, LINK, MB, TASK, VERSION
from coa.staging.fragments import examples, list_of, same_record
from coa.staging.runs import Run
from coa.staging.tables import Table

STAGE = "attachments"
"""Under which the findings stand."""
CALLS = {VERSION: 4, "Attachment": 3}
"""API calls for one on the target: look, send, read back, bytes; the others go 200 a call."""
RECORDS_A_CALL = 200
LOSSES = (LeftBehind.TOO_LARGE, LeftBehind.FILE_HIDDEN)
"""What would be carried if it could be."""
WORDS = {
    LeftBehind.RECORD_NOT_MOVED: "the record that it hangs on is not moved",
    LeftBehind.RECORD_MATCHED: (
        "it hangs on a record that the target has of its own: nothing is hung on what is not ours"
    ),
    LeftBehind.TOO_LARGE: "it is larger than the API takes",
    LeftBehind.FILE_HIDDEN: "the user of coa_source may not read their file: give it View All Data and Query All Files",
    LeftBehind.NO_BYTES: "it is a link to a file outside of Salesforce",
    LeftBehind.WITH_EMAIL: "the target makes it with its e-mail",
}


def decide(run: Run) -> None:
    """Gives each item one action, from the plan of the records and from the ledger. Does nothing where
    nothing was read.

    Only items of records that we own are carried; nothing is added to a matched record.
    """
    if not run.has_table(Table.ATTACHED):
        return
    table, plan = run.table(Table.ATTACHED), run.table(Table.PLAN)
    left = sql.SQL("UPDATE {} a SET action = 'left', reason = %s WHERE a.action = 'carry' AND {}")
    with run.db.transaction() as connection:
        connection.execute(sql.SQL("UPDATE {} SET action = 'carry', reason = ''").format(table))
        for reason, actions in (
            (LeftBehind.RECORD_MATCHED, ["match"]),
            (LeftBehind.RECORD_NOT_MOVED, ["blocked", "held"]),
        ):
            connection.execute(
                left.format(
                    table,
                    sql.SQL(
                        """EXISTS (SELECT FROM {} p WHERE p.sobject = a.parent_sobject AND p.source_id = a.parent_id
                                     AND p.action = ANY (%s))"""
                    ).format(plan),
                ),
                [reason, actions],
            )
        # Not extracted at all: `orders_where` left its record out.
        connection.execute(
            left.format(
                table,
                sql.SQL(
                    """a.sobject <> %s AND NOT EXISTS (
                         SELECT FROM {} p WHERE p.sobject = a.parent_sobject AND p.source_id = a.parent_id)"""
                ).format(plan),
            ),
            [LeftBehind.RECORD_NOT_MOVED, VERSION],
        )
        connection.execute(
            left.format(
                table,
                sql.SQL(
                    """a.sobject = %s AND a.source_id IN (
                         SELECT e.data ->> 'ActivityId' FROM {} e WHERE e.sobject = %s AND e.action = 'carry')"""
                ).format(table),
            ),
            [LeftBehind.WITH_EMAIL, TASK, EMAIL],
        )
        connection.execute(
            left.format(table, sql.SQL("a.sobject = %s AND a.data ->> 'FileType' = 'LINK'")),
            [LeftBehind.NO_BYTES, VERSION],
        )
        for kind in KINDS:
            if kind.most:
                connection.execute(
                    left.format(table, sql.SQL("a.sobject = %s AND a.bytes > %s")),
                    [LeftBehind.TOO_LARGE, kind.sobject, kind.most],
                )
        # A document goes with its links: without one that is carried, or with a version that is not, it stays.
        connection.execute(
            left.format(
                table,
                sql.SQL(
                    """a.sobject = %s AND NOT EXISTS (
                         SELECT FROM {} l WHERE l.sobject = %s
                           AND l.document_id = a.parent_id AND l.action = 'carry')"""
                ).format(table),
            ),
            [LeftBehind.RECORD_NOT_MOVED, VERSION, LINK],
        )
        for reason, action in ((LeftBehind.FILE_HIDDEN, ""), (LeftBehind.NO_BYTES, "AND v.action = 'carry'")):
            connection.execute(
                left.format(
                    table,
                    sql.SQL(
                        """a.sobject = %s AND NOT EXISTS (
                             SELECT FROM {} v WHERE v.sobject = %s AND v.parent_id = a.document_id {})"""
                    ).format(table, sql.SQL(action)),
                ),
                [reason, LINK, VERSION],
            )
        connection.execute(
            sql.SQL(
                """UPDATE {} a SET action = 'there' FROM coa.attached l
                   WHERE a.action = 'carry' AND l.pair_id = %s AND {l_is_a}
                     AND l.state IN {arrived} AND l.target_id IS NOT NULL
                     AND (a.sobject = 'ContentVersion' OR EXISTS (
                       SELECT FROM {} p WHERE p.pair_id = l.pair_id AND p.sobject = a.parent_sobject
                         AND p.source_id = a.parent_id AND p.target_id = l.target_parent))"""
            ).format(table, run.ledger, arrived=list_of(ARRIVED), l_is_a=same_record("l", "a")),
            [run.pair_id],
        )
    run.findings.replace(STAGE, findings(run))


def counts(run: Run) -> dict[str, dict[str, int]]:
    """Kind -> `found`, `to_carry`, `there`, `left`, `bytes` (of what is to be carried).
    Empty where nothing was read."""
    if not run.has_table(Table.ATTACHED):
        return {}
    rows = {
        str(r["sobject"]): r
        for r in run.db.rows(
            sql.SQL(
                """SELECT sobject, count(*) AS found, count(*) FILTER (WHERE action = 'carry') AS to_carry,
                          count(*) FILTER (WHERE action = 'there') AS there,
                          count(*) FILTER (WHERE action = 'left') AS left,
                          COALESCE(sum(bytes) FILTER (WHERE action = 'carry'), 0) AS bytes
                   FROM {} GROUP BY 1"""
            ).format(run.table(Table.ATTACHED))
        )
    }
    names = ("found", "to_carry", "there", "left", "bytes")
    return {
        kind.sobject: {name: int(rows[kind.sobject][name]) for name in names}
        for kind in KINDS
        if kind.sobject in rows
    }


def calls_needed(found: dict[str, dict[str, int]]) -> int:
    """API calls on the target, without faults."""
    return sum(
        n["to_carry"] * CALLS[name] if name in CALLS else 4 * math.ceil(n["to_carry"] / RECORDS_A_CALL)
        for name, n in found.items()
    )


def left_by_reason(run: Run) -> list[dict[str, Any]]:
    """Rows (sobject, reason, n, examples)."""
    if not run.has_table(Table.ATTACHED):
        return []
    return run.db.rows(
        sql.SQL(
            """SELECT sobject, reason, count(*) AS n, {examples} AS examples
               FROM {} WHERE action = 'left' GROUP BY 1, 2 ORDER BY 1, 2"""
        ).format(run.table(Table.ATTACHED), examples=examples())
    )


def findings(run: Run) -> list[Finding]:
    """Room and calls in the target for what is to be carried, as it told preflight, and what is left."""
    found = counts(run)
    megabytes = math.ceil(sum(n["bytes"] for n in found.values()) / MB)
    room = run.record.target_org.get("file_storage_mb")
    made = []
    if room is not None and megabytes > int(room):
        made.append(finding("blocker", "file_storage", count=megabytes, left=room))
    needed, remaining = calls_needed(found), run.record.target_org.get("api_calls_left")
    if remaining is not None and needed and needed > int(remaining) - run.settings.api_reserve:
        made.append(finding("blocker", "attachments_allowance", count=needed, left=remaining))
    for r in left_by_reason(run):
        if r["reason"] != LeftBehind.WITH_EMAIL:
            made.append(
                finding(
                    "warning" if r["reason"] in LOSSES else "note",
                    "attached_left",
                    sobject=r["sobject"],
                    field=r["reason"],
                    count=int(r["n"]),
                    examples=r["examples"],
                    why=WORDS[LeftBehind(r["reason"])],
                )
            )
    return made


def document(run: Run) -> dict[str, Any]:
    """What `plan.json` says: counts and bytes a kind, the target's room, what is left and why."""
    found = counts(run)
    return {
        "objects": found,
        "bytes": sum(n["bytes"] for n in found.values()),
        "file_storage_mb_left": run.record.target_org.get("file_storage_mb"),
        "api_calls": calls_needed(found),
        "left": [{key: r[key] for key in ("sobject", "reason", "n")} for r in left_by_reason(run)],
    }


def markdown(run: Run) -> str:
    """The lines for whoever approves; empty where nothing is carried."""
    found = counts(run)
    if not found:
        return ""
    lines = [
        "**What hangs on the records**",
        "",
        "| what | carried | size | there already | left |",
        "|---|---:|---:|---:|---:|",
    ]
    for name, n in found.items():
        size = f"{n['bytes'] / MB:,.1f} MB" if KIND[name].size else ""
        lines.append(f"| {KIND[name].what} | {n['to_carry']:,} | {size} | {n['there']:,} | {n['left']:,} |")
    room = run.record.target_org.get("file_storage_mb")
    if room is not None:
        lines += ["", f"The target has {int(room):,} MB of file storage left."]
    return "\n".join(lines)
