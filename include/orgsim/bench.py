"""``python -m orgsim.bench``: how fast an org takes and gives rows over HTTP, 15 columns a row.

A benchmark of a migration must not measure the simulator: the aim is 20,000 rows/s in and 50,000 out.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import os
import time
import urllib.request
from pathlib import Path
from typing import Any

from orgsim.launch import RunningOrg, running_org

NS = "CHANNEL_ORDERS__"
COLUMNS = (
    "COA_Source_Id__c",
    "CreatedDate",
    *(
        NS + name
        for name in (
            "Customer__c",
            "Customer_Org_ID__c",
            "Partner_Contract_Rules__c",
            "Order_Type__c",
            "Service_Start_Date__c",
            "Date_Service_Order_Received_by_SFDC__c",
            "Date_Partner_Received_Customer_Order__c",
            "Error_Comment__c",
            "Contract_Length__c",
            "Cancellation_Terms_Days__c",
            "Auto_Renew__c",
            "I_certify__c",
            "Customer_Name__c",
        )
    ),
)


class Caller:
    """The few calls of a Bulk job."""

    def __init__(self, org: RunningOrg) -> None:
        self._base = f"{org.url}/services/data/v67.0"
        self._token = org.login()

    def call(self, method: str, path: str, body: bytes | None = None, kind: str = "application/json") -> Any:
        request = urllib.request.Request(self._base + path, body, method=method)
        request.add_header("Authorization", f"Bearer {self._token}")
        request.add_header("Content-Type", kind)
        with urllib.request.urlopen(request, timeout=600) as answer:
            return answer.read(), answer.headers

    def json(self, method: str, path: str, body: object = None) -> Any:
        return json.loads(self.call(method, path, None if body is None else json.dumps(body).encode())[0])

    def wait(self, path: str) -> dict[str, Any]:
        while True:
            state: dict[str, Any] = self.json("GET", path)
            if state["state"] in ("JobComplete", "Failed", "Aborted"):
                return state
            time.sleep(0.05)


def _processor_seconds(org: RunningOrg) -> float:
    """What the org's process used so far (Linux), so that a busy machine does not spoil the figure."""
    try:
        fields = Path(f"/proc/{org.process.pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _upload(org: RunningOrg, rows: int) -> bytes:
    customer = org.records(f"SELECT Id FROM {NS}Customer__c LIMIT 1")[0]["Id"]
    contract = org.records(f"SELECT Id FROM {NS}Partner_Contract_Terms__c LIMIT 1")[0]["Id"]
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for n in range(rows):
        day = f"20{12 + n % 14}-{1 + n % 12:02d}-{1 + n % 28:02d}"
        writer.writerow(
            [f"a0B{n:015d}", f"{day}T10:00:00Z", customer, f"00D{n:012d}", contract, "Initial", day,
             f"{day}T12:30:00Z", day, f'Note {n}, with "quotes"', 12, 30, "true", "Yes", f"Company {n}"]
        )  # fmt: skip
    return text.getvalue().encode()


def ingest(org: RunningOrg, rows: int) -> tuple[float, float]:
    """Rows a second from the upload to the end of the result download; and a second of the org's processor."""
    data, caller = _upload(org, rows), Caller(org)
    started, used = time.perf_counter(), _processor_seconds(org)
    job = caller.json("POST", "/jobs/ingest", {"object": NS + "Service_Order__c", "operation": "insert"})
    path = f"/jobs/ingest/{job['id']}"
    caller.call("PUT", f"{path}/batches", data, "text/csv")
    caller.json("PATCH", path, {"state": "UploadComplete"})
    state = caller.wait(path)
    if state["numberRecordsFailed"]:
        raise RuntimeError(f"rows failed: {caller.call('GET', path + '/failedResults')[0][:400]!r}")
    for which in ("successfulResults", "failedResults", "unprocessedrecords"):
        caller.call("GET", f"{path}/{which}")
    return rows / (time.perf_counter() - started), rows / max(_processor_seconds(org) - used, 0.001)


def query(org: RunningOrg) -> tuple[float, float, int]:
    """Rows a second from the creation of the job to the last page, a second of processor, and how many there were."""
    caller = Caller(org)
    started, used = time.perf_counter(), _processor_seconds(org)
    soql = f"SELECT {', '.join(COLUMNS)} FROM {NS}Service_Order__c"
    job = caller.json("POST", "/jobs/query", {"operation": "query", "query": soql})
    path = f"/jobs/query/{job['id']}"
    state = caller.wait(path)
    locator, size = "", 0
    while locator != "null":
        body, headers = caller.call("GET", f"{path}/results?maxRecords=50000&locator={locator}")
        locator, size = headers["Sforce-Locator"], size + len(body)
    rows = int(state["numberRecordsProcessed"])
    return rows / (time.perf_counter() - started), rows / max(_processor_seconds(org) - used, 0.001), rows


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m orgsim.bench", description=__doc__)
    parser.add_argument("--rows", type=int, default=100_000)
    arguments = parser.parse_args()
    with running_org(role="target", orders=10, seed=7, job_delay=0.0) as org:
        rate, busy = ingest(org, arguments.rows)
        print(f"ingest: {rate:,.0f} rows/s, {busy:,.0f} a second of the org's processor")
        rate, busy, rows = query(org)
        print(f"query:  {rate:,.0f} rows/s, {busy:,.0f} a second of the org's processor ({rows:,} rows)")
    started = time.perf_counter()
    with running_org(role="source", orders=100_000, details_per_order=10, seed=7) as org:
        taken = time.perf_counter() - started
        details = org.count(f"SELECT COUNT() FROM {NS}Service_Order_Detail__c")
        busy = _processor_seconds(org)
        print(f"start: 100,000 orders, {details:,} details in {taken:.1f} s, {busy:.1f} s of processor")


if __name__ == "__main__":
    main()
