"""The reconcile stage: counterparts, duplicates, blocks, actions; then the plan, its hash and its page."""

from __future__ import annotations

from psycopg import sql

from coa.codes import WRITTEN, Action
from coa.errors import RunStopped
from coa.fields.hazards import planned_hazards
from coa.fields.links import explain_links_outside
from coa.fields.saved import saved_carried
from coa.findings.finding import Finding, finding
from coa.mapping.model import Mapping
from coa.model import CUSTOMER, CUSTOMER_ORG_ID, LOADED
from coa.plan.actions import assign_actions
from coa.plan.blocks import drop_problems_of_matched, forget_own_problems, pass_on_blocks
from coa.plan.counterparts import MATCH_CHANGED, sync_ledger
from coa.plan.deletions import deletion_findings, find_deletions
from coa.plan.duplicates import block_possible_duplicates, match_decided
from coa.plan.foreign_keys import block_foreign_keys
from coa.preflight.check import stop_on_blockers
from coa.staging.fragments import examples, list_of
from coa.staging.runs import TARGET, Run
from coa.staging.tables import Table


def run_reconcile(run: Run, mapping: Mapping) -> None:
    """Fills `plan` and records findings about what policies stop or change. Writes nothing to an org."""
    carried = saved_carried(run, mapping)
    forget_own_problems(run)
    sync_ledger(run)
    match_decided(run, mapping)
    block_foreign_keys(run)
    drop_problems_of_matched(run)
    block_possible_duplicates(run, mapping)
    pass_on_blocks(run)
    assign_actions(run, carried)
    find_deletions(run, carried)
    explain_links_outside(run, carried)
    run.findings.replace(
        "reconcile",
        [
            *_problem_findings(run),
            *_match_findings(run),
            *planned_hazards(run, TARGET),
            *_explained_findings(run),
            *deletion_findings(run),
        ],
    )


def check_plan(run: Run) -> None:
    """Raises `RunStopped` (blocked) for blocking findings and when more is blocked than `max_blocked`."""
    stop_on_blockers(run)
    counts = run.db.row(
        sql.SQL(
            """SELECT count(*) FILTER (WHERE action = 'blocked') AS blocked,
                      count(*) FILTER (WHERE action <> 'held') AS records FROM {}"""
        ).format(run.table(Table.PLAN))
    )
    assert counts is not None
    limit = run.params.blocked_limit(int(counts["records"]))
    if limit is not None and counts["blocked"] > limit:
        raise RunStopped(
            f"{counts['blocked']} of {counts['records']} records are blocked; max_blocked allows {limit}. "
            "rejected_rows.csv lists them with reasons.",
            state="blocked",
            next_step="correct the records or their mapping, or raise max_blocked.",
        )


def _problem_findings(run: Run) -> list[Finding]:
    """Problems of records to be written, one finding a kind and field: a blocker where the policy says stop,
    a warning where the record is left behind."""
    rows = run.db.rows(
        sql.SQL(
            """SELECT p.sobject, p.reason_code, p.field, string_agg(DISTINCT p.reason, ' ') AS reason,
                      string_agg(DISTINCT p.next_step, ' ') AS next_step, bool_or(p.verdict = 'stop') AS stops,
                      count(*) AS n, {examples} AS examples
               FROM {problem} p JOIN {plan} a USING (sobject, source_id)
               WHERE a.action IN {planned}
               GROUP BY 1, 2, 3 ORDER BY 1, 2, 3"""
        ).format(
            problem=run.table(Table.PROBLEM),
            plan=run.table(Table.PLAN),
            examples=examples("p.source_id"),
            planned=list_of(WRITTEN | {Action.BLOCKED}),
        )
    )
    return [
        finding(
            "blocker" if r["stops"] else "warning",
            "problem",
            code=r["reason_code"],
            sobject=r["sobject"],
            field=r["field"],
            count=r["n"],
            examples=r["examples"],
            reason=r["reason"],
            some=r["examples"][:3],
            remedy=r["next_step"],
        )
        for r in rows
    ]


def _match_findings(run: Run) -> list[Finding]:
    """Customers that are matched with another record than before, or with none any more."""
    rows = run.db.rows(
        sql.SQL(
            """SELECT count(*) AS n, count(*) FILTER (WHERE action = 'insert') AS created,
                      {examples} AS examples
               FROM {} WHERE reason_code = %s HAVING count(*) > 0"""
        ).format(run.table(Table.PLAN), examples=examples()),
        [MATCH_CHANGED],
    )
    return [
        finding(
            "warning",
            MATCH_CHANGED,
            sobject=CUSTOMER,
            field=CUSTOMER_ORG_ID,
            count=r["n"],
            examples=r["examples"],
            created=r["created"],
        )
        for r in rows
    ]


def _explained_findings(run: Run) -> list[Finding]:
    """One note a field and reason for what policies change in records that are written."""
    rows = run.db.rows(
        sql.SQL(
            """SELECT e.sobject, e.field, string_agg(DISTINCT e.reason, '; ') AS reason, count(*) AS n,
                      {examples} AS examples
               FROM coa.explained e JOIN {plan} a USING (sobject, source_id)
               WHERE e.run_id = %s AND a.action IN {written}
               GROUP BY 1, 2 ORDER BY 1, 2"""
        ).format(plan=run.table(Table.PLAN), examples=examples("e.source_id"), written=list_of(WRITTEN)),
        [run.run_id],
    )
    return [
        finding(
            "note",
            "value_changed_by_policy",
            sobject=r["sobject"],
            field=r["field"],
            count=r["n"],
            examples=r["examples"],
            why=r["reason"],
        )
        for r in rows
    ]


def action_counts(run: Run) -> dict[str, dict[str, int]]:
    """sObject -> action -> records."""
    counts: dict[str, dict[str, int]] = {name: {} for name in LOADED}
    for r in run.db.rows(
        sql.SQL("SELECT sobject, action, count(*) AS n FROM {} GROUP BY 1, 2").format(run.table(Table.PLAN))
    ):
        counts[r["sobject"]][r["action"]] = int(r["n"])
    return counts
