"""Every interleaving within small bounds keeps every promise, and each safety step that is taken out breaks one."""

from __future__ import annotations

import pytest

from tests.model.beginning import BeginningProtocol, BeginningSabotage
from tests.model.bounds import BEGINNING_SHOWN_BY, BEGINNING_SMALL, SHOWN_BY, SMALL
from tests.model.explore import explore
from tests.model.protocol import Protocol, Sabotage


@pytest.mark.parametrize("name", SMALL)
def test_every_interleaving_keeps_every_promise(name: str) -> None:
    walk = explore(Protocol(SMALL[name]))
    assert walk.broken == "", "\n".join(walk.trace)
    assert walk.states > 300


@pytest.mark.parametrize(
    "sabotage",
    # Twenty thousand states away; `make model` walks there as well.
    [pytest.param(s, marks=pytest.mark.lane if s == Sabotage.KEPT_ROWS else ()) for s in Sabotage],
)
def test_without_a_safety_step_a_promise_is_broken(sabotage: Sabotage) -> None:
    bounds, promise = SHOWN_BY[sabotage]
    walk = explore(Protocol(bounds, sabotage))
    assert walk.broken == promise


def test_every_interleaving_of_a_beginning_keeps_every_promise() -> None:
    walk = explore(BeginningProtocol(BEGINNING_SMALL))
    assert walk.broken == "", "\n".join(walk.trace)
    assert walk.states > 300


@pytest.mark.parametrize("sabotage", BeginningSabotage)
def test_without_a_safety_step_of_the_beginning_a_promise_is_broken(sabotage: BeginningSabotage) -> None:
    bounds, promise = BEGINNING_SHOWN_BY[sabotage]
    walk = explore(BeginningProtocol(bounds, sabotage))
    assert walk.broken == promise
