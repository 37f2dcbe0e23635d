"""Bulk API 2.0 query: SOQL to a result file that is read in pages (contract C)."""

from __future__ import annotations

import base64
import binascii
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, BinaryIO

from orgsim.bulk.csvtext import DELIMITERS, LINE_ENDINGS, Writer
from orgsim.bulk.jobs import Job, Jobs
from orgsim.bulk.speed import QUERY
from orgsim.errors import ApiError
from orgsim.soql.compile import Plan
from orgsim.soql.tree import Query, parse
from orgsim.store import quote
from orgsim.values import csv_expression

if TYPE_CHECKING:
    from orgsim.org import Org

#: Records between two remembered file positions: pages start at any record, found from the mark before it.
MARK = 1000
#: Rows fetched in one go; between two, other work gets the store. Salesforce calls it PK chunking.
STEP = 5000
_READ = 1 << 18


@dataclass
class QueryJob(Job):
    """A query job with its result file."""

    query: str = ""
    plan: Plan | None = None
    header: bytes = b""
    file: BinaryIO | None = None
    marks: list[int] = field(default_factory=list)
    size: int = 0


def compile_bulk(org: Org, text: str, operation: str) -> Plan:
    """The plan of a Bulk query; refuses what Bulk does not support (contract C4)."""
    query = parse(text)
    _refuse(query)
    plan = org.compiler.compile(query, include_deleted=operation == "queryAll")
    if plan.aggregate or plan.count_only:
        raise ApiError("API_ERROR", "Aggregate Relationships not supported in Bulk Query")
    if not plan.sobject.bulk:
        raise ApiError("INVALIDENTITY", f"Entity '{plan.sobject.name}' is not supported by the Bulk API.")
    for column in plan.columns:
        if column.kind in ("address", "location"):
            raise ApiError("API_ERROR", "Selecting compound data not supported in Bulk Query")
    return plan


def _refuse(query: Query) -> None:
    if query.children or query.group:
        raise ApiError("API_ERROR", "Aggregate Relationships not supported in Bulk Query")
    if query.offset is not None:
        raise ApiError("API_ERROR", "OFFSET is not supported in Bulk Query")
    if query.typeof:
        raise ApiError("API_ERROR", "TYPEOF is not supported in Bulk Query")


class BulkQuery:
    """Runs one query job in a worker thread."""

    def __init__(self, org: Org, jobs: Jobs, job: QueryJob) -> None:
        self._org = org
        self._jobs = jobs
        self._job = job

    def run(self) -> None:
        job, clock = self._job, self._org.clock
        if not self._jobs.wait(job):
            return
        job.move("InProgress", clock.time())
        if self._org.faults.for_job("job_stuck", job.object, job.operation) is not None:
            job.stop.wait()
            return
        slow = self._org.faults.for_job("slow_job", job.object, job.operation)
        if slow is not None:
            job.stop.wait(slow.seconds)
        started = time.perf_counter()
        self._write()
        job.processing_ms = int((time.perf_counter() - started) * 1000)
        self._jobs.wait(job)
        if self._org.faults.for_job("job_failed", job.object, job.operation) is not None:
            job.error = "InternalServerError : Retried more than 15 times"
            job.move("Failed", clock.time())
            return
        job.move("JobComplete", clock.time())

    def _write(self) -> None:
        job, plan = self._job, self._job.plan
        assert plan is not None
        writer = Writer(DELIMITERS[job.delimiter], LINE_ENDINGS[job.line_ending])
        writer.rows([[".".join(one.path) for one in plan.columns]])
        job.header = writer.take()
        # The file lives as long as the job object.
        output = tempfile.TemporaryFile(prefix="orgsim-")  # noqa: SIM115
        position, started = 0, time.perf_counter()
        for rows in self._rows(plan):
            if job.stop.is_set():
                break
            for start in range(0, len(rows), MARK):
                part = rows[start : start + MARK]
                job.marks.append(position)
                writer.rows(part)
                position += output.write(writer.take())
                job.processed += len(part)
                self._jobs.keep_rate(job, QUERY, job.processed, started)
        output.flush()
        job.file, job.size = output, position
        self._org.calls["bulk_query_bytes"] += position

    def _rows(self, plan: Plan) -> Iterator[list[tuple[Any, ...]]]:
        """Row blocks; without ORDER BY and LIMIT by record number, so that nobody waits for a long query."""
        java = not self._org.facts.says("number.bulk-query", "plain")
        columns = [csv_expression(one.sql, one.kind, java=java) for one in plan.columns]
        store = self._org.store
        parameters = plan.all_parameters()
        if plan.order or plan.query.limit is not None:
            rows = store.all(plan.sql(columns), parameters)
            yield from (rows[start : start + STEP] for start in range(0, len(rows), STEP))
            return
        last = int(store.one(f"SELECT MAX(_n) FROM {quote(plan.sobject.name)}") or 0)
        rest: list[tuple[Any, ...]] = []
        for start in range(0, last + 1, STEP):
            between = f"t._n BETWEEN {start} AND {start + STEP - 1}"
            rest += store.all(plan.sql(columns, between), parameters)
            # Whole marks only, so that a page start is a mark plus a remainder.
            whole = len(rest) - len(rest) % MARK
            if whole:
                yield rest[:whole]
                rest = rest[whole:]
        if rest:
            yield rest


def locator_of(record: int) -> str:
    """Looks like the real thing: base64 of the number of the next record, without padding."""
    return base64.urlsafe_b64encode(str(record).encode()).decode().rstrip("=")


def record_of(locator: str, job: QueryJob) -> int:
    """The record that a locator points at; refused when it is not one of ours."""
    try:
        number = int(base64.urlsafe_b64decode(locator + "=" * (-len(locator) % 4)).decode())
    except (binascii.Error, ValueError):
        raise ApiError("INVALID_QUERY_LOCATOR", f"invalid query locator: {locator}") from None
    if not 0 <= number < max(job.processed, 1) or locator_of(number) != locator:
        raise ApiError("INVALID_QUERY_LOCATOR", f"invalid query locator: {locator}")
    return number


def page(job: QueryJob, start: int, count: int) -> Iterator[bytes]:
    """Header and ``count`` records from record ``start`` on, in parts."""
    yield job.header
    if count <= 0 or job.file is None:
        return
    begin, end = _position(job, start), _position(job, start + count)
    while begin < end:
        part = _read(job, begin, min(_READ, end - begin))
        begin += len(part)
        yield part


def _read(job: QueryJob, position: int, size: int) -> bytes:
    import os

    assert job.file is not None
    return os.pread(job.file.fileno(), size, position)


def _position(job: QueryJob, record: int) -> int:
    """Byte position of a record: the mark before it, then a count of line ends outside quotes."""
    if record >= job.processed:
        return job.size
    mark, skip = divmod(record, MARK)
    position = job.marks[mark]
    if not skip:
        return position
    end = job.marks[mark + 1] if mark + 1 < len(job.marks) else job.size
    block = _read(job, position, end - position)
    quoted, at = False, 0
    # Every value is quoted: a line end counts when an even number of quotes stands before it.
    for number, piece in enumerate(block.split(b"\n")):
        if number and not quoted:
            skip -= 1
            if skip == 0:
                return position + at
        if piece.count(b'"') % 2:
            quoted = not quoted
        at += len(piece) + 1
    return end
