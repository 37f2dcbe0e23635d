"""Contract B6: the result files of an ingest job."""

from __future__ import annotations

from orgsim.launch import RunningOrg
from tests.orgsim.client import Client

ORG = {"role": "target", "orders": 40}


def test_b6_headers_values_and_rendering(client: Client) -> None:
    job = client.ingest(
        "Account", "insert", "Name,AnnualRevenue,NumberOfEmployees\nLorem,912260031,7\n,1,2\n"
    )
    good = client.call("GET", f"/jobs/ingest/{job['id']}/successfulResults/").content.decode()
    made = client.results(job["id"], "successfulResults")[0]["sf__Id"]
    assert good == (
        '"sf__Id","sf__Created",Name,AnnualRevenue,NumberOfEmployees\n'
        + f'"{made}","true","Lorem","9.12260031E8","7"\n'
    )
    bad = client.call("GET", f"/jobs/ingest/{job['id']}/failedResults/").content.decode()
    assert bad == (
        '"sf__Id","sf__Error",Name,AnnualRevenue,NumberOfEmployees\n'
        '"","REQUIRED_FIELD_MISSING:Required fields are missing: [Name]:Name --","","1","2"\n'
    )
    left = client.call("GET", f"/jobs/ingest/{job['id']}/unprocessedrecords/")
    assert left.content == b"Name,AnnualRevenue,NumberOfEmployees\n"


def test_b6_rows_come_in_another_order_than_sent(client: Client) -> None:
    sent = [f"order {n}" for n in range(300)]
    job = client.ingest("Account", "insert", "Name\n" + "\n".join(sent) + "\n")
    got = [row["Name"] for row in client.results(job["id"], "successfulResults")]
    assert got != sent
    assert sorted(got) == sorted(sent)


def test_b6_result_paths_are_found_whatever_their_case(client: Client) -> None:
    job = client.ingest("Account", "insert", "Name\nx\n")["id"]
    for path in ("unprocessedRecords", "unprocessedrecords/", "SUCCESSFULRESULTS", "failedResults/"):
        assert client.call("GET", f"/jobs/ingest/{job}/{path}").status_code == 200


def test_b6_csv_has_no_charset_unless_set_and_empty_results_may_be_204(
    org: RunningOrg, client: Client
) -> None:
    job = client.ingest("Account", "insert", "Name\nZoë\n")["id"]
    answer = client.call("GET", f"/jobs/ingest/{job}/successfulResults")
    assert answer.headers["Content-Type"] == "text/csv"
    org.control("PATCH", "settings", {"csv_charset": True, "empty_as_204": True})
    assert client.call("GET", f"/jobs/ingest/{job}/failedResults").status_code == 204
    answer = client.call("GET", f"/jobs/ingest/{job}/successfulResults")
    assert answer.headers["Content-Type"] == "text/csv; charset=UTF-8"
    org.control("PATCH", "settings", {"csv_charset": False, "empty_as_204": False})
