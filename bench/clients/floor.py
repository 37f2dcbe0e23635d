"""The floor: the same records down and up once with `curl`, and no work done on them.

    python -m bench.clients.floor prepare SOURCE_URL TARGET_URL FOLDER    what comes up, made ready beforehand
    python -m bench.clients.floor move SOURCE_URL TARGET_URL FOLDER POLL_SECONDS

`move` is what is measured: three Bulk queries with their pages, three Bulk inserts with their results.
"""

from __future__ import annotations

import csv
import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench.check import CUSTOMER, DETAIL, KEY, NS, ORDER
from bench.phases import Phases

JOB_BYTES = 95_000_000
PAGE_ROWS = 50_000
LOADED = (CUSTOMER, ORDER, DETAIL)


def prepare(source_url: str, target_url: str, folder: str) -> None:
    """Uploads that the target takes as they are: parents by their source id, the catalog by the target's ids."""
    from bench.clients.naive import Move

    move = Move(source_url, target_url, 0.1)
    contracts = move.matched(NS + "Partner_Contract_Terms__c", "Name")
    products = move.matched(NS + "Partner_Product_Catalog__c", NS + "Product_ID__c")
    lookups: dict[str, dict[str, dict[str, str]]] = {
        CUSTOMER: {NS + "Account__c": {}},
        ORDER: {NS + "Partner_Contract_Rules__c": contracts, NS + "Related_Opportunity__c": {}},
        DETAIL: {NS + "Product_Name__c": products, NS + "pc_Partner_Contract_Term__c": contracts},
    }
    parents = {ORDER: NS + "Customer__c", DETAIL: NS + "Partner_Order__c"}
    queries = {}
    for name in LOADED:
        fields = move.fields(name)
        queries[name] = f"SELECT Id, {', '.join(fields)} FROM {name}"
        records = move.read(move.source, name, ["Id", *fields])
        parent = parents.get(name, "")
        for number, part in enumerate(_parts(records)):
            with (Path(folder) / f"up-{name}-{number}.csv").open("w", newline="", encoding="utf-8") as file:
                writer: csv.DictWriter[str] | None = None
                for record in part:
                    made = move.translate(record, lookups[name], parent, NS + "Cloned_Service_Order__c")
                    if parent:
                        made[parent.replace("__c", "__r") + "." + KEY] = record[parent]
                    if writer is None:
                        writer = csv.DictWriter(file, list(made), lineterminator="\n")
                        writer.writeheader()
                    writer.writerow(made)
    (Path(folder) / "queries.json").write_text(json.dumps(queries))


def _parts(records: list[dict[str, str]]) -> list[list[dict[str, str]]]:
    """Cut so that no upload is larger than a job takes."""
    size = sum(len(",".join(one.values()).encode()) for one in records[:2000]) / max(1, len(records[:2000]))
    rows = max(1, int(JOB_BYTES / (size * 1.3 + 1)))
    return [records[start : start + rows] for start in range(0, len(records), rows)]


class Curl:
    """Calls of one org."""

    def __init__(self, url: str) -> None:
        self.url = url
        form = "grant_type=client_credentials&client_id=coa&client_secret=secret"
        token = json.loads(_curl("-d", form, f"{url}/services/oauth2/token"))["access_token"]
        self.head = [
            "-H",
            f"Authorization: Bearer {token}",
            "-H",
            "Content-Type: application/json",
            "--compressed",
        ]

    def json(self, method: str, path: str, body: Any = None) -> dict[str, Any]:
        data = [] if body is None else ["-d", json.dumps(body)]
        found: dict[str, Any] = json.loads(
            _curl(*self.head, "-X", method, *data, f"{self.url}/services/data/v67.0{path}")
        )
        return found

    def wait(self, path: str, poll_seconds: float) -> dict[str, Any]:
        while True:
            state = self.json("GET", path)
            if state["state"] in ("JobComplete", "Failed", "Aborted"):
                return state
            time.sleep(poll_seconds)

    def down(self, path: str, to: Path) -> str:
        """Streams a result to a file; the locator of the next page."""
        headers = to.with_suffix(".headers")
        _curl(*self.head, "-D", str(headers), "-o", str(to), f"{self.url}/services/data/v67.0{path}")
        for line in headers.read_text().splitlines():
            if line.lower().startswith("sforce-locator:"):
                return line.split(":", 1)[1].strip()
        return "null"

    def up(self, path: str, file: Path) -> None:
        _curl(
            *self.head[:2],
            "-H",
            "Content-Type: text/csv; charset=UTF-8",
            "-T",
            str(file),
            f"{self.url}/services/data/v67.0{path}",
        )


def _curl(*arguments: str) -> bytes:
    return subprocess.run(["curl", "-sS", "--fail", *arguments], stdout=subprocess.PIPE, check=True).stdout


def move(source_url: str, target_url: str, folder: str, poll_seconds: str) -> None:
    source, target = Curl(source_url), Curl(target_url)
    home, poll = Path(folder), float(poll_seconds)
    phases = Phases()
    for name, query in json.loads((home / "queries.json").read_text()).items():
        job = source.json("POST", "/jobs/query", {"operation": "query", "query": query})
        path = f"/jobs/query/{job['id']}"
        source.wait(path, poll)
        locator, page = "", 0
        while locator != "null":
            more = f"&locator={locator}" if locator else ""
            locator = source.down(
                f"{path}/results?maxRecords={PAGE_ROWS}{more}", home / f"down-{name}-{page}.csv"
            )
            page += 1
    phases.end("read")
    for name in LOADED:
        for file in sorted(home.glob(f"up-{name}-*.csv")):
            job = target.json(
                "POST",
                "/jobs/ingest",
                {"object": name, "operation": "insert", "contentType": "CSV", "lineEnding": "LF"},
            )
            path = f"/jobs/ingest/{job['id']}"
            target.up(f"{path}/batches", file)
            target.json("PATCH", path, {"state": "UploadComplete"})
            ended = target.wait(path, poll)
            target.down(f"{path}/successfulResults/", home / "results.csv")
            print(
                name, ended["numberRecordsProcessed"], ended["numberRecordsFailed"], ended.get("errorMessage")
            )
    phases.end("load")
    phases.write(home)


if __name__ == "__main__":
    commands: dict[str, Callable[..., None]] = {"prepare": prepare, "move": move}
    commands[sys.argv[1]](*sys.argv[2:])
