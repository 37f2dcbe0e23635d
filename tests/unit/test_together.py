"""In a headless run both orgs are read at once, and each task tells of its own."""

from __future__ import annotations

from threading import Barrier
from types import SimpleNamespace
from typing import Any, cast

import pytest

from coa import pipeline
from coa.errors import OrgUnavailable
from coa.salesforce.session import Org
from coa.staging.runs import Run
from coa_airflow.together import extract_together


class Readings:
    """Stands for the orgs: says which were read, and fails where it was told to."""

    def __init__(self, run_id: str) -> None:
        self.run = cast(Run, SimpleNamespace(run_id=run_id))
        self.read: list[str] = []
        self.failing: set[str] = set()
        self.meeting: Barrier | None = None

    def task(self, role: str) -> None:
        extract_together(self.run, lambda one: cast(Org, one), role)

    def extract(self, run: Run, org: Any, role: str) -> None:
        assert org == role
        if self.meeting:
            # Whoever comes alone waits in vain.
            self.meeting.wait(10)
        self.read.append(role)
        if role in self.failing:
            raise OrgUnavailable(f"the {role} does not answer")


@pytest.fixture
def readings(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Readings:
    made = Readings(request.node.name)
    monkeypatch.setattr(pipeline, "extract", made.extract)
    return made


def test_both_orgs_are_read_at_once_by_the_first_task(readings: Readings) -> None:
    readings.meeting = Barrier(2)

    readings.task("source")
    read = sorted(readings.read)
    readings.task("target")

    assert read == ["source", "target"]
    assert len(readings.read) == 2


def test_each_task_tells_of_its_own_failure_and_tries_again_alone(readings: Readings) -> None:
    readings.failing = {"target"}

    readings.task("source")
    with pytest.raises(OrgUnavailable, match="target"):
        readings.task("target")
    readings.failing = set()
    readings.task("target")

    assert sorted(readings.read) == ["source", "target", "target"]


def test_a_failure_of_the_first_task_leaves_the_other_reading_as_it_is(readings: Readings) -> None:
    readings.failing = {"source"}

    with pytest.raises(OrgUnavailable, match="source"):
        readings.task("source")
    readings.task("target")
    readings.failing = set()
    readings.task("source")

    assert sorted(readings.read) == ["source", "source", "target"]
