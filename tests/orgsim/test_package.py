"""The Channel Order App's automation (facts, section 2): what it does to a load, and its switches."""

from __future__ import annotations

from typing import Any

import pytest

from orgsim.launch import RunningOrg
from tests.orgsim.client import Client

ORG = {"role": "target", "orders": 60}
NS = "CHANNEL_ORDERS__"
ORDER = NS + "Service_Order__c"
DETAIL = NS + "Service_Order_Detail__c"
STATUS = NS + "Service_Order_Status__c"
RECEIVED = NS + "Date_Service_Order_Received_by_SFDC__c"
PAST = "2014-04-04T04:04:04Z"
STORED = "2014-04-04T04:04:04.000+0000"


@pytest.fixture
def product(client: Client) -> dict[str, Any]:
    return products(client, "FIXED")


def products(client: Client, pricing: str) -> dict[str, Any]:
    soql = (
        f"SELECT Id, {NS}Fixed_Price__c price, {NS}Partner_Contract_Terms__c terms FROM {NS}Partner_Product_Catalog__c"
        f" WHERE {NS}Pricing_Type__c = '{pricing}' ORDER BY Name LIMIT 1"
    )
    row = client.query(soql.replace(" price", "").replace(" terms", ""))[0]
    return {
        "id": row["Id"],
        "price": row[f"{NS}Fixed_Price__c"],
        "terms": row[f"{NS}Partner_Contract_Terms__c"],
    }


def new_order(client: Client, terms: str, **more: Any) -> str:
    values = {
        NS + "Customer_Org_ID__c": "00D000000000001",
        NS + "Order_Type__c": "Initial",
        NS + "Partner_Contract_Rules__c": terms,
    }
    return client.create(
        ORDER, **{**values, **{key if key == "Id" else NS + key: value for key, value in more.items()}}
    )


def detail(parent: str, product: dict[str, Any], **more: Any) -> dict[str, Any]:
    values = {
        "Partner_Order__c": parent,
        "Product_Name__c": product["id"],
        "pc_Partner_Contract_Term__c": product["terms"],
        "Quantity__c": 3,
        "pc_Contract_Length__c": 12,
        "pc_Cancellation_Terms__c": 30,
        "pc_Renewal_Terms__c": 12,
    }
    return {NS + key: value for key, value in (values | more).items()}


def status_of(client: Client, record_id: str) -> tuple[str, Any]:
    row = client.get(f"/sobjects/{ORDER}/{record_id}")
    return row[STATUS], row[RECEIVED]


def patch(client: Client, sobject: str, record_id: str, **values: Any) -> Any:
    answer = client.call(
        "PATCH", f"/sobjects/{sobject}/{record_id}", json={NS + key: value for key, value in values.items()}
    )
    return None if answer.status_code == 204 else answer.json()[0]


@pytest.mark.parametrize(
    "status", ["Submitted", "Received", "In Process", "Error", "Activated", "Provisioned"]
)
def test_2_1_an_inserted_order_is_draft_and_keeps_its_received_date(
    client: Client, product: dict[str, Any], status: str
) -> None:
    made = new_order(
        client, product["terms"], Service_Order_Status__c=status, Date_Service_Order_Received_by_SFDC__c=PAST
    )
    assert status_of(client, made) == ("Draft", STORED)


def test_2_1_going_to_received_stamps_now_over_a_date_sent_with_it(
    client: Client, product: dict[str, Any]
) -> None:
    made = new_order(client, product["terms"], Date_Service_Order_Received_by_SFDC__c=PAST)
    patch(
        client, ORDER, made, Service_Order_Status__c="Received", Date_Service_Order_Received_by_SFDC__c=PAST
    )
    status, received = status_of(client, made)
    assert status == "Received"
    assert received > "2026"
    # A date-only update does not fire the rule: that is how the date comes back.
    patch(client, ORDER, made, Date_Service_Order_Received_by_SFDC__c=PAST)
    assert status_of(client, made) == ("Received", STORED)
    patch(client, ORDER, made, Service_Order_Status__c="Received")
    assert status_of(client, made) == ("Received", STORED)


@pytest.mark.parametrize("status", ["In Process", "Error", "Activated", "Provisioned"])
def test_2_1_other_statuses_do_not_touch_the_date(
    client: Client, product: dict[str, Any], status: str
) -> None:
    made = new_order(client, product["terms"], Date_Service_Order_Received_by_SFDC__c=PAST)
    patch(client, ORDER, made, Service_Order_Status__c=status)
    assert status_of(client, made) == (status, STORED)


def test_2_1_fixed_prices_are_copied_from_todays_catalog_on_create_only(
    client: Client, product: dict[str, Any]
) -> None:
    parent = new_order(client, product["terms"])
    made = client.create(DETAIL, **detail(parent, product, pc_Fixed_Price__c=1.11, pc_Pricing_Type__c="PNR"))
    row = client.get(f"/sobjects/{DETAIL}/{made}")
    assert row[NS + "pc_Fixed_Price__c"] == product["price"]
    assert row[NS + "pc_Pricing_Type__c"] == "FIXED"
    assert patch(client, DETAIL, made, pc_Fixed_Price__c=1.11) is None
    row = client.get(f"/sobjects/{DETAIL}/{made}")
    assert row[NS + "pc_Fixed_Price__c"] == 1.11
    assert row[NS + "Order_Detail_Value__c"] == 3.33


def test_2_1_the_contract_key_follows_the_name(client: Client) -> None:
    terms = NS + "Partner_Contract_Terms__c"
    key = NS + "Partner_Contract_Term_External_ID__c"
    made = client.create(terms, Name="First", **{key: "something else"})
    assert client.get(f"/sobjects/{terms}/{made}")[key] == "First"
    client.call("PATCH", f"/sobjects/{terms}/{made}", json={key: "kept"})
    assert client.get(f"/sobjects/{terms}/{made}")[key] == "kept"
    client.call("PATCH", f"/sobjects/{terms}/{made}", json={"Name": "Second"})
    assert client.get(f"/sobjects/{terms}/{made}")[key] == "Second"


def test_2_1_each_rule_can_be_switched_off(org: RunningOrg, client: Client, product: dict[str, Any]) -> None:
    org.control("PATCH", "package", {"workflows": {"draft": False, "received": False, "pricing": False}})
    made = new_order(client, product["terms"], Service_Order_Status__c="Activated")
    assert status_of(client, made)[0] == "Activated"
    patch(client, ORDER, made, Service_Order_Status__c="Received")
    assert status_of(client, made) == ("Received", None)
    line = client.create(DETAIL, **detail(made, product, pc_Fixed_Price__c=1.11, pc_Pricing_Type__c="FIXED"))
    assert client.get(f"/sobjects/{DETAIL}/{line}")[NS + "pc_Fixed_Price__c"] == 1.11
    org.control("PATCH", "package", {"workflows": {"draft": True, "received": True, "pricing": True}})


def test_2_2_orders_need_contract_and_type(client: Client, product: dict[str, Any]) -> None:
    for missing, rule in (
        ("Order_Type__c", "Order Type is required."),
        ("Partner_Contract_Rules__c", "Contract is required."),
    ):
        values = {
            NS + "Customer_Org_ID__c": "00D1",
            NS + "Order_Type__c": "Initial",
            NS + "Partner_Contract_Rules__c": product["terms"],
        }
        values[NS + missing] = None
        given = client.error("POST", f"/sobjects/{ORDER}", json=values)
        assert given == (400, "FIELD_CUSTOM_VALIDATION_EXCEPTION", rule)


def test_2_2_details_belong_to_the_contract_of_their_order(client: Client, product: dict[str, Any]) -> None:
    other = client.create(NS + "Partner_Contract_Terms__c", Name="Another contract")
    parent = new_order(client, product["terms"])
    cases: list[dict[str, str | None]] = [
        {"pc_Partner_Contract_Term__c": None},
        {"pc_Partner_Contract_Term__c": other},
        {"Product_Name__c": None},
    ]
    for change in cases:
        given = client.error("POST", f"/sobjects/{DETAIL}", json=detail(parent, product, **change))
        assert given[:2] == (400, "FIELD_CUSTOM_VALIDATION_EXCEPTION"), change
    elsewhere = new_order(client, other)
    given = client.error(
        "POST", f"/sobjects/{DETAIL}", json=detail(elsewhere, product, pc_Partner_Contract_Term__c=other)
    )
    assert given[2] == "The product must belong to the contract terms of the service order."


def test_2_2_products_are_compared_by_contract_name(client: Client, product: dict[str, Any]) -> None:
    name = client.get(f"/sobjects/{NS}Partner_Contract_Terms__c/{product['terms']}")["Name"]
    twin = client.create(NS + "Partner_Contract_Terms__c", Name=name)
    parent = new_order(client, twin)
    assert client.create(DETAIL, **detail(parent, product, pc_Partner_Contract_Term__c=twin))


def test_2_2_quantity_and_overridable_terms_are_required(org: RunningOrg, client: Client) -> None:
    terms = client.create(
        NS + "Partner_Contract_Terms__c",
        Name="Overridable",
        **{
            NS + "Type__c": "ISVforce",
            NS + "Allow_Cancellation_Terms_Override__c": True,
            NS + "Allow_Contract_Length_Override__c": True,
            NS + "Allow_Renewal_Length_Override__c": True,
        },
    )
    thing = client.create(
        NS + "Partner_Product_Catalog__c",
        Name="Thing",
        **{NS + "Partner_Contract_Terms__c": terms, NS + "Pricing_Type__c": "LIST"},
    )
    product = {"id": thing, "terms": terms}
    parent = new_order(client, terms)
    for field in ("Quantity__c", "pc_Contract_Length__c", "pc_Cancellation_Terms__c", "pc_Renewal_Terms__c"):
        given = client.error("POST", f"/sobjects/{DETAIL}", json=detail(parent, product, **{field: None}))
        assert given[1] == "FIELD_CUSTOM_VALIDATION_EXCEPTION", field
    org.control("PATCH", "package", {"validations": {"Quantity_is_required": False}})
    assert client.create(DETAIL, **detail(parent, product, Quantity__c=None))
    org.control("PATCH", "package", {"validations": {"Quantity_is_required": True}})


def test_2_2_special_terms_are_frozen_unless_draft_or_error(client: Client, product: dict[str, Any]) -> None:
    parent = new_order(client, product["terms"])
    line = client.create(DETAIL, **detail(parent, product, Product_Special_Terms__c="first"))
    assert patch(client, DETAIL, line, Product_Special_Terms__c="second") is None
    patch(client, ORDER, parent, Service_Order_Status__c="Activated")
    assert patch(client, DETAIL, line, Product_Special_Terms__c="third")["errorCode"] == (
        "FIELD_CUSTOM_VALIDATION_EXCEPTION"
    )
    assert patch(client, DETAIL, line, Quantity__c=7, Product_Special_Terms__c="second") is None
    # Not on insert: a late detail may bring its terms.
    assert client.create(DETAIL, **detail(parent, product, Product_Special_Terms__c="late"))
    patch(client, ORDER, parent, Service_Order_Status__c="Error")
    assert patch(client, DETAIL, line, Product_Special_Terms__c="fourth") is None


@pytest.mark.parametrize(
    ("values", "refused"),
    [
        ({"Pricing_Type__c": "FIXED"}, True),
        ({"Pricing_Type__c": "FIXED", "Fixed_Price__c": 1}, False),
        ({"Pricing_Type__c": "FIXED", "Fixed_Price__c": 1, "PNR__c": 2}, True),
        ({"Pricing_Type__c": "PNR", "PNR__c": 15}, True),
        ({"Pricing_Type__c": "PNR", "PNR__c": 15, "Floor_Price__c": 1}, False),
        ({"Pricing_Type__c": "PNR", "PNR__c": 15, "Floor_Price__c": 1, "Fixed_Price__c": 1}, True),
        ({"Pricing_Type__c": "PNR", "Floor_Price__c": 1}, True),
        ({"Pricing_Type__c": "LIST"}, False),
    ],
)
def test_2_2_catalog_prices_are_consistent(client: Client, values: dict[str, Any], refused: bool) -> None:
    body = {"Name": "p", **{NS + key: value for key, value in values.items()}}
    answer = client.call("POST", f"/sobjects/{NS}Partner_Product_Catalog__c", json=body)
    assert (answer.status_code == 400) == refused


def test_2_4_draft_orders_that_a_job_would_submit_are_counted(
    org: RunningOrg, client: Client, product: dict[str, Any]
) -> None:
    before = org.control("GET", "drafts")["count"]
    made = new_order(client, product["terms"])
    assert org.control("GET", "drafts")["count"] == before + 1
    assert made in org.control("POST", "drafts")["now"]
    patch(client, ORDER, made, Service_Order_Status__c="Activated")
    assert org.control("GET", "drafts")["count"] == before
    # What the job sent stays sent.
    assert made in org.control("POST", "drafts")["ever"]


def test_9_a_partner_trigger_stamps_on_create_and_on_a_change_of_status(
    org: RunningOrg, client: Client, product: dict[str, Any]
) -> None:
    field = NS + "Date_Partner_Received_Customer_Order__c"
    org.control("PATCH", "settings", {"partner_trigger": True})
    made = new_order(client, product["terms"], Date_Partner_Received_Customer_Order__c="2014-01-01")
    assert client.get(f"/sobjects/{ORDER}/{made}")[field] > "2026"
    patch(client, ORDER, made, Date_Partner_Received_Customer_Order__c="2014-01-01")
    assert client.get(f"/sobjects/{ORDER}/{made}")[field] == "2014-01-01"
    patch(client, ORDER, made, Service_Order_Status__c="Activated")
    assert client.get(f"/sobjects/{ORDER}/{made}")[field] > "2026"
    org.control("PATCH", "settings", {"partner_trigger": False})


def test_checks_can_read_version_rules_and_scheduled_jobs(client: Client) -> None:
    soql = (
        "SELECT SubscriberPackage.NamespacePrefix, SubscriberPackageVersion.MajorVersion,"
        " SubscriberPackageVersion.MinorVersion FROM InstalledSubscriberPackage"
    )
    package = client.get("/tooling/query", params={"q": soql})["records"][0]
    assert package["SubscriberPackageVersion"]["MajorVersion"] == 3
    rules = client.get("/tooling/query/", params={"q": "SELECT ValidationName, Active FROM ValidationRule"})[
        "records"
    ]
    assert len(rules) == 14
    jobs = client.query("SELECT CronJobDetail.Name, State FROM CronTrigger WHERE CronJobDetail.JobType = '7'")
    assert [one["CronJobDetail"]["Name"] for one in jobs] == ["COA Process Details Auto Renew"]
    apex = client.query("SELECT ApexClass.Name, Status FROM AsyncApexJob WHERE JobType = 'ScheduledApex'")
    assert apex[0]["ApexClass"]["Name"] == "COA_ProcessDetailsAutoRenewBatch"
