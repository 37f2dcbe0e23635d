"""The orders that a load begins with: bounded, with their originals, and as unlike one another as can be."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from coa.load.canary_choice import WEIGHTS, Candidate, Stratum, choose, has_canary

strata = st.builds(
    Stratum, st.sampled_from([*WEIGHTS, "filled"]), st.just("Order"), st.just("F"), st.sampled_from("abcd")
)


@st.composite
def plans(draw: st.DrawFn) -> list[Candidate]:
    """Candidates with distinct ids; some are clones of another one, or of an order that is no candidate."""
    ids = [f"o{n}" for n in range(draw(st.integers(0, 16)))]
    return [
        Candidate(
            one,
            draw(st.integers(1, 60)),
            frozenset(draw(st.lists(strata, max_size=3))),
            draw(st.sampled_from(["", "", "", "elsewhere", *ids])),
        )
        for one in ids
    ]


@given(plans(), st.integers(0, 30), st.integers(1, 300))
def test_neither_orders_nor_rows_are_more_than_allowed(
    plan: list[Candidate], orders: int, most_rows: int
) -> None:
    chosen = choose(plan, orders, most_rows)

    assert len(chosen) == len(set(chosen)) <= orders
    assert sum(one.rows for one in plan if one.source_id in chosen) <= most_rows


@given(plans(), st.integers(0, 30), st.integers(1, 300))
def test_a_chosen_clone_has_its_original_unless_it_is_one_itself(
    plan: list[Candidate], orders: int, most_rows: int
) -> None:
    """Of a chain of clones the last link alone may lead out of the canary: chains can be of any length."""
    chosen = choose(plan, orders, most_rows)
    ids = {one.source_id for one in plan}
    originals = {one.original for one in plan if one.source_id in chosen}

    for one in plan:
        if one.source_id in chosen and one.original in ids:
            assert one.original in chosen or one.source_id in originals


@given(plans(), st.integers(0, 30), st.integers(1, 300))
def test_whatever_still_fits_is_taken(plan: list[Candidate], orders: int, most_rows: int) -> None:
    chosen = choose(plan, orders, most_rows)
    free = most_rows - sum(one.rows for one in plan if one.source_id in chosen)
    ids = {one.source_id for one in plan} - set(chosen)

    if len(chosen) < orders:
        single = [
            o for o in plan if o.source_id in ids and (o.original not in ids or o.original == o.source_id)
        ]
        assert not [one for one in single if one.rows <= free]


@given(plans())
def test_a_canary_as_large_as_the_plan_holds_every_stratum(plan: list[Candidate]) -> None:
    chosen = choose(plan, len(plan), sum(one.rows for one in plan))

    assert sorted(chosen) == sorted(one.source_id for one in plan)


def test_each_of_many_values_is_there_before_any_comes_twice() -> None:
    statuses = [Stratum("status", "Order", "Status", value) for value in ("Draft", "Received", "Error")]
    plan = [Candidate(f"o{n}", 1, frozenset({statuses[0 if n < 90 else n % 3]})) for n in range(100)]

    chosen = choose(plan, 3)

    assert {next(iter(one.strata)).value for one in plan if one.source_id in chosen} == {
        "Draft",
        "Received",
        "Error",
    }


@given(plans(), st.integers(0, 30))
def test_the_same_plan_gives_the_same_choice(plan: list[Candidate], orders: int) -> None:
    assert choose(plan, orders) == choose(list(plan), orders)


@given(st.integers(0, 200), st.integers(0, 60))
def test_a_plan_of_at_most_twice_the_canary_has_none(new_orders: int, orders: int) -> None:
    assert has_canary(new_orders, orders) == (orders != 0 and new_orders >= 2 * orders + 1)
