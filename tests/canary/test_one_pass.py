"""One pass: with the Draft rule off orders are created as they are; tried first, watched, left as soon as it fails."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from psycopg import sql

from coa import pipeline
from coa.load.one_pass_state import count_ways, is_open, one_pass_of
from coa.load_steps import ORDERS_ONE_PASS
from coa.model import (
    DETAIL,
    NS,
    ORDER,
    RECEIVED_AT,
    WORKFLOW_DRAFT,
    WORKFLOW_PRICING,
    WORKFLOW_RECEIVED,
)
from coa.plan.expected_corrections import NOT_BY_BULK
from coa.plan.one_pass import DATE_CHANGED, ENDED, MADE_DRAFT, ONE_PASS, REFUSED, SET_BACK
from coa.staging.database import Database
from coa.staging.runs import Run
from coa.staging.tables import Table
from tests.engine.checker import check
from tests.engine.harness import Migration, Migrator
from tests.reconcile.pairs import plan_rows, two_orgs

RULES_OFF = {"workflow_off": ["draft", "received", "pricing"]}


@pytest.fixture
def pair(database: Database, tmp_path: Path) -> Iterator[Migrator]:
    with two_orgs(database, tmp_path, orders=90, target=RULES_OFF) as migrator:
        yield migrator


def ways(run: Run) -> dict[str, str]:
    """Source id of each new order that is no Draft -> which way it went."""
    rows = run.db.rows(sql.SQL("SELECT source_id, way FROM {}").format(run.table(Table.ONE_PASS)))
    return {r["source_id"]: r["way"] for r in rows}


def sent(run: Run, *steps: str) -> set[str]:
    """Orders, or orders of details, that had rows in these steps."""
    rows = run.db.rows(
        sql.SQL(
            """SELECT DISTINCT CASE WHEN w.sobject = %s THEN p.parent_id ELSE w.source_id END AS order_id
               FROM {} w JOIN {} p USING (sobject, source_id) WHERE w.step = ANY (%s)"""
        ).format(run.table(Table.WORK), run.table(Table.PLAN)),
        [DETAIL, list(steps)],
    )
    return {r["order_id"] for r in rows}


def expect_clean(pair: Migrator, result: Migration) -> None:
    assert result.state == "verified", result.error
    left_out = {i for (_, i), r in plan_rows(result.run).items() if r["action"] in ("blocked", "held")}
    verdict = check(pair.source, pair.target, left_out)
    assert verdict.clean, str(verdict)


@pytest.mark.lane
def test_with_the_rules_off_only_orders_that_must_stand_as_drafts_do(pair: Migrator) -> None:
    result = pair.migrate()

    expect_clean(pair, result)
    found = ways(result.run)
    by_one_pass = {i for i, way in found.items() if way == ONE_PASS}
    assert set(found.values()) == {ONE_PASS, NOT_BY_BULK}
    assert len(by_one_pass) > len(found) / 2
    # Neither a status nor a price nor a date is written a second time.
    assert not sent(result.run, "statuses", "received_dates", "frozen_terms") & by_one_pass
    prices = {NS + "pc_Fixed_Price__c", NS + "pc_Pricing_Type__c"}
    rewritten = result.run.db.rows(
        sql.SQL("SELECT DISTINCT unnest(changed) AS f FROM {} WHERE step LIKE 'correct%%'").format(
            result.run.table(Table.WORK)
        )
    )
    assert not prices & {r["f"] for r in rewritten}
    exposed = result.run.db.rows(
        "SELECT source_id FROM coa.ledger WHERE sobject = %s AND draft_since IS NOT NULL", [ORDER]
    )
    assert not {r["source_id"] for r in exposed} & by_one_pass
    assert is_open(result.run)
    assert result.summary["one_pass"] == {
        "state": "used",
        "orders": len(by_one_pass),
        "todays_way": {NOT_BY_BULK: len(found) - len(by_one_pass)},
        "why": "",
    }


def loaded_until_the_lanes(pair: Migrator, **params: Any) -> tuple[Run, list[int]]:
    """A run whose canary is written and proved."""
    run = pair.start(**params)
    pair.plan(run)
    pair.waive(run)
    source, target = pair.orgs()
    lanes = pipeline.prepare_load(run, source, target)
    assert pipeline.load_canary(run, target)
    return run, lanes


def load_the_rest(pair: Migrator, run: Run, lanes: list[int]) -> None:
    target = pair.orgs()[1]
    pipeline.load_customers(run, target)
    pipeline.load_lanes(run, target, lanes)
    pipeline.load_links(run, target)
    pipeline.mend(run, target)
    pair.verify(run)


def finding_of(run: Run) -> dict[str, Any]:
    found = run.db.row(
        "SELECT * FROM coa.finding WHERE run_id = %s AND code = 'one_pass_ended'", [run.run_id]
    )
    assert found is not None
    return found


@pytest.mark.lane
def test_where_details_are_refused_under_a_released_order_one_order_is_set_back_and_all_is_loaded(
    pair: Migrator,
) -> None:
    pair.target.control("PATCH", "settings", {"details_under_drafts": True})

    result = pair.migrate()

    expect_clean(pair, result)
    found = count_ways(result.run)
    assert found[SET_BACK] == 1
    assert ONE_PASS not in found
    assert found[ENDED] > 1
    assert not result.run.db.rows("SELECT FROM coa.rejection WHERE run_id = %s", [result.run.run_id])
    (set_back,) = [i for i, way in ways(result.run).items() if way == SET_BACK]
    assert finding_of(result.run)["examples"] == [set_back]
    assert "refused details" in finding_of(result.run)["message"]
    exposed = result.run.db.row(
        "SELECT draft_since, draft_until FROM coa.ledger WHERE sobject = %s AND source_id = %s",
        [ORDER, set_back],
    )
    assert exposed is not None
    assert exposed["draft_since"] < exposed["draft_until"]


@pytest.mark.lane
def test_where_an_order_is_refused_with_its_status_it_is_inserted_as_a_draft(pair: Migrator) -> None:
    pair.target.control("PATCH", "settings", {"orders_as_drafts": True})

    result = pair.migrate()

    expect_clean(pair, result)
    found = count_ways(result.run)
    assert found[REFUSED] == 1
    assert ONE_PASS not in found
    assert "with their status" in finding_of(result.run)["message"]


SWITCHED_ON: dict[str, tuple[dict[str, Any], str, str]] = {
    "the Draft rule": ({"workflows": {"draft": True}}, "package", MADE_DRAFT),
    "a stamp of received dates": (
        {"overwrite_on_insert": [f"{ORDER}.{RECEIVED_AT}=2026-02-01T00:00:00.000Z"]},
        "settings",
        DATE_CHANGED,
    ),
}


@pytest.mark.parametrize(
    "what", ["the Draft rule", pytest.param("a stamp of received dates", marks=pytest.mark.lane)]
)
def test_a_rule_that_is_switched_on_in_the_middle_ends_one_pass_at_the_next_job(
    pair: Migrator, what: str
) -> None:
    body, where, way = SWITCHED_ON[what]
    run, lanes = loaded_until_the_lanes(pair, chunk_size=20, lanes=1)
    by_then = count_ways(run)
    pair.target.control("PATCH", where, body)

    load_the_rest(pair, run, lanes)

    expect_clean(pair, pair.finish(run))
    found = count_ways(run)
    jobs = run.db.value(
        "SELECT count(*) FROM coa.job WHERE run_id = %s AND step = %s AND chunk_no >= 0",
        [run.run_id, ORDERS_ONE_PASS.name],
    )
    assert jobs == 1
    assert found[way] > 0
    assert found[ENDED] > 0
    assert found[ONE_PASS] <= by_then[ONE_PASS] - found[way] - found[ENDED]
    ended = one_pass_of(run)
    assert ended is not None
    assert ended["seen_late"]
    assert finding_of(run)["count"] == found[way]


@pytest.mark.lane
def test_a_later_order_without_all_its_details_is_listed_as_incomplete(pair: Migrator) -> None:
    run, lanes = loaded_until_the_lanes(pair, chunk_size=20, lanes=1, on_row_failure="continue")
    pair.target.control("PATCH", "settings", {"details_under_drafts": True})

    load_the_rest(pair, run, lanes)
    result = pair.finish(run)

    assert result.state == "rows_rejected"
    codes = run.db.rows(
        "SELECT DISTINCT error_code FROM coa.rejection WHERE run_id = %s AND sobject = %s",
        [run.run_id, ORDER],
    )
    assert [r["error_code"] for r in codes] == ["INCOMPLETE"]
    assert result.summary["draft_exposure"]["left_draft"] == 0


def test_the_plan_says_what_rules_that_are_on_cost_and_the_page_what_one_pass_may_do(
    pair: Migrator,
) -> None:
    tried = pair.start()
    page = pair.plan(tried)
    assert "**One pass**" in page
    assert "set back to Draft" in page
    assert "workflow rules:**" not in page
    codes = tried.db.rows("SELECT code, severity FROM coa.finding WHERE run_id = %s", [tried.run_id])
    assert ("workflow_rules_off", "note") in {(r["code"], r["severity"]) for r in codes}
    tried.lease.release()

    # As if it had loaded: from then on the admin is reminded.
    tried.db.execute("UPDATE coa.run SET loaded_at = now() WHERE run_id = %s", [tried.run_id])
    pair.target.control("PATCH", "package", {"workflows": {"received": True, "pricing": True}})
    later = pair.start(learned_passes="ignore")
    page = pair.plan(later)
    assert "**One pass**" not in page
    found = {
        r["code"]: r for r in later.db.rows("SELECT * FROM coa.finding WHERE run_id = %s", [later.run_id])
    }
    assert found["workflow_rules_off"]["severity"] == "warning"
    assert "Activate" in found["workflow_rules_off"]["next_step"]
    # A rule is on: what switching it off would spare is told, and is no finding.
    assert "Workflow Rules > Service Order Date Received, Populate Pricing fields > Deactivate" in page
    told = json.loads((pair.artifacts / later.run_id / "plan.json").read_text())["workflow_rules"]
    assert told["rules"][WORKFLOW_DRAFT] is False
    assert told["in_the_way"] == [WORKFLOW_RECEIVED, WORKFLOW_PRICING]
    assert told["saving"]["statuses"] == 0
    assert told["saving"]["rows"] == sum(told["saving"][name] for name in ("statuses", "prices", "dates")) > 0
