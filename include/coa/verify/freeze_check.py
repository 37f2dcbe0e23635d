"""Before the cut-over: has the source changed since, and what is left for people to do?"""

from __future__ import annotations

from typing import Any

from psycopg import sql

from coa.codes import MOVED
from coa.errors import ConfigurationError, RetryableError
from coa.extract.changed_since import DELETED, changed_since
from coa.fields.hazards import ask_hazards
from coa.findings.finding import Finding, finding
from coa.model import DRAFT, IN_FLIGHT, ORDER, STATUS
from coa.reasons import REASONS
from coa.salesforce.session import Org
from coa.staging.fragments import examples, ledger_of, list_of
from coa.staging.runs import SOURCE, Run
from coa.staging.tables import Table

CHECKED = "freeze_checked"
"""Event of a run: somebody asked whether the source stood still; data: frozen (null: it did not answer), changed."""


def freeze_check(run: Run, source: Org, target: Org | None = None) -> list[Finding]:
    """One finding for each sObject whose records changed, came or went in the source since the run read it.

    No finding: everything is proved, and the source may be closed. Recorded with the run. A source that
    does not answer is a finding as well; the run's own result does not depend on it. The target is asked
    whether a field that must never be set is set on our records (`coa.fields.hazards`).
    """
    try:
        changed = changed_since(run, source, SOURCE)
        hazards = ask_hazards(run, target) if target is not None else []
    except (RetryableError, ConfigurationError) as error:
        run.events.add(CHECKED, level="warning", frozen=None, changed=None)
        return run.findings.replace("cutover", [_not_checked(error)])
    findings = []
    for sobject, records in changed.items():
        if not records:
            continue
        deleted = sum(1 for stamp in records.values() if stamp == DELETED)
        findings.append(
            finding(
                "warning",
                "source_not_frozen:deleted" if deleted else "source_not_frozen",
                sobject=sobject,
                count=len(records),
                examples=sorted(records),
                deleted=deleted,
            )
        )
    moved = sum(f.count for f in findings)
    findings += hazards
    run.findings.replace("cutover", findings)
    run.events.add(CHECKED, frozen=not moved, changed=moved)
    return findings


def _not_checked(error: RetryableError | ConfigurationError) -> Finding:
    return finding("warning", "freeze_not_checked", said=error.message)


def freeze_of(run: Run) -> dict[str, Any]:
    """The last answer: `checked_at` (null: nobody asked), `frozen` (null: no answer), `changed` records."""
    row = run.db.row(
        "SELECT at, data FROM coa.event WHERE run_id = %s AND event = %s ORDER BY event_id DESC LIMIT 1",
        [run.run_id, CHECKED],
    )
    if row is None:
        return {"checked_at": None, "frozen": None, "changed": None}
    return {
        "checked_at": row["at"].isoformat(timespec="seconds"),
        "frozen": row["data"]["frozen"],
        "changed": row["data"]["changed"],
    }


TOPICS = {
    "in_flight": "Moved orders that Salesforce still works on; it reports to the source",
    "moved_draft": "Moved Drafts, which stand in both orgs",
    "held_draft": "Drafts that were held back",
    "held_in_flight": "Orders under way that were held back",
    "blocked": "Records that were blocked",
    "changed_since_plan": "Records that changed in the source after the plan was made",
    "deleted_in_source": "Records that are gone from the source and stay in the target",
    "refused_by_org": "Records that the target refused",
}


def left_for_people(run: Run) -> list[dict[str, Any]]:
    """What no run can settle: topic, sobject, records, examples (source ids), what to do.

    Topics: `in_flight` (moved, but Salesforce still reports to the source), `moved_draft`, `held_draft`,
    `held_in_flight`, `changed_since_plan`, `blocked`, `deleted_in_source`, `refused_by_org`.
    """
    if not run.has_table(Table.PLAN):
        return []
    rows = _count_open_orders(run)
    rows += _of_plan(run, "held", "p.reason_code")
    rows += _of_plan(run, "blocked", "'blocked'")
    if run.has_table(Table.CHANGED_SINCE_PLAN):
        rows += run.db.rows(
            sql.SQL(
                """SELECT 'changed_since_plan' AS topic, h.sobject, count(*) AS records,
                          {examples} AS examples,
                          'run another delta.' AS next_step FROM {} h GROUP BY h.sobject ORDER BY 2"""
            ).format(run.table(Table.CHANGED_SINCE_PLAN), examples=examples("h.source_id"))
        )
    if run.has_table(Table.DELETION):
        rows += run.db.rows(
            sql.SQL(
                """SELECT 'deleted_in_source' AS topic, sobject, count(*) AS records,
                          {examples} AS examples,
                          {} AS next_step
                   FROM {} WHERE action = 'left' GROUP BY sobject ORDER BY 2"""
            ).format(
                sql.Literal(REASONS["deleted_in_source"].next_step),
                run.table(Table.DELETION),
                examples=examples(),
            )
        )
    rows += run.db.rows(
        """SELECT 'refused_by_org' AS topic, sobject, count(DISTINCT source_id) AS records,
                  (array_agg(DISTINCT source_id ORDER BY source_id))[1:10] AS examples,
                  'see rejected_rows.csv.' AS next_step
           FROM coa.rejection WHERE run_id = %s GROUP BY sobject ORDER BY 2""",
        [run.run_id],
    )
    return rows


OPEN = {
    "in_flight": (
        IN_FLIGHT,
        "have Salesforce send status mails to the target's e-mail service address, or watch these orders in the "
        "source until they are settled.",
    ),
    "moved_draft": ((DRAFT,), "submit it in one org only, and delete it in the other."),
}
"""Moved orders that are not settled: topic -> statuses, what to do."""


def _open_orders(run: Run) -> sql.Composed:
    """SQL for the moved orders that are not settled: topic, source_id, status, next_step."""
    return sql.SQL(" UNION ALL ").join(
        sql.SQL(
            """SELECT {topic}::text AS topic, p.sobject, p.source_id, o.{status} AS status, {todo}::text AS next_step
               FROM {plan} p JOIN {orders} o ON o."Id" = p.source_id
               WHERE p.sobject = {order} AND p.action IN {moved}
                 AND o.{status} = ANY ({statuses}::text[])"""
        ).format(
            topic=sql.Literal(topic),
            todo=sql.Literal(todo),
            plan=run.table(Table.PLAN),
            orders=run.table(SOURCE, ORDER),
            order=sql.Literal(ORDER),
            status=sql.Identifier(STATUS),
            statuses=sql.Literal(list(statuses)),
            moved=list_of(MOVED),
        )
        for topic, (statuses, todo) in OPEN.items()
    )


def _count_open_orders(run: Run) -> list[dict[str, Any]]:
    return run.db.rows(
        sql.SQL(
            """SELECT topic, sobject, count(*) AS records,
                      {examples} AS examples, min(next_step) AS next_step
               FROM ({}) o GROUP BY 1, 2 ORDER BY 1"""
        ).format(_open_orders(run), examples=examples())
    )


def open_orders(run: Run) -> sql.Composed | None:
    """SQL for each moved order that is not settled, with its record in the target; None without a plan."""
    if not run.has_table(Table.PLAN):
        return None
    return sql.SQL(
        """SELECT o.topic, o.sobject, o.source_id, l.target_id, o.status, o.next_step
           FROM ({}) o LEFT JOIN coa.ledger l ON {}"""
    ).format(_open_orders(run), ledger_of(run.pair_id, "o"))


def _of_plan(run: Run, action: str, topic: str) -> list[dict[str, Any]]:
    return run.db.rows(
        sql.SQL(
            """SELECT {topic} AS topic, p.sobject, count(*) AS records,
                      {examples} AS examples, min(p.next_step) AS next_step
               FROM {plan} p WHERE p.action = %s GROUP BY 1, 2, p.reason_code ORDER BY 1, 2"""
        ).format(topic=sql.SQL(topic), plan=run.table(Table.PLAN), examples=examples("p.source_id")),
        [action],
    )
