"""What one pass asks the target after a job, and what switching the rules off would spare a plan."""

from __future__ import annotations

from coa.load.one_pass import AN_ORDER_IN_SOQL, ROOM, hit_condition
from coa.plan.rules_off import ASSUMED_ROWS_A_SECOND, CALLS_A_JOB, CALLS_A_QUERY, saving


def created(number: int) -> list[dict[str, str | None]]:
    """So many orders; every third was sent without a received date."""
    return [
        {
            "target_id": f"a0B{n:015}",
            "received": None if n % 3 == 0 else f"2024-01-01T{n // 60:02}:{n % 60:02}:00Z",
        }
        for n in range(number)
    ]


def test_the_query_names_each_order_once_and_each_date_that_was_sent() -> None:
    orders = created(7)

    condition = hit_condition(orders)

    assert all(condition.count(str(one["target_id"])) == 1 for one in orders)
    assert all(condition.count(str(one["received"])) == 1 for one in orders if one["received"])
    assert condition.count("= 'Draft'") == 2
    assert "NOT IN (2024-01-01T00:01:00Z, " in condition
    assert condition.count("!= null") == 1


def test_the_largest_query_is_not_longer_than_salesforce_takes() -> None:
    assert len(hit_condition(created(ROOM // AN_ORDER_IN_SOQL))) < ROOM


def test_a_saving_counts_rows_jobs_and_the_time_as_a_draft() -> None:
    found = saving(orders=4000, prices=3000, dates=0, details=8000, orders_a_chunk=2000, rate=50.0)

    assert found.rows == 7000
    # Two chunks without their jobs of statuses and prices, with a look each.
    assert found.calls == 2 * 2 * CALLS_A_JOB - 2 * CALLS_A_QUERY
    assert found.hours == 7000 / 50 / 3600
    # A chunk's 2,000 orders wait for its 6,000 rows.
    assert found.exposure == 4000 * 6000 / 50 / 3600
    assert found.measured


def test_without_an_order_that_could_be_created_as_it_is_nothing_is_exposed_less() -> None:
    found = saving(orders=0, prices=10, dates=0, details=10, orders_a_chunk=2000, rate=None)

    assert (found.exposure, found.calls, found.measured) == (0.0, 0, False)
    assert found.hours == 10 / ASSUMED_ROWS_A_SECOND / 3600
