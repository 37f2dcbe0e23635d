"""Files, attachments and activities as an org keeps them (contract F3), and what is planted of them."""

from __future__ import annotations

import base64
import hashlib
import json
from typing import Any

import pytest
import requests

from orgsim.content.seed import LARGE_BYTES
from orgsim.launch import RunningOrg
from tests.orgsim.client import Client

pytestmark = pytest.mark.lane

ORG = {"orders": 24, "attachments": True, "base64_limit": 100_000, "file_storage_mb": 2, "audit_fields": True}
ORDER = "CHANNEL_ORDERS__Service_Order__c"
LINK = "ContentDocumentLink"


def upload(client: Client, sobject: str, part: str, fields: dict[str, Any], data: bytes) -> requests.Response:
    files = {
        "entity_content": (None, json.dumps(fields), "application/json"),
        part: ("any name", data, "application/octet-stream"),
    }
    return client.call("POST", f"/sobjects/{sobject}", files=files)


def new_file(client: Client, data: bytes = b"one\r\ntwo", **fields: Any) -> str:
    answer = upload(
        client, "ContentVersion", "VersionData", {"PathOnClient": "a/b/Offer.PDF", **fields}, data
    )
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


def version(client: Client, record_id: str) -> dict[str, Any]:
    return dict(client.get(f"/sobjects/ContentVersion/{record_id}"))


def an_order(client: Client) -> str:
    return str(client.query(f"SELECT Id FROM {ORDER} LIMIT 1")[0]["Id"])


@pytest.mark.parametrize("data", [b"\x00\xff\r\n--x", b""], ids=["bytes", "empty"])
def test_a_file_comes_by_multipart_and_is_read_back_byte_for_byte(client: Client, data: bytes) -> None:
    made = version(client, new_file(client, data))

    assert client.call("GET", str(made["VersionData"])).content == data
    assert (made["Title"], made["VersionNumber"], made["IsLatest"]) == ("Offer", "1", True)
    assert made["Checksum"] == hashlib.md5(data, usedforsecurity=False).hexdigest()
    assert made["ContentSize"] == len(data)


def test_a_small_file_comes_in_base64_a_large_one_does_not(client: Client) -> None:
    small = {"PathOnClient": "x.txt", "VersionData": base64.b64encode(b"x" * 99_000).decode()}
    made = client.create("ContentVersion", **small)
    assert client.call("GET", f"/sobjects/ContentVersion/{made}/VersionData").content == b"x" * 99_000

    large = {"PathOnClient": "x.txt", "VersionData": base64.b64encode(b"x" * 200_000).decode()}
    assert client.call("POST", "/sobjects/ContentVersion", json=large).status_code == 413


@pytest.mark.parametrize(
    ("fields", "missing"),
    [({"VersionData": "eA=="}, "PathOnClient"), ({"PathOnClient": "x.txt"}, "VersionData")],
)
def test_a_version_needs_a_path_and_its_bytes(client: Client, fields: dict[str, str], missing: str) -> None:
    status, code, message = client.error("POST", "/sobjects/ContentVersion", json=fields)

    assert (status, code) == (400, "REQUIRED_FIELD_MISSING")
    assert missing in message


def test_a_further_version_is_the_latest_of_its_document(client: Client) -> None:
    first = version(client, new_file(client))
    second = version(client, new_file(client, b"new", ContentDocumentId=first["ContentDocumentId"]))

    assert second["ContentDocumentId"] == first["ContentDocumentId"]
    assert (second["VersionNumber"], second["IsLatest"]) == ("2", True)
    assert version(client, first["Id"])["IsLatest"] is False


def test_a_file_is_found_by_the_path_that_it_came_from(client: Client) -> None:
    made = new_file(client, PathOnClient="coa-migration/00Dx/068y/it's.txt")

    found = client.query(
        "SELECT Id FROM ContentVersion WHERE PathOnClient = 'coa-migration/00Dx/068y/it\\'s.txt'"
    )

    assert [one["Id"] for one in found] == [made]


def test_a_document_is_linked_to_its_owner_and_to_a_record_once(client: Client, org: RunningOrg) -> None:
    order = an_order(client)
    document = version(client, new_file(client))["ContentDocumentId"]
    client.create(LINK, ContentDocumentId=document, LinkedEntityId=order, ShareType="I")

    status, code, _ = client.error(
        "POST", f"/sobjects/{LINK}", json={"ContentDocumentId": document, "LinkedEntityId": order}
    )

    assert (status, code) == (400, "DUPLICATE_VALUE")
    links = client.query(
        f"SELECT LinkedEntityId, ShareType FROM {LINK} WHERE ContentDocumentId = '{document}'"
    )
    assert {(one["LinkedEntityId"][:3], one["ShareType"]) for one in links} == {
        ("005", "I"),
        (order[:3], "I"),
    }


def test_links_can_be_asked_for_by_document_or_record_only(client: Client) -> None:
    status, code, message = client.error(
        "GET", "/query", params={"q": f"SELECT Id FROM {LINK} WHERE ShareType = 'V'"}
    )

    assert (status, code) == (400, "MALFORMED_QUERY")
    assert "LinkedEntityId" in message


def test_a_document_goes_with_its_versions_and_links_but_a_version_stays(client: Client) -> None:
    made = version(client, new_file(client))
    status, code, _ = client.error("DELETE", f"/sobjects/ContentVersion/{made['Id']}")
    assert (status, code) == (400, "CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY")

    assert client.call("DELETE", f"/sobjects/ContentDocument/{made['ContentDocumentId']}").status_code == 204

    assert client.call("GET", f"/sobjects/ContentVersion/{made['Id']}").status_code == 404
    assert (
        client.query(f"SELECT Id FROM {LINK} WHERE ContentDocumentId = '{made['ContentDocumentId']}'") == []
    )


def test_an_attachment_goes_with_its_record_and_a_document_does_not(client: Client) -> None:
    order = client.query(f"SELECT Id FROM {ORDER} ORDER BY CreatedDate DESC LIMIT 1")[0]["Id"]
    answer = upload(client, "Attachment", "Body", {"ParentId": order, "Name": "a.txt"}, b"abc")
    attachment = answer.json()["id"]
    assert client.call("GET", f"/sobjects/Attachment/{attachment}/Body").content == b"abc"
    document = version(client, new_file(client, FirstPublishLocationId=order))["ContentDocumentId"]

    assert client.call("DELETE", f"/sobjects/{ORDER}/{order}").status_code == 204

    assert client.call("GET", f"/sobjects/Attachment/{attachment}").status_code == 404
    assert client.get(f"/sobjects/ContentDocument/{document}")["Id"] == document


def test_storage_is_told_and_comes_to_its_end(client: Client) -> None:
    refused = upload(
        client, "ContentVersion", "VersionData", {"PathOnClient": "big"}, b"x" * (2 * 1024 * 1024)
    )

    assert refused.json()[0]["errorCode"] == "STORAGE_LIMIT_EXCEEDED"
    new_file(client, b"x" * 1024 * 1024)
    assert client.get("/limits")["FileStorageMB"] == {"Max": 2, "Remaining": 1}


def test_an_email_of_a_record_has_a_task_in_its_activities(client: Client) -> None:
    order = an_order(client)
    made = client.create("EmailMessage", RelatedToId=order, Subject="Hello", TextBody="x")

    task = client.get(f"/sobjects/EmailMessage/{made}")["ActivityId"]

    assert client.get(f"/sobjects/Task/{task}")["WhatId"] == order


def test_dates_and_owners_are_set_by_who_may_set_audit_fields(client: Client) -> None:
    made = version(client, new_file(client, CreatedDate="2019-03-04T05:06:07Z"))

    assert made["CreatedDate"] == "2019-03-04T05:06:07.000+0000"


def test_each_difficulty_is_planted(client: Client, org: RunningOrg) -> None:
    planted = org.control("GET", "planted")["attachments"]

    def versions(document: str) -> list[dict[str, Any]]:
        return client.query(
            "SELECT Title, ContentSize, Checksum, OwnerId, Owner.IsActive FROM ContentVersion "
            f"WHERE ContentDocumentId = '{document}' ORDER BY VersionNumber"
        )

    shared = client.query(f"SELECT Id FROM {LINK} WHERE ContentDocumentId = '{planted['shared']}'")
    assert len(shared) == 5  # three orders, their customer, the owner
    assert len(versions(planted["versions"])) == 3
    assert versions(planted["empty"])[0]["ContentSize"] == 0
    assert versions(planted["large"])[0]["ContentSize"] > LARGE_BYTES
    assert len({versions(one)[0]["Title"] for one in planted["same_name"]}) == 1
    assert len({versions(one)[0]["Checksum"] for one in planted["same_name"]}) == 2
    assert len({versions(one)[0]["Checksum"] for one in planted["identical"]}) == 1
    assert versions(planted["owner_gone"])[0]["Owner"]["IsActive"] is False
    assert [n["IsPrivate"] for n in client.query("SELECT IsPrivate FROM Note ORDER BY CreatedDate")].count(
        True
    ) == 1


def test_a_snapshot_has_the_bytes(client: Client, org: RunningOrg) -> None:
    made = new_file(client, b"kept")
    kept = org.snapshot()
    org.restore(kept)
    client.http.headers["Authorization"] = f"Bearer {org.login()}"

    assert client.call("GET", f"/sobjects/ContentVersion/{made}/VersionData").content == b"kept"
