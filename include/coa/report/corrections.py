"""The expected corrections as people read it: in `plan.json`, on the approval page, as `corrections.csv`;
and what came of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from psycopg import sql

from coa.plan.expected_corrections import REASONS
from coa.report.page import label
from coa.staging.fragments import same_record
from coa.staging.runs import Run
from coa.staging.tables import Table

COLUMNS = ("sobject", "source_id", "field", "effect", "becomes", "wanted", "step")
# Preflight's findings about what acts on our records and cannot be foreseen.
PARTNERS_OWN = ("partner_triggers", "partner_flows", "partner_workflow_rules")


def expected_corrections_document(run: Run) -> dict[str, Any]:
    """For `plan.json`: `effects` with their counts, `corrective_updates` (records and fields of each sObject, as
    far as something puts them right), `not_foreseen`: what of the partner's own may act besides."""
    if not run.has_table(Table.EXPECTED_CORRECTIONS):
        return {"effects": [], "corrective_updates": {}, "not_foreseen": []}
    updates = run.db.rows(
        sql.SQL(
            """SELECT sobject, count(DISTINCT source_id) AS records, count(*) AS fields FROM {}
               WHERE step <> '' GROUP BY 1 ORDER BY 1"""
        ).format(run.table(Table.EXPECTED_CORRECTIONS))
    )
    return {
        "effects": effects(run),
        "corrective_updates": {
            r["sobject"]: {"records": int(r["records"]), "fields": int(r["fields"])} for r in updates
        },
        "not_foreseen": _not_foreseen(run),
    }


def effects(run: Run) -> list[dict[str, Any]]:
    """Records by sObject, field, effect and step, with the reason."""
    return [{**r, "reason": REASONS[r["effect"]]} for r in _counts(run)]


def expected_corrections_markdown(run: Run) -> str:
    """The part of the approval page; empty where nothing follows. Only counts and names."""
    counts = _counts(run)
    if not counts:
        return ""
    lines = [
        "**What the package makes of it, and what puts it right**",
        "",
        "| sObject | field | effect | put right by | records |",
        "|---|---|---|---|---:|",
    ]
    for r in counts:
        lines.append(
            f"| {label(r['sobject'])} | {label(r['field'])} | `{r['effect']}` "
            f"| {r['step'] or 'nothing: it stays'} | {r['records']:,} |"
        )
    lines += ["", *(f"- `{e}`: {REASONS[e]}" for e in REASONS if any(r["effect"] == e for r in counts))]
    others = _not_foreseen(run)
    if others:
        lines += [
            "",
            f"{len(others)} findings name automation of your own on these objects. What it changes is not foreseen "
            "here; it is corrected as well.",
        ]
    return "\n".join(lines)


def expected_corrections_rows(run: Run) -> Iterator[dict[str, Any]]:
    """Every record and field: the rows of `corrections.csv`."""
    if run.has_table(Table.EXPECTED_CORRECTIONS):
        yield from run.db.stream(
            sql.SQL(
                "SELECT sobject, source_id, field, effect, becomes, wanted, step FROM {} ORDER BY 1, 2, 3"
            ).format(run.table(Table.EXPECTED_CORRECTIONS))
        )


def _counts(run: Run) -> list[dict[str, Any]]:
    if not run.has_table(Table.EXPECTED_CORRECTIONS):
        return []
    return run.db.rows(
        sql.SQL(
            """SELECT sobject, field, effect, step, count(*) AS records FROM {}
               GROUP BY 1, 2, 3, 4 ORDER BY 1, 5 DESC, 2"""
        ).format(run.table(Table.EXPECTED_CORRECTIONS))
    )


def _not_foreseen(run: Run) -> list[str]:
    return [
        str(r["message"])
        for r in run.db.rows(
            "SELECT message FROM coa.finding WHERE run_id = %s AND code = ANY (%s) ORDER BY code, sobject",
            [run.run_id, list(PARTNERS_OWN)],
        )
    ]


def compare_with_load(run: Run) -> dict[str, int]:
    """Corrective updates by record and field: `foreseen` by the plan, `made` by the load, `unforeseen` of these."""
    if not (run.has_table(Table.EXPECTED_CORRECTIONS) and run.has_table(Table.WORK)):
        return {"foreseen": 0, "made": 0, "unforeseen": 0}
    row = run.db.row(
        sql.SQL(
            """WITH made AS ({made})
               SELECT (SELECT count(*) FROM {expected} WHERE step <> '') AS foreseen, count(*) AS made,
                      count(*) FILTER (WHERE r.field IS NULL) AS unforeseen
               FROM made m LEFT JOIN {expected} r
                 ON {r_is_m} AND r.field = m.field AND r.step <> ''"""
        ).format(
            made=made_updates(run),
            expected=run.table(Table.EXPECTED_CORRECTIONS),
            r_is_m=same_record("r", "m"),
        )
    )
    assert row is not None
    return {name: int(row[name]) for name in ("foreseen", "made", "unforeseen")}


def made_updates(run: Run) -> sql.Composed:
    """SQL for (sobject, source_id, field) of every field that the load wrote beyond what the plan names."""
    return sql.SQL(
        """SELECT DISTINCT w.sobject, w.source_id, f AS field
           FROM {work} w JOIN {plan} p ON {p_is_w},
                unnest(w.changed) f
           WHERE w.state = 'accepted' AND NOT f = ANY (p.changed)"""
    ).format(work=run.table(Table.WORK), plan=run.table(Table.PLAN), p_is_w=same_record("p", "w"))
