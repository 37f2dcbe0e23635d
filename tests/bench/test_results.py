"""Tables, charts, fits and the smallest number of API calls, from records that are made up."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import pytest
from bench.check import Verdict
from bench.fit import fits
from bench.ours import minimum

from bench import charts, ours, results

MINIMUM = {"ingest_jobs": 7, "query_jobs": 30, "pages": 30, "waiting": 1, "fixed": 97, "calls": 223,
           "measured": 230, "excess": 0.031}  # fmt: skip


def record(subject: str, orders: int, wall: float, **wrong: int) -> dict[str, Any]:
    of_orders = (
        *("orders", "orders_arrived", "status_right", "received_right", "totals_right", "order_links_right"),
        *("order_fields_right", "created_right", "orders_whole"),
    )
    of_details = ("details", "details_arrived", "prices_right", "detail_links_right", "details_right")
    right = dict.fromkeys(of_orders, orders)
    details = dict.fromkeys(of_details, orders * 4)
    verdict = Verdict(**{**right, **details, **wrong})
    return {
        "subject": subject, "orders": orders, "details": orders * 4, "wall": wall, "seconds": wall / 2,
        "peak_process": 200 << 20, "peak_all": 300 << 20, "database_seconds": 3.0, "database_peak_process": 1 << 20,
        "database_peak_all": 150 << 20, "orgs_seconds": [1.0, 2.0], "calls": [100, 20], "bytes_to_orgs": 1_000_000,
        "bytes_from_orgs": 2_000_000, "verdict": verdict.as_dict(), "run": {"minimum": MINIMUM},
    }  # fmt: skip


@pytest.fixture
def document() -> dict[str, Any]:
    return {
        "machine": {"cores": 2, "memory_gib": 8},
        "poll_seconds": 0.5,
        "records": [
            record("sfdmu", 1000, 60.0, orders_whole=0, status_right=30, orders_doubled=2),
            record("engine", 1000, 12.0),
            record("engine", 1000, 10.0),
            record("engine", 1000, 30.0),
            record("engine", 10_000, 90.0, prices_right=39_999),
        ],
    }


def test_the_table_has_medians_ratios_and_the_damage_with_counts(document: dict[str, Any]) -> None:
    text = results.markdown(document)
    assert "| ours, engine | 12.0 | 1.00 |" in text
    assert "| SFDMU 3.7.19 | 60.0 | 5.00 |" in text
    assert "3.0 % (970 wrong)" in text
    assert text.index("## 1,000 orders") < text.index("## 10,000 orders")


def test_one_wrong_price_among_many_is_never_rounded_to_all(document: dict[str, Any]) -> None:
    assert "99.9 % (1 wrong)" in results.markdown(document)
    assert results.share(40_000, 40_000) == "100 %"


def test_a_new_measurement_replaces_the_old_one_of_the_same_subject_and_size(
    document: dict[str, Any],
) -> None:
    left = results.without(document["records"], "engine", 1000)
    assert [(one["subject"], one["orders"]) for one in left] == [("sfdmu", 1000), ("engine", 10_000)]


def test_reading_and_loading_stand_beside_the_floor_and_the_targets_work(document: dict[str, Any]) -> None:
    told = {"load_job_seconds": 20.0, "rows_loaded": 6000}
    document["records"] += [
        {**record("floor", 1000, 9.0), **told, "phases": {"read": 2.0, "load": 10.0}},
        {**record("naive", 1000, 9.0), **told, "phases": {"read": 3.0, "load": 30.0, "other": 1.0}},
    ]
    lines = results.markdown(document).splitlines()

    naive, floor = [one for one in lines if one.endswith(("| 20.0 | 0.50 |", "| 20.0 | 1.50 |"))]
    assert floor == "| floor: curl | 2.0 | 1.00 | 10.0 | 1.00 | 6,000 | 600 | 20.0 | 0.50 |"
    assert naive == "| simple-salesforce script | 3.0 | 1.50 | 30.0 | 3.00 | 6,000 | 200 | 20.0 | 1.50 |"


def test_reading_and_loading_of_ours_are_summed_from_its_stages() -> None:
    stages = {
        "preflight": 9.0,
        "extract_source": 5.0,
        "load_customers": 1.0,
        "load_lanes": 20.0,
        "load_links": 2.5,
    }
    assert ours.phases(stages) == {"read": 5.0, "load": 23.5}
    assert ours.phases({}) == {}


def test_results_survive_being_saved(document: dict[str, Any], tmp_path: Path) -> None:
    results.save(tmp_path / "deep" / "bench.json", document)
    assert results.load(tmp_path / "deep" / "bench.json") == document
    assert results.load(tmp_path / "none.json") == {"records": []}


@pytest.mark.lane
def test_charts_are_svg_with_text_that_can_be_searched(document: dict[str, Any], tmp_path: Path) -> None:
    for path in charts.draw(document, tmp_path):
        ElementTree.fromstring(path.read_text())
        assert "ours, engine" in path.read_text()


def test_a_line_tells_what_is_fixed_and_what_grows() -> None:
    line = fits([1000, 10_000, 100_000], [11.0, 20.0, 110.0])
    assert line.fixed == pytest.approx(10.0)
    assert line.slope * 1000 == pytest.approx(1.0)
    assert line.worst == pytest.approx(0.0, abs=1e-9)


def test_quadratic_cost_is_seen_as_a_deviation_from_the_line() -> None:
    assert fits([1000, 10_000, 100_000], [1.0, 100.0, 10_000.0]).worst > 0.5


def test_the_smallest_number_of_api_calls_is_counted_from_the_jobs() -> None:
    jobs = [
        {"kind": "V2Ingest", "processed": 9000, "failed": 0, "milliseconds": 100},
        {"kind": "V2Ingest", "processed": 500, "failed": 3, "milliseconds": 1400},
        {"kind": "V2Query", "processed": 120_000, "failed": 0, "milliseconds": 100},
        {"kind": "V2Query", "processed": 0, "failed": 0, "milliseconds": 0},
    ]
    usage = {"login": 4, "describe": 6, "bulk_ingest": 13, "bulk_query": 9}
    least = minimum(jobs, usage, page_rows=50_000, gap=0.5, job_delay=0.1)
    # 2 jobs of 5 calls, failed results of one, 3 looks that the second could not avoid; 2 queries of 2 calls,
    # 3 pages and 1; 10 calls whatever the size.
    assert (least.ingest_jobs, least.query_jobs, least.pages, least.failed_results) == (2, 2, 4, 1)
    assert least.waiting == 3
    assert least.calls == 2 * 5 + 1 + 3 + 2 * 2 + 4 + 10
    assert least.measured == 32
    assert least.excess == pytest.approx(0.0)
