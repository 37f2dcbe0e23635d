"""A bare HTTP client of one org: what is tested is the answer, not a library."""

from __future__ import annotations

import csv
import io
import time
from dataclasses import dataclass
from typing import Any

import requests

from orgsim.launch import RunningOrg

VERSION = "v67.0"


@dataclass
class Client:
    """A bare HTTP client of one org: what is tested is the answer, not a library."""

    org: RunningOrg
    http: requests.Session
    version: str = VERSION

    def call(self, method: str, path: str, **more: Any) -> requests.Response:
        """A request under /services/data/vXX.X, or of a whole path that starts with /services."""
        base = "" if path.startswith("/services") else f"/services/data/{self.version}"
        return self.http.request(method, self.org.url + base + path, timeout=300, **more)

    def get(self, path: str, **more: Any) -> Any:
        answer = self.call("GET", path, **more)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def query(self, soql: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.get("/query", params={"q": soql})["records"]
        return found

    def create(self, sobject: str, **values: Any) -> str:
        answer = self.call("POST", f"/sobjects/{sobject}", json=values)
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])

    def error(self, method: str, path: str, **more: Any) -> tuple[int, str, str]:
        """Status, error code and message of a refused request."""
        answer = self.call(method, path, **more)
        body = answer.json()
        assert isinstance(body, list), answer.text
        return answer.status_code, body[0]["errorCode"], body[0]["message"]

    # Bulk ------------------------------------------------------------------------------------------------

    def ingest(self, sobject: str, operation: str, csv: str | bytes, **settings: Any) -> dict[str, Any]:
        """A whole ingest job; returns its final status."""
        job = self.open_job(object=sobject, operation=operation, **settings)["id"]
        put = self.upload(job, csv.encode() if isinstance(csv, str) else csv)
        assert put.status_code == 201, put.text
        assert self.set_state(job, "UploadComplete").status_code == 200
        return self.wait("ingest", job)

    def open_job(self, **settings: Any) -> dict[str, Any]:
        """An ingest job that waits for its data: an insert of Accounts, unless told otherwise."""
        answer = self.call(
            "POST", "/jobs/ingest", json={"object": "Account", "operation": "insert", **settings}
        )
        assert answer.status_code == 200, answer.text
        job: dict[str, Any] = answer.json()
        return job

    def upload(self, job: str, data: bytes = b"Name\nx\n") -> requests.Response:
        return self.call(
            "PUT", f"/jobs/ingest/{job}/batches", data=data, headers={"Content-Type": "text/csv"}
        )

    def set_state(self, job: str, state: str) -> requests.Response:
        return self.call("PATCH", f"/jobs/ingest/{job}", json={"state": state})

    def wait(
        self, kind: str, job: str, until: tuple[str, ...] = ("JobComplete", "Failed", "Aborted")
    ) -> dict[str, Any]:
        deadline = time.monotonic() + 300
        while time.monotonic() < deadline:
            state: dict[str, Any] = self.get(f"/jobs/{kind}/{job}")
            if state["state"] in until:
                return state
            time.sleep(0.01)
        raise AssertionError(f"job {job} did not reach {until}")

    def results(self, job: str, which: str) -> list[dict[str, str]]:
        answer = self.call("GET", f"/jobs/ingest/{job}/{which}/")
        assert answer.status_code == 200, answer.text
        return list(csv.DictReader(io.StringIO(answer.content.decode(), newline="")))

    def bulk_query(self, soql: str, **settings: Any) -> dict[str, Any]:
        answer = self.call("POST", "/jobs/query", json={"operation": "query", "query": soql, **settings})
        assert answer.status_code == 200, answer.text
        return self.wait("query", answer.json()["id"])

    def bulk_rows(self, soql: str) -> list[dict[str, str]]:
        job = self.bulk_query(soql)["id"]
        rows: list[dict[str, str]] = []
        locator = ""
        while locator != "null":
            answer = self.call(
                "GET", f"/jobs/query/{job}/results", params={"locator": locator} if locator else {}
            )
            assert answer.status_code == 200, answer.text
            rows += csv.DictReader(io.StringIO(answer.content.decode(), newline=""))
            locator = answer.headers["Sforce-Locator"]
        return rows


def connect(org: RunningOrg) -> Client:
    http = requests.Session()
    http.headers["Authorization"] = f"Bearer {org.login()}"
    return Client(org, http)
