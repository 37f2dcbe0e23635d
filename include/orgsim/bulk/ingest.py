"""Bulk API 2.0 ingest: from an uploaded CSV to records and the three result files (contract B)."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING

from orgsim.bulk.csvtext import (
    DELIMITERS,
    LINE_ENDINGS,
    BadCsv,
    Writer,
    bare_header,
    check_line_ending,
    records,
)
from orgsim.bulk.jobs import BATCH, Job, Jobs
from orgsim.dml import CHUNK, WriteOptions
from orgsim.errors import RowError
from orgsim.rows import ColumnBinding, Row, UnknownColumn, bind, decode_cells
from orgsim.schema.model import NUMBERS, Field, SObject
from orgsim.values import java_double

if TYPE_CHECKING:
    from orgsim.org import Org

_LOCKED = RowError("UNABLE_TO_LOCK_ROW", "unable to obtain exclusive access to this record or 200 records")
OPERATIONS = ("insert", "update", "upsert", "delete", "hardDelete")


@dataclass
class IngestJob(Job):
    """An ingest job with its upload and its results."""

    external_id: str = ""
    assignment_rule: str = ""
    upload: bytes | None = None
    header: list[str] = field(default_factory=list)
    success: list[bytes] = field(default_factory=list)
    failures: list[bytes] = field(default_factory=list)
    unprocessed: list[bytes] = field(default_factory=list)


class Ingest:
    """Processes one job from start to end, in a worker thread."""

    def __init__(self, org: Org, jobs: Jobs, job: IngestJob) -> None:
        self._org = org
        self._jobs = jobs
        self._job = job
        self._sobject: SObject = org.schema[job.object]
        self._delimiter = DELIMITERS[job.delimiter]
        self._line_ending = LINE_ENDINGS[job.line_ending]
        self._writer = Writer(self._delimiter, self._line_ending)
        self._started, self._total = 0.0, 0
        self._random = random.Random(f"{org.settings.seed} {job.id}")

    def run(self) -> None:
        job, clock = self._job, self._org.clock
        if not self._jobs.wait(job):
            self._leave(self._all_rows())
            return
        job.move("InProgress", clock.time())
        if self._stuck():
            self._leave(self._all_rows())
            return
        started = self._started = time.perf_counter()
        try:
            rows = self._parsed()
        except BadCsv as bad:
            job.error = str(bad)
            job.move("Failed", clock.time())
            return
        try:
            bindings = self._bindings()
        except BadCsv as bad:
            self._leave(list(rows))
            job.error = str(bad)
            job.move("Failed", clock.time())
            return
        try:
            finished = self._process(rows, bindings)
        except BadCsv as bad:
            job.error, finished = str(bad), False
        job.processing_ms = int((time.perf_counter() - started) * 1000)
        self._slow()
        self._jobs.wait(job)
        job.move("JobComplete" if finished else "Failed", clock.time())
        job.upload = None

    # faults that concern a job -----------------------------------------------------------------------------

    def _stuck(self) -> bool:
        """A stuck job stays InProgress until somebody aborts it."""
        job = self._job
        if self._org.faults.for_job("job_stuck", job.object, job.operation) is None:
            return False
        job.stop.wait()
        return True

    def _slow(self) -> None:
        fault = self._org.faults.for_job("slow_job", self._job.object, self._job.operation)
        if fault is not None:
            self._job.stop.wait(fault.seconds)

    # reading -----------------------------------------------------------------------------------------------

    def _text(self) -> str:
        upload = self._job.upload or b""
        try:
            return upload.decode("utf-8-sig")
        except UnicodeDecodeError as problem:
            raise BadCsv(f"ClientInputError : the data is not valid UTF-8 at byte {problem.start}") from None

    def _parsed(self) -> Iterator[list[str]]:
        text = self._text()
        if not text.strip():
            raise BadCsv("InvalidBatch : Unable to find any headers in CSV file: upload is empty")
        check_line_ending(text, self._job.line_ending, crlf_in_quotes=self._org.settings.crlf_in_quotes)
        if self._org.settings.rows_per_second:
            self._total = sum(1 for _ in records(text, self._delimiter)) - 1
        rows = records(text, self._delimiter)
        header = next(rows)
        if len(self._delimiter.join(header)) > 32_000:
            raise BadCsv("InvalidBatch : The header is longer than 32,000 characters")
        if len(header) == 1 and any(
            other in header[0] for other in DELIMITERS.values() if other != self._delimiter
        ):
            raise BadCsv(
                "ClientInputError : ColumnDelimiter is invalid on user data. Current ColumnDelimiter setting is "
                f"{self._job.delimiter}"
            )
        self._job.header = header
        return rows

    def _bindings(self) -> list[ColumnBinding]:
        """The meaning of each column; unknown and read-only ones fail the job."""
        job, sobject = self._job, self._sobject
        bindings = []
        try:
            for name in job.header:
                binding = bind(self._org.schema, sobject, name)
                if not self._allowed(binding.field):
                    raise UnknownColumn(name)
                bindings.append(binding)
        except UnknownColumn as unknown:
            raise BadCsv(f"InvalidBatch : Field name not found : {unknown.header}") from None
        names = [one.field.name for one in bindings]
        for name in names:
            if names.count(name) > 1:
                raise BadCsv(f"InvalidBatch : Field name is given twice : {name}")
        if job.operation in ("delete", "hardDelete") and names != ["Id"]:
            raise BadCsv("InvalidBatch : a delete job takes exactly one column: Id")
        if job.operation == "update" and "Id" not in names:
            raise BadCsv("InvalidBatch : Field name not found : Id")
        if job.operation == "upsert" and job.external_id not in names:
            raise BadCsv(f"InvalidBatch : Field name not found : {job.external_id}")
        return bindings

    def _allowed(self, one: Field) -> bool:
        if one.name == "Id":
            return self._job.operation != "insert"
        if self._job.operation == "insert":
            return one.createable
        # Create-only columns of an update are refused row by row.
        return one.createable or one.updateable

    # processing --------------------------------------------------------------------------------------------

    def _process(self, rows: Iterator[list[str]], bindings: list[ColumnBinding]) -> bool:
        """All batches; False when a fault fails the job half way. Rows not reached become unprocessed."""
        job = self._job
        fail = self._org.faults.for_job("job_failed", job.object, job.operation)
        batches = 0
        while True:
            batch = _take(rows, BATCH)
            if not batch:
                return True
            self._org.calls["bulk_batches"] += 1
            if self._org.calls["bulk_batches"] > self._org.settings.bulk_batch_limit:
                # Results are not recorded for what exceeds the daily allocation: such rows are in no file.
                job.error = "ExceededQuota : Daily batch allocation exceeded"
                return False
            if fail is not None and batches >= fail.batches:
                job.error = "TooManyLockFailure : Too many lock failure 200 Trying again later."
                self._leave([*batch, *rows])
                return False
            left = self._batch(batch, bindings)
            batches += 1
            if left is not None:
                self._leave([*left, *rows])
                return True

    def _batch(self, batch: list[list[str]], bindings: list[ColumnBinding]) -> list[list[str]] | None:
        """One internal batch in transactions of 200; the rows not reached when the job is aborted."""
        job, org = self._job, self._org
        options = WriteOptions(job.user_id)
        key = self._sobject[job.external_id] if job.operation == "upsert" else None
        lock = org.faults.for_job("lock_rows", job.object, job.operation)
        vanish = org.faults.for_job("rows_vanish", job.object, job.operation)
        done: list[tuple[Row, list[str]]] = []
        left: list[list[str]] | None = None
        for start in range(0, len(batch), CHUNK):
            if job.stop.is_set():
                left = batch[start:]
                break
            cells = batch[start : start + CHUNK]
            if vanish is not None:
                cells = [one for one in cells if org.faults.random.random() >= vanish.fraction]
            rows = decode_cells(bindings, cells)
            self._blank_booleans(rows, cells, bindings)
            org.faults.refuse("bulk", job.object, job.operation, rows)
            if lock is not None:
                self._lock(rows, lock.fraction, lock.parent)
            if org.settings.lock_contention:
                self._contend(rows)
            with org.store.transaction():
                org.dml.chunk(job.operation, self._sobject, rows, options, key)
            done += zip(rows, cells, strict=True)
            job.processed += len(rows)
            self._jobs.keep_rate(job, job.object, job.processed, self._started, self._total)
            job.failed += sum(1 for row in rows if row.error is not None)
        org.locks.release(job.id)
        self._results(done, bindings)
        return left

    def _blank_booleans(self, rows: list[Row], cells: list[list[str]], bindings: list[ColumnBinding]) -> None:
        """Where an empty cell of an insert is no default but false."""
        if self._job.operation != "insert" or not self._org.facts.says(
            "text.bulk.empty-cell-insert", "false"
        ):
            return
        for position, binding in enumerate(bindings):
            for row, record in zip(rows, cells, strict=True):
                if binding.field.type == "boolean" and row.error is None and not record[position]:
                    row.values[binding.field.name] = 0

    def _contend(self, rows: list[Row]) -> None:
        """A record or its master that another running batch has touched cannot be locked (contract B8)."""
        master = self._sobject.master
        for row in rows:
            touched = (row.values.get(master.name) if master is not None else None, row.values.get("Id"))
            wanted = [str(one) for one in touched if one]
            if row.error is None and not self._org.locks.take(self._job.id, wanted):
                row.error = _LOCKED

    def _lock(self, rows: list[Row], fraction: float, parent: str) -> None:
        for row in rows:
            hit = parent in row.values.values() if parent else self._org.faults.random.random() < fraction
            if hit and row.error is None:
                row.error = _LOCKED

    # results -----------------------------------------------------------------------------------------------

    def _results(self, done: list[tuple[Row, list[str]]], bindings: list[ColumnBinding]) -> None:
        """Success and failure rows, in another order than sent, numbers as Java prints them (contract B6)."""
        if self._org.settings.shuffle:
            self._random.shuffle(done)
        named = [(n, one.field) for n, one in enumerate(bindings) if one.parent is None]
        numeric = [(n, one.name) for n, one in named if one.type in NUMBERS]
        printed = lru_cache(maxsize=4096)(java_double)
        if not self._org.settings.rerender_numbers:
            numeric = []
        good, bad = [], []
        for row, cells in done:
            if row.error is not None:
                bad.append([row.id, row.error.as_bulk(), *cells])
                continue
            for position, name in numeric:
                if cells[position] not in ("", "#N/A"):
                    cells[position] = printed(row.values[name]) or ""
            good.append([row.id, "true" if row.created else "false", *cells])
        if self._org.facts.says("bulk.results.columns", "other_order"):
            good = [[*one[:2], *_sorted_cells(one[2:], self._job.header)] for one in good]
        self._writer.rows(good)
        self._job.success.append(self._writer.take())
        self._writer.rows(bad)
        self._job.failures.append(self._writer.take())

    def _leave(self, rows: list[list[str]]) -> None:
        self._writer.rows(rows)
        self._job.unprocessed.append(self._writer.take())

    def _all_rows(self) -> list[list[str]]:
        try:
            return list(self._parsed())
        except BadCsv:
            return []


def _take(rows: Iterator[list[str]], count: int) -> list[list[str]]:
    batch = []
    for row in rows:
        batch.append(row)
        if len(batch) == count:
            break
    return batch


def _sorted_cells(cells: list[str], header: list[str]) -> list[str]:
    return [cell for _, cell in sorted(zip(header, cells, strict=True))]


def result_file(job: IngestJob, which: str, *, sort_columns: bool = False) -> bytes:
    """One of the three files: ``sf__`` headers quoted, uploaded ones bare (contract B6).

    `sort_columns`: those of the file of successes stand in alphabetical order.
    """
    delimiter, ending = DELIMITERS[job.delimiter], LINE_ENDINGS[job.line_ending]
    bare = bare_header(job.header, delimiter)
    if which == "unprocessed":
        return (bare + ending).encode() + b"".join(job.unprocessed)
    if sort_columns and which == "success":
        bare = bare_header(sorted(job.header), delimiter)
    second = "sf__Created" if which == "success" else "sf__Error"
    head = f'"sf__Id"{delimiter}"{second}"{delimiter}{bare}{ending}'
    return head.encode() + b"".join(job.success if which == "success" else job.failures)
