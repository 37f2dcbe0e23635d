"""Keeps the parts of a local Airflow alive: one that ended is started again, with growing gaps, a few times."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from coa.errors import CoaError

RESTARTS = 5
"""So often in a row a part is started again: what ends each time has a fault that starting does not mend."""
FIRST_GAP_SECONDS = 0.5
LONGEST_GAP_SECONDS = 8.0
STABLE_SECONDS = 60.0
"""A part that has lived so long is taken for sound, and its restarts are counted anew."""


class Part(Protocol):
    """Something that runs."""

    name: str
    needs: str
    """The part without which this one cannot live; empty: none."""

    def alive(self) -> bool:
        """Whether it runs."""

    def start(self) -> None:
        """Ends what is left of an earlier process, and starts. May raise `CoaError`."""

    def stop(self) -> None:
        """Ends it."""

    def how_it_ended(self) -> str:
        """For the log: its pid and status, as far as they are known."""


class State(Enum):
    """How a part is."""

    RUNNING = "running"
    WAITING = "waiting to be started again"
    GIVEN_UP = "given up"


@dataclass
class _Watch:
    part: Part
    state: State = State.RUNNING
    restarts: int = 0
    """In a row."""
    restarts_ever: int = 0
    started: float = 0.0
    due: float = 0.0


class Supervisor:
    """Parts in the order in which they need each other.

    `tell`: gets a sentence for each thing that happens. `clock`: seconds that only grow.
    """

    def __init__(
        self, parts: Iterable[Part], tell: Callable[[str], None], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._watches = {part.name: _Watch(part) for part in parts}
        self._tell = tell
        self._clock = clock

    def start(self) -> None:
        """Raises `CoaError` when a part cannot be started at all."""
        for watch in self._watches.values():
            watch.part.start()
            watch.started = self._clock()

    def look(self) -> bool:
        """One round: notices what ended, starts what is due. Whether any part changed its state."""
        before = self.states()
        for watch in self._watches.values():
            if watch.state is State.RUNNING and not watch.part.alive():
                self._ended(watch, watch.part.how_it_ended())
            if watch.state is State.WAITING and self._clock() >= watch.due and self._needed_lives(watch):
                self._restart(watch)
            elif (
                watch.state is State.RUNNING
                and watch.restarts
                and self._clock() - watch.started >= STABLE_SECONDS
            ):
                watch.restarts = 0
        return self.states() != before

    def stop(self) -> None:
        """All at once: each may take its time to end in order."""
        with ThreadPoolExecutor() as pool:
            list(pool.map(lambda watch: watch.part.stop(), self._watches.values()))

    def states(self) -> dict[str, str]:
        """By part, in words: running, since how many restarts, or not."""
        return {name: _words(watch) for name, watch in self._watches.items()}

    @property
    def given_up(self) -> list[str]:
        """Names of the parts that are not started again."""
        return [name for name, watch in self._watches.items() if watch.state is State.GIVEN_UP]

    def _ended(self, watch: _Watch, how: str) -> None:
        gap = min(LONGEST_GAP_SECONDS, FIRST_GAP_SECONDS * 2**watch.restarts)
        if watch.restarts >= RESTARTS:
            watch.state = State.GIVEN_UP
            self._tell(f"{watch.part.name} {how}, for the {RESTARTS + 1}th time in a row: it is given up.")
            return
        watch.state = State.WAITING
        watch.due = self._clock() + gap
        self._tell(f"{watch.part.name} {how}; it is started again in {gap:g} s.")

    def _restart(self, watch: _Watch) -> None:
        watch.restarts += 1
        try:
            watch.part.start()
        except (CoaError, OSError) as error:
            self._ended(watch, f"could not be started ({error})")
            return
        watch.state, watch.started = State.RUNNING, self._clock()
        watch.restarts_ever += 1
        self._tell(f"{watch.part.name} was started again ({watch.restarts} of {RESTARTS}).")

    def _needed_lives(self, watch: _Watch) -> bool:
        needed = self._watches.get(watch.part.needs)
        return needed is None or needed.part.alive()


def _words(watch: _Watch) -> str:
    if watch.state is State.RUNNING and watch.restarts_ever:
        return f"{State.RUNNING.value}, started again {watch.restarts_ever} time{'s' * (watch.restarts_ever > 1)}"
    return watch.state.value
