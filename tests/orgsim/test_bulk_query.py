"""Contract C: Bulk API 2.0 query."""

from __future__ import annotations

import csv
import io

import pytest

from orgsim.launch import RunningOrg
from tests.orgsim.client import Client

ORG = {"role": "source", "orders": 600, "page_size": 100}
NS = "CHANNEL_ORDERS__"
ORDER = NS + "Service_Order__c"


def pages(client: Client, job: str, size: int | None = None) -> list[list[list[str]]]:
    """Every page's rows (without header), following the locators."""
    found: list[list[list[str]]] = []
    locator = None
    while locator != "null":
        parameters: dict[str, int | str] = {"maxRecords": size} if size else {}
        if locator:
            parameters["locator"] = locator
        answer = client.call("GET", f"/jobs/query/{job}/results", params=parameters)
        rows = list(csv.reader(io.StringIO(answer.content.decode(), newline="")))
        assert int(answer.headers["Sforce-NumberOfRecords"]) == len(rows) - 1
        found.append(rows[1:])
        locator = answer.headers["Sforce-Locator"]
    return found


def test_c1_creation_answers_upload_complete_and_the_end_has_counts(client: Client) -> None:
    answer = client.call(
        "POST", "/jobs/query", json={"operation": "query", "query": f"SELECT Id FROM {ORDER}"}
    )
    assert answer.status_code == 200
    assert answer.json()["state"] == "UploadComplete"
    assert "contentUrl" not in answer.json()
    done = client.wait("query", answer.json()["id"])
    assert done["state"] == "JobComplete"
    assert done["jobType"] == "V2Query"
    assert done["numberRecordsProcessed"] == 600
    assert done["isPkChunkingSupported"] is True


@pytest.mark.parametrize("size", [1, 7, 100, 599, 600, 5000])
def test_c2_pages_cover_all_rows_once_and_end_with_null(client: Client, size: int) -> None:
    if size == 1:
        job = client.bulk_query(f"SELECT Id FROM {ORDER} WHERE {NS}Order_Type__c = 'Initial' LIMIT 5")["id"]
        expected = 5
    else:
        job, expected = client.bulk_query(f"SELECT Id, {NS}Invoice_Description__c FROM {ORDER}")["id"], 600
    found = pages(client, job, size)
    ids = [row[0] for page in found for row in page]
    assert len(ids) == len(set(ids)) == expected
    assert all(len(page) == size for page in found[:-1])


def test_c2_locators_can_be_read_again(client: Client) -> None:
    job = client.bulk_query(f"SELECT Id FROM {ORDER}")["id"]
    first = client.call("GET", f"/jobs/query/{job}/results", params={"maxRecords": 50})
    locator = first.headers["Sforce-Locator"]
    again = [
        client.call(
            "GET", f"/jobs/query/{job}/results", params={"maxRecords": 50, "locator": locator}
        ).content
        for _ in range(2)
    ]
    assert again[0] == again[1] != first.content
    given = client.error("GET", f"/jobs/query/{job}/results", params={"locator": "MTk5OTk5"})
    assert given[:2] == (400, "INVALID_QUERY_LOCATOR")


def test_c2_result_pages_list_five_urls_at_a_time(client: Client) -> None:
    job = client.bulk_query(f"SELECT Id FROM {ORDER}")["id"]
    answer = client.get(f"/jobs/query/{job}/resultPages")
    assert len(answer["resultPages"]) == 5
    assert answer["done"] is False
    rest = client.call("GET", answer["nextRecordsUrl"]).json()
    assert rest["done"] is True
    urls = [one["resultUrl"] for one in answer["resultPages"] + rest["resultPages"]]
    ids = [row["Id"] for url in urls for row in csv.DictReader(io.StringIO(client.call("GET", url).text))]
    assert len(set(ids)) == 600


def test_c2_another_api_version_answers_409(client: Client) -> None:
    job = client.bulk_query(f"SELECT Id FROM {ORDER}")["id"]
    assert client.error("GET", f"/services/data/v66.0/jobs/query/{job}/results")[0] == 409
    assert client.call("GET", f"/services/data/v57.0/jobs/query/{job}/resultPages").status_code == 404


def test_c3_everything_is_quoted_in_select_order(client: Client) -> None:
    job = client.bulk_query(
        f"SELECT Name, Id, Owner.Name, {NS}Auto_Renew__c, CreatedDate FROM {ORDER} LIMIT 1"
    )
    raw = client.call("GET", f"/jobs/query/{job['id']}/results").content.decode()
    header, row, *_ = raw.split("\n")
    assert header == f'"Name","Id","Owner.Name","{NS}Auto_Renew__c","CreatedDate"'
    assert row.startswith('"SO-0000')
    assert '"true"' in row or '"false"' in row
    assert row.endswith('.000Z"')


def test_c3_null_and_empty_are_both_empty_and_numbers_are_java(client: Client) -> None:
    detail = NS + "Service_Order_Detail__c"
    rows = client.bulk_rows(f"SELECT Id, {NS}Current_Total_Price__c, {NS}pc_Custom_Unit__c FROM {detail}")
    totals = [row[f"{NS}Current_Total_Price__c"] for row in rows]
    assert "" in totals
    assert any("E" in one for one in totals)
    from_rest = {
        one["Id"]: one[f"{NS}Current_Total_Price__c"]
        for one in client.query(
            f"SELECT Id, {NS}Current_Total_Price__c FROM {detail} WHERE {NS}Current_Total_Price__c != null"
        )
    }
    for row in rows:
        if row["Id"] in from_rest:
            assert float(row[f"{NS}Current_Total_Price__c"]) == from_rest[row["Id"]]
    assert {row[f"{NS}pc_Custom_Unit__c"] for row in rows} == {""}


def test_c3_nasty_text_survives(client: Client) -> None:
    from orgsim.seed.nasty import NASTY

    rows = client.bulk_rows(f"SELECT {NS}Invoice_Description__c FROM {ORDER}")
    texts = {row[f"{NS}Invoice_Description__c"] for row in rows}
    assert len(texts & set(NASTY)) == 15


@pytest.mark.parametrize(
    ("soql", "message"),
    [
        (f"SELECT COUNT() FROM {ORDER}", "Aggregate Relationships not supported in Bulk Query"),
        (f"SELECT MAX(Name) FROM {ORDER}", "Aggregate Relationships not supported in Bulk Query"),
        (f"SELECT Name FROM {ORDER} GROUP BY Name", "Aggregate Relationships not supported in Bulk Query"),
        (f"SELECT Id, (SELECT Id FROM {NS}Partner_Order_Detail__r) FROM {ORDER}", "Aggregate Relationships"),
        ("SELECT BillingAddress FROM Account", "Selecting compound data not supported in Bulk Query"),
        (f"SELECT Id FROM {ORDER} OFFSET 3", "OFFSET"),
        ("SELECT TYPEOF Owner WHEN User THEN Name END FROM Account", "TYPEOF"),
        ("SELECT Id FROM Organization", "is not supported by the Bulk API"),
    ],
)
def test_c4_what_bulk_does_not_support(client: Client, soql: str, message: str) -> None:
    status, _, given = client.error("POST", "/jobs/query", json={"operation": "query", "query": soql})
    assert status == 400
    assert message in given


def test_c4_queryall_has_the_deleted(org: RunningOrg, client: Client) -> None:
    gone = org.records(f"SELECT Id FROM {ORDER} LIMIT 1")[0]["Id"]
    client.call("DELETE", f"/sobjects/{ORDER}/{gone}")
    for operation, expected in (("query", 0), ("queryAll", 1)):
        job = client.call(
            "POST",
            "/jobs/query",
            json={"operation": operation, "query": f"SELECT Id FROM {ORDER} WHERE Id = '{gone}'"},
        ).json()["id"]
        assert client.wait("query", job)["numberRecordsProcessed"] == expected
    org.control("PATCH", f"records/{ORDER}/{gone}?raw=1", {"IsDeleted": 0})


def test_c4_the_daily_job_limit(org: RunningOrg, client: Client) -> None:
    org.control("PATCH", "settings", {"bulk_query_limit": 1})
    given = client.error(
        "POST", "/jobs/query", json={"operation": "query", "query": "SELECT Id FROM Account"}
    )
    assert given == (400, "LIMIT_EXCEEDED", "Max bulk v2 query jobs (1) per 24 hrs has been reached")
    org.control("PATCH", "settings", {"bulk_query_limit": 10000})


def test_c1_abort_and_delete(org: RunningOrg, client: Client) -> None:
    org.control("POST", "faults", {"kind": "job_stuck"})
    job = client.call(
        "POST", "/jobs/query", json={"operation": "query", "query": "SELECT Id FROM Account"}
    ).json()["id"]
    client.wait("query", job, ("InProgress",))
    assert client.call("DELETE", f"/jobs/query/{job}").status_code == 400
    assert client.error("GET", f"/jobs/query/{job}/results")[1] == "INVALIDJOBSTATE"
    assert client.call("PATCH", f"/jobs/query/{job}", json={"state": "Aborted"}).json()["state"] == "Aborted"
    assert client.call("DELETE", f"/jobs/query/{job}").status_code == 204


def test_c1_query_jobs_are_listed(client: Client) -> None:
    job = client.bulk_query("SELECT Id FROM Account")["id"]
    listed = client.get("/jobs/query", params={"jobType": "V2Query"})["records"]
    assert job in [one["id"] for one in listed]


def test_an_empty_result_is_a_header(client: Client) -> None:
    job = client.bulk_query("SELECT Id, Name FROM Account WHERE Name = 'nobody'")
    answer = client.call("GET", f"/jobs/query/{job['id']}/results")
    assert answer.content == b'"Id","Name"\n'
    assert answer.headers["Sforce-Locator"] == "null"
    assert answer.headers["Sforce-NumberOfRecords"] == "0"
