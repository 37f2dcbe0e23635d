"""The session that probes ask with: it marks, counts and writes down what they make, and keeps each exchange.

What no probe may ever do is refused here, where every request passes: a field of `NEVER_WRITTEN`, a status other than
Draft without leave, a record that is not of this run, more records than were announced.
"""

from __future__ import annotations

import csv
import io
import json
import logging
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import quote

from coa.contract.fact import NotAskable
from coa.contract.ledger import Ledger
from coa.contract.marks import MARK_FIELDS, beginning, mark
from coa.errors import OrgRefused
from coa.model import DRAFT, NEVER_WRITTEN, STATUS
from coa.salesforce.bulk import IngestJobs, JobStatus, QueryJobs
from coa.salesforce.composite import Read, read_together
from coa.salesforce.describe import Describe, Field, described
from coa.salesforce.session import Org

log = logging.getLogger(__name__)

KIND = "contract"
"""How the calls are counted."""


class ForbiddenWrite(RuntimeError):
    """A probe tried what no probe may do: a fault of the program, not of the org."""


@dataclass(frozen=True)
class Exchange:
    """One request and its answer; `body` and `answer` are JSON values, or the text of a CSV."""

    method: str
    path: str
    body: Any
    status: int
    answer: Any

    def without_answer(self) -> Exchange:
        """For answers that are long and of which a probe looks at little."""
        return replace(self, answer=None)


@dataclass(frozen=True)
class Reply:
    """A status and a body; `code` is Salesforce's errorCode of a refusal."""

    status: int
    body: Any
    code: str = ""
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def refused(self) -> bool:
        """Whether the org answered with another status than 2xx."""
        return self.status >= 300


@dataclass(frozen=True)
class Saved:
    """What became of one record: its id, or the code of its refusal."""

    id: str
    code: str = ""

    @property
    def word(self) -> str:
        """As an answer of a probe: `accepted` or `refused:CODE`."""
        return f"refused:{self.code}" if self.code else "accepted"


@dataclass(frozen=True)
class BulkRows:
    """A Bulk job that is over; result files by name, as raw text, None where there was no content."""

    status: JobStatus
    files: dict[str, str | None]

    def rows(self, which: str) -> list[dict[str, str]]:
        """Rows of one result file, by column; none for a file without content."""
        return list(csv.DictReader(io.StringIO(self.files.get(which) or "", newline="")))


SUCCESSFUL, FAILED, UNPROCESSED = "successfulResults", "failedResults", "unprocessedrecords"


class ProbeOrg:
    """One org during one run of the contract. `status_allowed`: orders may be made something else than Draft."""

    def __init__(self, org: Org, ledger: Ledger, *, status_allowed: bool = False) -> None:
        self.org = org
        self.ledger = ledger
        self.status_allowed = status_allowed
        self.exchanges: list[Exchange] = []
        """Of the probe at work."""
        self.made: dict[str, list[str]] = {}
        """sObject -> ids of the records of this run."""
        self.announced: Counter[str] = Counter()
        """Records that may still be made, by sObject."""
        self.sent: set[str] = set()
        """Texts that we sent; they may stand in a cassette unless they are `foreign`."""
        self.foreign: set[str] = set()
        """Values that we took over from the org, such as one of its picklist values."""
        self._numbers = 0
        self._queries: list[str] = []
        self._describes: dict[str, Describe | None] = {}

    # ---- reading --------------------------------------------------------------------------------
    def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        params: dict[str, str] | None = None,
        data: bytes | None = None,
        headers: dict[str, str] | None = None,
    ) -> Reply:
        """One request below `/services/data/vXX.X`; a refusal is a reply like any other."""
        content = json.dumps(body).encode() if body is not None else data
        sent_as = {"Content-Type": "application/json; charset=UTF-8"} if body is not None else {}
        shown = path if not params else path + "?" + "&".join(f"{k}={v}" for k, v in params.items())
        try:
            response = self.org.request(
                method,
                self.org.data_path + path,
                kind=KIND,
                params=params,
                data=content,
                headers={**sent_as, **(headers or {})},
            )
        except OrgRefused as refused:
            code = _code(refused.code) if refused.code else ""
            reply = Reply(refused.status, [{"errorCode": code, "message": refused.said}], code)
        else:
            kept = {k: v for k, v in response.headers.items() if k.lower().startswith("sforce-locator")}
            reply = Reply(response.status_code, _content(response), headers=kept)
        asked = body if body is not None else data.decode() if data is not None else None
        self.exchanges.append(Exchange(method, shown, asked, reply.status, reply.body))
        return reply

    def query(self, soql: str, *, tooling: bool = False, all_rows: bool = False) -> list[dict[str, Any]]:
        """Records of the first page. Raises `NotAskable` when the org refuses the query."""
        path = "/tooling/query" if tooling else "/queryAll" if all_rows else "/query"
        reply = self.call("GET", path, params={"q": soql})
        if reply.refused:
            raise NotAskable(f"the org refused a query of the probe: {reply.code or reply.status}")
        records: list[dict[str, Any]] = reply.body["records"]
        return records

    def together(self, *requests: tuple[str, str]) -> list[tuple[int, Any]]:
        """(status, body) of several requests (method, path) in one: refusals keep their body.

        Raises `NotAskable` when the org refuses the request as a whole.
        """
        body = {
            "allOrNone": False,
            "compositeRequest": [
                {"method": method, "url": self.org.data_path + path, "referenceId": f"r{n}"}
                for n, (method, path) in enumerate(requests)
            ],
        }
        reply = self.call("POST", "/composite", body)
        if reply.refused:
            raise NotAskable(f"the org refused a composite request: {reply.code or reply.status}")
        return [(int(r["httpStatusCode"]), r["body"]) for r in reply.body["compositeResponse"]]

    def read(self, sobject: str, record_id: str, *fields: str) -> dict[str, Any]:
        """Fields of one record. Raises `NotAskable` when it cannot be read."""
        reply = self.call("GET", f"/sobjects/{sobject}/{record_id}", params={"fields": ",".join(fields)})
        if reply.refused:
            raise NotAskable(f"a record of the probe cannot be read: {reply.code or reply.status}")
        record: dict[str, Any] = reply.body
        return record

    # ---- describe -------------------------------------------------------------------------------
    def describe(self, sobject: str) -> Describe:
        """Raises `NotAskable` where the org has no such object, or hides it."""
        if sobject not in self._describes:
            names = [sobject, *(one for one in MARK_FIELDS if one not in self._describes and one != sobject)]
            answers = read_together(
                self.org, [Read(path=f"/sobjects/{n}/describe", kind="describe") for n in names]
            )
            self._describes |= dict(zip(names, map(described, answers), strict=True))
        found = self._describes[sobject]
        if found is None:
            raise NotAskable(f"the org has no object {sobject}, or hides it")
        return found

    def field(self, sobject: str, name: str) -> Field:
        """Raises `NotAskable` where the field is not there, or hidden."""
        found = self.describe(sobject).field(name)
        if found is None:
            raise NotAskable(f"the field {sobject}.{name} is not there, or hidden")
        return found

    def need(self, sobject: str, *names: str, update: bool = False) -> None:
        """Raises `NotAskable` unless these fields can be written with a new record (or by an `update`)."""
        for name in names:
            one = self.field(sobject, name)
            if not (one.updateable if update else one.createable):
                raise NotAskable(f"the field {sobject}.{name} cannot be written")

    def value_of(self, sobject: str, name: str, wanted: str) -> str:
        """`wanted`, where the picklist has it. Raises `NotAskable` otherwise."""
        if wanted not in self.field(sobject, name).picklist_values:
            raise NotAskable(f"the picklist {sobject}.{name} lacks {wanted}")
        return wanted

    # ---- writing --------------------------------------------------------------------------------
    def announce(self, counts: dict[str, int]) -> None:
        """Lets so many records be made: what was counted beforehand, and approved."""
        self.announced = Counter(counts)

    def marked(self, sobject: str, values: dict[str, Any]) -> dict[str, Any]:
        """A new record with its mark; fields that the org does not let us set are left out, unless they are the mark.

        Raises `NotAskable` when the mark cannot be written.
        """
        fields = self.describe(sobject).fields
        self._numbers += 1
        name = MARK_FIELDS[sobject]
        if name not in fields or not fields[name].createable:
            raise NotAskable(f"the field {sobject}.{name}, which marks records of probes, cannot be written")
        return {name: mark(self.ledger.key, self._numbers), **values}

    def insert(self, sobject: str, *records: dict[str, Any]) -> list[Saved]:
        """New records by one call of sObject collections, in the order of the records.

        Each gets its mark unless it brings one (`marked`).
        Raises `NotAskable` when the org refuses the call as a whole.
        """
        rows = [self._ready(sobject, one) for one in records]
        self._write_down(sobject, rows)
        body = {"allOrNone": False, "records": [{"attributes": {"type": sobject}, **one} for one in rows]}
        reply = self.call("POST", "/composite/sobjects", body)
        if reply.refused:
            raise NotAskable(f"the org does not accept sObject collections: {reply.code or reply.status}")
        saved = [_saved(one) for one in reply.body]
        self._remember(sobject, rows, [one.id for one in saved])
        return saved

    def new(self, sobject: str, values: dict[str, Any]) -> str:
        """The id of a record that a probe needs to ask with. Raises `NotAskable` when the org refuses it."""
        (saved,) = self.insert(sobject, values)
        if saved.code:
            raise NotAskable(f"the org refused a record that the probe needs ({sobject}): {saved.code}")
        return saved.id

    def update(self, sobject: str, record_id: str, values: dict[str, Any]) -> Saved:
        """Changes a record of this run."""
        self._refuse_strangers(sobject, [record_id])
        self._refuse_hazards([values])
        self._note_texts([values])
        body = {
            "allOrNone": False,
            "records": [{"attributes": {"type": sobject}, "id": record_id, **values}],
        }
        reply = self.call("PATCH", "/composite/sobjects", body)
        return Saved("", reply.code or str(reply.status)) if reply.refused else _saved(reply.body[0])

    def delete(self, sobject: str, *ids: str) -> list[Saved]:
        """Deletes records of this run."""
        self._refuse_strangers(sobject, ids)
        reply = self.call("DELETE", "/composite/sobjects", params={"ids": ",".join(ids)})
        return [Saved("", reply.code)] if reply.refused else [_saved(one) for one in reply.body]

    def upsert(self, sobject: str, key_field: str, value: str, values: dict[str, Any]) -> Saved:
        """One record by an external id whose value begins with a mark of this run."""
        row = self._ready(sobject, {key_field: value, **values})
        self._write_down(sobject, [row])
        body = {key: one for key, one in row.items() if key != key_field}
        reply = self.call("PATCH", f"/sobjects/{sobject}/{key_field}/{quote(value, safe='')}", body)
        if reply.refused:
            return Saved("", reply.code or str(reply.status))
        saved = Saved(str((reply.body or {}).get("id", "")))
        self._remember(sobject, [row], [saved.id])
        return saved

    # ---- Bulk -----------------------------------------------------------------------------------
    def open_job(self, sobject: str, operation: str, **settings: str) -> str:
        """An ingest job without data; it is written down before it can do anything.

        Raises `NotAskable` when the org refuses it.
        """
        body = {"object": sobject, "operation": operation, "contentType": "CSV", **settings}
        reply = self.call("POST", "/jobs/ingest", body)
        if reply.refused:
            raise NotAskable(f"the org refused a Bulk job: {reply.code or reply.status}")
        job_id = str(reply.body["id"])
        self.ledger.job(job_id)
        return job_id

    def upload(self, job_id: str, content: str) -> Reply:
        """Sends the CSV of an ingest job."""
        return self.call(
            "PUT",
            f"/jobs/ingest/{job_id}/batches",
            data=content.encode(),
            headers={"Content-Type": "text/csv; charset=UTF-8"},
        )

    def set_job(self, job_id: str, state: str) -> Reply:
        """Sets the state of an ingest job: `UploadComplete` or `Aborted`."""
        return self.call("PATCH", f"/jobs/ingest/{job_id}", {"state": state})

    def ended_job(self, job_id: str) -> JobStatus:
        """Waits for the job's end."""
        status = IngestJobs(self.org).wait(job_id)
        self.exchanges.append(Exchange("GET", f"/jobs/ingest/{job_id}", None, 200, {"state": status.state}))
        return status

    def drop_job(self, job_id: str) -> None:
        """Takes a job that is over out of the org's list."""
        self.call("DELETE", f"/jobs/ingest/{job_id}")

    def bulk(
        self,
        sobject: str,
        operation: str,
        rows: Sequence[dict[str, str]],
        *,
        key_field: str = "",
        delimiter: str = "COMMA",
        line_ending: str = "LF",
    ) -> BulkRows:
        """A whole ingest job. All rows have the columns of the first; new records are marked already.

        Raises `NotAskable` when the org refuses the job or its data.
        """
        if operation == "update":
            self._refuse_strangers(sobject, [row["Id"] for row in rows])
        else:
            self._write_down(sobject, rows)
        self._refuse_hazards(rows)
        self._note_texts(rows)
        more = {"externalIdFieldName": key_field} if key_field else {}
        job_id = self.open_job(sobject, operation, columnDelimiter=delimiter, lineEnding=line_ending, **more)
        uploaded = self.upload(job_id, as_csv(rows, delimiter, line_ending))
        if uploaded.refused:
            raise NotAskable(f"the org refused the data of a Bulk job: {uploaded.code or uploaded.status}")
        self.set_job(job_id, "UploadComplete")
        status = self.ended_job(job_id)
        files: dict[str, str | None] = {}
        for which in (SUCCESSFUL, FAILED, UNPROCESSED):
            reply = self.call("GET", f"/jobs/ingest/{job_id}/{which}/", headers={"Accept": "text/csv"})
            files[which] = None if reply.status == 204 or reply.refused else str(reply.body or "")
        done = BulkRows(status, files)
        if operation != "update":
            self._remember_bulk(sobject, rows, done)
        self.drop_job(job_id)
        return done

    def bulk_query(self, soql: str, most: int | None = None) -> tuple[str, str, str]:
        """(job id, CSV of the first page, its locator). Raises `NotAskable` when the query is refused or fails."""
        job_id, state = self.query_job(soql)
        if state != "JobComplete":
            raise NotAskable(f"the org refused a Bulk query: {state}")
        return job_id, *self.page(job_id, most=most)

    def query_job(self, soql: str) -> tuple[str, str]:
        """(job id, state at its end) of a Bulk query; an empty id and the code where the org refused it."""
        reply = self.call("POST", "/jobs/query", {"operation": "query", "query": soql})
        if reply.refused:
            return "", reply.code or str(reply.status)
        job_id = str(reply.body["id"])
        self._queries.append(job_id)
        return job_id, QueryJobs(self.org).wait(job_id).state

    def drop_queries(self) -> None:
        """Takes the query jobs of the probe at work out of the org's list."""
        while self._queries:
            job_id = self._queries.pop()
            try:
                self.org.request("DELETE", f"{self.org.data_path}/jobs/query/{job_id}", kind=KIND, safe=True)
            except OrgRefused as refused:
                log.info("the query job %s stays in the org's list: %s", job_id, refused.code)

    def page(self, job_id: str, locator: str = "", most: int | None = None) -> tuple[str, str]:
        """(CSV, locator of the next page) of a query job. Raises `NotAskable` when the page cannot be read."""
        params = {"maxRecords": str(most)} if most else {}
        if locator:
            params["locator"] = locator
        reply = self.call(
            "GET", f"/jobs/query/{job_id}/results", params=params, headers={"Accept": "text/csv"}
        )
        if reply.refused:
            raise NotAskable(f"a page of a Bulk query cannot be read: {reply.code or reply.status}")
        return str(reply.body or ""), next(iter(reply.headers.values()), "")

    # ---- inside ---------------------------------------------------------------------------------
    def _ready(self, sobject: str, values: dict[str, Any]) -> dict[str, Any]:
        bears = str(values.get(MARK_FIELDS[sobject], "")).startswith(beginning(self.ledger.key))
        return values if bears else {**self.marked(sobject, {}), **values}

    def _write_down(self, sobject: str, rows: Sequence[dict[str, Any]]) -> None:
        self._refuse_hazards(rows)
        self._note_texts(rows)
        self.announced[sobject] -= len(rows)
        if self.announced[sobject] < 0:
            raise ForbiddenWrite(f"A probe makes more records of {sobject} than it announced.")
        marks = [str(row[MARK_FIELDS[sobject]]) for row in rows]
        self.ledger.about_to_write(sobject, list(dict.fromkeys(marks)))

    def _remember(self, sobject: str, rows: Sequence[dict[str, Any]], ids: Sequence[str]) -> None:
        made = {
            str(row[MARK_FIELDS[sobject]]): record_id
            for row, record_id in zip(rows, ids, strict=True)
            if record_id
        }
        self.made.setdefault(sobject, []).extend(made.values())
        self.ledger.written(sobject, made)

    def _remember_bulk(self, sobject: str, rows: Sequence[dict[str, str]], done: BulkRows) -> None:
        name = MARK_FIELDS[sobject]
        ids = {row.get(name, ""): row["sf__Id"] for row in done.rows(SUCCESSFUL) if row.get("sf__Id")}
        known = {row[name]: ids[row[name]] for row in rows if row[name] in ids}
        self.made.setdefault(sobject, []).extend(known.values())
        self.ledger.written(sobject, known)

    def _refuse_strangers(self, sobject: str, ids: Iterable[str]) -> None:
        strangers = set(ids) - set(self.made.get(sobject, []))
        if strangers:
            raise ForbiddenWrite(
                f"A probe would change {len(strangers)} records of {sobject} that are not its own."
            )

    def _refuse_hazards(self, rows: Iterable[dict[str, Any]]) -> None:
        for row in rows:
            if NEVER_WRITTEN & row.keys():
                raise ForbiddenWrite(f"A probe would write {', '.join(sorted(NEVER_WRITTEN & row.keys()))}.")
            if row.get(STATUS, DRAFT) != DRAFT and not self.status_allowed:
                raise ForbiddenWrite(
                    "A probe would make an order something else than Draft, without leave to."
                )

    def _note_texts(self, rows: Iterable[dict[str, Any]]) -> None:
        self.sent |= {
            str(value) for row in rows for value in row.values() if isinstance(value, (str, int, float))
        }


DELIMITERS = {"COMMA": ",", "TAB": "\t"}
LINE_ENDINGS = {"LF": "\n", "CRLF": "\r\n"}


def as_csv(rows: Sequence[dict[str, str]], delimiter: str = "COMMA", line_ending: str = "LF") -> str:
    """The rows as Bulk takes them, every value quoted; columns are those of the first row."""
    text = io.StringIO(newline="")
    writer = csv.DictWriter(
        text,
        list(rows[0]),
        delimiter=DELIMITERS[delimiter],
        lineterminator=LINE_ENDINGS[line_ending],
        quoting=csv.QUOTE_ALL,
    )
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _code(text: object) -> str:
    """A code as Salesforce has them; whatever else stands in its place tells nothing and may be about somebody."""
    return str(text) if re.fullmatch(r"[A-Z][A-Z0-9_]*", str(text)) else "UNKNOWN"


def _saved(one: dict[str, Any]) -> Saved:
    if one.get("success"):
        return Saved(str(one.get("id", "")))
    errors = one.get("errors") or [{}]
    return Saved("", _code(errors[0].get("statusCode") or errors[0].get("errorCode")))


def _content(response: Any) -> Any:
    """JSON of a JSON answer, text of any other, None of an empty one."""
    if not response.content:
        return None
    text = response.content.decode("utf-8", "replace")
    if "json" not in response.headers.get("Content-Type", ""):
        return text
    try:
        return json.loads(text)
    except ValueError:
        return text
