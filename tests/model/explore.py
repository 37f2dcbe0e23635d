"""Walks through every state that a protocol can reach, the nearest first: a counterexample is a shortest one."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from tests.model.protocol import Protocol, State, tidy


@dataclass(frozen=True)
class Walk:
    """What was found: number of states; the broken promise ('' for none) and the way to it."""

    states: int
    broken: str = ""
    trace: tuple[str, ...] = ()


def explore(protocol: Protocol, most: int = 10_000_000) -> Walk:
    """Raises `RuntimeError` when there are more states than `most`: nothing is proved then."""
    first = protocol.first()
    reached: dict[State, tuple[State, str] | None] = {first: None}
    queue = deque([first])
    while queue:
        state = queue.popleft()
        if why := protocol.broken(state):
            return Walk(len(reached), why, _way(reached, state))
        led_on = False
        for label, led_to in protocol.moves(state):
            after = led_to if unchanged(state, led_to) else tidy(led_to)
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


def unchanged(state: State, after: State) -> bool:
    """Whether a move left jobs and rows, and who looks at them, as they were: then there is nothing to tidy."""
    return (
        after.work is state.work
        and after.jobs is state.jobs
        and after.org_jobs is state.org_jobs
        and [(p.job, p.org_job) for p in after.processes] == [(p.job, p.org_job) for p in state.processes]
    )


def _way(reached: dict[State, tuple[State, str] | None], state: State) -> tuple[str, ...]:
    labels = []
    while (step := reached[state]) is not None:
        state, label = step
        labels.append(label)
    return tuple(reversed(labels))
