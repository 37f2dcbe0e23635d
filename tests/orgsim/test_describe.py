"""Contract E1, E2: global describe, describe, limits, record counts."""

from __future__ import annotations

import json
from importlib import resources
from typing import Any

import pytest

from orgsim.launch import RunningOrg, running_org
from tests.orgsim.client import Client, connect

ORG = {
    "role": "target",
    "hide_field": ["Service_Order__c.Invoice_Description__c"],
    "read_only_field": ["Customer__c.Annual_Order_Value__c"],
    "partner_fields": True,
    "multi_currency": True,
    "drop_picklist_value": ["Service_Order__c.Order_Type__c=Reduction"],
    "add_picklist_value": ["Service_Order__c.Service_Order_Status__c=Recalled"],
}
NS = "CHANNEL_ORDERS__"
ORDER = NS + "Service_Order__c"
FIELD_KEYS = {
    "aggregatable",
    "aiPredictionField",
    "autoNumber",
    "byteLength",
    "calculated",
    "calculatedFormula",
    "cascadeDelete",
    "caseSensitive",
    "compoundFieldName",
    "controllerName",
    "createable",
    "custom",
    "defaultValue",
    "defaultValueFormula",
    "defaultedOnCreate",
    "dependentPicklist",
    "deprecatedAndHidden",
    "digits",
    "displayLocationInDecimal",
    "encrypted",
    "externalId",
    "extraTypeInfo",
    "filterable",
    "filteredLookupInfo",
    "formulaTreatNullNumberAsZero",
    "groupable",
    "highScaleNumber",
    "htmlFormatted",
    "idLookup",
    "inlineHelpText",
    "label",
    "length",
    "mask",
    "maskType",
    "name",
    "nameField",
    "namePointing",
    "nillable",
    "permissionable",
    "picklistValues",
    "polymorphicForeignKey",
    "precision",
    "queryByDistance",
    "referenceTargetField",
    "referenceTo",
    "relationshipName",
    "relationshipOrder",
    "restrictedDelete",
    "restrictedPicklist",
    "scale",
    "searchPrefilterable",
    "soapType",
    "sortable",
    "type",
    "unique",
    "updateable",
    "writeRequiresMasterRead",
}
TOP_KEYS = {
    "actionOverrides",
    "activateable",
    "associateEntityType",
    "associateParentEntity",
    "childRelationships",
    "compactLayoutable",
    "createable",
    "custom",
    "customSetting",
    "deepCloneable",
    "defaultImplementation",
    "deletable",
    "deprecatedAndHidden",
    "extendedBy",
    "extendsInterfaces",
    "feedEnabled",
    "fields",
    "hasSubtypes",
    "implementedBy",
    "implementsInterfaces",
    "isInterface",
    "isSubtype",
    "keyPrefix",
    "label",
    "labelPlural",
    "layoutable",
    "listviewable",
    "lookupLayoutable",
    "mergeable",
    "mruEnabled",
    "name",
    "namedLayoutInfos",
    "networkScopeFieldName",
    "queryable",
    "recordTypeInfos",
    "replicateable",
    "retrieveable",
    "searchLayoutable",
    "searchable",
    "sobjectDescribeOption",
    "supportedScopes",
    "triggerable",
    "undeletable",
    "updateable",
    "urls",
}


def fields(client: Client, sobject: str = ORDER) -> dict[str, dict[str, Any]]:
    return {one["name"]: one for one in client.get(f"/sobjects/{sobject}/describe")["fields"]}


def test_e1_global_describe_has_the_real_keys(client: Client) -> None:
    answer = client.get("/sobjects")
    assert answer["encoding"] == "UTF-8"
    assert answer["maxBatchSize"] == 200
    entry = next(one for one in answer["sobjects"] if one["name"] == ORDER)
    assert set(entry) == TOP_KEYS & set(entry)
    assert len(entry) == 28
    assert len(entry["keyPrefix"]) == 3
    assert client.get("/sobjects/") == answer


def test_e2_describe_has_the_real_keys(client: Client) -> None:
    answer = client.get(f"/sobjects/{ORDER}/describe")
    assert set(answer) == TOP_KEYS
    assert all(set(one) == FIELD_KEYS for one in answer["fields"])
    assert len(FIELD_KEYS) == 57


def test_every_field_of_the_package_facts_is_there(client: Client) -> None:
    facts = json.loads(resources.files("orgsim.schema").joinpath("coa_schema.json").read_text())["objects"]
    for name, raw in facts.items():
        described = fields(client, name)
        hidden = {NS + "Invoice_Description__c"} if name == ORDER else set()
        assert set(raw["fields"]) - hidden <= set(described), name
        for key, fact in raw["fields"].items():
            if key in hidden:
                continue
            field = described[key]
            assert field["label"] == fact["label"]
            if fact.get("length") and not fact.get("formula"):
                assert field["length"] == fact["length"]
            assert field["externalId"] == bool(fact.get("externalId"))
            assert field["unique"] == bool(fact.get("unique"))
            assert field["caseSensitive"] == bool(fact.get("caseSensitive"))
            assert field["calculated"] == bool(fact.get("formula") or fact["type"] == "Summary")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (
            "Id",
            {"type": "id", "soapType": "tns:ID", "idLookup": True, "createable": False, "nillable": False},
        ),
        ("Name", {"autoNumber": True, "createable": False, "nameField": True}),
        ("OwnerId", {"polymorphicForeignKey": True, "namePointing": True, "referenceTo": ["Group", "User"]}),
        ("CreatedDate", {"createable": True, "updateable": False, "defaultedOnCreate": True}),
        ("SystemModstamp", {"createable": False, "updateable": False}),
        ("CurrencyIsoCode", {"type": "picklist", "restrictedPicklist": True}),
        ("COA_Source_Id__c", {"externalId": True, "unique": True, "caseSensitive": True, "length": 18}),
        ("COA_Original_Received_At__c", {"type": "datetime", "soapType": "xsd:dateTime"}),
        ("License__c", {"referenceTo": ["sfLma__License__c"], "relationshipName": "License__r"}),
        (NS + "Order_Total_Value__c", {"calculated": True, "createable": False, "type": "currency"}),
        (
            NS + "Auto_Renew__c",
            {"type": "boolean", "nillable": False, "defaultedOnCreate": True, "defaultValue": True},
        ),
        (NS + "Customer_Org_ID__c", {"nillable": False, "defaultedOnCreate": False, "byteLength": 120}),
        (NS + "Contract_Length__c", {"type": "double", "soapType": "xsd:double", "precision": 2, "scale": 0}),
    ],
)
def test_e2_flags_of_fields(client: Client, name: str, expected: dict[str, object]) -> None:
    field = fields(client)[name]
    assert {key: field[key] for key in expected} == expected


def test_e2_master_detail_cannot_be_reparented(client: Client) -> None:
    field = fields(client, NS + "Service_Order_Detail__c")[NS + "Partner_Order__c"]
    assert field["cascadeDelete"]
    assert field["relationshipOrder"] == 0
    assert not field["updateable"]
    assert "OwnerId" not in fields(client, NS + "Service_Order_Detail__c")


def test_e2_fields_hidden_by_security_are_absent_and_cannot_be_queried(client: Client) -> None:
    assert NS + "Invoice_Description__c" not in fields(client)
    status, code, message = client.error(
        "GET", "/query", params={"q": f"SELECT {NS}Invoice_Description__c FROM {ORDER}"}
    )
    assert (status, code) == (400, "INVALID_FIELD")
    assert "No such column" in message
    assert not fields(client, NS + "Customer__c")[NS + "Annual_Order_Value__c"]["createable"]


def test_picklists_can_differ_between_orgs(client: Client) -> None:
    values = [one["value"] for one in fields(client)[NS + "Order_Type__c"]["picklistValues"]]
    assert "Reduction" not in values
    statuses = [one["value"] for one in fields(client)[NS + "Service_Order_Status__c"]["picklistValues"]]
    assert "Recalled" in statuses


def test_e2_child_relationships_have_the_package_names(client: Client) -> None:
    children = client.get(f"/sobjects/{ORDER}/describe")["childRelationships"]
    names = {one["relationshipName"]: one for one in children}
    assert names[NS + "Partner_Order_Detail__r"]["cascadeDelete"]
    assert NS + "Clone_Service_Orders__r" in names


def test_e2_master_record_type_is_always_there(client: Client) -> None:
    infos = client.get(f"/sobjects/{ORDER}/describe")["recordTypeInfos"]
    assert infos[-1]["recordTypeId"] == "012000000000000AAA"
    assert infos[-1]["master"]


def test_unknown_object_answers_404(client: Client) -> None:
    assert client.error("GET", "/sobjects/Nope__c/describe")[:2] == (404, "NOT_FOUND")


def test_g_prefixes_ids_and_the_org_differ_between_the_two_orgs(org: RunningOrg, client: Client) -> None:
    with running_org(role="source", orders=20, seed=7) as other:
        theirs = connect(other)
        assert other.org_id != org.org_id
        mine_prefix = client.get(f"/sobjects/{ORDER}/describe")["keyPrefix"]
        assert theirs.get(f"/sobjects/{ORDER}/describe")["keyPrefix"] != mine_prefix
        # The source has no migration fields, no audit right and no currency switch of its own.
        described = fields(theirs)
        assert not {"COA_Source_Id__c", "CurrencyIsoCode", "License__c"} & set(described)
        assert not described["CreatedDate"]["createable"]
        assert described["CreatedDate"]["defaultedOnCreate"]


def test_e1_limits_and_the_usage_header(client: Client) -> None:
    limits = client.get("/limits/")
    assert set(limits["DailyApiRequests"]) >= {"Max", "Remaining"}
    assert {
        "DailyBulkApiBatches",
        "DailyBulkV2QueryJobs",
        "DailyBulkV2QueryFileStorageMB",
        "DataStorageMB",
    } <= set(limits)
    before = client.call("GET", "/limits").headers["Sforce-Limit-Info"]
    after = client.call("GET", "/limits").headers["Sforce-Limit-Info"]
    used = [int(one.split("=")[1].split("/")[0]) for one in (before, after)]
    assert used[1] == used[0] + 1
    assert before.endswith("/100000")


def test_e1_record_count_leaves_out_unknown_objects(client: Client) -> None:
    counts = client.get("/limits/recordCount", params={"sObjects": "Account,Nope__c"})["sObjects"]
    assert [one["name"] for one in counts] == ["Account"]


def test_organization_tells_what_kind_of_org_it_is(client: Client) -> None:
    row = client.query(
        "SELECT Id, IsSandbox, InstanceName, OrganizationType, TrialExpirationDate FROM Organization"
    )[0]
    assert row["OrganizationType"] == "Enterprise Edition"
    assert row["IsSandbox"] is False


def test_permissions_of_the_user_are_queryable(client: Client) -> None:
    rows = client.query(
        "SELECT PermissionSet.Name FROM PermissionSetAssignment WHERE PermissionSet.PermissionsCreateAuditFields = true"
    )
    assert [one["PermissionSet"]["Name"] for one in rows] == ["Integration_Rights"]


def test_an_encrypted_field_shows_its_mask_to_whoever_may_not_see_it() -> None:
    from orgsim.launch import running_org

    field = "CHANNEL_ORDERS__Customer_City__c"
    for allowed in (False, True):
        switches = {"encrypt_field": ["Customer__c.Customer_City__c"], "view_encrypted": allowed}
        with running_org(role="source", orders=4, seed=7, **switches) as org:
            stored = {r["Id"]: r[field] for r in org.control("GET", "table/Customer__c")}
            shown = {
                r["Id"]: r[field] for r in org.records(f"SELECT Id, {field} FROM CHANNEL_ORDERS__Customer__c")
            }
            masks = {i: v and "*" * len(v) for i, v in stored.items()}
            assert any(stored.values())
            assert shown == (stored if allowed else masks)
