"""Walks through every state that a protocol can reach, the nearest first: a counterexample is a shortest one."""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable, Iterator
from dataclasses import dataclass
from typing import Protocol as Shape
from typing import TypeVar

S = TypeVar("S", bound=Hashable)


class Machine(Shape[S]):
    """What can be walked through: `tidied` makes states that differ by history alone one."""

    def first(self) -> S: ...

    def moves(self, s: S, /) -> Iterator[tuple[str, S]]: ...

    def tidied(self, before: S, after: S, /) -> S: ...

    def broken(self, s: S, /) -> str: ...

    def stuck(self, s: S, /) -> str: ...


@dataclass(frozen=True)
class Walk:
    """What was found: number of states; the broken promise ('' for none) and the way to it."""

    states: int
    broken: str = ""
    trace: tuple[str, ...] = ()


def explore(protocol: Machine[S], most: int = 10_000_000) -> Walk:
    """Raises `RuntimeError` when there are more states than `most`: nothing is proved then."""
    first = protocol.first()
    reached: dict[S, tuple[S, str] | None] = {first: None}
    queue = deque([first])
    while queue:
        state = queue.popleft()
        if why := protocol.broken(state):
            return Walk(len(reached), why, _way(reached, state))
        led_on = False
        for label, led_to in protocol.moves(state):
            after = protocol.tidied(state, led_to)
            if after != state:
                led_on = True
                if after not in reached:
                    reached[after] = (state, label)
                    queue.append(after)
        if not led_on and (why := protocol.stuck(state)):
            return Walk(len(reached), why, _way(reached, state))
        if len(reached) > most:
            raise RuntimeError(f"more than {most:,} states")
    return Walk(len(reached))


def _way(reached: dict[S, tuple[S, str] | None], state: S) -> tuple[str, ...]:
    labels = []
    while (step := reached[state]) is not None:
        state, label = step
        labels.append(label)
    return tuple(reversed(labels))
