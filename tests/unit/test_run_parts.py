"""A run is a record and what belongs to it: who wants an event, the lease or a column asks for just that."""

from __future__ import annotations

import re
from dataclasses import FrozenInstanceError, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from coa.errors import ConfigurationError
from coa.staging.record import RunRecord

PROJECT = Path(__file__).parents[2]
WITHOUT_VALUE: dict[str, Any] = {
    "dict[str, Any]": {},
    "Json": {},
    "str": "",
    "int": 1,
    "datetime": datetime(2026, 1, 1, tzinfo=UTC),
}


def record(**columns: Any) -> RunRecord:
    """A record with nothing in it but `columns`."""
    empty = {f.name: WITHOUT_VALUE.get(str(f.type)) for f in fields(RunRecord)}
    return RunRecord.of(empty | columns)


def test_a_record_cannot_be_changed() -> None:
    with pytest.raises(FrozenInstanceError):
        record().state = "verified"  # type: ignore[misc]


def test_a_run_knows_its_pair_only_after_preflight() -> None:
    assert record(pair_id=7).require_pair() == 7
    with pytest.raises(ConfigurationError, match="has not passed preflight"):
        record(run_id="x").require_pair()


def test_what_is_known_of_an_org_is_asked_by_its_role() -> None:
    one = record(source_org={"id": "s"}, target_org={"id": "t"}, source_package="3.61", target_package="3.66")

    assert [(one.org(role), one.package(role)) for role in ("source", "target")] == [
        ({"id": "s"}, "3.61"),
        ({"id": "t"}, "3.66"),
    ]


FORMER = re.compile(
    r"\brun\.(row\b|event\(|set_findings|(re)?set_progress|progress\(|(take|renew|holds|require|release)_lease)"
)


@pytest.mark.parametrize("folder", ["include/coa", "include/coa_airflow", "tests", "bench"])
def test_no_code_uses_the_former_names(folder: str) -> None:
    """`run.record.<column>`, `run.events.add`, `run.findings.replace`, `run.progress.add`, `run.lease.take` ..."""
    found = {
        f"{path.relative_to(PROJECT)}: {match[0]}"
        for path in (PROJECT / folder).rglob("*.py")
        if path != Path(__file__) and "airflow" not in path.parts and "cluster" not in path.parts
        for match in FORMER.finditer(path.read_text("utf-8"))
    }

    assert found == set()
