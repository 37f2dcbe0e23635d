"""What a plan would save if an admin switched the package's workflow rules off for the load.

It is shown on the approval page, in `plan.json` and in the report, with the clicks; it is no finding, because
nothing is wrong. This program never switches a rule. The numbers follow from the plan's expected corrections:
with the rules off, those records are not written a second time.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

from psycopg import sql

from coa.model import (
    DETAIL,
    ORDER,
    WORKFLOW_DRAFT,
    WORKFLOW_PRICING,
    WORKFLOW_RECEIVED,
)
from coa.plan.expected_corrections import PRICE_COPIED, RECEIVED_STAMPED
from coa.plan.one_pass import ONE_PASS, ways
from coa.preflight.package import clicks
from coa.staging.runs import Run
from coa.staging.tables import Table

IN_THE_WAY = (WORKFLOW_DRAFT, WORKFLOW_RECEIVED, WORKFLOW_PRICING)
"""The fourth rule of the package acts on contract terms, which are not written."""
CALLS_A_JOB = 8
CALLS_A_QUERY = 5
"""As preflight counts them (`coa.preflight.capacity.expected_calls`)."""
ASSUMED_ROWS_A_SECOND = 30.0
"""Until a run has measured this pair: what orgs do depends on their automation, and nobody publishes a number."""


@dataclass(frozen=True)
class Saving:
    """What is saved by switching the rules off: `rows` not written again, by reason; `calls`; `hours`;
    Draft `exposure` in hours.

    `orders`: those that would never be a Draft. `exposure`: of all of them together.
    """

    orders: int
    statuses: int
    prices: int
    dates: int
    calls: int
    hours: float
    exposure: float
    measured: bool

    @property
    def rows(self) -> int:
        """Rows that would not be written again."""
        return self.statuses + self.prices + self.dates


def active_rules(run: Run) -> list[str]:
    """The rules that make a second pass necessary and do not read as off."""
    return [name for name in IN_THE_WAY if name not in run.record.inactive_workflow_rules]


def saving(
    orders: int, prices: int, dates: int, details: int, orders_a_chunk: int, rate: float | None
) -> Saving:
    """`orders`: new ones that could be created as they are; `prices`, `dates`: details and orders to be corrected;
    `details`: new ones of the plan; `rate`: rows a second that this target was seen to take.
    """
    chunks = math.ceil(orders / orders_a_chunk)
    jobs = chunks * sum(rows > 0 for rows in (orders, prices, dates))
    speed = rate or ASSUMED_ROWS_A_SECOND
    # An order is a Draft from its job to that of the statuses: while its chunk's orders and details are inserted.
    a_chunk = min(orders, orders_a_chunk) * (1 + details / orders) / speed if orders else 0.0
    return Saving(
        orders=orders,
        statuses=orders,
        prices=prices,
        dates=dates,
        calls=max(0, jobs * CALLS_A_JOB - chunks * CALLS_A_QUERY),
        hours=(orders + prices + dates) / speed / 3600,
        exposure=orders * a_chunk / 3600,
        measured=rate is not None,
    )


def saving_of(run: Run) -> Saving:
    """For the run's plan, if every rule that causes a second pass were off.

    Where the Draft rule is off already, what one pass saves is not counted again.
    """
    draft_is_on = WORKFLOW_DRAFT in active_rules(run)
    row = run.db.row(
        sql.SQL(
            """WITH way AS (SELECT source_id FROM ({ways}) w WHERE way = {one_pass})
               SELECT (SELECT count(DISTINCT source_id) FROM {expected} WHERE effect = %s) AS prices,
                      (SELECT count(*) FROM {expected} WHERE effect = %s AND step <> ''
                         AND ({draft_is_on} OR source_id NOT IN (SELECT source_id FROM way))) AS dates,
                      (SELECT count(*) FROM way) AS as_they_are,
                      (SELECT count(*) FROM {plan} WHERE sobject = %s AND action = 'insert') AS details,
                      (SELECT count(*) FROM {plan} WHERE sobject = %s AND action = 'insert') AS orders"""
        ).format(
            ways=ways(run),
            one_pass=sql.Literal(ONE_PASS),
            draft_is_on=sql.Literal(draft_is_on),
            expected=run.table(Table.EXPECTED_CORRECTIONS),
            plan=run.table(Table.PLAN),
        ),
        [PRICE_COPIED, RECEIVED_STAMPED, DETAIL, ORDER],
    )
    assert row is not None
    return saving(
        int(row["as_they_are"]) if draft_is_on else 0,
        int(row["prices"]),
        int(row["dates"]),
        int(row["details"]),
        run.params.orders_a_chunk(int(row["orders"])),
        rows_a_second(run),
    )


def rows_a_second(run: Run) -> float | None:
    """Rows a second in the jobs of earlier runs on this pair, queueing included; None without any."""
    found = run.db.value(
        """SELECT sum(accepted + rejected) / NULLIF(extract(epoch FROM sum(updated_at - created_at)), 0)
           FROM coa.job WHERE pair_id = %s AND run_id <> %s AND state = 'settled'""",
        [run.pair_id, run.run_id],
    )
    return float(found) if found else None


def _worth_telling(run: Run) -> tuple[list[str], Saving] | None:
    """The rules that are in the way and what is spared without them; None where nothing would be."""
    rules = active_rules(run)
    if not rules or not run.has_table(Table.EXPECTED_CORRECTIONS):
        return None
    found = saving_of(run)
    return (rules, found) if found.rows else None


def rules_document(run: Run) -> dict[str, Any]:
    """For `plan.json`: `rules` of the package with their state (null: the org does not tell), `in_the_way` of one pass,
    `saving` by switching those off, `clicks` that do it. Empty lists and nulls where nothing would be spared."""
    states = run.record.target_org.get("workflow_rules") or {}
    told = _worth_telling(run)
    if told is None:
        return {"rules": states, "in_the_way": [], "saving": None, "clicks": ""}
    rules, found = told
    return {
        "rules": states,
        "in_the_way": rules,
        "saving": asdict(found) | {"rows": found.rows},
        "clicks": clicks(rules, "Deactivate"),
    }


def saving_words(run: Run) -> tuple[str, str]:
    """What would be spared, and how; two empty texts where nothing would be."""
    told = _worth_telling(run)
    if told is None:
        return "", ""
    rules, found = told
    basis = (
        "as measured on this pair"
        if found.measured
        else "an assumption, until a run has measured this target"
    )
    return (
        f"With {len(rules)} workflow rules of the package switched off for the load ({', '.join(rules)}) up to "
        f"{found.rows:,} rows of this plan are not written a second time ({found.statuses:,} statuses, "
        f"{found.prices:,} prices, {found.dates:,} received dates), which saves about {found.calls:,} API calls and "
        f"{found.hours:.1f} hours in Bulk jobs, and {found.orders:,} orders are never Drafts (about "
        f"{found.exposure:.1f} hours of Draft exposure taken together; {basis}).",
        f"{clicks(rules, 'Deactivate')}, in the target, then run again; switch them on again after the last load "
        "(later runs remind you). This program never switches a rule.",
    )


def rules_off_markdown(run: Run) -> str:
    """The part of the plan's page; empty where nothing would be spared."""
    what, how = saving_words(run)
    return f"**The package's workflow rules:** {what} *How: {how}*" if what else ""
