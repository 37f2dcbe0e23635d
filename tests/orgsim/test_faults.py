"""Faults on command: what a client must survive (contract I6)."""

from __future__ import annotations

import time

import pytest
import requests

from orgsim.launch import RunningOrg, running_org
from tests.orgsim.client import Client, connect

pytestmark = pytest.mark.lane

ORG = {"role": "target", "orders": 40}


@pytest.mark.parametrize(
    ("kind", "status", "text"),
    [
        ("html_503", 503, "<html>"),
        ("html_502", 502, "<html>"),
        ("unknown_exception", 500, "UNKNOWN_EXCEPTION"),
        ("server_unavailable", 503, "SERVER_UNAVAILABLE"),
        ("limit_total", 403, "TotalRequests Limit exceeded."),
        ("limit_concurrent_long", 403, "ConcurrentPerOrgLongTxn Limit exceeded."),
        ("limit_concurrent", 403, "ConcurrentRequests (Concurrent API Requests) Limit exceeded."),
        ("invalid_session", 401, "INVALID_SESSION_ID"),
    ],
)
def test_i6_answers_that_replace_the_real_one(
    org: RunningOrg, client: Client, kind: str, status: int, text: str
) -> None:
    org.control("POST", "faults", {"kind": kind, "path": "/limits$", "times": 1})
    answer = client.call("GET", "/limits")
    assert answer.status_code == status
    assert text in answer.text
    assert client.call("GET", "/limits").status_code == 200


def test_i6_any_status_and_body(org: RunningOrg, client: Client) -> None:
    org.control(
        "POST", "faults", {"kind": "status", "status": 418, "body": '[{"errorCode":"TEAPOT","message":"no"}]'}
    )
    assert client.error("GET", "/limits") == (418, "TEAPOT", "no")


def test_i6_a_fault_can_skip_repeat_and_be_listed(org: RunningOrg, client: Client) -> None:
    number = org.control("POST", "faults", {"kind": "html_503", "path": "/limits", "skip": 1, "times": 2})[0]
    assert [client.call("GET", "/limits").status_code for _ in range(4)] == [200, 503, 503, 200]
    rule = next(one for one in org.control("GET", "faults") if one["id"] == number)
    assert (rule["matched"], rule["fired"]) == (3, 2)
    org.control("DELETE", f"faults/{number}")
    assert org.control("GET", "faults") == []


def test_i6_seeded_probabilities_repeat(org: RunningOrg, client: Client) -> None:
    def schedule() -> list[int]:
        org.control("DELETE", "faults")
        org.control("POST", "faults?seed=5", {"kind": "html_503", "times": -1, "probability": 0.5})
        found = [client.call("GET", "/limits").status_code for _ in range(12)]
        org.control("DELETE", "faults")
        return found

    first = schedule()
    assert {200, 503} == set(first)
    assert schedule() == first


def count(org: RunningOrg, name: str) -> int:
    return org.count(f"SELECT COUNT() FROM Account WHERE Name = '{name}'")


def test_i6_a_reset_before_does_nothing_and_after_has_done_it(org: RunningOrg, client: Client) -> None:
    for kind, done in (("reset_before", 0), ("reset_after", 1)):
        org.control("POST", "faults", {"kind": kind, "method": "POST", "path": "/sobjects/Account"})
        with pytest.raises(requests.ConnectionError):
            client.call("POST", "/sobjects/Account", json={"Name": kind})
        assert count(org, kind) == done


def test_i6_an_error_after_the_commit_is_ambiguous(org: RunningOrg, client: Client) -> None:
    org.control("POST", "faults", {"kind": "error_after", "method": "POST", "path": "/sobjects/Account"})
    assert client.error("POST", "/sobjects/Account", json={"Name": "ambiguous"})[:2] == (
        500,
        "UNKNOWN_EXCEPTION",
    )
    assert count(org, "ambiguous") == 1


def test_i6_slow_answers(org: RunningOrg, client: Client) -> None:
    org.control("POST", "faults", {"kind": "slow", "seconds": 0.5})
    started = time.monotonic()
    assert client.call("GET", "/limits").status_code == 200
    assert time.monotonic() - started >= 0.5


def test_i6_truncated_downloads(org: RunningOrg, client: Client) -> None:
    job = client.bulk_query("SELECT Id, Name FROM CHANNEL_ORDERS__Partner_Product_Catalog__c")["id"]
    org.control("POST", "faults", {"kind": "truncate", "path": "/results", "fraction": 0.5})
    with pytest.raises(requests.RequestException):
        assert client.call("GET", f"/jobs/query/{job}/results").content
    assert client.call("GET", f"/jobs/query/{job}/results").status_code == 200


def test_b8_lock_errors_on_a_share_of_rows_or_on_a_parent(org: RunningOrg, client: Client) -> None:
    org.control("POST", "faults", {"kind": "lock_rows", "sobject": "Account", "fraction": 0.4})
    job = client.ingest("Account", "insert", "Name\n" + "x\n" * 100)
    assert 15 < job["numberRecordsFailed"] < 65
    error = client.results(job["id"], "failedResults")[0]["sf__Error"]
    assert error == "UNABLE_TO_LOCK_ROW:unable to obtain exclusive access to this record or 200 records:--"
    parents = [client.create("Account", Name=f"p{n}") for n in range(2)]
    org.control("POST", "faults", {"kind": "lock_rows", "parent": parents[0]})
    job = client.ingest("Account", "insert", "Name,ParentId\n" + "".join(f"c,{one}\n" for one in parents))
    assert client.results(job["id"], "failedResults")[0]["ParentId"] == parents[0]
    assert job["numberRecordsFailed"] == 1


def test_b8_jobs_at_the_same_time_contend_for_the_same_master() -> None:
    with running_org(role="target", orders=400, lock_contention=True, job_delay=0.0) as org:
        client = connect(org)
        orders = org.control("GET", "table/CHANNEL_ORDERS__Service_Order__c")
        header = "Id,CHANNEL_ORDERS__Error_Comment__c\n"
        data = (header + "".join(f"{one['Id']},x\n" for one in orders) * 1000).encode()
        jobs = []
        for _ in range(2):
            job = client.open_job(object="CHANNEL_ORDERS__Service_Order__c", operation="update")["id"]
            client.upload(job, data)
            jobs.append(job)
        for job in jobs:
            client.set_state(job, "UploadComplete")
        done = [client.wait("ingest", job) for job in jobs]
        assert sum(one["numberRecordsFailed"] for one in done) > 0
        errors = {
            row["sf__Error"].split(":")[0] for job in jobs for row in client.results(job, "failedResults")
        }
        assert errors == {"UNABLE_TO_LOCK_ROW"}


def test_b3_rows_can_vanish_from_all_result_files(org: RunningOrg, client: Client) -> None:
    org.control("POST", "faults", {"kind": "rows_vanish", "fraction": 0.3})
    job = client.ingest("Account", "insert", "Name\n" + "x\n" * 100)
    seen = sum(
        len(client.results(job["id"], one))
        for one in ("successfulResults", "failedResults", "unprocessedrecords")
    )
    assert 40 < seen < 95
    assert job["state"] == "JobComplete"


def test_i6_a_query_job_can_fail(org: RunningOrg, client: Client) -> None:
    org.control("POST", "faults", {"kind": "job_failed", "operation": "query"})
    job = client.bulk_query("SELECT Id FROM Account")
    assert job["state"] == "Failed"
    assert job["errorMessage"] == "InternalServerError : Retried more than 15 times"


def test_unknown_faults_are_refused(org: RunningOrg) -> None:
    answer = requests.post(f"{org.url}/control/faults", json={"kind": "meteor"}, timeout=30)
    assert answer.status_code == 400
    assert "no fault of kind" in answer.json()[0]["message"]


def test_e4_the_daily_limit_is_real(org: RunningOrg, client: Client) -> None:
    org.control("PATCH", "settings", {"api_limit": 1})
    assert client.error("GET", "/limits") == (403, "REQUEST_LIMIT_EXCEEDED", "TotalRequests Limit exceeded.")
    org.control("PATCH", "settings", {"api_limit": 100000})
