"""What hangs on records without being part of them, and who may see what (contract F3, E2)."""

from __future__ import annotations

import pytest

from orgsim.launch import RunningOrg
from tests.orgsim.client import Client

pytestmark = pytest.mark.lane

ORG = {"role": "source", "orders": 10}
ORDER = "CHANNEL_ORDERS__Service_Order__c"
DETAIL = "CHANNEL_ORDERS__Service_Order_Detail__c"


def an_order(client: Client) -> str:
    return str(client.query(f"SELECT Id FROM {ORDER} LIMIT 1")[0]["Id"])


@pytest.mark.parametrize(
    ("sobject", "lookup", "values"),
    [
        ("Note", "ParentId", {"Title": "Call back"}),
        ("Attachment", "ParentId", {"Name": "contract.pdf"}),
        ("Task", "WhatId", {"Subject": "Renew"}),
        ("Event", "WhatId", {"Subject": "Visit"}),
        ("ContentDocumentLink", "LinkedEntityId", {"ContentDocumentId": "069000000000001AAA"}),
    ],
)
def test_it_hangs_on_an_order_and_is_counted_by_it(
    client: Client, sobject: str, lookup: str, values: dict[str, str]
) -> None:
    order = an_order(client)
    made = client.create(sobject, **{lookup: order}, **values)

    found = client.query(f"SELECT Id FROM {sobject} WHERE {lookup} IN (SELECT Id FROM {ORDER})")

    assert [row["Id"] for row in found] == [made]


@pytest.mark.parametrize(
    ("sobject", "lookup"),
    [("Note", "ParentId"), ("Attachment", "ParentId"), ("ContentDocumentLink", "LinkedEntityId")],
)
def test_what_needs_a_parent_is_refused_without_one(client: Client, sobject: str, lookup: str) -> None:
    status, code, message = client.error("POST", f"/sobjects/{sobject}", json={})

    assert (status, code) == (400, "REQUIRED_FIELD_MISSING")
    assert lookup in message


def test_a_foreign_parent_is_refused(client: Client) -> None:
    status, code, _ = client.error(
        "POST", "/sobjects/Note", json={"Title": "x", "ParentId": "a0X00000000009ZAAA"}
    )

    assert status == 400
    assert code in ("INVALID_CROSS_REFERENCE_KEY", "MALFORMED_ID", "FIELD_INTEGRITY_EXCEPTION")


def test_field_history_is_read_and_never_written(client: Client) -> None:
    history = "CHANNEL_ORDERS__Service_Order__History"
    assert client.query(f"SELECT Id FROM {history}") == []

    status, _, _ = client.error("POST", f"/sobjects/{history}", json={"ParentId": an_order(client)})

    assert status in (400, 405)


def test_the_admin_permission_set_of_the_package_shows_all_records(client: Client) -> None:
    seen = client.query(
        "SELECT SobjectType FROM ObjectPermissions WHERE PermissionsViewAllRecords = true AND ParentId IN "
        "(SELECT PermissionSetId FROM PermissionSetAssignment)"
    )

    assert {ORDER, DETAIL} <= {row["SobjectType"] for row in seen}


def test_a_workflow_rule_that_is_switched_off_says_so_in_its_metadata(
    client: Client, org: RunningOrg
) -> None:
    org.control("PATCH", "package", {"workflows": {"contract_key": False}})
    rules = client.get(
        "/tooling/query",
        params={"q": "SELECT Id, Name FROM WorkflowRule WHERE NamespacePrefix = 'CHANNEL_ORDERS'"},
    )["records"]

    active = {}
    for rule in rules:
        one = client.get(
            "/tooling/query", params={"q": f"SELECT Metadata FROM WorkflowRule WHERE Id = '{rule['Id']}'"}
        )["records"][0]
        active[rule["Name"]] = one["Metadata"]["active"]

    assert [name for name, on in active.items() if not on] == ["Partner Contract Term External ID"]
    assert len(active) == 4


def test_a_link_to_a_file_can_be_changed_and_removed_like_any_record(client: Client) -> None:
    order = an_order(client)
    link = client.create("ContentDocumentLink", LinkedEntityId=order, ContentDocumentId="069000000000002AAA")

    assert client.call(
        "PATCH", f"/sobjects/ContentDocumentLink/{link}", json={"ContentDocumentId": "069000000000003AAA"}
    ).status_code in (204, 200)
    assert client.call("DELETE", f"/sobjects/ContentDocumentLink/{link}").status_code == 204
    assert client.query(f"SELECT Id FROM ContentDocumentLink WHERE Id = '{link}'") == []
