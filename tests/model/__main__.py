"""`make model`: walks through the protocol's states, then shows what each sabotage leads to; 1 on a surprise."""

from __future__ import annotations

import sys
from time import monotonic

from tests.model.bounds import FULL, SHOWN_BY
from tests.model.explore import explore
from tests.model.protocol import Protocol


def main() -> int:
    begun, states, good = monotonic(), 0, True
    for name, bounds in FULL.items():
        walk = explore(Protocol(bounds))
        states += walk.states
        print(f"{walk.states:>9,} states  {name}: {walk.broken or 'every promise holds'}")
        if walk.broken:
            good = False
            print(*(f"            {label}" for label in walk.trace), sep="\n")
    print(f"{states:>9,} states in all, {monotonic() - begun:.0f} s")
    for sabotage, (bounds, promise) in SHOWN_BY.items():
        walk = explore(Protocol(bounds, sabotage))
        good = good and walk.broken == promise
        print(
            f"\nTaken out: {sabotage}.\n  {walk.broken or 'NOTHING is broken by it'}, by {len(walk.trace)} steps:"
        )
        print(*(f"    {label}" for label in walk.trace), sep="\n")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
