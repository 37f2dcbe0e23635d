"""When a Bulk job is looked at: what was learnt decides the first look, eight at most fall into the first minute."""

from __future__ import annotations

from itertools import accumulate, islice, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coa.config import Settings
from coa.salesforce.pace import MINUTE, SHORTEST_WAIT, Ended, JobSize, Pace, expected_seconds, gaps

LONGEST = Settings().poll_max_seconds
ORDERS = JobSize("Order__c", "insert", 2000)
firsts = st.floats(0.0, 2 * MINUTE)
longests = st.floats(MINUTE / 8, 3 * MINUTE)
ends = st.builds(
    lambda rows, worked, earliest, more: Ended(rows, worked, earliest, earliest + more),
    st.integers(0, 100_000), st.floats(0, 500), st.floats(0, 500), st.floats(0, 500),
)  # fmt: skip


def looks(first: float, longest: float, count: int) -> list[float]:
    """Moments of the first looks, in seconds after submission."""
    return list(accumulate(islice(gaps(first, longest), count)))


class TestGaps:
    @given(firsts, longests)
    def test_at_most_eight_looks_fall_into_the_first_minute(self, first: float, longest: float) -> None:
        assert looks(first, longest, 9)[-1] >= MINUTE - 1e-6

    @given(firsts, st.floats(0.0, 3 * MINUTE))
    def test_every_gap_but_the_first_is_above_zero_and_no_longer_than_the_longest(
        self, first: float, longest: float
    ) -> None:
        later = list(islice(gaps(first, longest), 1, 40))

        assert all(0 < gap <= max(longest, 0.01) for gap in later)

    @given(firsts)
    def test_the_first_look_is_when_it_was_asked_for(self, first: float) -> None:
        assert next(gaps(first, LONGEST)) == max(first, 0.01)

    @given(firsts, longests)
    def test_after_the_first_minute_gaps_grow_up_to_the_longest(self, first: float, longest: float) -> None:
        later = list(islice(gaps(first, longest), 9, 60))

        assert later == sorted(later)
        assert later[-1] == pytest.approx(longest)

    def test_a_job_is_noticed_within_a_time_in_proportion_to_its_own(self) -> None:
        moments = looks(1.0, LONGEST, 6)

        assert all(b / a < 1.7 for a, b in pairwise(moments))


class TestExpectedSeconds:
    def test_queue_and_rows_are_told_apart(self) -> None:
        # Ten seconds in the queue, 100 rows a second.
        seen = [Ended(rows=1000, worked=10, earliest=20, latest=20)]

        assert expected_seconds(seen, 5000) == pytest.approx(60)
        assert expected_seconds(seen, 0) == pytest.approx(10)

    def test_a_query_whose_rows_nobody_knows_is_taken_for_one_like_the_others(self) -> None:
        seen = [Ended(1000, 10, 20, 20), Ended(3000, 30, 40, 40), Ended(2000, 20, 30, 30)]

        assert expected_seconds(seen, None) == pytest.approx(30)

    @given(st.lists(ends, min_size=1, max_size=5), st.integers(0, 10**6), st.integers(0, 10**6))
    def test_more_rows_never_take_less_time(self, seen: list[Ended], fewer: int, more: int) -> None:
        low, high = sorted((fewer, more))

        assert 0 <= expected_seconds(seen, low) <= expected_seconds(seen, high)

    @given(ends)
    def test_a_jobs_time_lies_between_the_looks(self, ended: Ended) -> None:
        assert ended.earliest <= ended.seconds <= ended.latest
        assert ended.queued + ended.working == pytest.approx(max(ended.seconds, ended.working))


class TestPace:
    def test_the_first_job_of_a_run_is_looked_at_as_the_settings_say(self) -> None:
        assert Pace().first_look(ORDERS, unknown=1.0) == 1.0

    def test_a_job_like_earlier_ones_is_looked_at_when_those_were_over(self) -> None:
        pace = Pace()
        pace.learn(ORDERS, Ended(rows=2000, worked=5.0, earliest=12.0, latest=12.0))

        assert pace.first_look(ORDERS, unknown=1.0) == pytest.approx(12.0)

    def test_a_tenth_of_a_second_only_where_jobs_took_less_than_one(self) -> None:
        fast, slow = Pace(), Pace()
        fast.learn(ORDERS, Ended(2000, worked=0.01, earliest=0.0, latest=0.05))
        slow.learn(ORDERS, Ended(2000, worked=0.5, earliest=2.0, latest=3.0))

        assert fast.first_look(ORDERS, unknown=1.0) == SHORTEST_WAIT
        assert slow.first_look(ORDERS, unknown=1.0) > 1.0

    def test_the_first_job_of_another_kind_waits_as_long_as_others_stood_in_the_queue(self) -> None:
        pace = Pace()
        pace.learn(ORDERS, Ended(rows=2000, worked=5.0, earliest=12.0, latest=12.0))

        assert pace.first_look(JobSize("Detail__c", "insert", 9000), unknown=1.0) == pytest.approx(7.0)

    def test_an_org_that_became_fast_is_looked_at_sooner_and_sooner(self) -> None:
        pace, moments = Pace(), [30.0]
        for _ in range(12):
            pace.learn(ORDERS, Ended(2000, worked=0.0, earliest=0.0, latest=moments[-1]))
            moments.append(pace.first_look(ORDERS, unknown=1.0))

        assert moments == sorted(moments, reverse=True)
        assert moments[-1] < 1.0

    @given(st.lists(ends, max_size=10), st.one_of(st.none(), st.integers(0, 10**6)))
    def test_the_first_look_comes_within_a_minute_and_never_at_once(
        self, seen: list[Ended], rows: int | None
    ) -> None:
        pace = Pace()
        for ended in seen:
            pace.learn(ORDERS, ended)

        moment = pace.first_look(JobSize("Order__c", "insert", rows), unknown=1.0)
        assert SHORTEST_WAIT <= moment <= MINUTE
