"""Bulk API 2.0 jobs, query and ingest: the calls, and the wait between them.

Source: "Bulk API 2.0 and Bulk API Developer Guide". URLs are built here; the `contentUrl` of an
answer has no leading slash and sometimes no version, so it is never used.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, Any
from urllib.parse import parse_qs, quote, urlsplit

import requests

from coa.errors import IncompleteExtract, JobLost, JobStalled, JobStillRunning, OrgRefused
from coa.salesforce.pace import Ended, JobSize, gaps
from coa.salesforce.session import Org

log = logging.getLogger(__name__)

TERMINAL_STATES = frozenset({"JobComplete", "Failed", "Aborted"})
STREAM_BYTES = 1 << 18
_TICK = 0.01


@dataclass(frozen=True)
class JobStatus:
    """What a job says of itself. `processed` includes failed rows, `worked` are seconds."""

    job_id: str
    state: str
    processed: int
    failed: int
    message: str
    worked: float = 0.0

    @property
    def over(self) -> bool:
        """Whether the job is in a state that it does not leave."""
        return self.state in TERMINAL_STATES

    @classmethod
    def begun(cls, job_id: str) -> JobStatus:
        """The status of a job that was just submitted, without a call."""
        return cls(job_id, "UploadComplete", 0, 0, "")

    @classmethod
    def from_json(cls, body: dict[str, Any]) -> JobStatus:
        """From the org's answer about a job (Bulk API 2.0, Get Job Info); times there are in milliseconds."""
        return cls(
            job_id=str(body["id"]),
            state=str(body.get("state", "")),
            processed=int(body.get("numberRecordsProcessed") or 0),
            failed=int(body.get("numberRecordsFailed") or 0),
            message=str(body.get("errorMessage") or ""),
            worked=float(body.get("totalProcessingTime") or 0) / 1000,
        )


def raise_worst(work: Iterable[Future[Any]]) -> None:
    """Waits for all; raises the first error, `JobStillRunning` only when there is no other."""
    errors = [error for future in work if (error := future.exception())]
    for error in sorted(errors, key=lambda e: isinstance(e, JobStillRunning))[:1]:
        raise error


def stalled(org: str, status: JobStatus, seconds: float) -> JobStalled:
    """The error for a job that stood still for so many seconds."""
    return JobStalled(
        f"{org}: Bulk job {status.job_id} stands at {status.processed} rows in state {status.state} "
        f"for {seconds:.0f} s.",
        next_step="check Setup > Bulk Data Load Jobs; the next try waits for the same job.",
    )


class BulkJobs:
    """The jobs of one kind (`query` or `ingest`) of one org."""

    def __init__(self, org: Org, kind: str) -> None:
        self.org = org
        self.kind = kind
        self.path = f"/jobs/{kind}"
        self.call_kind = f"bulk_{kind}"

    def status(self, job_id: str) -> JobStatus | None:
        """None when the org does not know the job (deleted, or older than seven days)."""
        try:
            return JobStatus.from_json(self.org.data_json(f"{self.path}/{job_id}", kind=self.call_kind))
        except OrgRefused as refused:
            if refused.status == 404:
                return None
            raise

    def wait(
        self,
        job_id: str,
        on_progress: Callable[[JobStatus], None] | None = None,
        *,
        size: JobSize | None = None,
        known: JobStatus | None = None,
        max_wait: float | None = None,
    ) -> JobStatus:
        """Looks at the job until it is over, at the moments that `coa.salesforce.pace` chooses.

        `size`: give it for a job that was handed to the org just now. The first look then comes when jobs like it
        were over, and what is seen of this one is learnt for the next.
        `known`: what the caller has just learnt of the job; the first look is then saved.
        Raises `JobStalled` when nothing moves for `stall_seconds`; the job is left as it is. Raises
        `JobStillRunning` after `max_wait` seconds: give it only where the same wait is begun again later.
        Raises `JobLost` when the org does not know the job any more.
        """
        settings = self.org.settings
        first = settings.poll_first_seconds
        waits = gaps(self.org.pace.first_look(size, first) if size else first, settings.poll_max_seconds)
        seen: tuple[str, int] = ("", -1)
        began = moved_at = time.monotonic()
        at_work = 0.0
        while True:
            status, known = known or self.status(job_id), None
            if status is None:
                raise JobLost(
                    f"{self.org.name} no longer knows its Bulk job {job_id}.",
                    next_step="retry the task.",
                )
            if (status.state, status.processed) != seen:
                seen, moved_at = (status.state, status.processed), time.monotonic()
                if on_progress:
                    on_progress(status)
            elapsed = time.monotonic() - began
            if status.over:
                if size:
                    self.org.pace.learn(size, Ended(status.processed, status.worked, at_work, elapsed))
                return status
            at_work = elapsed
            if time.monotonic() - moved_at > settings.stall_seconds:
                raise stalled(self.org.name, status, settings.stall_seconds)
            if max_wait is not None and elapsed > max_wait:
                raise JobStillRunning(
                    f"{self.org.name}: Bulk job {job_id} is at work.",
                    org=self.org.name,
                    kind=self.kind,
                    job_id=job_id,
                )
            # A wait that ends earlier than the job is told at its own end.
            left = settings.stall_seconds if max_wait is None else max(max_wait - elapsed, _TICK)
            time.sleep(min(next(waits), left))

    def abort(self, job_id: str) -> None:
        """Asks the org to abort; a job that is over already is left alone."""
        try:
            self.org.send_json(
                "PATCH", f"{self.path}/{job_id}", {"state": "Aborted"}, kind=self.call_kind, safe=True
            )
        except OrgRefused as refused:
            log.info("job %s was not aborted: %s", job_id, refused.message)

    @contextmanager
    def download(
        self, path: str, params: dict[str, str] | None = None
    ) -> Iterator[tuple[dict[str, str], Iterator[bytes]]]:
        """(headers, chunks of decoded bytes) of a CSV result.

        A body that is cut off raises from the iterator: urllib3 compares it with Content-Length
        and with the chunked encoding's end. 204 gives no bytes.
        """
        response = self.org.request(
            "GET",
            f"{self.org.data_path}{path}",
            kind=self.call_kind,
            params=params,
            headers={"Accept": "text/csv", "Accept-Encoding": "gzip"},
            stream=True,
        )
        try:
            yield dict(response.headers), _stream(response)
        finally:
            response.close()


def _locator_of(url: str) -> str:
    """`MTAwMDA` of `.../results?locator=MTAwMDA`; empty for the first page when the org writes none."""
    return parse_qs(urlsplit(url).query).get("locator", [""])[0]


def _stream(response: requests.Response) -> Iterator[bytes]:
    if response.status_code == 204:
        return
    try:
        for chunk in response.raw.stream(STREAM_BYTES, decode_content=True):
            # NUL bytes have been seen in query output; no text of Salesforce's contains one on purpose.
            yield chunk.replace(b"\x00", b"")
    except Exception as error:
        # urllib3 raises its own classes here (IncompleteRead, ProtocolError, ReadTimeoutError, DecodeError).
        raise IncompleteExtract(
            f"The download from {response.url.split('?')[0]} was interrupted: {error}."
        ) from error


class QueryJobs(BulkJobs):
    """Bulk 2.0 query."""

    def __init__(self, org: Org) -> None:
        super().__init__(org, "query")

    def create(self, soql: str, *, all_rows: bool = False) -> str:
        """Starts a query; its job id. A query changes nothing, so a lost answer is simply asked again."""
        body = self.org.send_json(
            "POST",
            self.path,
            {"operation": "queryAll" if all_rows else "query", "query": soql},
            kind=self.call_kind,
            safe=True,
        )
        return str(body["id"])

    def page(
        self, job_id: str, locator: str, max_records: int | None
    ) -> Any:  # a context manager, as BulkJobs.download
        """One page of the result, from a locator, as `BulkJobs.download` gives it; `max_records`: None leaves the
        size to the org.
        """
        params = {"maxRecords": str(max_records)} if max_records else {}
        if locator:
            params["locator"] = locator
        return self.download(f"{self.path}/{job_id}/results", params)

    def page_locators(self, job_id: str) -> list[str] | None:
        """Where each result page of a finished job begins, so that pages can be fetched side by side.

        None when the org does not offer it (it came with API 58). The org decides the size of these pages.
        """
        locators: list[str] = []
        path = f"{self.org.data_path}{self.path}/{job_id}/resultPages"
        while True:
            try:
                body = self.org.get_json(path, kind=self.call_kind)
            except OrgRefused as refused:
                if refused.status in (400, 404, 405, 501) and not locators:
                    return None
                raise
            locators += [_locator_of(str(page["resultUrl"])) for page in body["resultPages"]]
            following = body.get("nextRecordsUrl")
            if body.get("done", True) or not following:
                return locators
            path = f"{self.org.data_path}{self.path}/{job_id}/resultPages?locator={quote(_locator_of(following))}"


class IngestJobs(BulkJobs):
    """Bulk 2.0 ingest. Writes without an answer raise `AmbiguousWrite`."""

    def __init__(self, org: Org) -> None:
        super().__init__(org, "ingest")

    def create(self, sobject: str, operation: str, external_id_field: str = "") -> str:
        """Creates an ingest job for CSV with LF and gives its id. Raises `AmbiguousWrite` when no answer comes."""
        body = {
            "object": sobject,
            "operation": operation,
            "contentType": "CSV",
            "columnDelimiter": "COMMA",
            "lineEnding": "LF",
        }
        if external_id_field:
            body["externalIdFieldName"] = external_id_field
        created = self.org.send_json("POST", self.path, body, kind=self.call_kind)
        return str(created["id"])

    def upload(self, job_id: str, csv: IO[bytes]) -> None:
        """One PUT a job: the org refuses a second one."""
        self.org.request(
            "PUT",
            f"{self.org.data_path}{self.path}/{job_id}/batches",
            kind=self.call_kind,
            data=csv,
            headers={"Content-Type": "text/csv; charset=UTF-8"},
        )

    def close(self, job_id: str) -> None:
        """UploadComplete: from here on the org processes the rows."""
        self.org.send_json("PATCH", f"{self.path}/{job_id}", {"state": "UploadComplete"}, kind=self.call_kind)

    def results(self, job_id: str, which: str) -> Any:  # a context manager, as BulkJobs.download
        """`which`: successfulResults, failedResults or unprocessedrecords."""
        return self.download(f"{self.path}/{job_id}/{which}/")
