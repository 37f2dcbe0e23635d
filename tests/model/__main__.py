"""`make model`: walks through the protocol's states, then shows what each sabotage leads to; 1 on a surprise."""

from __future__ import annotations

import sys
from time import monotonic

from tests.model.beginning import BeginningProtocol
from tests.model.bounds import BEGINNING_FULL, BEGINNING_SHOWN_BY, FULL, SHOWN_BY
from tests.model.explore import Walk, explore
from tests.model.protocol import Protocol


def main() -> int:
    begun, states, good = monotonic(), 0, True
    walks = {name: explore(Protocol(bounds)) for name, bounds in FULL.items()}
    walks["the canary, and one pass until it has to end"] = explore(BeginningProtocol(BEGINNING_FULL))
    for name, walk in walks.items():
        states += walk.states
        print(f"{walk.states:>9,} states  {name}: {walk.broken or 'every promise holds'}")
        if walk.broken:
            good = False
            print(*(f"            {label}" for label in walk.trace), sep="\n")
    print(f"{states:>9,} states in all, {monotonic() - begun:.0f} s")
    for sabotage, (bounds, promise) in SHOWN_BY.items():
        good &= _shown(sabotage, explore(Protocol(bounds, sabotage)), promise)
    for beginning, (few, promise) in BEGINNING_SHOWN_BY.items():
        good &= _shown(beginning, explore(BeginningProtocol(few, beginning)), promise)
    return 0 if good else 1


def _shown(sabotage: str, walk: Walk, promise: str) -> bool:
    """Prints what a sabotage leads to; whether it is what it should lead to."""
    print(
        f"\nTaken out: {sabotage}.\n  {walk.broken or 'NOTHING is broken by it'}, by {len(walk.trace)} steps:"
    )
    print(*(f"    {label}" for label in walk.trace), sep="\n")
    return walk.broken == promise


if __name__ == "__main__":
    sys.exit(main())
