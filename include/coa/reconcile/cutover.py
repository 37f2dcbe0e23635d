"""Before the switch to the target: has the source stood still, and what is left for people?"""

from __future__ import annotations

from typing import Any

from psycopg import sql

from coa.load.prepare import changed_since
from coa.model import DRAFT, IN_FLIGHT, LOADED, ORDER, STATUS
from coa.salesforce.session import Org
from coa.staging.runs import SOURCE, Finding, Run


def freeze_check(run: Run, source: Org) -> list[Finding]:
    """One finding an sObject whose records changed, came or went in the source since the run read it.

    None: what the run proved is all there is, and the source may be closed. Recorded with the run.
    """
    findings = []
    for sobject in LOADED:
        changed = changed_since(run, source, SOURCE, sobject)
        if not changed:
            continue
        deleted = sum(1 for stamp in changed.values() if stamp == "deleted")
        findings.append(
            Finding(
                "warning",
                "source_not_frozen",
                f"{len(changed)} records of {sobject} changed in the source since the run read it"
                + (f", {deleted} of them were deleted." if deleted else "."),
                "run another delta, and take away edit rights in the source before the last one.",
                sobject=sobject,
                count=len(changed),
                examples=sorted(changed)[:10],
            )
        )
    run.set_findings("cutover", findings)
    run.event("freeze_checked", frozen=not findings, changed=sum(f.count for f in findings))
    return findings


def left_for_people(run: Run) -> list[dict[str, Any]]:
    """What no run can settle: topic, sobject, records, examples (source ids), what to do.

    Topics: `in_flight` (moved, but Salesforce still reports to the source), `moved_draft`, `held_draft`, `held_in_flight`,
    `changed_since_plan`, `blocked`, `deleted_in_source`, `refused_by_org`.
    """
    if not run.has_table("plan"):
        return []
    rows = _in_flight(run)
    rows += _of_plan(run, "held", "p.reason_code")
    rows += _of_plan(run, "blocked", "'blocked'")
    if run.has_table("holdback"):
        rows += run.db.rows(
            sql.SQL(
                """SELECT 'changed_since_plan' AS topic, h.sobject, count(*) AS records,
                          (array_agg(h.source_id ORDER BY h.source_id))[1:10] AS examples,
                          'run another delta.' AS next_step FROM {} h GROUP BY h.sobject ORDER BY 2"""
            ).format(run.table("holdback"))
        )
    if run.has_table("deletion"):
        rows += run.db.rows(
            sql.SQL(
                """SELECT 'deleted_in_source' AS topic, sobject, count(*) AS records,
                          (array_agg(source_id ORDER BY source_id))[1:10] AS examples,
                          'delete it in the target by hand, or run with deletions carry.' AS next_step
                   FROM {} WHERE action = 'left' GROUP BY sobject ORDER BY 2"""
            ).format(run.table("deletion"))
        )
    rows += run.db.rows(
        """SELECT 'refused_by_org' AS topic, sobject, count(DISTINCT source_id) AS records,
                  (array_agg(DISTINCT source_id ORDER BY source_id))[1:10] AS examples,
                  'see rejected_rows.csv.' AS next_step
           FROM coa.rejection WHERE run_id = %s GROUP BY sobject ORDER BY 2""",
        [run.run_id],
    )
    return rows


def _in_flight(run: Run) -> list[dict[str, Any]]:
    """Moved orders that are not settled: their status mails go on to the source's e-mail service."""
    return run.db.rows(
        sql.SQL(
            """SELECT 'in_flight' AS topic, p.sobject, count(*) AS records,
                      (array_agg(p.source_id ORDER BY p.source_id))[1:10] AS examples,
                      'have Salesforce send status mails to the target''s e-mail service address, or watch these '
                      'orders in the source until they are settled.' AS next_step
               FROM {plan} p JOIN {orders} o ON o."Id" = p.source_id
               WHERE p.sobject = %s AND p.action IN ('insert', 'update', 'unchanged') AND o.{status} = ANY (%s)
               GROUP BY p.sobject"""
        ).format(plan=run.table("plan"), orders=run.table(SOURCE, ORDER), status=sql.Identifier(STATUS)),
        [ORDER, list(IN_FLIGHT)],
    ) + run.db.rows(
        sql.SQL(
            """SELECT 'moved_draft' AS topic, p.sobject, count(*) AS records,
                      (array_agg(p.source_id ORDER BY p.source_id))[1:10] AS examples,
                      'submit it in one org only, and delete it in the other.' AS next_step
               FROM {plan} p JOIN {orders} o ON o."Id" = p.source_id
               WHERE p.sobject = %s AND p.action IN ('insert', 'update', 'unchanged') AND o.{status} = %s
               GROUP BY p.sobject"""
        ).format(plan=run.table("plan"), orders=run.table(SOURCE, ORDER), status=sql.Identifier(STATUS)),
        [ORDER, DRAFT],
    )


def _of_plan(run: Run, action: str, topic: str) -> list[dict[str, Any]]:
    return run.db.rows(
        sql.SQL(
            """SELECT {topic} AS topic, p.sobject, count(*) AS records,
                      (array_agg(p.source_id ORDER BY p.source_id))[1:10] AS examples, min(p.next_step) AS next_step
               FROM {plan} p WHERE p.action = %s GROUP BY 1, 2, p.reason_code ORDER BY 1, 2"""
        ).format(topic=sql.SQL(topic), plan=run.table("plan")),
        [action],
    )
