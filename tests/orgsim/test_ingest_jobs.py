"""Contract B1 to B4, B7: an ingest job, from creation to its end, and how its data are sent."""

from __future__ import annotations

import gzip
import re
import time

import pytest

from orgsim.launch import RunningOrg, running_org
from tests.orgsim.client import Client, connect

ORG = {"role": "target", "orders": 40}


def test_b2_create_answers_the_open_job(client: Client) -> None:
    job = client.open_job()
    assert set(job) == {
        "id", "operation", "object", "createdById", "createdDate", "systemModstamp", "state", "concurrencyMode",
        "contentType", "apiVersion", "contentUrl", "lineEnding", "columnDelimiter",
    }  # fmt: skip
    assert job["id"].startswith("750")
    assert job["state"] == "Open"
    assert job["apiVersion"] == 67.0
    assert job["contentUrl"] == f"services/data/v67.0/jobs/ingest/{job['id']}/batches"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.000\+0000", job["createdDate"])


def test_b2_an_open_job_omits_counts_and_a_done_one_the_content_url(client: Client) -> None:
    job = client.open_job()["id"]
    state = client.get(f"/jobs/ingest/{job}")
    assert "numberRecordsProcessed" not in state
    assert state["totalProcessingTime"] == 0
    client.upload(job)
    short = client.set_state(job, "UploadComplete").json()
    assert not {"contentUrl", "lineEnding", "columnDelimiter"} & set(short)
    assert short["state"] == "UploadComplete"
    done = client.wait("ingest", job)
    assert "contentUrl" not in done
    assert done["jobType"] == "V2Ingest"
    assert (done["numberRecordsProcessed"], done["numberRecordsFailed"]) == (1, 0)
    assert {"retries", "totalProcessingTime", "apiActiveProcessingTime", "apexProcessingTime"} <= set(done)


def test_b1_put_answers_201_with_an_empty_body(client: Client) -> None:
    answer = client.upload(client.open_job()["id"])
    assert (answer.status_code, answer.content) == (201, b"")


def test_b3_states_go_through_upload_complete_and_in_progress() -> None:
    with running_org(role="target", orders=0, job_delay=0.3) as org:
        client = connect(org)
        job = client.open_job()["id"]
        client.upload(job)
        client.set_state(job, "UploadComplete")
        seen = [
            client.wait("ingest", job, (state,))["state"]
            for state in ("UploadComplete", "InProgress", "JobComplete")
        ]
        assert seen == ["UploadComplete", "InProgress", "JobComplete"]


def test_held_jobs_wait_until_they_are_let_go() -> None:
    with running_org(role="target", orders=0, job_delay=0.0, hold_jobs=True) as org:
        client = connect(org)
        job = client.open_job()["id"]
        client.upload(job)
        client.set_state(job, "UploadComplete")
        time.sleep(0.5)
        assert client.get(f"/jobs/ingest/{job}")["state"] == "UploadComplete"

        org.control("PATCH", "settings", {"hold_jobs": False})

        assert client.wait("ingest", job)["state"] == "JobComplete"


def test_a_job_of_a_slow_org_queues_and_is_worked_off_at_the_rate_of_its_object() -> None:
    rates = ["Account=1000", "*=1"]
    with running_org(role="target", orders=4, job_delay=0.0, queue_seconds=0.3, rows_per_second=rates) as org:
        client = connect(org)
        job = client.open_job()["id"]
        client.upload(job, b"Name\n" + b"x\n" * 400)
        submitted = time.monotonic()
        client.set_state(job, "UploadComplete")
        assert client.get(f"/jobs/ingest/{job}")["state"] == "UploadComplete"
        done = client.wait("ingest", job)
        assert time.monotonic() - submitted >= 0.3 + 0.4
        assert done["numberRecordsProcessed"] == 400
        assert done["totalProcessingTime"] >= 400


def test_b3_a_second_put_is_refused_with_the_real_typo(client: Client) -> None:
    job = client.open_job()["id"]
    client.upload(job)
    status, code, message = client.error(
        "PUT", f"/jobs/ingest/{job}/batches", data=b"Name\ny\n", headers={"Content-Type": "text/csv"}
    )
    assert (status, code) == (400, "BULK_API_ERROR")
    assert message.startswith(
        f"Found multipe contents for job: <{job[:15]}>, please 'Close' / 'Abort' / 'Delete'"
    )


def test_b3_job_complete_may_mean_that_every_row_failed(client: Client) -> None:
    job = client.ingest("Account", "insert", "Name,NumberOfEmployees\nx,abc\n")
    assert job["state"] == "JobComplete"
    assert (job["numberRecordsProcessed"], job["numberRecordsFailed"]) == (1, 1)


def test_b3_upload_complete_without_data_fails_the_job(client: Client) -> None:
    job = client.open_job()["id"]
    client.set_state(job, "UploadComplete")
    assert client.wait("ingest", job)["state"] == "Failed"


def test_b3_an_open_job_ends_after_a_day_and_results_after_seven(org: RunningOrg, client: Client) -> None:
    done = client.ingest("Account", "insert", "Name\nexpiry\n")["id"]
    left_open = client.open_job()["id"]
    org.control("POST", "clock", {"seconds": 86400 + 60})
    later = connect(org)
    assert later.get(f"/jobs/ingest/{left_open}")["state"] == "Aborted"
    assert later.call("GET", f"/jobs/ingest/{done}/successfulResults").status_code == 200
    org.control("POST", "clock", {"seconds": 6 * 86400 + 60})
    later = connect(org)
    assert later.error("GET", f"/jobs/ingest/{done}")[:2] == (404, "NOT_FOUND")
    org.control("POST", "clock", {"offset": 0})


def test_b3_aborting_leaves_rows_unprocessed(org: RunningOrg, client: Client) -> None:
    org.control("POST", "faults", {"kind": "job_stuck", "sobject": "Account"})
    job = client.open_job()["id"]
    client.upload(job, b"Name\na\nb\n")
    client.set_state(job, "UploadComplete")
    client.wait("ingest", job, ("InProgress",))
    assert client.set_state(job, "Aborted").json()["state"] == "Aborted"
    deadline = 50
    while deadline and not (left := client.results(job, "unprocessedrecords")):
        deadline -= 1
    assert left == [{"Name": "a"}, {"Name": "b"}]


def test_b3_after_a_failed_job_what_was_written_stays(org: RunningOrg, client: Client) -> None:
    org.control("POST", "faults", {"kind": "job_failed", "sobject": "Account", "batches": 1})
    rows = "Name\n" + "".join(f"partial {n}\n" for n in range(10_500))
    job = client.ingest("Account", "insert", rows)
    assert job["state"] == "Failed"
    assert job["errorMessage"] == "TooManyLockFailure : Too many lock failure 200 Trying again later."
    assert len(client.results(job["id"], "successfulResults")) == 10_000
    assert len(client.results(job["id"], "unprocessedrecords")) == 500
    assert org.count("SELECT COUNT() FROM Account WHERE Name LIKE 'partial %'") == 10_000


def test_b3_rows_beyond_the_daily_allocation_are_in_no_result_file() -> None:
    with running_org(role="target", orders=0, bulk_batch_limit=1, job_delay=0.0) as org:
        client = connect(org)
        job = client.ingest("Account", "insert", "Name\n" + "x\n" * 10_001)
        assert job["state"] == "Failed"
        counts = [
            len(client.results(job["id"], one))
            for one in ("successfulResults", "failedResults", "unprocessedrecords")
        ]
        assert counts == [10_000, 0, 0]


def test_b1_jobs_are_listed_and_deleted_only_when_terminated(client: Client) -> None:
    job = client.open_job()["id"]
    listed = client.get("/jobs/ingest", params={"jobType": "V2Ingest"})
    assert job in [one["id"] for one in listed["records"]]
    assert listed["done"] is True
    status, code, message = client.error("DELETE", f"/jobs/ingest/{job}")
    assert (status, code) == (400, "API_ERROR")
    assert message == "Error encountered when deleting the job because the job is not terminated"
    client.set_state(job, "Aborted")
    assert client.call("DELETE", f"/jobs/ingest/{job}").status_code == 204
    assert client.call("GET", f"/jobs/ingest/{job}").status_code == 404


@pytest.mark.parametrize(
    ("settings", "status", "code", "message"),
    [
        ({"object": "Foo"}, 400, "INVALIDJOB", "InvalidJob : Unable to find object: Foo"),
        ({"operation": ""}, 400, "API_ERROR", "Invalid value: '' supplied for property: 'operation'"),
        (
            {"operation": "Insert"},
            400,
            "API_ERROR",
            "Invalid value: 'Insert' supplied for property: 'operation'",
        ),
        ({"lineEnding": "CR"}, 400, "API_ERROR", "Invalid value: 'CR' supplied for property: 'lineEnding'"),
        (
            {"columnDelimiter": ";"},
            400,
            "API_ERROR",
            "Invalid value: ';' supplied for property: 'columnDelimiter'",
        ),
        (
            {"columnDelimiter": {}},
            400,
            "API_ERROR",
            "Invalid value: '{}' supplied for property: 'columnDelimiter'",
        ),
        ({"operation": [1]}, 400, "API_ERROR", "Invalid value: '[1]' supplied for property: 'operation'"),
        (
            {"operation": "upsert", "externalIdFieldName": "Website"},
            400,
            "INVALIDJOB",
            "InvalidJob : Field name provided, Website does not match an External ID, Salesforce Id, or indexed field"
            " for Account",
        ),
        (
            {"object": "Organization"},
            400,
            "INVALIDENTITY",
            "Entity 'Organization' is not supported by the Bulk API.",
        ),
        ({"operation": "hardDelete"}, 400, "FEATURENOTENABLED", "hardDelete is not enabled"),
    ],
)
def test_b7_refused_creations(
    client: Client, settings: dict[str, str], status: int, code: str, message: str
) -> None:
    given = client.error(
        "POST", "/jobs/ingest", json={"object": "Account", "operation": "insert", **settings}
    )
    assert given[:2] == (status, code)
    assert message in given[2]


def test_b7_unknown_job_and_late_abort(client: Client) -> None:
    assert client.error("GET", "/jobs/ingest/750000000000000AAA") == (
        404,
        "NOT_FOUND",
        "The requested resource does not exist",
    )
    job = client.ingest("Account", "insert", "Name\nx\n")["id"]
    given = client.error("PATCH", f"/jobs/ingest/{job}", json={"state": "Aborted"})
    assert given == (400, "INVALIDJOBSTATE", "Aborting already Completed Job not allowed")


def test_b4_multipart_creates_a_job_with_its_data(client: Client) -> None:
    body = (
        b'--BOUNDARY\r\nContent-Type: application/json\r\nContent-Disposition: form-data; name="job"\r\n\r\n'
        b'{"object":"Account","operation":"insert","contentType":"CSV"}\r\n'
        b'--BOUNDARY\r\nContent-Type: text/csv\r\nContent-Disposition: form-data; name="content"; '
        b'filename="content"\r\n\r\n'
        b"Name\nmultipart\n\r\n--BOUNDARY--\r\n"
    )
    answer = client.call(
        "POST", "/jobs/ingest", data=body, headers={"Content-Type": "multipart/form-data; boundary=BOUNDARY"}
    )
    assert answer.status_code == 200, answer.text
    assert answer.json()["state"] == "UploadComplete"
    assert client.wait("ingest", answer.json()["id"])["numberRecordsProcessed"] == 1


def test_gzip_works_both_ways_and_bodies_may_be_chunked(client: Client) -> None:
    job = client.open_job()["id"]
    data = b"Name\n" + b"".join(b"packed %d\n" % n for n in range(500))
    answer = client.call(
        "PUT",
        f"/jobs/ingest/{job}/batches",
        data=gzip.compress(data),
        headers={"Content-Type": "text/csv", "Content-Encoding": "gzip"},
    )
    assert answer.status_code == 201
    client.set_state(job, "UploadComplete")
    assert client.wait("ingest", job)["numberRecordsProcessed"] == 500
    results = client.call("GET", f"/jobs/ingest/{job}/successfulResults")
    assert results.headers["Content-Encoding"] == "gzip"
    job = client.open_job()["id"]
    chunks = (b"Name\n", b"chunked one\n", b"chunked two\n")
    answer = client.call(
        "PUT", f"/jobs/ingest/{job}/batches", data=iter(chunks), headers={"Content-Type": "text/csv"}
    )
    assert answer.status_code == 201
    client.set_state(job, "UploadComplete")
    assert client.wait("ingest", job)["numberRecordsProcessed"] == 2


def test_content_type_must_be_csv(client: Client) -> None:
    job = client.open_job()["id"]
    given = client.error(
        "PUT", f"/jobs/ingest/{job}/batches", data=b"{}", headers={"Content-Type": "application/json"}
    )
    assert given[:2] == (415, "UNSUPPORTED_MEDIA_TYPE")
