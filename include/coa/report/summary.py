"""`summary.json`: the run in numbers, in the shape that other people's scripts read (DESIGN §2)."""

from __future__ import annotations

from typing import Any

from psycopg import sql

from coa.attachments.totals import totals
from coa.codes import OF_A_RECORD, WRITTEN, DifferenceKind, RunMode
from coa.evidence.bundle import evidence_of
from coa.explanations import told
from coa.load.canary_state import canary_of
from coa.load.one_pass_state import one_pass_document
from coa.load_steps import CREATING, DELETIONS
from coa.model import CUSTOMER, DETAIL, DRAFT, LOADED, ORDER, RECEIVED_AT, STATUS
from coa.plan.amounts import amounts
from coa.plan.deletions import deletion_counts
from coa.report.corrections import compare_with_load
from coa.staging.fragments import list_of, same_record
from coa.staging.runs import Run
from coa.staging.tables import Table
from coa.states import GOOD_STATES
from coa.verify.all_sources import proof_of
from coa.verify.freeze_check import freeze_of
from coa.verify.second_reading import reading_of

COUNTS = (
    "extracted",
    "to_insert",
    "to_update",
    "unchanged",
    "matched",
    "blocked",
    "held",
    "inserted",
    "updated",
    "rejected",
    "verified",
    "different",
    "missing",
    "duplicated",
)
UNDO_COUNTS = ("to_delete", "to_restore", "left", "deleted", "restored", "rejected", "verified", "different")
"""Those of a roll-back."""
RELINK_COUNTS = ("to_set", "unchanged", "left", "set", "held", "rejected", "verified", "different")
"""Those of a re-linking, of lookups."""
ALL_COUNTS = dict.fromkeys((*COUNTS, *UNDO_COUNTS, *RELINK_COUNTS), 0)
PLURALS = {CUSTOMER: "customers", ORDER: "orders", DETAIL: "details"}
PLANNED = {
    "insert": "to_insert",
    "update": "to_update",
    "unchanged": "unchanged",
    "match": "matched",
    "blocked": "blocked",
    "held": "held",
}


def summarize(run: Run, state: str) -> dict[str, Any]:
    """The document; every count is there, 0 where the run did not get so far."""
    objects = {name: dict.fromkeys(COUNTS, 0) for name in LOADED}
    if run.has_table(Table.PLAN):
        _count_plan(run, objects)
    elif run.record.mode == RunMode.VERIFY:
        _count_looked_at(run, objects)
    if run.has_table(Table.WORK):
        _count_writes(run, objects)
    _count_differences(run, objects)
    return {
        "run_id": run.run_id,
        "mode": run.record.mode,
        "state": state,
        "plan_hash": run.record.plan_hash,
        "objects": objects,
        "attached": totals(run),
        "received_dates": _dates(run, RECEIVED_AT, [ORDER]),
        "created_dates": _dates(run, "CreatedDate", list(LOADED)),
        "draft_exposure": _draft_exposure(run),
        "canary": _canary(run),
        "one_pass": one_pass_document(run),
        "corrections": compare_with_load(run),
        "freeze": freeze_of(run),
        "evidence": evidence_of(run),
        "second_reading": reading_of(run),
        "api_calls": _api_calls(run),
        "seconds": _seconds(run),
        "message": run.record.message,
        "all_sources": proof_of(run),
        "deletions": _deletions(run),
        "amounts": amounts(run),
        "differences_by_origin": _causes(run),
        "explained": explained_counts(run),
    }


def objects_of(summary: dict[str, Any] | None) -> dict[str, dict[str, int]]:
    """Counts by sObject of a summary of any kind of run; a count that such a run does not make is 0.

    Objects in another shape, as another version of the program wrote them, are left out: a page with many
    runs must not fail because of one.
    """
    objects = (summary or {}).get("objects")
    if not isinstance(objects, dict):
        return {}
    return {
        str(name): {**ALL_COUNTS, **{k: n for k, n in counts.items() if isinstance(n, int)}}
        for name, counts in objects.items()
        if isinstance(counts, dict)
    }


PLANNED_WORDS = {
    "rollback": {"to_delete": "to delete", "to_restore": "to restore"},
    "relink": {"to_set": "to set"},
}
WRITTEN_WORDS = {
    "rollback": {"deleted": "deleted", "restored": "restored"},
    "relink": {"set": "set"},
}
"""Mode of a run -> count -> its word; what is not here is a migration."""
PLANNED_WORDS_OF_MIGRATION = {"to_insert": "to insert", "to_update": "to update"}
WRITTEN_WORDS_OF_MIGRATION = {"inserted": "inserted", "updated": "updated"}
LOOKED_AT = {"rollback": ("to_delete", "to_restore", "left"), "relink": ("to_set", "unchanged", "left")}
LEFT_WORDS = {
    "blocked": "blocked",
    "held": "held",
    "left": "left as they are",
    "rejected": "rejected",
    "different": "different",
    "missing": "missing",
    "duplicated": "doubled",
}


LONGEST_MESSAGE = 600
"""Characters of a run's message in its note."""


def note_of(summary: dict[str, Any]) -> str:
    """A run in one line: its state and the totals of each object that it looked at."""
    good = summary["state"] in GOOD_STATES
    parts = [f"{summary['state']} ({summary['run_id']})"]
    if not good and summary["message"]:
        parts[0] += f": {summary['message'][:LONGEST_MESSAGE]}"
    mode = summary["mode"]
    if summary["state"] == "dry_run":
        words = PLANNED_WORDS.get(mode, PLANNED_WORDS_OF_MIGRATION) | LEFT_WORDS
    else:
        words = WRITTEN_WORDS.get(mode, WRITTEN_WORDS_OF_MIGRATION) | LEFT_WORDS
    for sobject, counts in objects_of(summary).items():
        said = ", ".join(f"{counts[key]:,} {word}" for key, word in words.items() if counts[key])
        looked_at = sum(counts[key] for key in LOOKED_AT.get(mode, ("extracted",)))
        parts.append(
            f"{looked_at:,} {PLURALS.get(sobject, sobject)}: {said or ('nothing to do' if good else 'nothing written')}"
        )
    if summary.get("explained"):
        parts.append(
            f"{sum(summary['explained'].values()):,} values differ on purpose: {told(summary['explained'])}"
        )
    return "; ".join(parts)


def _deletions(run: Run) -> dict[str, dict[str, int]]:
    """Moved records that are gone from the source: counted apart, the plan's actions are of what the source has."""
    counts = {name: {**found, "deleted": 0} for name, found in deletion_counts(run).items()}
    if run.has_table(Table.WORK):
        for r in run.db.rows(
            sql.SQL(
                "SELECT sobject, count(*) AS n FROM {} WHERE step = %s AND state = 'accepted' GROUP BY 1"
            ).format(run.table(Table.WORK)),
            [DELETIONS.name],
        ):
            counts[r["sobject"]]["deleted"] = int(r["n"])
    return counts


def explained_counts(run: Run) -> dict[str, int]:
    """Values that differ on purpose, by `coa.explanations.Cause`: what stands beside "proved equal"."""
    return {
        str(r["cause"]): int(r["n"])
        for r in run.db.rows(
            """SELECT COALESCE(x.cause, 'other') AS cause, count(*) AS n
               FROM coa.difference d LEFT JOIN coa.explained x USING (run_id, sobject, source_id, field)
               WHERE d.run_id = %s AND d.kind = 'explained' GROUP BY 1 ORDER BY 1""",
            [run.run_id],
        )
    }


def _count_plan(run: Run, objects: dict[str, dict[str, int]]) -> None:
    """Records that changed since the plan count as held, so that the parts always add up to `extracted`."""
    changed = (
        sql.SQL("LEFT JOIN {} h ON {h_is_p}").format(
            run.table(Table.CHANGED_SINCE_PLAN), h_is_p=same_record("h", "p")
        )
        if run.has_table(Table.CHANGED_SINCE_PLAN)
        else sql.SQL("LEFT JOIN (SELECT NULL::text AS source_id) h ON false").format()
    )
    for r in run.db.rows(
        sql.SQL(
            """SELECT p.sobject, CASE WHEN h.source_id IS NOT NULL AND p.action IN {written}
                                      THEN 'held' ELSE p.action END AS action, count(*) AS n
               FROM {} p {} GROUP BY 1, 2"""
        ).format(run.table(Table.PLAN), changed, written=list_of(WRITTEN))
    ):
        counts = objects[r["sobject"]]
        counts[PLANNED[r["action"]]] += int(r["n"])
        counts["extracted"] += int(r["n"])


def _count_looked_at(run: Run, objects: dict[str, dict[str, int]]) -> None:
    """A verification plans nothing: what it looked at counts as extracted and unchanged."""
    for sobject, counts in objects.items():
        if run.has_table(Table.EXPECTED, sobject):
            looked_at = run.db.value(
                sql.SQL("SELECT count(*) FROM {}").format(run.table(Table.EXPECTED, sobject))
            )
            counts["extracted"] = counts["unchanged"] = int(looked_at)


def _causes(run: Run) -> dict[str, int]:
    """Unexplained differences: of the migration itself, or of changes since (`coa_verify` tells them apart)."""
    return {
        str(r["cause"]): int(r["n"])
        for r in run.db.rows(
            """SELECT cause, count(*) AS n FROM coa.difference
               WHERE run_id = %s AND kind <> 'explained' GROUP BY 1 ORDER BY 1""",
            [run.run_id],
        )
    }


def _count_writes(run: Run, objects: dict[str, dict[str, int]]) -> None:
    for r in run.db.rows(
        sql.SQL(
            """SELECT p.sobject,
                 count(DISTINCT p.source_id) FILTER (WHERE p.action = 'insert'
                   AND w.step = ANY (%s)) AS inserted,
                 count(DISTINCT p.source_id) FILTER (WHERE p.action = 'update') AS updated
               FROM {} p JOIN {} w ON {w_is_p}
               WHERE w.state = 'accepted' GROUP BY 1"""
        ).format(run.table(Table.PLAN), run.table(Table.WORK), w_is_p=same_record("w", "p")),
        [list(CREATING)],
    ):
        objects[r["sobject"]]["inserted"] = int(r["inserted"])
        objects[r["sobject"]]["updated"] = int(r["updated"])
    for r in run.db.rows(
        "SELECT sobject, count(DISTINCT source_id) AS n FROM coa.rejection WHERE run_id = %s GROUP BY 1",
        [run.run_id],
    ):
        if r["sobject"] in objects:
            objects[r["sobject"]]["rejected"] = int(r["n"])


def _count_differences(run: Run, objects: dict[str, dict[str, int]]) -> None:
    for r in run.db.rows(
        sql.SQL(
            """SELECT sobject,
                 count(DISTINCT source_id) FILTER (WHERE kind NOT IN {other})
                   + count(*) FILTER (WHERE kind = 'unexpected') AS different,
                 count(DISTINCT source_id) FILTER (WHERE kind = 'missing') AS missing,
                 count(*) FILTER (WHERE kind = 'duplicate') AS duplicated
               FROM coa.difference WHERE run_id = %s GROUP BY 1"""
        ).format(other=list_of(OF_A_RECORD | {DifferenceKind.EXPLAINED})),
        [run.run_id],
    ):
        if r["sobject"] not in objects:
            # What hangs on the records is counted apart.
            continue
        for name in ("different", "missing", "duplicated"):
            objects[r["sobject"]][name] = int(r[name])
    for sobject in LOADED:
        if run.has_table(Table.EXPECTED, sobject):
            objects[sobject]["verified"] = int(
                run.db.value(
                    sql.SQL(
                        """SELECT count(*) FROM {} e WHERE NOT e.rejected AND NOT EXISTS (
                             SELECT FROM coa.difference x WHERE x.run_id = %s AND x.sobject = %s
                               AND x.source_id = e.source_id AND x.kind <> 'explained')"""
                    ).format(run.table(Table.EXPECTED, sobject)),
                    [run.run_id, sobject],
                )
            )


def _dates(run: Run, field: str, sobjects: list[str]) -> dict[str, int]:
    """Of the moved records with such a date in the source: how many have it to the second in the target."""
    totals = {"expected": 0, "equal": 0, "different": 0}
    for sobject in sobjects:
        if not run.has_table(Table.EXPECTED, sobject):
            continue
        if field not in run.columns(Table.SOURCE, sobject) or field not in run.columns(Table.VERIFY, sobject):
            continue
        counts = run.db.row(
            sql.SQL(
                """SELECT count(*) AS expected, count(*) FILTER (WHERE
                     coa.to_second(coa.canon_datetime(t.{f})) = coa.to_second(coa.canon_datetime(s.{f}))) AS equal
                   FROM {expected} e JOIN {source} s ON s."Id" = e.source_id
                   LEFT JOIN {verify} t ON t."Id" = e.target_id
                   WHERE NOT e.rejected AND NULLIF(s.{f}, '') IS NOT NULL"""
            ).format(
                f=sql.Identifier(field),
                expected=run.table(Table.EXPECTED, sobject),
                source=run.table(Table.SOURCE, sobject),
                verify=run.table(Table.VERIFY, sobject),
            )
        )
        assert counts is not None
        totals["expected"] += int(counts["expected"])
        totals["equal"] += int(counts["equal"])
    totals["different"] = totals["expected"] - totals["equal"]
    return totals


def _draft_exposure(run: Run) -> dict[str, Any]:
    """For how long an order was a Draft that should not be one, and how many still are, by the newest reading."""
    longest = 0.0
    if run.has_table(Table.DESIRED, ORDER):
        longest = run.db.value(
            sql.SQL(
                """SELECT max(extract(epoch FROM COALESCE(l.draft_until, clock_timestamp()) - l.draft_since))
                   FROM coa.ledger l JOIN {} d ON d.source_id = l.source_id
                   WHERE l.pair_id = %s AND l.sobject = %s AND %s IN (l.inserted_run, l.last_run)
                     AND d.{} IS DISTINCT FROM %s AND l.draft_since IS NOT NULL
                     AND (l.draft_until IS NOT NULL OR l.step = 'created')"""
            ).format(run.table(Table.DESIRED, ORDER), sql.Identifier(STATUS)),
            [run.record.pair_id, ORDER, run.run_id, DRAFT],
        )
    return {"max_seconds": round(float(longest or 0), 1), "left_draft": len(left_draft(run))}


def left_draft(run: Run) -> list[dict[str, Any]]:
    """Orders of ours that are Drafts in the target and not in the source."""
    if not run.has_table(Table.DESIRED, ORDER):
        return []
    reading = "verify" if run.has_table(Table.VERIFY, ORDER) else None
    if reading:
        return run.db.rows(
            sql.SQL(
                """SELECT d.source_id, t."Id" AS target_id FROM {desired} d
                   JOIN coa.ledger l ON l.pair_id = %s AND l.sobject = %s AND l.source_id = d.source_id
                     AND l.origin = 'inserted'
                   JOIN {verify} t ON t."Id" = l.target_id
                   WHERE t.{status} = %s AND d.{status} IS DISTINCT FROM %s ORDER BY 1"""
            ).format(
                desired=run.table(Table.DESIRED, ORDER),
                verify=run.table(Table.VERIFY, ORDER),
                status=sql.Identifier(STATUS),
            ),
            [run.pair_id, ORDER, DRAFT, DRAFT],
        )
    return run.db.rows(
        sql.SQL(
            """SELECT d.source_id, l.target_id FROM {desired} d
               JOIN coa.ledger l ON l.pair_id = %s AND l.sobject = %s AND l.source_id = d.source_id
                 AND l.origin = 'inserted' AND l.inserted_run = %s AND l.step = 'created'
               WHERE d.{status} IS DISTINCT FROM %s ORDER BY 1"""
        ).format(desired=run.table(Table.DESIRED, ORDER), status=sql.Identifier(STATUS)),
        [run.record.pair_id, ORDER, run.run_id, DRAFT],
    )


def _canary(run: Run) -> dict[str, Any]:
    """What was loaded and proved first; zeros for a run without a canary."""
    canary = canary_of(run) or {"orders": 0, "verified": 0, "reused_from": None, "careful": []}
    return {name: canary[name] for name in ("orders", "verified", "reused_from", "careful")}


def _api_calls(run: Run) -> dict[str, int]:
    calls = {"source": 0, "target": 0}
    for r in run.db.rows(
        "SELECT org, sum(calls)::bigint AS n FROM coa.api_usage WHERE run_id = %s GROUP BY 1", [run.run_id]
    ):
        calls[r["org"]] = int(r["n"])
    return calls


def _seconds(run: Run) -> dict[str, float]:
    """Seconds of each stage (of side-by-side lanes: of the longest), and of the run."""
    rows = run.db.rows(
        "SELECT stage, sum(seconds) AS s FROM coa.stage_time WHERE run_id = %s GROUP BY 1 ORDER BY min(started_at)",
        [run.run_id],
    )
    seconds = {str(r["stage"]): round(float(r["s"]), 2) for r in rows}
    total = run.db.value(
        "SELECT extract(epoch FROM COALESCE(finished_at, "
        "clock_timestamp()) - started_at) FROM coa.run WHERE run_id = %s",
        [run.run_id],
    )
    seconds["total"] = round(float(total or 0), 2)
    return seconds
