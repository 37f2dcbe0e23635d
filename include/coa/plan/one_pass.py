"""One pass: which new orders of a plan can be created in one step with status, received date and prices.

Only where preflight finds the package's rule "New Service Order - Must be Draft Status" switched off in the
target; an admin does that, never this program. Such an order is never a Draft, so the special terms of its
details cannot be corrected before its release. Orders whose details need that go the usual way: created as a
Draft, released by an update.
"""

from __future__ import annotations

from typing import Any

from psycopg import sql

from coa.fields.field_map import FieldMapping
from coa.load_steps import FROZEN_TERMS
from coa.model import DETAIL, DRAFT, ORDER, RECEIVED_AT, STATUS, WORKFLOW_DRAFT
from coa.plan.expected_corrections import DEFAULT_FILLED, NOT_BY_BULK, NOT_ON_INSERT
from coa.policies import Policies
from coa.staging.fragments import same_record
from coa.staging.runs import Run
from coa.staging.tables import Table

ONE_PASS = "one_pass"
ENDED = "ended"
MADE_DRAFT = "made_draft"
DATE_CHANGED = "date_changed"
SET_BACK = "set_back"
REFUSED = "refused"

WAYS = {
    ONE_PASS: "created with status, received date and prices",
    NOT_BY_BULK: "a special term of a detail that Bulk cannot carry as it is (carriage returns, or the null mark #N/A)",
    DEFAULT_FILLED: "an empty special term of a detail that the target fills",
    NOT_ON_INSERT: "a special term of a detail that the target takes on an update only",
    ENDED: "one pass had ended before its turn",
    REFUSED: "the target refused it with its status",
    MADE_DRAFT: "the target made it a Draft",
    DATE_CHANGED: "the target gave it another received date",
    SET_BACK: "the target refused details under it or changed it: set back to Draft",
}
"""Column `way` of the run's table `one_pass` -> in words; all but the first are reasons for today's way."""


def may_be_tried(run: Run, orders: dict[str, FieldMapping]) -> bool:
    """Whether one pass may be tried in this run; `orders`: the carried fields of orders by name.

    Without a canary there is nothing to try it with, and `learned_passes: ignore` learns nothing from it.
    """
    return bool(
        WORKFLOW_DRAFT in run.record.inactive_workflow_rules
        and Policies(run.params).learns_from_canary
        and run.params.canary
        and all(name in orders and orders[name].createable for name in (STATUS, RECEIVED_AT))
    )


def ways(run: Run) -> sql.Composed:
    """SELECT of the new orders that are no Drafts: source_id, way."""
    return sql.SQL(
        """SELECT p.source_id, COALESCE(k.effect, {one_pass}) AS way
           FROM {plan} p JOIN {desired} d ON d.source_id = p.source_id
           LEFT JOIN (SELECT q.parent_id, min(x.effect) AS effect FROM {expected} x
                      JOIN {plan} q ON {q_is_x} AND q.action = 'insert'
                      WHERE x.sobject = {detail} AND x.step = {frozen} GROUP BY 1) k ON k.parent_id = p.source_id
           WHERE p.sobject = {order} AND p.action = 'insert' AND d.{status} <> {draft}"""
    ).format(
        one_pass=sql.Literal(ONE_PASS),
        plan=run.table(Table.PLAN),
        desired=run.table(Table.DESIRED, ORDER),
        expected=run.table(Table.EXPECTED_CORRECTIONS),
        detail=sql.Literal(DETAIL),
        frozen=sql.Literal(FROZEN_TERMS.name),
        order=sql.Literal(ORDER),
        status=sql.Identifier(STATUS),
        draft=sql.Literal(DRAFT),
        q_is_x=same_record("q", "x"),
    )


def planned_ways(run: Run) -> dict[str, int]:
    """Way -> orders, as the plan sees it before anything was tried."""
    return {
        str(r["way"]): int(r["n"])
        for r in run.db.rows(
            sql.SQL("SELECT way, count(*) AS n FROM ({}) w GROUP BY 1 ORDER BY 1").format(ways(run))
        )
    }


def one_pass_markdown(run: Run, orders: dict[str, FieldMapping]) -> str:
    """The part of the approval page; empty where one pass is not tried."""
    if not may_be_tried(run, orders):
        return ""
    found: dict[str, Any] = planned_ways(run)
    lines = [
        "**One pass**",
        "",
        f'The rule "{WORKFLOW_DRAFT}" of the package is switched off in the target. If the plan has a canary, '
        "one order of it is created with its real status first, then its others, then all that can be. "
        "**If the target refuses details under that order, or changes it, the order is set back to Draft by this run, "
        "which has created it, and finished as Drafts are.** The same holds for any other order of the canary. "
        "Later orders are never set back.",
        "",
        "| orders | how |",
        "|---:|---|",
    ]
    return "\n".join(lines + [f"| {n:,} | {WAYS[way]} |" for way, n in found.items()])
