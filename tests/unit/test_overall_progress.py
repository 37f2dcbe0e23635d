"""One number for how far a run is, and how long it will take."""

from __future__ import annotations

from typing import Any

from coa_airflow.ui.steps import overall


def row(phase: str, planned: int, accepted: int, rejected: int = 0, started: float = 100) -> dict[str, Any]:
    return {
        "phase": phase,
        "planned": planned,
        "accepted": accepted,
        "rejected": rejected,
        "started": started,
    }


def test_the_phase_that_works_now_counts_with_all_its_steps() -> None:
    rows = [row("read", 500, 500), row("write", 100, 40, started=200), row("write", 300, 58, 2, started=210)]

    assert overall(rows, 300) == {"phase": "write", "settled": 100, "planned": 400, "seconds_left": 300}


def test_nobody_knows_how_long_before_something_was_seen() -> None:
    begun = overall([row("write", 100, 0)], 300)
    just_begun = overall([row("write", 100, 5)], 102)

    assert begun is not None
    assert just_begun is not None
    assert (begun["seconds_left"], just_begun["seconds_left"]) == (None, None)


def test_between_two_phases_nothing_is_told() -> None:
    assert overall([row("read", 500, 500), row("write", 100, 98, 2)], 300) is None
    assert overall([], 300) is None
