"""Caches answers whose cost grows with the number of problems: the more an answer costs, the longer it is kept."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

SHORTEST_SECONDS = 2.0
SHARE = 50.0
"""An answer is kept for so many times the time it took: at most a fiftieth of the server's time goes into it."""
ENTRIES = 64


@dataclass
class _Entry:
    lock: threading.Lock = field(default_factory=threading.Lock)
    value: Any = None
    fresh_until: float = 0.0


class CostCache:
    """Values by key, each made by one thread at a time."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._entries: dict[Any, _Entry] = {}
        self._lock = threading.Lock()

    def get(self, key: Any, make: Callable[[], Any]) -> Any:
        """The value of a key, made anew by `make` when it is older than its cost allows."""
        with self._lock:
            entry = self._entries.pop(key, None) or _Entry()
            self._entries[key] = entry  # last used, last in the dict
            while len(self._entries) > ENTRIES:
                self._entries.pop(next(iter(self._entries)))
        with entry.lock:
            if self._clock() >= entry.fresh_until:
                started = self._clock()
                entry.value = make()
                took = self._clock() - started
                entry.fresh_until = self._clock() + max(SHORTEST_SECONDS, SHARE * took)
            return entry.value
