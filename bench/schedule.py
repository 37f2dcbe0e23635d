"""The best possible schedule of a load on an org of known speed: no client can be done sooner, but for luck.

The org lets each Bulk job wait in a queue, then works off its rows at a rate of its sObject, several jobs side by side
(`orgsim.bulk.speed`). What a correct load has to send is given, pass by pass, with what must be over before. Cut into
more and smaller jobs, more of them go side by side, and each pass can begin before the one before is over for all; but
each job of a chain waits in the queue again. So the schedule is made for several numbers of chunks, each time giving a
free place to the job with the longest way still to go, and the shortest is taken.

`floor` is what no schedule can beat: the longest chain of jobs without a row in them, or all rows on all places at
once.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Sequence
from dataclasses import dataclass

CHUNKS = (1, 2, 3, 4, 5, 6, 8, 10, 15, 20, 30, 40)


@dataclass(frozen=True)
class Pass:
    """Rows of one kind that are sent, or read, in one go or cut into chunks.

    `after`: passes that are over for the same rows before. `after_all`: passes that are over for all rows before.
    `org`: whose places it takes. `rate`: rows a second.
    """

    name: str
    rows: int
    rate: float
    org: str = "target"
    after: tuple[str, ...] = ()
    after_all: tuple[str, ...] = ()

    @property
    def seconds(self) -> float:
        return self.rows / self.rate


@dataclass(frozen=True)
class Schedule:
    """`spans`: (pass, seconds until its first job begins to wait, seconds until its last one is over)."""

    seconds: float
    chunks: int
    floor: float
    spans: tuple[tuple[str, float, float], ...]


def best(passes: Sequence[Pass], *, queue: float, places: int) -> Schedule:
    """The shortest of the schedules for several numbers of chunks. Passes without rows are left out."""
    kept = [one for one in passes if one.rows]
    made = [_scheduled(kept, count, queue, places) for count in CHUNKS]
    return min(made, key=lambda one: (one.seconds, one.chunks))


def _scheduled(passes: list[Pass], chunks: int, queue: float, places: int) -> Schedule:
    jobs = [(one, part) for one in passes for part in range(_parts(one, chunks))]
    names = {one.name: one for one in passes}
    needs = {(one.name, part): _needs(one, part, names, chunks) for one, part in jobs}
    tail = _tails(passes, chunks, queue)
    ended: dict[tuple[str, int], float] = {}
    begun: dict[tuple[str, int], float] = {}
    free = {org: [0.0] * places for org in {one.org for one in passes}}
    waiting = {(one.name, part) for one, part in jobs}
    while waiting:
        ready = [
            (max((ended[n] for n in needs[j]), default=0.0), j) for j in waiting if needs[j] <= ended.keys()
        ]
        # Among those that can begin soonest, the one with the longest way still to go.
        _, _, job = min(
            (max(at + queue, free[names[job[0]].org][0]), -tail[job[0]], job) for at, job in ready
        )
        one, at = names[job[0]], next(at for at, other in ready if other == job)
        begin = max(at + queue, heapq.heappop(free[one.org]))
        begun[job], ended[job] = at, begin + one.seconds / _parts(one, chunks)
        heapq.heappush(free[one.org], ended[job])
        waiting.remove(job)
    spans = tuple(
        (
            one.name,
            min(begun[one.name, part] for part in range(_parts(one, chunks))),
            max(ended[one.name, part] for part in range(_parts(one, chunks))),
        )
        for one in passes
    )
    return Schedule(max(ended.values(), default=0.0), chunks, floor(passes, queue, places), spans)


def _parts(one: Pass, chunks: int) -> int:
    return min(chunks, one.rows)


def _needs(one: Pass, part: int, names: dict[str, Pass], chunks: int) -> set[tuple[str, int]]:
    same = {(n, min(part, _parts(names[n], chunks) - 1)) for n in one.after if n in names}
    return same | {(n, p) for n in one.after_all if n in names for p in range(_parts(names[n], chunks))}


def _tails(passes: list[Pass], chunks: int, queue: float) -> dict[str, float]:
    """Seconds from the begin of a job of each pass to the end of the last one that has to wait for it."""
    return _longest(passes, lambda one: queue + one.seconds / _parts(one, chunks))


def _longest(passes: Sequence[Pass], cost: Callable[[Pass], float]) -> dict[str, float]:
    tails: dict[str, float] = {}
    for one in reversed(passes):
        later = [tails[p.name] for p in passes if one.name in (*p.after, *p.after_all)]
        tails[one.name] = cost(one) + max(later, default=0.0)
    return tails


def floor(passes: Sequence[Pass], queue: float, places: int) -> float:
    """Seconds that no schedule can beat; passes stand after those that they wait for."""
    kept = [one for one in passes if one.rows]
    chain = max(_longest(kept, lambda _: queue).values(), default=0.0)
    work = max(
        (sum(one.seconds for one in kept if one.org == org) / places for org in {p.org for p in kept}),
        default=0.0,
    )
    return max(chain, work)
