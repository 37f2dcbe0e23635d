"""What ingest and query jobs share: ids, states, expiry, the workers (contract B3)."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from orgsim.bulk.speed import rate_of
from orgsim.clock import UTC
from orgsim.errors import ApiError
from orgsim.ids import IdSpace

if TYPE_CHECKING:
    from orgsim.org import Org

TERMINAL = ("JobComplete", "Failed", "Aborted")
_SEVEN_DAYS = 7 * 86400
_HOLD_LOOK_SECONDS = 0.05
_ONE_DAY = 86400
MOST_QUEUED = 64
BATCH = 10_000
"""Rows of an internal batch of a Bulk 2.0 job ("Understanding Bulk API 2.0 Ingest")."""


def timestamp(seconds: float) -> str:
    """``2020-03-21T20:03:25.000+0000``."""
    import datetime as dt

    return dt.datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.000+0000")


@dataclass
class Job:
    """The common part; a job belongs to its creator and to the API version it was made with."""

    id: str
    kind: str
    object: str
    operation: str
    version: float
    user_id: str
    created: float
    state: str = "Open"
    delimiter: str = "COMMA"
    line_ending: str = "LF"
    processed: int = 0
    failed: int = 0
    retries: int = 0
    error: str = ""
    touched: float = 0.0
    processing_ms: int = 0
    stop: threading.Event = field(default_factory=threading.Event)

    _moving: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def move(self, state: str, now: float) -> bool:
        """To another state, unless the job has ended already: an abort and a worker may meet here."""
        with self._moving:
            if self.state in TERMINAL:
                return False
            self.state = state
            self.touched = now
            return True


class Jobs:
    """All jobs of an org and the pool that works on them."""

    def __init__(self, org: Org) -> None:
        self._org = org
        self._lock = threading.Lock()
        self._jobs: dict[str, Job] = {}
        self._ids = IdSpace("750", org.pod)
        #: how many jobs were ever made: the counter of their ids
        self.made = 0
        workers = max(org.settings.bulk_workers, 1)
        self._slots = threading.Semaphore(workers)
        # Jobs that wait in the queue are not worked on: they take no slot, but a thread each.
        threads = max(workers, MOST_QUEUED) if org.settings.queue_seconds else workers
        self._pool = ThreadPoolExecutor(max_workers=threads, thread_name_prefix="bulk")

    def new_id(self) -> str:
        with self._lock:
            self.made += 1
            return self._ids.make(self.made)

    def add(self, job: Job) -> None:
        job.touched = job.created
        with self._lock:
            self._jobs[job.id] = job

    def get(self, job_id: str, kind: str) -> Job:
        """The job, 15- or 18-character id; jobs are gone seven days after their end."""
        job = self._jobs.get(job_id) or next(
            (one for one in list(self._jobs.values()) if one.id[:15] == job_id), None
        )
        if job is None or job.kind != kind:
            raise ApiError("NOT_FOUND", "The requested resource does not exist", 404)
        self._expire(job)
        if job.id not in self._jobs:
            raise ApiError("NOT_FOUND", "The requested resource does not exist", 404)
        return job

    def _expire(self, job: Job) -> None:
        age = self._org.clock.time() - job.touched
        if job.state in TERMINAL and age > _SEVEN_DAYS:
            self.remove(job)
        elif job.state == "Open" and age > _ONE_DAY:
            job.move("Aborted", job.touched + _ONE_DAY)

    def all(self, kind: str = "") -> list[Job]:
        jobs = list(self._jobs.values())
        for job in jobs:
            self._expire(job)
        return [one for one in jobs if one.id in self._jobs and (not kind or one.kind == kind)]

    def remove(self, job: Job) -> None:
        with self._lock:
            self._jobs.pop(job.id, None)

    def start(self, job: Job, work: Callable[[], None]) -> None:
        """Run in the background; a defect of ours fails the job instead of leaving it in progress."""

        def guarded() -> None:
            try:
                job.stop.wait(self._org.settings.queue_seconds)
                with self._slots:
                    work()
            except Exception as problem:
                import logging

                logging.getLogger("orgsim").exception("job %s", job.id)
                job.error = f"InternalServerError : {problem}"
                job.move("Failed", self._org.clock.time())

        self._pool.submit(guarded)

    def wait(self, job: Job) -> bool:
        """The configured time in a state, longer while jobs are held; False when the job was aborted meanwhile."""
        settings = self._org.settings
        stopped = job.stop.wait(settings.job_delay)
        while settings.hold_jobs and not stopped:
            stopped = job.stop.wait(_HOLD_LOOK_SECONDS)
        return not stopped

    def keep_rate(self, job: Job, name: str, rows: int, started: float, total: int = 0) -> None:
        """Waits until an org of this speed would have worked off so many rows since `started` (`time.perf_counter`).

        `total`: rows of the job; its batches of 10,000 are worked off side by side, as many as the org has places.
        """
        settings = self._org.settings
        rate = rate_of(settings.rows_per_second, name)
        if rate:
            rate *= min(max(-(-total // BATCH), 1), settings.bulk_workers)
            job.stop.wait(max(0.0, started + rows / rate - time.perf_counter()))

    def shutdown(self) -> None:
        for job in list(self._jobs.values()):
            job.stop.set()
        self._pool.shutdown(wait=False, cancel_futures=True)


def base_json(job: Job) -> dict[str, Any]:
    """The keys that every job answer starts with (contract B2)."""
    return {
        "id": job.id,
        "operation": job.operation,
        "object": job.object,
        "createdById": job.user_id,
        "createdDate": timestamp(job.created),
        "systemModstamp": timestamp(job.touched),
        "state": job.state,
    }
