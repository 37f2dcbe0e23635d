"""An Airflow run is known by more than its id, which Airflow gives again once the run was deleted."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from coa.staging.origin import NO_AIRFLOW, Origin, foreign
from tests.unit.test_run_parts import record

BEGAN = datetime(2026, 11, 23, 14, 42, tzinfo=UTC)
ORIGIN = Origin(
    deployment="d1", born="2026-11-23 14:41", airflow_started_at=BEGAN, airflow_clears=1, conf_sha256="feed"
)
KEPT: dict[str, Any] = {
    "deployment": "d1",
    "born": "2026-11-23 14:41",
    "airflow_started_at": BEGAN,
    "airflow_clears": 1,
    "conf_sha256": "feed",
    "triggered_by": "anna",
}


def test_a_task_of_the_same_run_is_at_home() -> None:
    assert foreign(record(**KEPT), ORIGIN, "anna") == []


@pytest.mark.parametrize(
    ("other", "said"),
    [
        ({"deployment": "d2"}, "it belongs to another Airflow"),
        ({"born": "2026-11-24 09:00"}, "it was made at another time"),
        ({"conf_sha256": "beef"}, "it was triggered with other params"),
        ({"airflow_clears": 0}, "it was cleared less often"),
        ({"airflow_started_at": BEGAN + timedelta(hours=1)}, "it began at another time"),
        ({"airflow_started_at": None}, "it began at another time"),
    ],
)
def test_whatever_differs_shows_another_run(other: dict[str, Any], said: str) -> None:
    assert foreign(record(**KEPT), replace(ORIGIN, **other), "anna") == [said]


def test_somebody_else_triggered_another_run() -> None:
    assert foreign(record(**KEPT), ORIGIN, "eve") == ["it was triggered by eve, not by anna"]


def test_a_run_that_was_cleared_begins_anew_and_stays_the_same() -> None:
    cleared = replace(ORIGIN, airflow_clears=2, airflow_started_at=BEGAN + timedelta(days=1))

    assert foreign(record(**KEPT), cleared, "anna") == []


def test_what_an_earlier_version_did_not_keep_shows_nothing() -> None:
    assert foreign(record(triggered_by="anna", airflow_clears=0), ORIGIN, "anna") == []


def test_a_run_without_airflow_is_at_home_without_one() -> None:
    assert foreign(record(airflow_clears=0), NO_AIRFLOW, "") == []
