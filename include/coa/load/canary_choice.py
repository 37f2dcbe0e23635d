"""Which orders a load begins with: few, and as unlike one another as the plan allows. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

MOST_ROWS = 2000
"""Orders, details and customers of a canary together: each of them is read back after every step."""

WEIGHTS = {
    "status": 16,
    "order_type": 16,
    "contract": 16,
    "pricing": 16,
    "effect": 16,
    "clone": 16,
    "picklist": 4,
    "audit": 4,
    "lookup": 4,
    "longest": 4,
    "link_in_text": 4,
}
"""What a stratum of a kind is worth while the canary lacks it; 1 for any other kind."""


@dataclass(frozen=True)
class Stratum:
    """Something that a record can show: a `value` of a field with few values, the name of an effect, or ''."""

    kind: str
    sobject: str
    field: str
    value: str = ""

    @property
    def weight(self) -> int:
        """How much it counts in the choice that an order shows this stratum."""
        return WEIGHTS.get(self.kind, 1)


@dataclass(frozen=True)
class Candidate:
    """A new order that may be chosen. `rows`: what it brings, itself, its details and its new customer.

    `original`: the new order that it was cloned from, empty where there is none.
    """

    source_id: str
    rows: int
    strata: frozenset[Stratum] = frozenset()
    original: str = ""


def has_canary(new_orders: int, orders: int) -> bool:
    """Whether a plan of so many new orders is large enough to begin with `orders` of them."""
    return orders > 0 and new_orders > 2 * orders


def choose(candidates: Sequence[Candidate], orders: int, most_rows: int = MOST_ROWS) -> list[str]:
    """Source ids of at most `orders` candidates with at most `most_rows` rows, in the order in which they
    were chosen.

    Each step takes the candidate that shows most of what is not shown yet, the first one among equals. A
    clone brings its original with it, or is skipped if that does not fit.
    """
    by_id = {one.source_id: one for one in candidates}
    left = dict(by_id)
    taken: list[str] = []
    shown: set[Stratum] = set()
    rows = 0
    while left:
        best: list[Candidate] = []
        worth = -1
        for one in left.values():
            unit = [one]
            if one.original in left and one.original != one.source_id:
                unit.append(left[one.original])
            if len(taken) + len(unit) > orders or rows + sum(u.rows for u in unit) > most_rows:
                continue
            new = sum(s.weight for s in frozenset().union(*(u.strata for u in unit)) - shown)
            if new > worth:
                best, worth = unit, new
        if not best:
            break
        for one in reversed(best):
            taken.append(one.source_id)
            shown |= one.strata
            rows += one.rows
            del left[one.source_id]
    return taken
