"""What the benchmark on slow orgs tells, from records that are made up."""

from __future__ import annotations

from typing import Any

import pytest
from bench.check import CUSTOMER, DETAIL, ORDER

from bench import slow
from tests.bench.test_results import record

WRITES = [
    [CUSTOMER, "insert", 150],
    [ORDER, "insert", 1000],
    [DETAIL, "insert", 4500],
    [DETAIL, "update", 1700],
    [ORDER, "update", 980],
    [ORDER, "update", 80],
]


@pytest.fixture
def reference() -> dict[str, Any]:
    return {**record("reference", 1000, 120.0), "writes": WRITES, "rows_loaded": 8410}


def test_each_pass_of_the_smallest_correct_load_is_scheduled_with_its_rows(reference: dict[str, Any]) -> None:
    rows = {one.name: one.rows for one in slow.passes(reference)}
    assert rows["insert details"] == rows["read back details"] == 4500
    assert (rows["statuses and links"], rows["received dates"], rows["prices"]) == (980, 80, 1700)


def test_all_places_at_work_are_the_least_that_it_takes(reference: dict[str, Any]) -> None:
    shortest = slow.schedule(reference)
    # Orders and details at a hundred rows a second, five jobs at a time.
    assert shortest.floor >= (1000 + 4500 + 1700 + 980 + 80) / 100 / 5
    assert shortest.floor <= shortest.seconds < 3 * shortest.floor


def test_the_page_sets_every_subject_beside_the_best_schedule(reference: dict[str, Any]) -> None:
    ours = {**record("engine", 1000, 2 * slow.schedule(reference).seconds), "writes": [], "rows_loaded": 8410}
    text = slow.markdown({"records": [reference, ours], "poll_seconds": 0.5})
    assert "| ours, engine |" in text
    assert " | 2.00 | " in next(line for line in text.splitlines() if line.startswith("| ours, engine"))
    assert "insert details | 4,500 | 100 |" in text
