"""Contract D1: Bulk API 1.0 in XML, CSV and JSON."""

from __future__ import annotations

import time
from typing import Any
from xml.etree import ElementTree

import pytest

from orgsim.launch import RunningOrg
from tests.orgsim.client import Client

pytestmark = pytest.mark.lane

ORG = {"role": "target", "orders": 40}
XML = "{http://www.force.com/2009/06/asyncapi/dataload}"
BASE = "/services/async/64.0/job"


def job_xml(**values: str) -> bytes:
    inner = "".join(f"<{name}>{value}</{name}>" for name, value in values.items())
    return f'<?xml version="1.0"?><jobInfo xmlns="{XML[1:-1]}">{inner}</jobInfo>'.encode()


def send(
    client: Client, method: str, path: str, body: bytes | None = None, kind: str = "application/xml"
) -> Any:
    """Bulk 1.0 takes its session from X-SFDC-Session, not from Authorization."""
    token = str(client.http.headers["Authorization"]).split()[1]
    headers = {"X-SFDC-Session": token, "Content-Type": kind, "Authorization": ""}
    return client.call(method, BASE + path, data=body, headers=headers)


def text(answer: Any, name: str) -> str:
    return ElementTree.fromstring(answer.content).findtext(XML + name) or ""


def run_batch(client: Client, job: str, data: bytes, kind: str) -> tuple[str, str]:
    """Id and end state of a batch."""
    added = send(client, "POST", f"/{job}/batch", data, kind)
    assert added.status_code == 201, added.text
    batch = text(added, "id") if "xml" in added.headers["Content-Type"] else added.json()["id"]
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline:
        state = text(send(client, "GET", f"/{job}/batch/{batch}"), "state")
        if state not in ("Queued", "InProgress"):
            return batch, state
        time.sleep(0.02)
    raise AssertionError("the batch does not end")


@pytest.fixture
def open_job(client: Client) -> str:
    answer = send(client, "POST", "", job_xml(operation="insert", object="Account", contentType="CSV"))
    assert answer.status_code == 201
    assert text(answer, "state") == "Open"
    assert text(answer, "apiVersion") == "64.0"
    return text(answer, "id")


def test_csv_results_come_in_request_order(client: Client, open_job: str) -> None:
    data = b"Name,NumberOfEmployees\n" + b"".join(
        b"row %d,%s\n" % (n, b"x" if n % 3 == 0 else b"1") for n in range(30)
    )
    batch, state = run_batch(client, open_job, data, "text/csv")
    assert state == "Completed"
    lines = send(client, "GET", f"/{open_job}/batch/{batch}/result").text.splitlines()
    assert lines[0] == '"Id","Success","Created","Error"'
    assert [line.split(",")[1] for line in lines[1:]] == [
        '"false"' if n % 3 == 0 else '"true"' for n in range(30)
    ]
    assert "INVALID_TYPE_ON_FIELD_IN_RECORD:" in lines[1]
    assert send(client, "GET", f"/{open_job}/batch/{batch}/request").content == data
    closed = send(client, "POST", f"/{open_job}", job_xml(state="Closed"))
    assert text(closed, "state") == "Closed"
    assert text(closed, "numberRecordsFailed") == "10"
    refused = send(client, "POST", f"/{open_job}/batch", data, "text/csv")
    assert (refused.status_code, text(refused, "exceptionCode")) == (400, "InvalidJobState")


def test_an_unknown_column_fails_the_batch(client: Client, open_job: str) -> None:
    batch, state = run_batch(client, open_job, b"Name,Nope\nx,1\n", "text/csv")
    assert state == "Failed"
    info = send(client, "GET", f"/{open_job}/batch/{batch}")
    assert text(info, "stateMessage") == "InvalidBatch : Field name not found : Nope"
    result = send(client, "GET", f"/{open_job}/batch/{batch}/result")
    assert (result.status_code, text(result, "exceptionMessage")) == (400, "Records not processed")


def test_xml_batches_know_nil_and_parents(client: Client) -> None:
    job = text(
        send(client, "POST", "", job_xml(operation="insert", object="Contact", contentType="XML")), "id"
    )
    account = client.create("Account", Name="xml parent")
    data = (
        f'<sObjects xmlns="{XML[1:-1]}" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">'
        "<sObject><LastName>a</LastName><Phone xsi:nil='true'/><Account><sObject><type>Account</type>"
        "<Name>xml parent</Name></sObject></Account></sObject><sObject><FirstName>b</FirstName></sObject></sObjects>"
    )
    batch, state = run_batch(client, job, data.encode(), "application/xml")
    assert state == "Completed"
    results = ElementTree.fromstring(send(client, "GET", f"/{job}/batch/{batch}/result").content)
    assert [one.findtext(XML + "success") for one in results] == ["true", "false"]
    assert results[1].findtext(f"{XML}errors/{XML}statusCode") == "REQUIRED_FIELD_MISSING"
    made = results[0].findtext(XML + "id")
    assert client.query(f"SELECT AccountId FROM Contact WHERE Id = '{made}'")[0]["AccountId"] == account


def test_queries_give_result_ids_then_rows(client: Client) -> None:
    for kind, expected in (("CSV", '"Id","Name"'), ("XML", "<records>"), ("JSON", '"attributes"')):
        body = job_xml(operation="query", object="Account", contentType=kind)
        job = text(send(client, "POST", "", body), "id")
        batch, state = run_batch(client, job, b"SELECT Id, Name FROM Account", "text/plain")
        assert state == "Completed"
        listed = send(client, "GET", f"/{job}/batch/{batch}/result")
        result = listed.json()[0] if kind == "JSON" else text(listed, "result")
        assert result.startswith("752")
        assert expected in send(client, "GET", f"/{job}/batch/{batch}/result/{result}").text


@pytest.mark.parametrize(
    ("values", "code"),
    [
        ({"operation": "explode", "object": "Account"}, "InvalidJob"),
        ({"operation": "insert", "object": "Nope"}, "InvalidJob"),
        ({"operation": "insert", "object": "Organization"}, "InvalidEntity"),
        ({"operation": "upsert", "object": "Account", "externalIdFieldName": "Website"}, "InvalidJob"),
        ({"operation": "hardDelete", "object": "Account"}, "FeatureNotEnabled"),
    ],
)
def test_refused_jobs(client: Client, values: dict[str, str], code: str) -> None:
    answer = send(client, "POST", "", job_xml(**values))
    assert (answer.status_code, text(answer, "exceptionCode")) == (400, code)


def test_errors_are_json_for_who_speaks_json(org: RunningOrg, client: Client) -> None:
    answer = send(client, "GET", "/750000000000000AAA", kind="application/json")
    assert answer.json()["exceptionCode"] == "InvalidJob"
    client.http.headers["Authorization"] = "Bearer dead"
    dead = send(client, "GET", "/750000000000000AAA", kind="application/json")
    assert (dead.status_code, dead.json()["exceptionCode"]) == (401, "InvalidSessionId")


def test_an_aborted_job_takes_no_batch(client: Client, open_job: str) -> None:
    assert text(send(client, "POST", f"/{open_job}", job_xml(state="Aborted")), "state") == "Aborted"
    assert send(client, "POST", f"/{open_job}/batch", b"Name\nx\n", "text/csv").status_code == 400
