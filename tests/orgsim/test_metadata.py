"""Deployments over REST: fields, permission sets, who sees them then, and what a refused package leaves behind."""

from __future__ import annotations

import io
import json
import time
import zipfile
from collections.abc import Iterator
from typing import Any

import pytest

from orgsim.launch import RunningOrg, running_org
from tests.orgsim.client import Client, connect

pytestmark = pytest.mark.lane

ORG = {"role": "target", "orders": 0, "migration_fields": False, "job_delay": 0.0}
ORDER = "CHANNEL_ORDERS__Service_Order__c"
KEY = f"{ORDER}.COA_Source_Id__c"
XML = 'xmlns="http://soap.sforce.com/2006/04/metadata"'


@pytest.fixture
def own() -> Iterator[RunningOrg]:
    """An org of the test's own: it changes the schema."""
    with running_org(**ORG) as running:
        yield running


def manifest(**members: list[str]) -> str:
    types = "".join(
        f"<types>{''.join(f'<members>{one}</members>' for one in names)}<name>{kind}</name></types>"
        for kind, names in members.items()
        if names
    )
    return f"<Package {XML}>{types}<version>60.0</version></Package>"


def key_field(kind: str = "Text", length: str = "<length>18</length>") -> str:
    return (
        f"<CustomObject {XML}><fields><fullName>COA_Source_Id__c</fullName><label>Key</label>{length}"
        f"<type>{kind}</type><externalId>true</externalId><unique>true</unique></fields></CustomObject>"
    )


def permission_set(*fields: str) -> str:
    granted = "".join(
        f"<fieldPermissions><editable>true</editable><field>{one}</field><readable>true</readable></fieldPermissions>"
        for one in fields
    )
    return f"<PermissionSet {XML}>{granted}<label>Mover</label></PermissionSet>"


def whole() -> dict[str, str]:
    return {
        "package.xml": manifest(CustomField=[KEY], PermissionSet=["Mover"]),
        f"objects/{ORDER}.object": key_field(),
        "permissionsets/Mover.permissionset": permission_set(KEY),
    }


def deploy(client: Client, files: dict[str, str], **options: bool) -> dict[str, Any]:
    """The deployResult with its details, when it is done."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    asked = {"deployOptions": {"singlePackage": True, "rollbackOnError": True, **options}}
    answer = client.call(
        "POST",
        "/metadata/deployRequest",
        files={
            "json": (None, json.dumps(asked), "application/json"),
            "file": ("deploy.zip", packed.getvalue(), "application/zip"),
        },
    )
    assert answer.status_code == 201, answer.text
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        path = f"/metadata/deployRequest/{answer.json()['id']}"
        result: dict[str, Any] = client.get(path, params={"includeDetails": "true"})["deployResult"]
        if result["done"]:
            return result
    raise AssertionError("the deployment did not end")


def failures(result: dict[str, Any]) -> dict[str, str]:
    return {one["fullName"]: one["problem"] for one in result["details"]["componentFailures"]}


def fields_seen(client: Client) -> dict[str, Any]:
    return {one["name"]: one for one in client.get(f"/sobjects/{ORDER}/describe")["fields"]}


def assign(client: Client, own: RunningOrg, name: str = "Mover") -> str:
    found = client.query(f"SELECT Id FROM PermissionSet WHERE Name = '{name}'")[0]["Id"]
    user = own.control("GET", "stats")["user_id"]
    return client.create("PermissionSetAssignment", AssigneeId=user, PermissionSetId=found)


def test_a_deployed_field_is_seen_once_its_permission_set_is_assigned_and_gone_again_with_it(
    own: RunningOrg,
) -> None:
    client = connect(own)
    result = deploy(client, whole())
    assert (result["status"], result["success"]) == ("Succeeded", True)
    assert {one["fullName"]: one["created"] for one in result["details"]["componentSuccesses"]} == {
        KEY: True,
        "Mover": True,
    }
    assert "COA_Source_Id__c" not in fields_seen(client)

    assignment = assign(client, own)

    seen = fields_seen(client)["COA_Source_Id__c"]
    assert (seen["createable"], seen["externalId"], seen["unique"], seen["length"]) == (True, True, True, 18)
    assert client.query(f"SELECT COA_Source_Id__c FROM {ORDER} LIMIT 1") == []
    assert client.call("DELETE", f"/sobjects/PermissionSetAssignment/{assignment}").status_code == 204
    assert "COA_Source_Id__c" not in fields_seen(client)


def test_the_same_package_again_changes_nothing_and_a_second_assignment_is_refused(own: RunningOrg) -> None:
    client = connect(own)
    deploy(client, whole())
    assign(client, own)

    again = deploy(client, whole())

    assert [(o["created"], o["changed"]) for o in again["details"]["componentSuccesses"]] == [
        (False, False)
    ] * 2
    assert "COA_Source_Id__c" in fields_seen(client)
    with pytest.raises(AssertionError, match="DUPLICATE_VALUE"):
        assign(client, own)


def test_deleting_takes_the_field_away_but_not_an_assigned_permission_set(own: RunningOrg) -> None:
    client = connect(own)
    deploy(client, whole())
    assignment = assign(client, own)
    gone = {
        "package.xml": manifest(),
        "destructiveChanges.xml": manifest(CustomField=[KEY], PermissionSet=["Mover"]),
    }

    refused = deploy(client, gone)
    assert refused["status"] == "Failed"
    assert "assigned" in failures(refused)["Mover"]
    assert "COA_Source_Id__c" in fields_seen(client)  # nothing of it was applied

    client.call("DELETE", f"/sobjects/PermissionSetAssignment/{assignment}")
    assert deploy(client, gone)["success"] is True
    assert client.query("SELECT Id FROM PermissionSet WHERE Name = 'Mover'") == []
    # What is not there any more is a warning, and an error where warnings are not ignored.
    assert deploy(client, gone, ignoreWarnings=True)["success"] is True
    assert failures(deploy(client, gone))[KEY] == f"No CustomField named: {KEY} found"


def test_each_component_that_cannot_be_is_named_and_nothing_is_applied(client: Client) -> None:
    files = whole() | {
        "package.xml": manifest(
            CustomField=[KEY, f"{ORDER}.Missing__c", "Nowhere__c.COA_Source_Id__c"], PermissionSet=["Mover"]
        ),
        "permissionsets/Mover.permissionset": permission_set(KEY, f"{ORDER}.Unknown__c"),
    }

    told = failures(deploy(client, files))

    assert "was not found in zipped directory" in told[f"{ORDER}.Missing__c"]
    assert told["Nowhere__c.COA_Source_Id__c"] == "no CustomObject named Nowhere__c found"
    assert "no CustomField named" in told["Mover"]
    assert client.query("SELECT Id FROM PermissionSet WHERE Name = 'Mover'") == []


def test_a_field_of_another_type_and_a_body_that_is_no_zip_fail_with_their_reason(own: RunningOrg) -> None:
    client = connect(own)
    deploy(client, whole())

    other = deploy(client, whole() | {f"objects/{ORDER}.object": key_field("DateTime", "")})

    assert failures(other)[KEY] == "Cannot change type of field from Text to DateTime"
    assert failures(deploy(client, {"objects/x.object": "<a/>"})) == {"package.xml": "No package.xml found"}


def test_a_user_without_the_right_is_refused(own: RunningOrg) -> None:
    own.control("PATCH", "settings", {"metadata_api": False})
    client = connect(own)
    files = {"json": (None, "{}", "application/json"), "file": ("d.zip", b"", "application/zip")}
    assert client.error("POST", "/metadata/deployRequest", files=files)[:2] == (403, "INSUFFICIENT_ACCESS")


def test_a_deployment_tells_of_its_way_and_an_unknown_one_is_not_found(own: RunningOrg) -> None:
    own.control("PATCH", "settings", {"job_delay": 30})
    client = connect(own)
    files = {
        "json": (None, '{"deployOptions": {}}', "application/json"),
        "file": ("d.zip", b"no zip", "application/zip"),
    }
    answer = client.call("POST", "/metadata/deployRequest", files=files).json()
    assert answer["deployResult"]["status"] == "Pending"
    path = f"/metadata/deployRequest/{answer['id']}"
    own.control("POST", "clock", {"seconds": 31})
    assert client.get(path)["deployResult"]["status"] == "InProgress"
    own.control("POST", "clock", {"seconds": 31})
    assert client.get(path)["deployResult"]["status"] == "Failed"
    assert client.error("GET", "/metadata/deployRequest/0Af000000000000AAA")[0] == 404


def test_a_snapshot_of_an_org_with_deployed_fields_can_be_put_back(own: RunningOrg) -> None:
    client = connect(own)
    deploy(client, whole())
    assign(client, own)
    kept = own.snapshot()
    own.restore(kept)
    assert "COA_Source_Id__c" in fields_seen(connect(own))
