"""Row semantics: types, keys, lookups, owners, audit fields, deletion (contract E3, F1, F2, G)."""

from __future__ import annotations

from typing import Any

import pytest

from orgsim.launch import RunningOrg, running_org
from tests.orgsim.client import Client, connect

ORG = {"role": "target", "orders": 40, "inactive_owner": False}
NS = "CHANNEL_ORDERS__"
ORDER = NS + "Service_Order__c"
DETAIL = NS + "Service_Order_Detail__c"
CUSTOMER = NS + "Customer__c"


def refuse(client: Client, sobject: str, **values: Any) -> tuple[str, str]:
    answer = client.call("POST", f"/sobjects/{sobject}", json=values)
    assert answer.status_code == 400, answer.text
    error = answer.json()[0]
    return error["errorCode"], error["message"]


def contract(client: Client) -> str:
    return str(client.query(f"SELECT Id FROM {NS}Partner_Contract_Terms__c ORDER BY Name LIMIT 1")[0]["Id"])


def order(client: Client, **more: Any) -> dict[str, Any]:
    return {
        f"{NS}Customer_Org_ID__c": "00D000000000001",
        f"{NS}Order_Type__c": "Initial",
        f"{NS}Partner_Contract_Rules__c": contract(client),
    } | more


@pytest.mark.parametrize(
    ("field", "value", "code"),
    [
        ("Contract_Length__c", 100, "NUMBER_OUTSIDE_VALID_RANGE"),
        ("Contract_Length__c", "twelve", "INVALID_TYPE_ON_FIELD_IN_RECORD"),
        ("Contract_Length__c", True, "JSON_PARSER_ERROR"),
        ("Service_Start_Date__c", "2026-02-30", "INVALID_TYPE_ON_FIELD_IN_RECORD"),
        ("Service_Start_Date__c", "31.12.2026", "INVALID_TYPE_ON_FIELD_IN_RECORD"),
        ("Date_Service_Order_Received_by_SFDC__c", "yesterday", "INVALID_TYPE_ON_FIELD_IN_RECORD"),
        ("Order_Type__c", "New Cloud", "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST"),
        ("Submitted_By_Email__c", "nobody", "INVALID_EMAIL_ADDRESS"),
        ("Customer_Name__c", "x" * 51, "STRING_TOO_LONG"),
        ("Auto_Renew__c", "maybe", "INVALID_TYPE_ON_FIELD_IN_RECORD"),
        ("Customer__c", "not an id", "MALFORMED_ID"),
        ("Customer__c", "001000000000000AAA", "MALFORMED_ID"),
        ("Order_Total_Value__c", 5, "INVALID_FIELD_FOR_INSERT_UPDATE"),
    ],
)
def test_e3_values_that_do_not_fit(client: Client, field: str, value: object, code: str) -> None:
    assert refuse(client, ORDER, **order(client, **{NS + field: value}))[0] == code


@pytest.mark.parametrize(
    ("given", "stored"),
    [
        ("2026-01-02T03:04:05Z", "2026-01-02T03:04:05.000+0000"),
        ("2026-01-02T03:04:05.678Z", "2026-01-02T03:04:05.000+0000"),
        ("2026-01-02T03:04:05+02:00", "2026-01-02T01:04:05.000+0000"),
        ("2026-01-02T03:04:05.000+0000", "2026-01-02T03:04:05.000+0000"),
        ("2026-01-02", "2026-01-02T00:00:00.000+0000"),
    ],
)
def test_b5_date_time_forms(client: Client, given: str, stored: str) -> None:
    field = NS + "Order_Submitted__c"
    made = client.create(ORDER, **order(client, **{field: given}))
    assert client.get(f"/sobjects/{ORDER}/{made}")[field] == stored


@pytest.mark.parametrize(
    ("given", "stored"),
    [("1.005", 1.01), ("-1.005", -1.01), ("1E3", 1000.0), ("12", 12.0), (0.1, 0.1), ("0.001", 0.0)],
)
def test_numbers_round_half_up_to_the_scale(client: Client, given: object, stored: float) -> None:
    made = client.create(
        "Opportunity", Name="n", StageName="Prospecting", CloseDate="2026-01-01", Amount=given
    )
    assert client.get(f"/sobjects/Opportunity/{made}")["Amount"] == stored


def test_restricted_picklists_take_any_case_and_store_the_value(client: Client) -> None:
    made = client.create(ORDER, **order(client, **{NS + "Order_Type__c": "ADD-ON"}))
    assert client.get(f"/sobjects/{ORDER}/{made}")[NS + "Order_Type__c"] == "Add-On"


def test_unrestricted_picklists_take_any_text(client: Client) -> None:
    assert client.create("Account", Name="x", Industry="Something else")


def test_defaults_apply_when_nothing_is_given(client: Client) -> None:
    record = client.get(f"/sobjects/{ORDER}/{client.create(ORDER, **order(client))}")
    assert record[NS + "Auto_Renew__c"] is True
    assert record[NS + "Service_Order_Status__c"] == "Draft"
    assert record[NS + "Order_Total_Value__c"] == 0.0
    assert record["Name"].startswith("SO-")


def test_g_ids_of_15_characters_are_taken_and_18_given(client: Client) -> None:
    made = client.create(ORDER, **order(client, **{NS + "Partner_Contract_Rules__c": contract(client)[:15]}))
    assert client.get(f"/sobjects/{ORDER}/{made[:15]}")[NS + "Partner_Contract_Rules__c"] == contract(client)


def test_e3_lookups_must_exist_here(client: Client) -> None:
    field = NS + "Partner_Contract_Rules__c"
    known = contract(client)
    missing = known[:6] + "000zzzzzz"
    assert refuse(client, ORDER, **order(client, **{field: missing}))[0] == "INVALID_CROSS_REFERENCE_KEY"
    foreign = known[:3] + "Zz" + known[5:15]
    code, message = refuse(client, ORDER, **order(client, **{field: foreign}))
    assert code == "INSUFFICIENT_ACCESS_ON_CROSS_REFERENCE_ENTITY"
    assert message.startswith("insufficient access rights on cross-reference id: ")
    parent = client.create("Account", Name="parent")
    client.call("DELETE", f"/sobjects/Account/{parent}")
    assert refuse(client, "Account", Name="x", ParentId=parent)[0] == "ENTITY_IS_DELETED"


def test_e3_unique_external_ids_name_the_holder(client: Client) -> None:
    values = {f"{NS}Customer_Company_Name__c": "x", f"{NS}Customer_Country__c": "DE"}
    first = client.create(CUSTOMER, **values, **{f"{NS}Customer_Org_ID__c": "00Dabc"})
    code, message = refuse(client, CUSTOMER, **values, **{f"{NS}Customer_Org_ID__c": "00Dabc"})
    assert code == "DUPLICATE_VALUE"
    assert (
        message
        == f"duplicate value found: {NS}Customer_Org_ID__c duplicates value on record with id: {first}"
    )
    # Case-sensitive, and the 18-character form is another text.
    assert client.create(CUSTOMER, **values, **{f"{NS}Customer_Org_ID__c": "00DABC"})
    assert client.create(CUSTOMER, **values, **{f"{NS}Customer_Org_ID__c": "00DabcXYZ"})
    client.call("DELETE", f"/sobjects/{CUSTOMER}/{first}")
    assert client.create(CUSTOMER, **values, **{f"{NS}Customer_Org_ID__c": "00Dabc"})


def test_e3_the_same_unique_value_twice_in_one_insert_keeps_the_first(client: Client) -> None:
    header = f"{NS}Customer_Company_Name__c,{NS}Customer_Country__c,{NS}Customer_Org_ID__c"
    job = client.ingest(CUSTOMER, "insert", f"{header}\na,DE,twin\nb,DE,twin\n")
    assert (job["numberRecordsProcessed"], job["numberRecordsFailed"]) == (2, 1)
    failed = client.results(job["id"], "failedResults")[0]
    assert failed["sf__Error"].startswith("DUPLICATE_VALUE:duplicate value found:")
    assert failed[f"{NS}Customer_Company_Name__c"] == "b"


def test_f2_inactive_owners_need_the_permission(org: RunningOrg, client: Client) -> None:
    inactive = client.query("SELECT Id FROM User WHERE IsActive = false")[0]["Id"]
    code, message = refuse(client, ORDER, **order(client, OwnerId=inactive))
    assert code == "INACTIVE_OWNER_OR_USER"
    assert message == f"operation performed with inactive user [{inactive}] as owner of service order"
    org.control("PATCH", "settings", {"inactive_owner": True})
    assert client.create(ORDER, **order(client, OwnerId=inactive))
    org.control("PATCH", "settings", {"inactive_owner": False})


def test_f2_an_owner_may_be_a_queue(client: Client) -> None:
    queue = client.query("SELECT Id FROM Group WHERE Type = 'Queue'")[0]["Id"]
    made = client.create(ORDER, **order(client, OwnerId=queue))
    assert client.get(f"/sobjects/{ORDER}/{made}")["OwnerId"] == queue


def test_f2_record_types_belong_to_their_object(client: Client) -> None:
    partner = client.query("SELECT Id FROM RecordType WHERE DeveloperName = 'Partner_Account'")[0]["Id"]
    made = client.create("Account", Name="typed", RecordTypeId=partner)
    assert client.get(f"/sobjects/Account/{made}", params={"fields": "RecordType.Name"})["RecordType"][
        "Name"
    ] == ("Partner Account")
    missing = partner[:9] + "zzzzzz"
    assert refuse(client, "Account", Name="x", RecordTypeId=missing)[0] == "INVALID_CROSS_REFERENCE_KEY"
    infos = client.get("/sobjects/Account/describe")["recordTypeInfos"]
    assert [one["developerName"] for one in infos] == ["Customer_Account", "Partner_Account", "Master"]


def test_f1_audit_fields_count_on_insert_only(client: Client) -> None:
    author = client.query("SELECT Id FROM User WHERE IsActive = false")[0]["Id"]
    audit = {
        "CreatedDate": "2015-05-05T05:05:05Z",
        "CreatedById": author,
        "LastModifiedDate": "2016-06-06T06:06:06Z",
        "LastModifiedById": author,
    }
    made = client.create(ORDER, **order(client, **audit))
    record = client.get(f"/sobjects/{ORDER}/{made}")
    assert record["CreatedDate"] == "2015-05-05T05:05:05.000+0000"
    assert (record["CreatedById"], record["LastModifiedById"]) == (author, author)
    assert record["LastModifiedDate"] == "2016-06-06T06:06:06.000+0000"
    answer = client.call("PATCH", f"/sobjects/{ORDER}/{made}", json={"CreatedDate": "2015-01-01T00:00:00Z"})
    assert answer.json()[0]["errorCode"] == "INVALID_FIELD_FOR_INSERT_UPDATE"
    client.call("PATCH", f"/sobjects/{ORDER}/{made}", json={f"{NS}Error_Comment__c": "later"})
    touched = client.get(f"/sobjects/{ORDER}/{made}")
    assert touched["CreatedDate"] == record["CreatedDate"]
    assert touched["LastModifiedDate"] > record["LastModifiedDate"]


def test_f1_audit_fields_on_upsert_are_a_switch(org: RunningOrg, client: Client) -> None:
    def upsert(key: str) -> dict[str, Any]:
        header = f"COA_Source_Id__c,CreatedDate,{NS}Customer_Org_ID__c,{NS}Order_Type__c,{NS}Partner_Contract_Rules__c"
        row = f"{key},2015-01-01T00:00:00Z,00D,Initial,{contract(client)}"
        return client.ingest(ORDER, "upsert", f"{header}\n{row}\n", externalIdFieldName="COA_Source_Id__c")

    assert upsert("audit1")["numberRecordsFailed"] == 1
    org.control("PATCH", "settings", {"audit_on_upsert": True})
    assert upsert("audit2")["numberRecordsFailed"] == 0
    # The update half refuses them either way.
    failed = upsert("audit2")
    assert failed["numberRecordsFailed"] == 1
    assert client.results(failed["id"], "failedResults")[0]["sf__Error"].startswith(
        "INVALID_FIELD_FOR_INSERT_UPDATE:"
    )
    org.control("PATCH", "settings", {"audit_on_upsert": False})


def test_f1_without_the_permission_audit_columns_fail() -> None:
    with running_org(role="target", orders=20, audit_fields=False) as org:
        client = connect(org)
        assert refuse(client, "Account", Name="x", CreatedDate="2015-01-01T00:00:00Z")[0] == (
            "INVALID_FIELD_FOR_INSERT_UPDATE"
        )
        job = client.ingest("Account", "insert", "Name,CreatedDate\nx,2015-01-01T00:00:00Z\n")
        assert job["errorMessage"] == "InvalidBatch : Field name not found : CreatedDate"


@pytest.fixture
def order_with_details(org: RunningOrg, client: Client) -> tuple[str, list[str]]:
    product = client.query(
        f"SELECT Id, {NS}Partner_Contract_Terms__c FROM {NS}Partner_Product_Catalog__c"
        f" WHERE {NS}Pricing_Type__c = 'PNR' LIMIT 1"
    )[0]
    terms = product[f"{NS}Partner_Contract_Terms__c"]
    parent = client.create(ORDER, **order(client, **{NS + "Partner_Contract_Rules__c": terms}))
    details = [
        client.create(
            DETAIL,
            **{
                NS + "Partner_Order__c": parent,
                NS + "Product_Name__c": product["Id"],
                NS + "pc_Partner_Contract_Term__c": terms,
                NS + "Quantity__c": quantity,
                NS + "Customer_Price_Per_Month__c": 2.5,
                NS + "pc_Pricing_Type__c": "PNR",
                NS + "pc_Contract_Length__c": 12,
                NS + "pc_Cancellation_Terms__c": 30,
                NS + "pc_Renewal_Terms__c": 12,
            },
        )
        for quantity in (2, 4)
    ]
    return parent, details


def totals(client: Client, parent: str) -> tuple[float, float, float]:
    row = client.get(f"/sobjects/{ORDER}/{parent}")
    return tuple(row[NS + name] for name in ("Order_Total_Value__c", "Total_Quantity__c", "Product_Lines__c"))


def test_roll_ups_follow_each_write(client: Client, order_with_details: tuple[str, list[str]]) -> None:
    parent, details = order_with_details
    assert totals(client, parent) == (15.0, 6.0, 2.0)
    client.call("PATCH", f"/sobjects/{DETAIL}/{details[0]}", json={NS + "Quantity__c": 10})
    assert totals(client, parent) == (35.0, 14.0, 2.0)
    client.call("DELETE", f"/sobjects/{DETAIL}/{details[1]}")
    assert totals(client, parent) == (25.0, 10.0, 1.0)


def test_master_detail_cannot_move_and_cascades(
    client: Client, order_with_details: tuple[str, list[str]]
) -> None:
    parent, details = order_with_details
    other = client.create(ORDER, **order(client))
    answer = client.call("PATCH", f"/sobjects/{DETAIL}/{details[0]}", json={NS + "Partner_Order__c": other})
    assert answer.json()[0]["errorCode"] == "INVALID_FIELD_FOR_INSERT_UPDATE"
    clone = client.create(ORDER, **order(client, **{NS + "Cloned_Service_Order__c": parent}))
    client.call("DELETE", f"/sobjects/{ORDER}/{parent}")
    assert client.error("GET", f"/sobjects/{DETAIL}/{details[0]}")[1] == "ENTITY_IS_DELETED"
    # Plain lookups are set to null.
    assert client.get(f"/sobjects/{ORDER}/{clone}")[NS + "Cloned_Service_Order__c"] is None


def test_multi_currency_is_a_switch() -> None:
    with running_org(role="target", orders=20, multi_currency=True) as org:
        client = connect(org)
        made = client.create("Account", Name="x", CurrencyIsoCode="EUR")
        assert client.get(f"/sobjects/Account/{made}")["CurrencyIsoCode"] == "EUR"
        assert (
            refuse(client, "Account", Name="x", CurrencyIsoCode="XXX")[0]
            == "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST"
        )
        assert org.count("SELECT count() FROM CurrencyType WHERE IsActive = true") == 6
        described = {one["name"] for one in client.get("/sobjects")["sobjects"]}
        assert "CurrencyType" in described
        assert "DatedConversionRate" not in described


def test_an_org_has_the_currencies_and_rates_that_it_is_told() -> None:
    with running_org(
        orders=6, multi_currency=True, dated_rates=True, currency=["EUR=1", "USD=1.25", "GBP=0.5:inactive"]
    ) as org:
        client = connect(org)
        listed = org.records(
            "SELECT IsoCode, ConversionRate, IsActive, IsCorporate FROM CurrencyType ORDER BY IsoCode"
        )
        assert [(r["IsoCode"], r["ConversionRate"], r["IsActive"], r["IsCorporate"]) for r in listed] == [
            ("EUR", 1.0, True, True), ("GBP", 0.5, False, False), ("USD", 1.25, True, False)
        ]  # fmt: skip
        assert org.count("SELECT count() FROM DatedConversionRate WHERE IsoCode = 'USD'") == 2
        assert (
            refuse(client, "Account", Name="x", CurrencyIsoCode="GBP")[0]
            == "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST"
        )
        account = client.create("Account", Name="x")
        assert client.get(f"/sobjects/Account/{account}")["CurrencyIsoCode"] == "EUR"
        order = org.records(f"SELECT Id, CurrencyIsoCode, {NS}Order_Total_Value__c FROM {ORDER} LIMIT 1")[0]
        details = (
            f"SELECT Id, {NS}Order_Detail_Value__c FROM {DETAIL} WHERE {NS}Partner_Order__c = '{order['Id']}'"
        )
        value = sum(r[NS + "Order_Detail_Value__c"] for r in org.records(details))
        # The order in dollars, its details in euro: a roll-up is in the currency of its record.
        for sobject, record, code in (
            (ORDER, order["Id"], "USD"),
            *((DETAIL, r["Id"], "EUR") for r in org.records(details)),
        ):
            org.control("PATCH", f"records/{sobject}/{record}", {"CurrencyIsoCode": code})
        total = org.records(f"SELECT {NS}Order_Total_Value__c FROM {ORDER} WHERE Id = '{order['Id']}'")[0]
        assert total[NS + "Order_Total_Value__c"] == pytest.approx(value * 1.25, abs=0.02)


def test_e3_updates_need_a_living_record_of_this_object(client: Client) -> None:
    gone = client.create("Account", Name="gone")
    client.call("DELETE", f"/sobjects/Account/{gone}")
    contact = client.create("Contact", LastName="x")
    rows = [gone, contact, "001000000000000AAA", ""]
    job = client.ingest("Account", "update", "Id,Phone\n" + "".join(f"{one},1\n" for one in rows))
    errors = {row["Id"]: row["sf__Error"].split(":")[0] for row in client.results(job["id"], "failedResults")}
    assert errors == {
        gone: "ENTITY_IS_DELETED",
        contact: "MALFORMED_ID",
        "001000000000000AAA": "INVALID_CROSS_REFERENCE_KEY",
        "": "MISSING_ARGUMENT",
    }


def test_required_fields_cannot_be_nulled(client: Client) -> None:
    made = client.create("Account", Name="x")
    assert client.call("PATCH", f"/sobjects/Account/{made}", json={"Name": None}).json()[0]["errorCode"] == (
        "REQUIRED_FIELD_MISSING"
    )
