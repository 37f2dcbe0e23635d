"""What of a plan an earlier canary did not hold."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from coa.load.canary_choice import Candidate, Stratum, choose
from coa.load.canary_reuse import CHANCE, is_rechecked, strata_document, what_is_new
from tests.unit.test_canary_choice import plans


@given(plans(), st.integers(1, 16))
def test_what_a_canary_held_is_not_new_to_the_same_plan_but_for_chance(
    plan: list[Candidate], orders: int
) -> None:
    chosen = choose(plan, orders)

    left = what_is_new(plan, strata_document(plan, chosen))

    held = {s for one in plan if one.source_id in chosen for s in one.strata}
    shown = {s for one in left for s in one.strata}
    assert shown == {s for one in plan for s in one.strata if s.kind != CHANCE} - held


@given(plans())
def test_an_original_comes_with_a_clone_that_shows_something_new(plan: list[Candidate]) -> None:
    left = {one.source_id: one for one in what_is_new(plan, [])}
    there = {one.source_id for one in plan}

    for one in left.values():
        if one.strata and one.original in there:
            assert one.original in left


def test_what_the_longest_text_is_hangs_on_the_plan_and_is_no_news() -> None:
    plan = [Candidate("o1", 1, frozenset({Stratum(CHANCE, "Order", "Comment")}))]

    assert what_is_new(plan, []) == []


def test_what_was_taken_over_counts_once_it_was_seen_to_hold() -> None:
    assert is_rechecked({"reused_from": None, "rechecked": None})
    assert is_rechecked({"reused_from": "run", "rechecked": True})
    assert not is_rechecked({"reused_from": "run", "rechecked": None})
    assert not is_rechecked({"reused_from": "run", "rechecked": False})
