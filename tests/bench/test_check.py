"""The benchmark's checker finds what is planted, counts it, and agrees with the checker of the engine's tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from bench.check import CUSTOMER, DETAIL, KEY, NS, ORDER, PARENT, Verdict, check

from coa.staging.database import Database
from orgsim.launch import RunningOrg, running_pair
from tests.engine import checker
from tests.engine.harness import Migrator

# Beside the engine's own checker, with which it is compared here.
pytestmark = pytest.mark.lane

STATUS, RECEIVED = NS + "Service_Order_Status__c", NS + "Date_Service_Order_Received_by_SFDC__c"
PRICE, CLONED = NS + "pc_Fixed_Price__c", NS + "Cloned_Service_Order__c"
Record = dict[str, Any]


@dataclass
class Migrated:
    """A target into which our engine has moved everything, and what the check says of it."""

    source: RunningOrg
    target: RunningOrg
    scratch: Path
    verdict: Verdict

    def records(self, name: str) -> list[Record]:
        """What was moved, of orders that the target can take."""
        return [
            one for one in self.target.control("GET", f"table/{name}") if one[KEY] and not one["IsDeleted"]
        ]

    def edit(self, name: str, record: Record, **values: Any) -> None:
        self.target.control("PATCH", f"records/{name}/{record['Id']}?raw=1", values)

    def check(self) -> Verdict:
        return check(self.source, self.target, self.scratch)


@pytest.fixture(scope="module")
def migrated(module_database: Database, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Migrated]:
    folder = tmp_path_factory.mktemp("bench")
    with running_pair(orders=60, seed=7, job_delay=0.02) as (source, target):
        run = Migrator(module_database, source, target, folder).migrate(
            unmatched_product_policy="block_record"
        )
        assert run.state == "verified", run.error
        yield Migrated(
            source, target, folder / "check.sqlite", check(source, target, folder / "check.sqlite")
        )


def test_a_right_migration_is_clean_for_both_checkers(migrated: Migrated) -> None:
    planted = migrated.source.control("GET", "planted")
    assert migrated.verdict.clean, migrated.verdict.as_dict()
    assert migrated.verdict.orders == 60 - len(planted["blocked_orders"])
    assert migrated.verdict.created_right == migrated.verdict.orders
    left_out = [*planted["blocked_orders"], *planted["blocked_details"]]
    assert checker.check(migrated.source, migrated.target, left_out).clean


Plant = Callable[[Migrated], None]


def _first(records: list[Record], field: str) -> Record:
    return next(one for one in records if one[field])


def wrong_status(at: Migrated) -> None:
    at.edit(ORDER, at.records(ORDER)[0], **{STATUS: "Error comes later"})


def reset_date(at: Migrated) -> None:
    at.edit(ORDER, _first(at.records(ORDER), RECEIVED), **{RECEIVED: "2026-11-23T12:00:00.000Z"})


def wrong_customer(at: Migrated) -> None:
    order = at.records(ORDER)[0]
    other = next(one for one in at.records(CUSTOMER) if one["Id"] != order[NS + "Customer__c"])
    at.edit(ORDER, order, **{NS + "Customer__c": other["Id"]})


def lost_clone_link(at: Migrated) -> None:
    at.edit(ORDER, _first(at.records(ORDER), CLONED), **{CLONED: None})


def wrong_total(at: Migrated) -> None:
    at.edit(ORDER, at.records(ORDER)[0], **{NS + "Order_Total_Value__c": 1.0})


def doubled_order(at: Migrated) -> None:
    twin = dict(at.records(ORDER)[0])
    twin.pop("Id")
    at.target.control("POST", f"records/{ORDER}?raw=1", twin)


def missing_detail(at: Migrated) -> None:
    at.edit(DETAIL, at.records(DETAIL)[0], IsDeleted=1)


def wrong_price(at: Migrated) -> None:
    at.edit(DETAIL, _first(at.records(DETAIL), PRICE), **{PRICE: 0.01})


def moved_detail(at: Migrated) -> None:
    detail = at.records(DETAIL)[0]
    other = next(one for one in at.records(ORDER) if one["Id"] != detail[PARENT])
    at.edit(DETAIL, detail, **{PARENT: other["Id"]})


def doubled_customer(at: Migrated) -> None:
    customer = at.records(CUSTOMER)[0]
    at.target.control(
        "POST",
        f"records/{CUSTOMER}?raw=1",
        {NS + "Customer_Org_ID__c": customer[NS + "Customer_Org_ID__c"][:15], "IsDeleted": 0},
    )


@pytest.mark.parametrize(
    ("plant", "lost"),
    [
        (wrong_status, {"status_right": 1, "order_fields_right": 1, "orders_whole": 1}),
        (reset_date, {"received_right": 1, "order_fields_right": 1, "orders_whole": 1}),
        (wrong_customer, {"order_links_right": 1, "order_fields_right": 1, "orders_whole": 1}),
        (lost_clone_link, {"order_links_right": 1, "order_fields_right": 1, "orders_whole": 1}),
        (wrong_total, {"totals_right": 1, "order_fields_right": 1, "orders_whole": 1}),
        (doubled_order, {"orders_doubled": -1}),
        (missing_detail, {"details_missing": -1, "details_arrived": 1, "prices_right": 1,
                          "detail_links_right": 1, "details_right": 1, "orders_whole": 1}),
        (wrong_price, {"prices_right": 1, "details_right": 1, "orders_whole": 1}),
        (moved_detail, {"detail_links_right": 1, "details_right": 1, "orders_whole": 1}),
        (doubled_customer, {"customers_doubled": -1}),
    ],
    ids=lambda value: value.__name__ if callable(value) else "",
)  # fmt: skip
def test_each_damage_is_found_and_counted(migrated: Migrated, plant: Plant, lost: dict[str, int]) -> None:
    before = {name: migrated.target.control("GET", f"table/{name}") for name in (ORDER, DETAIL, CUSTOMER)}
    try:
        plant(migrated)
        counts = migrated.verdict.as_dict()
        expected = replace(migrated.verdict, **{name: counts[name] - less for name, less in lost.items()})
        assert migrated.check() == expected
        assert not expected.clean
    finally:
        _restore(migrated, before)
    assert migrated.check() == migrated.verdict


def _restore(at: Migrated, before: dict[str, list[Record]]) -> None:
    for name, records in before.items():
        known = {one["Id"]: one for one in records}
        for record in at.target.control("GET", f"table/{name}"):
            if record["Id"] not in known:
                at.edit(name, record, IsDeleted=1)
            elif record != known[record["Id"]]:
                changed = {k: v for k, v in known[record["Id"]].items() if record[k] != v}
                at.edit(name, record, **changed)
