"""Bulk API 1.0: jobs made of batches, in CSV, JSON or XML, results in request order (contract D1)."""

from __future__ import annotations

import csv
import io
import json
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

from orgsim.bulk.csvtext import BadCsv, records
from orgsim.bulk.jobs import Job, Jobs
from orgsim.bulk.query import compile_bulk
from orgsim.bulk.speed import QUERY
from orgsim.dml import CHUNK, WriteOptions
from orgsim.errors import ApiError, RowError
from orgsim.rows import Row, UnknownColumn, bind, decode_cells, decode_json
from orgsim.schema.model import SObject
from orgsim.soql import rest_rows
from orgsim.soql.compile import Plan
from orgsim.values import csv_expression

if TYPE_CHECKING:
    from orgsim.org import Org

XMLNS = "http://www.force.com/2009/06/asyncapi/dataload"
_NIL = "{http://www.w3.org/2001/XMLSchema-instance}nil"
MAX_ROWS = 10_000
MAX_CHARACTERS = 10_000_000


class BatchFailed(Exception):
    """The batch cannot be processed; the text is its stateMessage."""


@dataclass
class Batch:
    """Part of a job: its content, and after processing one result a row, or for a query the records."""

    id: str
    content: bytes
    created: float
    state: str = "Queued"
    message: str = ""
    processed: int = 0
    failed: int = 0
    milliseconds: int = 0
    rows: list[Row] = field(default_factory=list)
    result_id: str = ""
    result: bytes = b""


@dataclass
class ClassicJob(Job):
    """A Bulk 1.0 job."""

    content_type: str = "CSV"
    external_id: str = ""
    concurrency: str = "Parallel"
    batches: list[Batch] = field(default_factory=list)
    one_at_a_time: threading.Lock = field(default_factory=threading.Lock, repr=False)

    @property
    def is_query(self) -> bool:
        return self.operation in ("query", "queryAll")


class Classic:
    """Processes one batch in a worker thread."""

    def __init__(self, org: Org, jobs: Jobs, job: ClassicJob, batch: Batch) -> None:
        self._org = org
        self._jobs = jobs
        self._job = job
        self._batch = batch
        self._sobject: SObject = org.schema[job.object]

    def run(self) -> None:
        if self._job.concurrency == "Serial":
            with self._job.one_at_a_time:
                self._run()
        else:
            self._run()

    def _run(self) -> None:
        job, batch = self._job, self._batch
        if not self._jobs.wait(job):
            batch.state = "NotProcessed"
            return
        batch.state = "InProgress"
        if self._org.faults.for_job("job_stuck", job.object, job.operation) is not None:
            job.stop.wait()
            batch.state = "NotProcessed"
            return
        started = time.perf_counter()
        try:
            if self._org.faults.for_job("job_failed", job.object, job.operation) is not None:
                raise BatchFailed("InternalServerError : Retried more than 10 times")
            if job.is_query:
                self._query()
                self._jobs.keep_rate(job, QUERY, batch.processed, started)
            else:
                self._ingest()
            batch.state = "Completed"
        except BatchFailed as failed:
            batch.state, batch.message = "Failed", str(failed)
        except BadCsv as bad:
            batch.state, batch.message = "Failed", str(bad)
        except ApiError as refusal:
            batch.state, batch.message = "Failed", f"InvalidBatch : {refusal.message}"
        batch.milliseconds = int((time.perf_counter() - started) * 1000)
        job.processed += batch.processed
        job.failed += batch.failed

    # ingest ------------------------------------------------------------------------------------------------

    def _ingest(self) -> None:
        job, batch, org = self._job, self._batch, self._org
        rows = self._decoded()
        if len(rows) > MAX_ROWS:
            raise BatchFailed("ClientInputError : Batch Size Exceeded: more than 10,000 records")
        key = self._sobject.get(job.external_id) if job.operation == "upsert" else None
        options = WriteOptions(job.user_id)
        lock = org.faults.for_job("lock_rows", job.object, job.operation)
        started = time.perf_counter()
        for start in range(0, len(rows), CHUNK):
            chunk = rows[start : start + CHUNK]
            if lock is not None:
                for row in chunk:
                    if row.error is None and org.faults.random.random() < lock.fraction:
                        row.error = RowError(
                            "UNABLE_TO_LOCK_ROW",
                            "unable to obtain exclusive access to this record or 200 records",
                        )
            with org.store.transaction():
                org.dml.chunk(job.operation, self._sobject, chunk, options, key)
            self._jobs.keep_rate(job, job.object, start + len(chunk), started)
        batch.rows = rows
        batch.processed = len(rows)
        batch.failed = sum(1 for row in rows if row.error is not None)

    def _decoded(self) -> list[Row]:
        content_type = self._job.content_type
        if content_type == "CSV":
            return self._from_csv()
        found = self._json_records() if content_type == "JSON" else self._xml_records()
        rows = []
        for record in found:
            row = decode_json(self._org.schema, self._sobject, record)
            if row.error is not None and row.error.code == "INVALID_FIELD":
                told = row.error.message.replace("on entity", "on sobject of type")
                message = f"Unexpected JsonMappingException: {told}"
                row.error = RowError("INVALID_FIELD", message)
            rows.append(row)
        return rows

    def _text(self) -> str:
        try:
            return self._batch.content.decode("utf-8-sig")
        except UnicodeDecodeError:
            raise BatchFailed("ClientInputError : the data is not valid UTF-8") from None

    def _from_csv(self) -> list[Row]:
        lines = records(self._text(), ",")
        header = next(lines, None)
        if header is None:
            raise BatchFailed("InvalidBatch : Unable to find any headers in CSV file")
        try:
            bindings = [bind(self._org.schema, self._sobject, name) for name in header]
        except UnknownColumn as unknown:
            raise BatchFailed(f"InvalidBatch : Field name not found : {unknown.header}") from None
        return decode_cells(bindings, list(lines))

    def _json_records(self) -> list[dict[str, Any]]:
        try:
            found = json.loads(self._text())
        except (ValueError, RecursionError):
            raise BatchFailed("InvalidBatch : Unable to parse JSON") from None
        if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
            raise BatchFailed("InvalidBatch : a list of records is expected")
        return found

    def _xml_records(self) -> list[dict[str, Any]]:
        try:
            root = ElementTree.fromstring(self._batch.content)
        except ElementTree.ParseError:
            raise BatchFailed("InvalidXML : Unable to parse XML") from None
        return [_from_xml(one) for one in root]

    # query -------------------------------------------------------------------------------------------------

    def _query(self) -> None:
        org, job, batch = self._org, self._job, self._batch
        plan = compile_bulk(org, self._text(), job.operation)
        if plan.sobject.name != job.object:
            raise BatchFailed(f"InvalidBatch : the query is not on {job.object}")
        if job.content_type == "CSV":
            batch.result, batch.processed = self._csv_result(plan)
        else:
            rows = rest_rows.fetch(org, plan)
            found = rest_rows.render(org, plan, rows, f"/services/data/v{job.version:.1f}")
            batch.processed = len(found)
            if job.content_type == "JSON":
                batch.result = json.dumps([_epochs(one, plan) for one in found], ensure_ascii=False).encode()
            else:
                batch.result = _to_xml(found)
        batch.result_id = batch.id.replace("751", "752", 1)

    def _csv_result(self, plan: Plan) -> tuple[bytes, int]:
        text = io.StringIO(newline="")
        writer = csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator="\n")
        writer.writerow([".".join(one.path) for one in plan.columns])
        columns = [csv_expression(one.sql, one.kind) for one in plan.columns]
        rows = self._org.store.all(plan.sql(columns), plan.all_parameters())
        writer.writerows(rows)
        return text.getvalue().encode("utf-8", "surrogatepass"), len(rows)


def _from_xml(element: ElementTree.Element) -> dict[str, Any]:
    """An sObject element as a record: nil is null, nested sObjects are parents by external id."""
    record: dict[str, Any] = {}
    for child in element:
        name = child.tag.rpartition("}")[2]
        nested = next((one for one in child if one.tag.rpartition("}")[2] == "sObject"), None)
        if name == "type":
            record["attributes"] = {"type": child.text or ""}
        elif nested is not None:
            record[name] = _from_xml(nested)
        elif child.get(_NIL) == "true":
            record[name] = None
        elif child.text:
            record[name] = child.text
    return record


def _epochs(record: dict[str, Any], plan: Plan) -> dict[str, Any]:
    """Bulk 1.0 JSON gives date-times as milliseconds since 1970."""
    import datetime as dt

    for column in plan.columns:
        holder: Any = record
        for part in column.path[:-1]:
            holder = holder.get(part) if holder is not None else None
        if column.kind == "datetime" and holder is not None and holder.get(column.path[-1]):
            moment = dt.datetime.strptime(holder[column.path[-1]], "%Y-%m-%dT%H:%M:%S.%f%z")
            holder[column.path[-1]] = int(moment.timestamp() * 1000)
    return record


def _to_xml(found: list[dict[str, Any]]) -> bytes:
    root = ElementTree.Element("queryResult", {"xmlns": XMLNS})
    for record in found:
        _xml_record(ElementTree.SubElement(root, "records"), record)
    packed: bytes = ElementTree.tostring(root, "utf-8", xml_declaration=True)
    return packed


def _xml_record(element: ElementTree.Element, record: dict[str, Any]) -> None:
    for name, value in record.items():
        if name == "attributes":
            ElementTree.SubElement(element, "type").text = value["type"]
        elif isinstance(value, dict):
            _xml_record(ElementTree.SubElement(element, name), value)
        else:
            child = ElementTree.SubElement(element, name)
            if value is None:
                child.set("{http://www.w3.org/2001/XMLSchema-instance}nil", "true")
            else:
                child.text = str(value).lower() if isinstance(value, bool) else str(value)


def result_rows(batch: Batch) -> Iterator[dict[str, Any]]:
    """One result a row, in request order."""
    for row in batch.rows:
        errors = []
        if row.error is not None:
            errors = [
                {
                    "message": row.error.message,
                    "fields": list(row.error.fields),
                    "statusCode": row.error.code,
                    "extendedErrorDetails": None,
                }
            ]
        yield {"success": row.error is None, "created": row.created, "id": row.id or None, "errors": errors}
