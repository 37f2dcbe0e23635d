"""Params of a run: all faults at once, and what an emptied field of the form means."""

from __future__ import annotations

import pytest
from hypothesis import given as each
from hypothesis import strategies as st

from coa.config import MOST_ORDERS_A_CHUNK, RunParams
from coa.errors import InvalidParams
from coa_airflow.params import given


def test_all_faults_of_the_params_are_told_at_once() -> None:
    with pytest.raises(InvalidParams) as told:
        RunParams.parse({"chunk_size": 0, "lanes": "3", "colour": 1, "mode": "some", "dry_run": "no"})

    for part in ("chunk_size: 0", "lanes: '3'", "unknown param 'colour'", "mode: 'some'", "dry_run: 'no'"):
        assert part in str(told.value)


@pytest.mark.parametrize("value", [True, 2.5, "2000", MOST_ORDERS_A_CHUNK + 1, -1])
def test_a_chunk_size_that_is_no_whole_number_in_range_is_refused(value: object) -> None:
    with pytest.raises(InvalidParams, match="chunk_size"):
        RunParams.parse({"chunk_size": value})


def test_a_chunk_size_that_is_given_stands_at_any_size() -> None:
    assert RunParams.parse({"chunk_size": 30}).orders_a_chunk(1_000_000) == 30


def test_an_emptied_chunk_size_is_none_given() -> None:
    assert RunParams.parse(given({"chunk_size": None, "orders_where": None})) == RunParams()


@each(st.integers(0, 5_000_000), st.integers(0, 5_000_000))
def test_chunks_grow_with_the_run_within_bounds(one: int, other: int) -> None:
    small, large = (RunParams().orders_a_chunk(orders) for orders in sorted((one, other)))

    assert 250 <= small <= large <= MOST_ORDERS_A_CHUNK
    assert RunParams().orders_a_chunk(10_000) == 2000
    assert RunParams().orders_a_chunk(100_000) == 5000


def test_a_small_run_has_three_chunks_so_that_its_lanes_have_work_side_by_side() -> None:
    assert RunParams().orders_a_chunk(1000) == 334
