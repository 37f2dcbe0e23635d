"""Seeding: deterministic, consistent between the two orgs, with the documented difficulties."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from orgsim.__main__ import build
from orgsim.ids import to_18
from orgsim.launch import RunningOrg, running_org, running_pair
from orgsim.seed.nasty import NASTY
from orgsim.seed.orders import STATUSES, TYPES
from orgsim.settings import Settings
from tests.orgsim.client import Client, connect

pytestmark = pytest.mark.lane

NS = "CHANNEL_ORDERS__"
ORDER = NS + "Service_Order__c"
DETAIL = NS + "Service_Order_Detail__c"
Table = list[dict[str, Any]]


@pytest.fixture(scope="module")
def pair() -> Iterator[tuple[RunningOrg, RunningOrg]]:
    with running_pair(orders=1000, seed=7, job_delay=0.0) as orgs:
        yield orgs


def table(org: RunningOrg, name: str) -> Table:
    found: Table = org.control("GET", f"table/{name}")
    return found


def test_the_same_seed_gives_the_same_org(pair: tuple[RunningOrg, RunningOrg]) -> None:
    with running_org(role="source", orders=1000, seed=7) as again:
        assert again.org_id == pair[0].org_id
        assert table(again, DETAIL) == table(pair[0], DETAIL)
    with running_org(role="source", orders=50, seed=8) as other:
        assert other.org_id != pair[0].org_id


def test_statuses_types_dates_and_clones_are_realistic(pair: tuple[RunningOrg, RunningOrg]) -> None:
    orders = table(pair[0], ORDER)
    assert set(Counter(one[NS + "Service_Order_Status__c"] for one in orders)) == set(STATUSES)
    assert set(Counter(one[NS + "Order_Type__c"] for one in orders)) == set(TYPES)
    years = {one["CreatedDate"][:4] for one in orders}
    assert min(years) == "2012"
    assert max(years) == "2026"
    received = [one[NS + "Date_Service_Order_Received_by_SFDC__c"] for one in orders]
    assert all(
        (when is None) == (one[NS + "Service_Order_Status__c"] in ("Draft", "Submitted"))
        for one, when in zip(orders, received, strict=True)
    )
    originals = {one["Id"]: one[NS + "Cloned_Service_Order__c"] for one in orders}
    clones = [one for one in originals.values() if one]
    assert 80 < len(clones) < 180
    assert any(originals[one] for one in clones), "a clone of a clone"
    assert 4 < len(table(pair[0], DETAIL)) / len(orders) < 5


def test_history_differs_from_todays_catalog(pair: tuple[RunningOrg, RunningOrg]) -> None:
    prices = {
        one["Id"]: one[NS + "Fixed_Price__c"] for one in table(pair[0], NS + "Partner_Product_Catalog__c")
    }
    fixed = [one for one in table(pair[0], DETAIL) if one[NS + "pc_Pricing_Type__c"] == "FIXED"]
    changed = [one for one in fixed if one[NS + "pc_Fixed_Price__c"] != prices[one[NS + "Product_Name__c"]]]
    assert len(changed) / len(fixed) > 0.5


def test_every_detail_satisfies_the_validation_rules_but_the_planted(
    pair: tuple[RunningOrg, RunningOrg],
) -> None:
    planted = pair[0].control("GET", "planted")
    contracts = {one["Id"]: one[NS + "Partner_Contract_Rules__c"] for one in table(pair[0], ORDER)}
    products = {
        one["Id"]: one[NS + "Partner_Contract_Terms__c"]
        for one in table(pair[0], NS + "Partner_Product_Catalog__c")
    }
    terms = {one["Id"]: one for one in table(pair[0], NS + "Partner_Contract_Terms__c")}
    without_quantity = []
    for one in table(pair[0], DETAIL):
        contract = contracts[one[NS + "Partner_Order__c"]]
        assert one[NS + "pc_Partner_Contract_Term__c"] == contract
        assert products[one[NS + "Product_Name__c"]] == contract
        if one[NS + "Quantity__c"] is None:
            without_quantity.append(one["Id"])
        if terms[contract][NS + "Allow_Contract_Length_Override__c"]:
            assert one[NS + "pc_Contract_Length__c"] is not None
    assert sorted(without_quantity) == sorted(planted["blocked"]["quantity_missing"]["details"])


def test_contracts_and_products_are_the_same_under_other_ids(pair: tuple[RunningOrg, RunningOrg]) -> None:
    planted = pair[0].control("GET", "planted")
    for name, keys in (
        ("Partner_Contract_Terms__c", ("Name", NS + "Type__c")),
        ("Partner_Pricebook_Entry__c", (NS + "Pricebook_Entry_Id__c", NS + "Product_Name__c")),
        ("Partner_Product_Catalog__c", (NS + "Product_ID__c", "Name", NS + "Fixed_Price__c")),
    ):
        source, target = (table(one, NS + name) for one in pair)
        assert not {one["Id"] for one in source} & {one["Id"] for one in target}
        natural = [Counter(tuple(one[key] for key in keys) for one in rows) for rows in (source, target)]
        missing = natural[0] - natural[1]
        assert not natural[1] - natural[0]
        assert sum(missing.values()) == (1 if name == "Partner_Product_Catalog__c" else 0)
    # Only the planted orders use the product that the target lacks.
    gone = {one[NS + "Product_ID__c"] for one in table(pair[0], NS + "Partner_Product_Catalog__c")} - {
        one[NS + "Product_ID__c"] for one in table(pair[1], NS + "Partner_Product_Catalog__c")
    }
    lost = next(
        one["Id"]
        for one in table(pair[0], NS + "Partner_Product_Catalog__c")
        if one[NS + "Product_ID__c"] in gone
    )
    users = [one for one in table(pair[0], DETAIL) if one[NS + "Product_Name__c"] == lost]
    assert sorted(one["Id"] for one in users) == sorted(planted["blocked"]["product_unmatched"]["details"])


def test_some_customers_are_in_the_target_under_the_other_form_of_the_id(
    pair: tuple[RunningOrg, RunningOrg],
) -> None:
    source = {one[NS + "Customer_Org_ID__c"] for one in table(pair[0], NS + "Customer__c")}
    existing = pair[1].control("GET", "planted")["existing_customers"]
    assert len(existing) == 15
    target = {one["Id"]: one[NS + "Customer_Org_ID__c"] for one in table(pair[1], NS + "Customer__c")}
    for one in existing:
        assert one["source_org_id"] in source
        assert target[one["target_id"]] != one["source_org_id"]
        assert to_18(target[one["target_id"]]) == to_18(one["source_org_id"])
    assert {len(one) for one in source} == {15, 18}


def test_people_are_partly_the_same(pair: tuple[RunningOrg, RunningOrg]) -> None:
    source, target = (
        {one["FederationIdentifier"]: one for one in table(org, "User") if one["FederationIdentifier"]}
        for org in pair
    )
    assert len(source) == 8
    assert len(set(source) - set(target)) == 1
    assert [one["IsActive"] for one in target.values()].count(0) == 1
    for key in target:
        assert source[key]["Email"] == target[key]["Email"]
        assert source[key]["Username"] != target[key]["Username"]
    owners = Counter(one["OwnerId"] for one in table(pair[0], ORDER))
    assert len(owners) == 8


def test_text_that_breaks_naive_code_is_everywhere(pair: tuple[RunningOrg, RunningOrg]) -> None:
    special = {one[NS + "Product_Special_Terms__c"] for one in table(pair[0], DETAIL)}
    assert set(NASTY) <= special
    assert len(set(NASTY) & {one[NS + "Invoice_Description__c"] for one in table(pair[0], ORDER)}) >= 20


def test_planted_records_are_not_originals_of_clones(pair: tuple[RunningOrg, RunningOrg]) -> None:
    planted = pair[0].control("GET", "planted")
    assert len(planted["blocked_orders"]) == 4
    originals = {one[NS + "Cloned_Service_Order__c"] for one in table(pair[0], ORDER)}
    assert not originals & set(planted["blocked_orders"])
    assert sorted(planted["draft_orders"]) == sorted(
        one["Id"] for one in table(pair[0], ORDER) if one[NS + "Service_Order_Status__c"] == "Draft"
    )


def test_the_target_has_business_of_its_own(pair: tuple[RunningOrg, RunningOrg]) -> None:
    own = table(pair[1], ORDER)
    assert len(own) == 20
    assert all(one["COA_Source_Id__c"] is None for one in own)
    assert not any(one[NS + "Service_Order_Status__c"] == "Draft" for one in own)


def test_partner_fields_bring_licenses_with_lookups_both_ways() -> None:
    with running_org(role="source", orders=60, partner_fields=True) as org:
        licenses = table(org, "sfLma__License__c")
        customers = {one["Id"]: one for one in table(org, NS + "Customer__c")}
        assert licenses
        assert all(customers[one["COA_Customer__c"]]["Related_License__c"] == one["Id"] for one in licenses)
        orders = table(org, ORDER)
        assert {one["License__c"] for one in orders if one["License__c"]} <= {one["Id"] for one in licenses}
        items = [one["Related_Opportunity_Line_Item__c"] for one in table(org, DETAIL)]
        assert len([one for one in items if one]) == len({one for one in items if one}) > 10


def test_plain_and_empty_orgs() -> None:
    with running_org(role="source", orders=30, planted=False) as org:
        assert org.control("GET", "planted")["blocked_orders"] == []
    with running_org(role="target", empty=True, package_version="") as org:
        client = connect(org)
        assert client.call("GET", f"/sobjects/{ORDER}/describe").status_code == 404
        assert client.query("SELECT Id FROM Account") == []


def test_ten_thousand_orders_take_seconds() -> None:
    started = time.process_time()
    org = build(Settings(role="source", orders=10_000, seed=7))
    # Processor time: a busy machine must not fail this.
    assert time.process_time() - started < 10
    assert org.store.count(org.schema[DETAIL]) > 40_000


def test_rest_sees_what_was_seeded(pair: tuple[RunningOrg, RunningOrg]) -> None:
    client: Client = connect(pair[0])
    assert client.get("/query", params={"q": f"SELECT COUNT() FROM {ORDER}"})["totalSize"] == 1000
