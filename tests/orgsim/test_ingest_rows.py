"""Contract B5: what the CSV of an ingest job may hold, and what becomes of its rows."""

from __future__ import annotations

import csv
import io

import pytest

from orgsim.launch import RunningOrg
from tests.orgsim.client import Client

ORG = {"role": "target", "orders": 40}
NS = "CHANNEL_ORDERS__"
ORDER = NS + "Service_Order__c"


def test_b5_unknown_or_read_only_columns_fail_the_whole_job(client: Client) -> None:
    for header in ("Name,Nope__c", "Name,SystemModstamp", "Name,BillingAddress", "Name,Id"):
        job = client.ingest("Account", "insert", f"{header}\nx,1\n")
        assert job["state"] == "Failed"
        assert job["errorMessage"] == f"InvalidBatch : Field name not found : {header.split(',')[1]}"
        assert client.results(job["id"], "successfulResults") == []
        assert len(client.results(job["id"], "unprocessedrecords")) == 1


@pytest.mark.parametrize(("setting", "data"), [("LF", b"Name\r\nx\r\n"), ("CRLF", b"Name\nx\n")])
def test_b5_line_endings_must_match_the_setting(client: Client, setting: str, data: bytes) -> None:
    job = client.ingest("Account", "insert", data, lineEnding=setting)
    assert job["state"] == "Failed"
    assert (
        job["errorMessage"]
        == f"ClientInputError : LineEnding is invalid on user data. Current LineEnding setting is {setting}"
    )


def test_b5_crlf_inside_quotes_of_an_lf_job_is_a_setting(org: RunningOrg, client: Client) -> None:
    data = b'Name,Description\nx,"a\r\nb"\n'
    assert client.ingest("Account", "insert", data)["state"] == "JobComplete"
    org.control("PATCH", "settings", {"crlf_in_quotes": False})
    assert client.ingest("Account", "insert", data)["state"] == "Failed"
    org.control("PATCH", "settings", {"crlf_in_quotes": True})


@pytest.mark.parametrize(
    ("name", "char"),
    [("COMMA", ","), ("TAB", "\t"), ("PIPE", "|"), ("SEMICOLON", ";"), ("CARET", "^"), ("BACKQUOTE", "`")],
)
def test_b5_delimiters_hold_for_upload_and_results(client: Client, name: str, char: str) -> None:
    data = f'Name{char}Description\r\n"a{char}b"{char}"line\nline"\r\n'
    job = client.ingest("Account", "insert", data, columnDelimiter=name, lineEnding="CRLF")
    assert job["state"] == "JobComplete", job
    raw = client.call("GET", f"/jobs/ingest/{job['id']}/successfulResults").content.decode()
    assert raw.startswith(f'"sf__Id"{char}"sf__Created"{char}Name{char}Description\r\n')
    row = list(csv.reader(io.StringIO(raw, newline=""), delimiter=char))[1]
    assert row[2:] == [f"a{char}b", "line\nline"]


def test_b5_a_wrong_delimiter_fails_the_job(client: Client) -> None:
    job = client.ingest("Account", "insert", "Name;Phone\nx;1\n")
    assert job["state"] == "Failed"
    assert "ColumnDelimiter" in job["errorMessage"]


def test_b5_an_empty_cell_is_ignored_on_update_and_na_sets_null(client: Client) -> None:
    record_id = client.create("Account", Name="keep", Phone="1", Website="w")
    job = client.ingest("Account", "update", f"Id,Phone,Website\n{record_id},,#N/A\n")
    assert job["numberRecordsFailed"] == 0
    row = client.query(f"SELECT Phone, Website FROM Account WHERE Id = '{record_id}'")[0]
    assert (row["Phone"], row["Website"]) == ("1", None)


def test_b5_text_arrives_byte_for_byte(client: Client) -> None:
    nasty = [
        "  blanks  ",
        "a\nb",
        "a\r\nb",
        'q"q',
        "\u2028\u2029\x0b\x0c",
        "\U0001f680",
        "null",
        "=1+1",
        "é e\u0301",
    ]
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["Name", "Description"])
    writer.writerows([[f"nasty {n}", one] for n, one in enumerate(nasty)])
    job = client.ingest("Account", "insert", text.getvalue())
    assert job["numberRecordsFailed"] == 0
    rows = client.bulk_rows("SELECT Name, Description FROM Account WHERE Name LIKE 'nasty %'")
    assert {row["Name"]: row["Description"] for row in rows} == {
        f"nasty {n}": one for n, one in enumerate(nasty)
    }


def test_b5_a_row_with_too_few_cells_fails_alone(client: Client) -> None:
    job = client.ingest("Account", "insert", "Name,Phone\nfull,1\nshort\n")
    assert (job["numberRecordsProcessed"], job["numberRecordsFailed"]) == (2, 1)


def test_b5_parents_by_external_id(client: Client) -> None:
    contract = client.query(f"SELECT Name FROM {NS}Partner_Contract_Terms__c LIMIT 1")[0]["Name"]
    customer = client.query(f"SELECT {NS}Customer_Org_ID__c FROM {NS}Customer__c LIMIT 1")[0][
        f"{NS}Customer_Org_ID__c"
    ]
    header = (
        f"{NS}Customer_Org_ID__c,{NS}Order_Type__c,{NS}Partner_Contract_Rules__r.{NS}Partner_Contract_Term_External_ID__c,"
        f"{NS}Customer__r.{NS}Customer_Org_ID__c,User:Owner.Username"
    )
    good = f"00D1,Initial,{contract},{customer},integration@target.example"
    bad = f"00D2,Initial,No such contract,{customer},integration@target.example"
    job = client.ingest(ORDER, "insert", f"{header}\n{good}\n{bad}\n")
    assert job["numberRecordsFailed"] == 1, job
    error = client.results(job["id"], "failedResults")[0]["sf__Error"]
    assert error == (
        f"INVALID_FIELD:Foreign key external ID: No such contract not found for field"
        f" {NS}Partner_Contract_Term_External_ID__c in entity {NS}Partner_Contract_Terms__c:--"
    )
    made = client.results(job["id"], "successfulResults")[0]["sf__Id"]
    row = client.query(f"SELECT {NS}Partner_Contract_Rules__r.Name FROM {ORDER} WHERE Id = '{made}'")[0]
    assert row[f"{NS}Partner_Contract_Rules__r"]["Name"] == contract


@pytest.mark.parametrize(
    "column", ["Owner.Username", "User:Parent.Name", "Parent.Industry", "Parent.Parent.Name"]
)
def test_b5_the_type_prefix_belongs_to_polymorphic_lookups_only(client: Client, column: str) -> None:
    job = client.ingest("Account", "insert", f"Name,{column}\nx,y\n")
    assert job["state"] == "Failed"
    assert job["errorMessage"] == f"InvalidBatch : Field name not found : {column}"


def test_b5_upsert_inserts_updates_and_refuses_twice_the_same_key(client: Client) -> None:
    contract = client.query(f"SELECT Id FROM {NS}Partner_Contract_Terms__c LIMIT 1")[0]["Id"]
    header = f"COA_Source_Id__c,{NS}Customer_Org_ID__c,{NS}Order_Type__c,{NS}Partner_Contract_Rules__c"
    settings = {"externalIdFieldName": "COA_Source_Id__c"}
    first = client.ingest(ORDER, "upsert", f"{header}\nk1,00D,Initial,{contract}\n", **settings)
    assert client.results(first["id"], "successfulResults")[0]["sf__Created"] == "true"
    rows = [f"k1,00D,Add-On,{contract}", f"k2,00D,Initial,{contract}", f"k3,0,Initial,{contract}"]
    rows += [f"k3,1,Initial,{contract}", f",1,Initial,{contract}"]
    second = client.ingest(ORDER, "upsert", "\n".join([header, *rows]) + "\n", **settings)
    made = {
        row["COA_Source_Id__c"]: row["sf__Created"]
        for row in client.results(second["id"], "successfulResults")
    }
    assert made == {"k1": "false", "k2": "true"}
    errors = sorted(row["sf__Error"] for row in client.results(second["id"], "failedResults"))
    assert errors == [
        "DUPLICATE_VALUE:Duplicate external id specified: k3:COA_Source_Id__c --",
        "DUPLICATE_VALUE:Duplicate external id specified: k3:COA_Source_Id__c --",
        "MISSING_ARGUMENT:COA_Source_Id__c not specified:COA_Source_Id__c --",
    ]


def test_b5_upsert_on_a_key_that_several_records_have_is_a_row_error(client: Client) -> None:
    for _ in range(2):
        client.create(NS + "Partner_Contract_Terms__c", Name="Twice")
    key = f"{NS}Partner_Contract_Term_External_ID__c"
    job = client.ingest(
        NS + "Partner_Contract_Terms__c", "upsert", f"{key},{NS}Type__c\nTwice,OEM\n", externalIdFieldName=key
    )
    assert client.results(job["id"], "failedResults")[0]["sf__Error"].startswith("DUPLICATE_EXTERNAL_ID:")


def test_b5_delete_takes_ids_only(client: Client) -> None:
    record_id = client.create("Account", Name="to delete")
    assert client.ingest("Account", "delete", f"Id,Name\n{record_id},x\n")["state"] == "Failed"
    job = client.ingest("Account", "delete", f"Id\n{record_id}\n001000000000000AAA\n")
    assert (job["numberRecordsProcessed"], job["numberRecordsFailed"]) == (2, 1)
    failed = client.results(job["id"], "failedResults")[0]
    assert failed == {
        "sf__Id": "001000000000000AAA",
        "sf__Error": "INVALID_CROSS_REFERENCE_KEY:invalid cross reference id:--",
        "Id": "001000000000000AAA",
    }
