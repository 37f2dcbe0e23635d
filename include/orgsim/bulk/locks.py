"""Which running batch has touched which record: what a concurrent batch cannot lock (contract B8)."""

from __future__ import annotations

import threading
from collections.abc import Collection


class Locks:
    """Records held by jobs from their first touch to the end of the batch."""

    def __init__(self) -> None:
        self._holder: dict[str, str] = {}
        self._lock = threading.Lock()

    def take(self, job_id: str, records: Collection[str]) -> bool:
        """All of them for this job, or none when another job holds one."""
        with self._lock:
            if any(self._holder.get(one, job_id) != job_id for one in records):
                return False
            self._holder.update(dict.fromkeys(records, job_id))
            return True

    def release(self, job_id: str) -> None:
        with self._lock:
            self._holder = {one: holder for one, holder in self._holder.items() if holder != job_id}
