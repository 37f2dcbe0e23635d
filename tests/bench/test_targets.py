"""Goals beside what was measured: from made-up records."""

from __future__ import annotations

from typing import Any

from bench.run import rows_read_back

from bench import targets
from tests.bench.test_results import record


def counted(subject: str, orders: int, wall: float, **more: Any) -> dict[str, Any]:
    return {**record(subject, orders, wall), "rows_loaded": 1000, "rows_read_back": 900, "phases": {}, **more}


def cells(document: dict[str, Any], what: str) -> list[str]:
    [line] = [one for one in targets.markdown(document).splitlines() if one.startswith(f"| {what}")]
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_what_was_measured_stands_beside_its_goal_and_the_rest_is_marked() -> None:
    document = {
        "records": [
            counted("airflow", 10_000, 90.0),
            counted("airflow", 10_000, 60.0),
            counted("airflow", 10_000, 70.0),
            counted("reference", 10_000, 20.0, rows_loaded=500),
            counted("engine", 100_000, 400.0, database_seconds=150.4, calls=[200, 900]),
        ]
    }

    assert cells(document, "10,000 orders")[1:] == ["12", "at most 3.5", "3.50"]
    assert cells(document, "PostgreSQL's processor")[-1] == "150"
    assert cells(document, "API calls")[-1] == "1,100"
    assert cells(document, "rows written")[-1] == "2.00 (10,000 orders)"
    assert cells(document, "rows read back")[-1] == "0.90 (100,000 orders)"
    assert cells(document, "50,000 orders, likewise")[-1] == targets.NOT_YET
    assert cells(document, "extract against")[-1] == targets.NOT_YET


def test_measurements_of_before_reach_nothing() -> None:
    document = {"records": [record("engine", 100_000, 434.0)]}

    assert cells(document, "PostgreSQL's processor")[-1] == targets.NOT_YET


def test_only_what_is_read_after_the_first_write_is_read_back() -> None:
    jobs = [
        {"kind": "V2Query", "processed": 70},
        {"kind": "V2Ingest", "processed": 100},
        {"kind": "V2Query", "processed": 30},
        {"kind": "V2Ingest", "processed": 50},
        {"kind": "V2Query", "processed": 60},
    ]

    assert rows_read_back(jobs) == 90


def test_every_goal_that_compares_gets_its_subjects() -> None:
    """With one record of each that `--goals` measures no goal is left open."""
    records = [
        counted(subject, orders, 10.0, phases={"read": 2.0})
        for orders, subjects in targets.NEEDED
        for subject in subjects
    ]

    assert targets.NOT_YET not in targets.markdown({"records": records})
