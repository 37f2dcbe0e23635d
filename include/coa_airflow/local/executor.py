"""Airflow's LocalExecutor, which starts a resumed task only when the process that paused it is over."""

from __future__ import annotations

import time
from typing import Any

from airflow.executors.local_executor import LocalExecutor

HOLD_SECONDS = 60.0
"""A process that was killed never reports its end: what waits for it starts all the same after this."""


class OrderlyLocalExecutor(LocalExecutor):  # type: ignore[misc]  # Airflow has no types for us
    """Holds a task back while an earlier process of the same try is ending.

    A task that waits (for an answer, for a trigger) ends its process and is resumed in another process of
    the same try. If the answer comes within the second or so that the first process needs to end, Airflow
    3.3.2 starts the second beside it, takes the end of the first for the end of both
    (`process_executor_events` of the scheduler), and tries the task again. An answer to the approval gate
    is then lost, and the gate asks again. The docstring of `BaseExecutor.trigger_tasks` says that such a
    task waits until the first process is gone; its code no longer does that.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._held_since: dict[Any, float] = {}

    def trigger_tasks(self, open_slots: int) -> None:
        """Starts queued tasks, without those whose earlier process has not ended, for a bounded time."""
        now = time.monotonic()
        self._held_since = {
            key: self._held_since.get(key, now) for key in self.queued_tasks if key in self.running
        }
        held = {
            key: self.queued_tasks.pop(key)
            for key, since in self._held_since.items()
            if now - since < HOLD_SECONDS
        }
        try:
            super().trigger_tasks(open_slots)
        finally:
            # Back among the queued: by that the scheduler knows that the task goes on.
            self.queued_tasks.update(held)
