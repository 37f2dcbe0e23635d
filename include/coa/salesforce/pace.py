"""When to look at a Bulk job: first when similar jobs of this run were over, then at growing intervals.

Each look is an API call, and each second that a finished job goes unnoticed is lost. Bulk API 2.0 has no
notification, so all we can do is to ask at the right time.
"""

from __future__ import annotations

import threading
from collections import defaultdict, deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import median

MINUTE = 60.0
LOOKS_IN_FIRST_MINUTE = 8
SHORTEST_WAIT = 0.1
"""Seconds: no job is looked at sooner, however fast the org's jobs were."""
LATER_GROWTH = 1.5
"""After the first minute each gap is so much longer than the one before."""
RECENT = 3
"""Jobs of a kind that the next one is judged by: an org's speed changes with the hour."""
_ALMOST_NOTHING = 0.01


@dataclass(frozen=True)
class JobSize:
    """What is known of a job when it is handed to the org; `rows` of a query often are not."""

    sobject: str
    operation: str
    rows: int | None = None


@dataclass(frozen=True)
class Ended:
    """A job that is over. Its end lies between two looks, `earliest` and `latest` seconds after its submission.

    `worked`: seconds that the org says it worked on it (`totalProcessingTime`), 0 where it does not tell.
    """

    rows: int
    worked: float
    earliest: float
    latest: float

    @property
    def seconds(self) -> float:
        """The likeliest time that the job took, from submission to end."""
        return (max(self.earliest, self.working) + self.latest) / 2

    @property
    def working(self) -> float:
        """Seconds for which the org worked on the job."""
        # An org adds up what it did side by side; then the sum is longer than the job.
        return min(self.worked, self.latest)

    @property
    def queued(self) -> float:
        """Seconds for which the job waited in the queue."""
        return max(0.0, self.seconds - self.working)


def expected_seconds(alike: Sequence[Ended], rows: int | None) -> float:
    """Queue time plus rows by rows a second, medians of jobs alike; `alike` must not be empty."""
    if rows is None:
        rows = round(median(one.rows for one in alike))
    a_row = median(one.working / max(one.rows, 1) for one in alike)
    return median(one.queued for one in alike) + rows * a_row


def gaps(first: float, longest: float) -> Iterator[float]:
    """Seconds to wait before each look at a job, without end.

    The first comes after `first` seconds. At most eight fall into the first minute, as near to the job's end, in
    proportion to its age, as eight allow; then each gap is longer by half. No gap but the first is longer than
    `longest`, which wins over the eight where it is too short for them.
    """
    first, longest = max(first, _ALMOST_NOTHING), max(longest, _ALMOST_NOTHING)
    yield first
    growth = max((MINUTE / first) ** (1 / LOOKS_IN_FIRST_MINUTE), 1.05)
    at = gap = first
    for left in reversed(range(LOOKS_IN_FIRST_MINUTE)):
        if at >= MINUTE:
            break
        # Late enough that the looks that are left last until the minute is over.
        gap = min(max(at * growth, MINUTE - left * longest) - at, longest)
        at += gap
        yield gap
    while True:
        gap = min(gap * LATER_GROWTH, longest)
        yield gap


class Pace:
    """What a run has learnt of one org's jobs so far, by sObject and operation. For several threads at once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._by_kind: dict[tuple[str, str], deque[Ended]] = defaultdict(lambda: deque(maxlen=RECENT))

    def learn(self, size: JobSize, ended: Ended) -> None:
        """Takes note of a job that is over."""
        with self._lock:
            self._by_kind[size.sobject, size.operation].append(ended)

    def first_look(self, size: JobSize, unknown: float) -> float:
        """Seconds after its submission at which a job is first looked at, a minute at most.

        `unknown` while nothing is learnt. The first job of a kind is looked at when others began to be worked on:
        every job of an org stands in the same queue.
        """
        with self._lock:
            alike = list(self._by_kind.get((size.sobject, size.operation), ()))
            others = [one for kind in self._by_kind.values() for one in kind]
        if alike:
            expected = expected_seconds(alike, size.rows)
        elif others:
            expected = median(one.queued for one in others)
        else:
            return unknown
        return min(max(expected, SHORTEST_WAIT), MINUTE)
