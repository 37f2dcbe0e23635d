"""Rows that the org refuses for good, at any step and in any relation: listed, and made good when the cause is gone."""

from __future__ import annotations

import csv
import random
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from coa.model import (
    CUSTOMER,
    DETAIL,
    DETAIL_ORDER,
    DRAFT,
    LOADED,
    NS,
    ORDER,
    ORDER_CUSTOMER,
    SOURCE_ID,
    STATUS,
)
from orgsim.launch import RunningOrg
from tests import kinds
from tests.engine.harness import Migration, Migrator
from tests.faults.conftest import verdict_on

TERMS = NS + "Product_Special_Terms__c"
CRLF = "thirty days\r\nnet, as agreed\r\n\r\nsigned"
VALIDATION = {"code": "FIELD_CUSTOM_VALIDATION_EXCEPTION", "message": "Not while we audit"}
CAUSES = {
    "validation rule": VALIDATION,
    "required field": {
        "code": "REQUIRED_FIELD_MISSING",
        "message": "Required fields are missing: [Region__c]",
    },
    "duplicate rule": {"code": "DUPLICATES_DETECTED", "message": "Use one of these records?"},
    "trigger": {
        "code": "CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY",
        "message": "Acme.OrderTrigger: execution of BeforeInsert caused by: System.NullPointerException",
    },
}


@pytest.fixture(autouse=True)
def terms_with_line_ends(fault_source: RunningOrg) -> Iterator[None]:
    """Details of settled orders whose terms Bulk is not trusted with; the source gets its own text back."""
    left = fault_source.control("GET", "planted")["blocked_orders"]
    details = [d for d in fault_source.control("GET", f"table/{DETAIL}") if d[DETAIL_ORDER] not in left][:12]
    for row in details:
        fault_source.control("PATCH", f"records/{DETAIL}/{row['Id']}", {TERMS: CRLF}, raw="true")
    yield
    for row in details:
        fault_source.control("PATCH", f"records/{DETAIL}/{row['Id']}", {TERMS: row[TERMS]}, raw="true")


def refuse(target: RunningOrg, sobject: str, **how: Any) -> None:
    rule = {"kind": "refuse_rows", "sobject": sobject, "fraction": 1.0, "times": -1, **VALIDATION, **how}
    target.control("POST", "faults", [rule])


def ours(target: RunningOrg, sobject: str) -> dict[str, dict[str, Any]]:
    """What a migration has created so far, by source id."""
    return {r[SOURCE_ID]: r for r in target.control("GET", f"table/{sobject}") if r.get(SOURCE_ID)}


def listed(migration: Migration, sobject: str, code: str) -> set[str]:
    with (migration.folder / "rejected_rows.csv").open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    return {
        r["source_id"]
        for r in rows
        if (r["sobject"], r["reason_code"]) == (sobject, code) and r["step"] != "plan"
    }


def cure(made: Migrator, runs: int = 2) -> None:
    """The cause goes, and the migration is run again: as if nothing had been."""
    made.target.control("DELETE", "faults")
    for _ in range(runs):
        again = made.migrate_with_retries(chunk_size=12)
        assert again.state == "verified", again.error
    assert again.summary["draft_exposure"]["left_draft"] == 0
    verdict = verdict_on(made, again)
    assert verdict.clean, str(verdict)


@pytest.mark.lane
def test_orders_of_refused_customers_wait_for_them(migrator: Callable[..., Migrator]) -> None:
    made = migrator()
    refuse(made.target, CUSTOMER, operation="insert", fraction=0.6)

    migration = made.migrate_with_retries(chunk_size=12, on_row_failure="continue")

    refused = listed(migration, CUSTOMER, "refused_by_org")
    source = made.source.control("GET", f"table/{ORDER}")
    theirs = {r["Id"] for r in source if r[ORDER_CUSTOMER] in refused}
    planned = theirs - set(made.source.control("GET", "planted")["blocked_orders"])
    assert planned
    assert migration.state == "rows_rejected"
    assert listed(migration, ORDER, "parent_blocked") == planned
    assert not planned & set(ours(made.target, ORDER))
    assert all(r[ORDER_CUSTOMER] for r in ours(made.target, ORDER).values())
    cure(made)


@pytest.mark.parametrize(
    "api",
    [
        pytest.param("bulk", id="details refused", marks=pytest.mark.lane),
        pytest.param("rest", id="terms refused", marks=pytest.mark.lane),
    ],
)
def test_an_order_stays_a_draft_until_its_details_and_their_terms_are_there(
    migrator: Callable[..., Migrator], api: str
) -> None:
    """Special terms are frozen when the order is released: what is not exact by then is lost for good."""
    made = migrator()
    refuse(made.target, DETAIL, api=api, fraction=0.5, **({"operation": "insert"} if api == "bulk" else {}))

    migration = made.migrate_with_retries(chunk_size=12, on_row_failure="continue")

    parents = {r["Id"]: r[DETAIL_ORDER] for r in made.source.control("GET", f"table/{DETAIL}")}
    wanted = {r["Id"]: r[STATUS] for r in made.source.control("GET", f"table/{ORDER}")}
    waiting = {parents[d] for d in listed(migration, DETAIL, "refused_by_org")}
    waiting = {o for o in waiting if wanted[o] != DRAFT}
    assert waiting
    assert migration.state == "rows_rejected"
    assert migration.summary["draft_exposure"]["left_draft"] == len(waiting)
    assert listed(migration, ORDER, "order_incomplete") == waiting
    there = ours(made.target, ORDER)
    assert {i for i in there if there[i][STATUS] == DRAFT and wanted[i] != DRAFT} == waiting
    cure(made)
    terms = [r[TERMS] for r in made.source.control("GET", f"table/{DETAIL}") if r[TERMS] == CRLF]
    assert [r[TERMS] for r in ours(made.target, DETAIL).values()].count(CRLF) == len(terms)


STEPS = [
    (CUSTOMER, "insert", "bulk"),
    (CUSTOMER, "update", ""),
    (ORDER, "insert", "bulk"),
    (ORDER, "update", "bulk"),
    (ORDER, "update", "rest"),
    (DETAIL, "insert", "bulk"),
    (DETAIL, "update", "bulk"),
    (DETAIL, "update", "rest"),
]
"""Where an org can refuse a row: corrections, statuses, dates and links are updates of orders."""


@kinds.kind
@pytest.mark.parametrize(
    ("n", "policy"),
    [(0, "continue")]
    + [pytest.param(n, p, marks=pytest.mark.lane) for n in range(1, 10) for p in ("stop", "continue")],
)
def test_whatever_is_refused_the_cured_end_is_that_of_an_undisturbed_run(
    migrator: Callable[..., Migrator], n: int, policy: str
) -> None:
    made = migrator()
    dice = random.Random(f"{kinds.seed()} {n} {policy}")
    chosen = dice.sample(STEPS, dice.randint(1, 4))
    made.target.control("POST", "faults", [], seed=str(dice.randrange(2**31)))
    for sobject, operation, api in chosen:
        cause = CAUSES[dice.choice(sorted(CAUSES))]
        fraction = dice.choice([0.05, 0.3, 1.0])
        refuse(made.target, sobject, operation=operation, api=api, fraction=fraction, **cause)

    migration = made.migrate_with_retries(chunk_size=12, on_row_failure=policy)

    fired = sum(rule["fired"] for rule in made.target.control("GET", "faults"))
    rejected = sum(migration.summary["objects"][name]["rejected"] for name in LOADED)
    assert migration.state in (("rows_rejected", "failed") if rejected else ("verified",)), (chosen, fired)
    wanted = {r["Id"]: r for r in made.source.control("GET", f"table/{ORDER}")}
    details = ours(made.target, DETAIL)
    for source_id, order in ours(made.target, ORDER).items():
        assert order[ORDER_CUSTOMER] or not wanted[source_id][ORDER_CUSTOMER]
        if order[STATUS] != DRAFT:
            missing = [
                d
                for d in made.source.control("GET", f"table/{DETAIL}")
                if d[DETAIL_ORDER] == source_id and d["Id"] not in details
            ]
            assert not missing, chosen
    cure(made)
