"""Contract B: Bulk API 2.0 ingest."""

from __future__ import annotations

import csv
import io
import re
import time
from typing import Any

import pytest
import requests

from orgsim.launch import RunningOrg, running_org
from tests.orgsim.client import Client, connect

ORG = {"role": "target", "orders": 40}
NS = "CHANNEL_ORDERS__"
ORDER = NS + "Service_Order__c"
DETAIL = NS + "Service_Order_Detail__c"


def create(client: Client, **settings: Any) -> dict[str, Any]:
    answer = client.call(
        "POST", "/jobs/ingest", json={"object": "Account", "operation": "insert", **settings}
    )
    assert answer.status_code == 200, answer.text
    job: dict[str, Any] = answer.json()
    return job


def put(client: Client, job: str, data: bytes = b"Name\nx\n") -> requests.Response:
    return client.call("PUT", f"/jobs/ingest/{job}/batches", data=data, headers={"Content-Type": "text/csv"})


def patch(client: Client, job: str, state: str) -> requests.Response:
    return client.call("PATCH", f"/jobs/ingest/{job}", json={"state": state})


# B1, B2: shapes and states --------------------------------------------------------------------------------


def test_b2_create_answers_the_open_job(client: Client) -> None:
    job = create(client)
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
    job = create(client)["id"]
    state = client.get(f"/jobs/ingest/{job}")
    assert "numberRecordsProcessed" not in state
    assert state["totalProcessingTime"] == 0
    put(client, job)
    short = patch(client, job, "UploadComplete").json()
    assert not {"contentUrl", "lineEnding", "columnDelimiter"} & set(short)
    assert short["state"] == "UploadComplete"
    done = client.wait("ingest", job)
    assert "contentUrl" not in done
    assert done["jobType"] == "V2Ingest"
    assert (done["numberRecordsProcessed"], done["numberRecordsFailed"]) == (1, 0)
    assert {"retries", "totalProcessingTime", "apiActiveProcessingTime", "apexProcessingTime"} <= set(done)


def test_b1_put_answers_201_with_an_empty_body(client: Client) -> None:
    answer = put(client, create(client)["id"])
    assert (answer.status_code, answer.content) == (201, b"")


def test_b3_states_go_through_upload_complete_and_in_progress() -> None:
    with running_org(role="target", orders=0, job_delay=0.3) as org:
        client = connect(org)
        job = create(client)["id"]
        put(client, job)
        patch(client, job, "UploadComplete")
        seen = [
            client.wait("ingest", job, (state,))["state"]
            for state in ("UploadComplete", "InProgress", "JobComplete")
        ]
        assert seen == ["UploadComplete", "InProgress", "JobComplete"]


def test_held_jobs_wait_until_they_are_let_go() -> None:
    with running_org(role="target", orders=0, job_delay=0.0, hold_jobs=True) as org:
        client = connect(org)
        job = create(client)["id"]
        put(client, job)
        patch(client, job, "UploadComplete")
        time.sleep(0.5)
        assert client.get(f"/jobs/ingest/{job}")["state"] == "UploadComplete"

        org.control("PATCH", "settings", {"hold_jobs": False})

        assert client.wait("ingest", job)["state"] == "JobComplete"


def test_b3_a_second_put_is_refused_with_the_real_typo(client: Client) -> None:
    job = create(client)["id"]
    put(client, job)
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
    job = create(client)["id"]
    patch(client, job, "UploadComplete")
    assert client.wait("ingest", job)["state"] == "Failed"


def test_b3_an_open_job_ends_after_a_day_and_results_after_seven(org: RunningOrg, client: Client) -> None:
    done = client.ingest("Account", "insert", "Name\nexpiry\n")["id"]
    left_open = create(client)["id"]
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
    job = create(client)["id"]
    put(client, job, b"Name\na\nb\n")
    patch(client, job, "UploadComplete")
    client.wait("ingest", job, ("InProgress",))
    assert patch(client, job, "Aborted").json()["state"] == "Aborted"
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
    job = create(client)["id"]
    listed = client.get("/jobs/ingest", params={"jobType": "V2Ingest"})
    assert job in [one["id"] for one in listed["records"]]
    assert listed["done"] is True
    status, code, message = client.error("DELETE", f"/jobs/ingest/{job}")
    assert (status, code) == (400, "API_ERROR")
    assert message == "Error encountered when deleting the job because the job is not terminated"
    patch(client, job, "Aborted")
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
        b'--BOUNDARY\r\nContent-Type: text/csv\r\nContent-Disposition: form-data; name="content"; filename="content"\r\n\r\n'
        b"Name\nmultipart\n\r\n--BOUNDARY--\r\n"
    )
    answer = client.call(
        "POST", "/jobs/ingest", data=body, headers={"Content-Type": "multipart/form-data; boundary=BOUNDARY"}
    )
    assert answer.status_code == 200, answer.text
    assert answer.json()["state"] == "UploadComplete"
    assert client.wait("ingest", answer.json()["id"])["numberRecordsProcessed"] == 1


# B5: what the CSV may hold ---------------------------------------------------------------------------------


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


# B6: result files ------------------------------------------------------------------------------------------


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


def test_gzip_works_both_ways_and_bodies_may_be_chunked(client: Client) -> None:
    import gzip

    job = create(client)["id"]
    data = b"Name\n" + b"".join(b"packed %d\n" % n for n in range(500))
    answer = client.call(
        "PUT",
        f"/jobs/ingest/{job}/batches",
        data=gzip.compress(data),
        headers={"Content-Type": "text/csv", "Content-Encoding": "gzip"},
    )
    assert answer.status_code == 201
    patch(client, job, "UploadComplete")
    assert client.wait("ingest", job)["numberRecordsProcessed"] == 500
    results = client.call("GET", f"/jobs/ingest/{job}/successfulResults")
    assert results.headers["Content-Encoding"] == "gzip"
    job = create(client)["id"]
    chunks = (b"Name\n", b"chunked one\n", b"chunked two\n")
    answer = client.call(
        "PUT", f"/jobs/ingest/{job}/batches", data=iter(chunks), headers={"Content-Type": "text/csv"}
    )
    assert answer.status_code == 201
    patch(client, job, "UploadComplete")
    assert client.wait("ingest", job)["numberRecordsProcessed"] == 2


def test_content_type_must_be_csv(client: Client) -> None:
    job = create(client)["id"]
    given = client.error(
        "PUT", f"/jobs/ingest/{job}/batches", data=b"{}", headers={"Content-Type": "application/json"}
    )
    assert given[:2] == (415, "UNSUPPORTED_MEDIA_TYPE")
