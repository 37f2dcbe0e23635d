"""Faults on command: which requests, rows and jobs go wrong, and how."""

from __future__ import annotations

import random
import re
import threading
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from orgsim.errors import RowError

if TYPE_CHECKING:
    from orgsim.org import Org
    from orgsim.rows import Row

#: What can happen to a request.
REQUEST_KINDS = (
    "status",  # answer `status` with `body` (JSON or HTML) and do nothing
    "html_503",
    "html_502",
    "unknown_exception",
    "server_unavailable",
    "limit_total",
    "limit_concurrent_long",
    "limit_concurrent",
    "invalid_session",
    "reset_before",  # connection closed, nothing done
    "reset_after",  # request carried out, then connection closed
    "error_after",  # request carried out, then 500 UNKNOWN_EXCEPTION
    "slow",  # `seconds` of delay, then the normal answer
    "truncate",  # `fraction` of the body, then the connection is closed
)
#: What can happen to a job or its rows.
JOB_KINDS = (
    "refuse_rows",  # `code` and `message` for a share of the rows (`fraction`) of a Bulk batch or a collections call
    "lock_rows",  # UNABLE_TO_LOCK_ROW for a share of rows (`fraction`), or for those of `parent`
    "job_stuck",  # job stays InProgress
    "job_failed",  # job fails after `batches` internal batches
    "rows_vanish",  # `fraction` of rows are neither processed nor in any result file
    "slow_job",  # `seconds` more in InProgress
)


@dataclass
class Fault:
    """A rule: where it applies (``method``, ``path`` regex, ``sobject``, ``operation``), how often, what happens."""

    kind: str
    id: int = 0
    method: str = ""
    path: str = ""
    sobject: str = ""
    operation: str = ""
    skip: int = 0
    times: int = 1
    probability: float = 1.0
    status: int = 503
    body: str = ""
    seconds: float = 1.0
    fraction: float = 0.5
    batches: int = 1
    parent: str = ""
    code: str = "UNABLE_TO_LOCK_ROW"
    message: str = "unable to obtain exclusive access to this record"
    api: str = ""
    matched: int = 0
    fired: int = 0

    def __post_init__(self) -> None:
        if self.kind not in REQUEST_KINDS + JOB_KINDS:
            raise ValueError(
                f"no fault of kind {self.kind!r}; there are {', '.join(REQUEST_KINDS + JOB_KINDS)}"
            )
        re.compile(self.path)


class Faults:
    """The rules in force. ``times`` < 0 means always; a seed makes probabilities repeatable."""

    def __init__(self, org: Org) -> None:
        self._org = org
        self._lock = threading.Lock()
        self._rules: list[Fault] = []
        self._next = 1
        self.random = random.Random(org.settings.seed)

    def add(self, **rule: Any) -> Fault:
        fault = Fault(**rule)
        with self._lock:
            fault.id, self._next = self._next, self._next + 1
            self._rules.append(fault)
        return fault

    def clear(self, fault_id: int | None = None) -> None:
        with self._lock:
            self._rules = [one for one in self._rules if fault_id is not None and one.id != fault_id]

    def reseed(self, seed: int) -> None:
        self.random = random.Random(seed)

    def listed(self) -> list[dict[str, Any]]:
        with self._lock:
            return [asdict(one) for one in self._rules]

    def for_request(self, method: str, path: str) -> Fault | None:
        """The first rule that fires for this request."""
        return self._fire(
            lambda one: (
                one.kind in REQUEST_KINDS
                and (not one.method or one.method.upper() == method)
                and re.search(one.path, path, re.IGNORECASE) is not None
            )
        )

    def refuse(self, api: str, sobject: str, operation: str, rows: Sequence[Row]) -> None:
        """Marks rows of a Bulk batch (`api` "bulk") or a collections call ("rest") that a rule refuses."""
        rule = self._fire(
            lambda one: (
                one.kind == "refuse_rows"
                and one.api in ("", api)
                and (not one.sobject or one.sobject.lower() == sobject.lower())
                and (not one.operation or one.operation == operation)
            )
        )
        if rule is None:
            return
        for row in rows:
            if row.error is None and self.random.random() < rule.fraction:
                row.error = RowError(rule.code, rule.message)

    def for_job(self, kind: str, sobject: str, operation: str) -> Fault | None:
        """The first rule of this kind that fires for a job."""
        return self._fire(
            lambda one: (
                one.kind == kind
                and (not one.sobject or one.sobject.lower() == sobject.lower())
                and (not one.operation or one.operation == operation)
            )
        )

    def _fire(self, applies: Any) -> Fault | None:
        with self._lock:
            for one in self._rules:
                if not applies(one) or one.times == 0:
                    continue
                one.matched += 1
                if one.matched <= one.skip or self.random.random() >= one.probability:
                    continue
                one.times -= 1 if one.times > 0 else 0
                one.fired += 1
                return one
        return None
