"""Waits for a Bulk job in Airflow's triggerer, so that no worker is held for it."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

from coa.errors import CoaError, RetryableError
from coa_airflow.environment import org, settings, staging

if TYPE_CHECKING:
    from coa.salesforce.bulk import BulkJobs, JobStatus
    from coa.staging.runs import Run

log = logging.getLogger(__name__)

STALLED = "stalled"
"""Key of the event when the job made no progress for too long: the message for the task to raise."""
NEXT_STEP = "next_step"


class BulkJobTrigger(BaseTrigger):  # type: ignore[misc]  # Airflow has no types for us
    """Fires when a Bulk job is over, unknown to its org, or makes no progress for `COA_STALL_SECONDS`.

    It only looks. The task that wakes up reads the job itself, so a lost or repeated event does no harm. It
    renews the run's lease while it waits. `role` is `source` or `target`, `kind` is `query` or `ingest`.
    """

    def __init__(self, run_id: str, role: str, kind: str, job_id: str) -> None:
        super().__init__()
        self.run_id = run_id
        self.role = role
        self.kind = kind
        self.job_id = job_id
        self._jobs: BulkJobs | None = None
        self._run: Run | None = None
        self._seen: tuple[str, int] = ("", -1)
        self._moved_at = time.monotonic()

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Path of the class and its arguments, as Airflow stores a trigger."""
        return (
            f"{type(self).__module__}.{type(self).__qualname__}",
            {"run_id": self.run_id, "role": self.role, "kind": self.kind, "job_id": self.job_id},
        )

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Looks at the job until there is something to tell, then gives one event."""
        gap = settings().poll_max_seconds
        # Requests and psycopg block: each look is a thread's work, the triggerer's loop stays free.
        while True:
            # Not at once: Airflow 3.3 tries a task again that is resumed before the process that deferred it is
            # over (coa.approval.given_answer has the details). The task has just looked, too.
            await asyncio.sleep(gap)
            event = await asyncio.to_thread(self._look)
            if event is not None:
                yield TriggerEvent(event)
                return

    def _look(self) -> dict[str, str] | None:
        """The event, or None to wait on."""
        try:
            return self._event(self._status())
        except RetryableError as error:
            log.warning("%s Looking again later.", error)
            return None
        except CoaError as error:
            # The task meets the same obstacle and tells it where a person reads it.
            log.warning("%s Waking the task.", error)
            return {}

    def _status(self) -> JobStatus | None:
        from coa.salesforce.bulk import BulkJobs
        from coa.salesforce.usage import count_calls
        from coa.staging.runs import Run

        if self._jobs is None or self._run is None:
            self._run = Run.load(staging(), settings(), self.run_id)
            self._jobs = BulkJobs(org(self._run, self.role), self.kind)
        try:
            return self._jobs.status(self.job_id)
        finally:
            self._run.lease.renew()
            count_calls(self._run, self.role, self._jobs.org)

    def _event(self, status: JobStatus | None) -> dict[str, str] | None:
        from coa.salesforce.bulk import stalled

        if status is None or status.over:
            return {}
        if (status.state, status.processed) != self._seen:
            self._seen, self._moved_at = (status.state, status.processed), time.monotonic()
            log.info("job %s %s, %d rows processed", status.job_id, status.state, status.processed)
        limit = settings().stall_seconds
        if time.monotonic() - self._moved_at <= limit:
            return None
        error = stalled(self._jobs.org.name if self._jobs else self.role, status, limit)
        return {STALLED: error.message, NEXT_STEP: error.next_step}
