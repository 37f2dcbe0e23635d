"""When a contract ends: cases computed by hand."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from coa.readiness.assess import readiness_rows
from coa.staging.database import Database
from tests.readiness.snapshot import Snapshot

DAY = date(2026, 11, 28)
NO, YES = {"auto": "No"}, {"auto": "Yes"}

CASES: dict[str, tuple[dict[str, Any], str, str]] = {
    # name: (order, contract_state, contract_end)
    "a year from the first of a month": ({"start": "2026-03-01", "months": 12}, "active", "2027-03-01"),
    "ended the day before": ({"start": "2025-11-27", "months": 12}, "ended", "2026-11-27"),
    "its last day is today": ({"start": "2025-11-28", "months": 12}, "active", "2026-11-28"),
    "lengths are printed with a fraction": (
        {"start": "2026-03-01", "months": "12.0"},
        "active",
        "2027-03-01",
    ),
    "31 January and one month": ({"start": "2026-01-31", "months": 1}, "ended", "2026-02-28"),
    "31 August and six months, no leap year": ({"start": "2026-08-31", "months": 6}, "active", "2027-02-28"),
    "31 August and six months, leap year": ({"start": "2027-08-31", "months": 6}, "active", "2028-02-29"),
    "29 February and a year": ({"start": "2024-02-29", "months": 36}, "active", "2027-02-28"),
    "29 February and four years": ({"start": "2024-02-29", "months": 48}, "active", "2028-02-29"),
    "28 February, a last day, into a leap year": (
        {"start": "2026-02-28", "months": 24},
        "active",
        "2028-02-29",
    ),
    "28 February of a leap year is no last day": (
        {"start": "2024-02-28", "months": 48},
        "active",
        "2028-02-28",
    ),
    "30 April, a last day": ({"start": "2026-04-30", "months": 13}, "active", "2027-05-31"),
    "over the end of a year": ({"start": "2026-12-15", "months": 2}, "active", "2027-02-15"),
    "no length": ({"start": "2026-03-01", "months": ""}, "unknown", ""),
    "a length of zero": ({"start": "2026-03-01", "months": 0}, "unknown", ""),
    "no start": ({"start": "", "months": 12}, "unknown", ""),
    # Renewing: the first end that can still be given notice of, at least 5 days ahead.
    "renews every year, third term": ({"start": "2024-03-01", "months": 12, **YES}, "renewing", "2027-03-01"),
    "renews by another length": (
        {"start": "2023-01-15", "months": 36, "renewal": 24, **YES},
        "renewing",
        "2028-01-15",
    ),
    "renews every month from 31 January, without drift": (
        {"start": "2026-01-31", "months": 1, "renewal": 1, **YES},
        "renewing",
        "2026-12-31",
    ),
    "too late for this term's end": ({"start": "2025-12-02", "months": 12, **YES}, "renewing", "2027-12-02"),
    "just in time": ({"start": "2025-12-03", "months": 12, **YES}, "renewing", "2026-12-03"),
    "notice of 60 days": (
        {"start": "2026-01-10", "months": 12, "notice": 60, **YES},
        "renewing",
        "2028-01-10",
    ),
    "starts in the future": ({"start": "2027-06-30", "months": 12, **YES}, "renewing", "2028-06-30"),
    "evergreen": ({"start": "2020-01-01", "months": "", **YES}, "evergreen", ""),
    # What was never submitted is no contract.
    "a draft": ({"start": "2026-03-01", "status": "Draft"}, "none", ""),
    "sent back": ({"start": "2026-03-01", "status": "Error"}, "none", ""),
    "under way": ({"start": "2026-03-01", "status": "In Process"}, "active", "2027-03-01"),
    "a cancellation without what it cancels": (
        {"start": "2026-03-01", "type": "Cancellation Order"},
        "unknown",
        "",
    ),
}


def test_the_end_of_each_contract(database: Database) -> None:
    snapshot = Snapshot()
    for n, (order, _, _) in enumerate(CASES.values()):
        snapshot.order(**order, customer=f"c{n}")
    run = snapshot.stage(database)

    found = {r["customer_id"]: r for r in readiness_rows(run, DAY)}

    assert {
        name: (r["contract_state"], str(r["contract_end"] or ""))
        for name, r in zip(CASES, (found[f"c{n}"] for n in range(len(CASES))), strict=True)
    } == {name: (state, end) for name, (_, state, end) in CASES.items()}


def one(database: Database, snapshot: Snapshot) -> dict[str, Any]:
    [row] = readiness_rows(snapshot.stage(database), DAY)
    return row


def test_the_latest_end_of_several_orders_counts(database: Database) -> None:
    snapshot = Snapshot()
    snapshot.order("2026-01-01", 12)
    snapshot.order("2026-07-01", 12, type="Add-On")
    snapshot.order("2027-01-01", 12, status="Draft", type="Upgrade - Partner App")

    row = one(database, snapshot)

    assert (str(row["contract_end"]), row["orders"], row["open_orders"]) == ("2027-07-01", 3, 1)
    assert row["order_number"] == "SO-2"


def test_cancelled_contracts_do_not_renew(database: Database) -> None:
    """The term that ran on the day of the cancellation is the last."""
    snapshot = Snapshot()
    snapshot.order("2024-01-15", 12, auto="Yes")
    snapshot.order("2025-06-01", 12, type="Cancellation Order")

    row = one(database, snapshot)

    assert (row["contract_state"], str(row["contract_end"])) == ("ended", "2026-01-15")


def test_an_order_after_the_cancellation_renews_again(database: Database) -> None:
    snapshot = Snapshot()
    snapshot.order("2024-01-15", 12, auto="Yes")
    snapshot.order("2025-06-01", 12, type="Cancellation Order")
    snapshot.order("2026-02-01", 12, auto="Yes", type="Initial")

    row = one(database, snapshot)

    assert (row["contract_state"], str(row["contract_end"])) == ("renewing", "2027-02-01")


def test_a_cancellation_under_way_ends_nothing_yet(database: Database) -> None:
    snapshot = Snapshot()
    snapshot.order("2024-01-15", 12, auto="Yes")
    snapshot.order("2025-06-01", 12, type="Cancellation Order", status="Received")

    assert one(database, snapshot)["contract_state"] == "renewing"


def test_terms_of_the_order_stand_in_for_those_of_the_detail(database: Database) -> None:
    """An app before 2.x keeps them on the order."""
    snapshot = Snapshot()
    snapshot.order("2026-03-01", "")
    snapshot.orders[0]["CHANNEL_ORDERS__Contract_Length__c"] = "24"

    assert str(one(database, snapshot)["contract_end"]) == "2028-03-01"


def test_products_of_one_customer_have_rows_of_their_own(database: Database) -> None:
    snapshot = Snapshot()
    snapshot.order("2025-01-01", 12, product="p1")
    snapshot.order("2026-06-01", 12, product="p2")

    rows = list(readiness_rows(snapshot.stage(database), DAY))

    assert [(r["product_id"], r["product"], r["verdict"]) for r in rows] == [
        ("01tp1", "Product p1", "no_obstacle_in_data"),
        ("01tp2", "Product p2", "after 2027-06-01"),
    ]


@pytest.mark.parametrize(
    "missing", ["CHANNEL_ORDERS__pc_Contract_Auto_Renew__c", "CHANNEL_ORDERS__pct_Currency__c"]
)
def test_a_field_that_the_user_does_not_see_is_empty(database: Database, missing: str) -> None:
    snapshot = Snapshot()
    snapshot.order("2026-03-01", 12)
    del snapshot.details[0][missing]

    assert str(one(database, snapshot)["contract_end"]) == "2027-03-01"
