"""The best schedule on an org of known speed: queue, rates, places, and what has to wait for what."""

from __future__ import annotations

import pytest
from bench.schedule import Pass, best, floor


def test_one_pass_on_one_place_waits_once_and_is_worked_off() -> None:
    assert best([Pass("orders", 1000, 100.0)], queue=5, places=1).seconds == pytest.approx(15)


def test_chunks_go_side_by_side_as_far_as_there_are_places() -> None:
    one = best([Pass("orders", 1000, 100.0)], queue=5, places=4)
    assert one.seconds == pytest.approx(5 + 10 / 4)
    assert one.chunks % 4 == 0


def test_what_waits_for_the_same_rows_begins_before_all_are_over() -> None:
    orders = Pass("orders", 1000, 100.0)
    same = best([orders, Pass("details", 1000, 100.0, after=("orders",))], queue=1, places=2)
    whole = best([orders, Pass("details", 1000, 100.0, after_all=("orders",))], queue=1, places=2)
    assert same.seconds < whole.seconds
    assert whole.seconds == pytest.approx(2 * (1 + 5))


def test_each_link_of_a_chain_waits_in_the_queue() -> None:
    chain = [Pass("orders", 1, 1000.0), Pass("details", 1, 1000.0, after=("orders",))]
    assert best(chain, queue=60, places=1).seconds == pytest.approx(120, abs=0.01)


def test_the_orgs_have_places_of_their_own() -> None:
    source = Pass("read", 1000, 100.0, org="source")
    assert best([source, Pass("write", 1000, 100.0)], queue=0, places=1).seconds == pytest.approx(10)


def test_no_schedule_is_below_the_floor_and_passes_without_rows_cost_nothing() -> None:
    passes = [
        Pass("read", 500, 5000.0, org="source"),
        Pass("orders", 1000, 100.0, after_all=("read",)),
        Pass("nothing", 0, 100.0, after=("orders",)),
        Pass("details", 4500, 100.0, after=("orders",)),
        Pass("statuses", 980, 100.0, after=("details",)),
    ]
    one = best(passes, queue=5, places=5)
    assert one.floor == floor(passes, 5, 5) == pytest.approx(max(4 * 5, 64.8 / 5))
    assert one.floor <= one.seconds
    assert [name for name, _, _ in one.spans] == ["read", "orders", "details", "statuses"]
