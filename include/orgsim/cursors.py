"""Open results of REST queries, found again by locator (contract E1)."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

from orgsim.errors import ApiError
from orgsim.soql.compile import Plan

_KEPT = 50
_TWO_DAYS = 2 * 86400


@dataclass(slots=True)
class Cursor:
    plan: Plan
    rows: list[tuple[Any, ...]]
    size: int
    opened: float


class Cursors:
    """Open query results by locator; the oldest go when there are too many."""

    def __init__(self) -> None:
        self._open: OrderedDict[str, Cursor] = OrderedDict()
        self._lock = threading.Lock()
        self._count = 0

    def keep(self, cursor: Cursor) -> str:
        with self._lock:
            self._count += 1
            locator = f"0r8{self._count:012d}AAA"
            self._open[locator] = cursor
            while len(self._open) > _KEPT:
                self._open.popitem(last=False)
        return locator

    def get(self, locator: str, now: float) -> Cursor:
        cursor = self._open.get(locator)
        if cursor is None or now - cursor.opened > _TWO_DAYS:
            raise ApiError("INVALID_QUERY_LOCATOR", "invalid query locator")
        return cursor
