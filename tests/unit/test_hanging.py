"""What is to be carried beside the orders is looked at in both orgs before anything is read."""

from __future__ import annotations

from typing import Any

import pytest

from coa.config import RunParams
from coa.hanging import EMAIL, KINDS
from coa.preflight.hanging import check_hanging, needed_fields
from coa.salesforce.describe import Describe

CARRY = RunParams(attachments="carry", activities="carry")


def described(*, without: str = "", read_only: str = "") -> dict[str, Describe]:
    """Every kind, but for one that the user does not see."""
    found: dict[str, Any] = {
        kind.sobject: Describe(
            {
                "name": kind.sobject,
                "createable": True,
                "fields": [
                    {"name": name, "type": "string", "createable": f"{kind.sobject}.{name}" != read_only}
                    for name in needed_fields(kind)
                ],
            }
        )
        for kind in KINDS
    }
    return {name: one for name, one in found.items() if name != without}


def told(source: dict[str, Describe], target: dict[str, Describe]) -> list[tuple[str, str, str]]:
    found = check_hanging(CARRY, {"source": source, "target": target})
    return [(f.severity, f.code, f.sobject) for f in found]


def test_nothing_is_told_where_both_orgs_take_everything() -> None:
    assert told(described(), described()) == []


@pytest.mark.parametrize("kind", [kind.sobject for kind in KINDS])
def test_a_kind_that_the_source_does_not_show_is_told_and_no_failure(kind: str) -> None:
    severity = "note" if kind == EMAIL else "warning"
    assert told(described(without=kind), described()) == [(severity, "attached_not_seen", kind)]


@pytest.mark.parametrize("kind", [kind.sobject for kind in KINDS])
def test_a_kind_that_the_target_does_not_take_stops_the_run(kind: str) -> None:
    assert told(described(), described(without=kind)) == [("blocker", "attached_not_writeable", kind)]


def test_a_field_that_the_target_does_not_let_be_set_stops_the_run() -> None:
    target = described(read_only="Attachment.Body")
    assert told(described(), target) == [("blocker", "attached_not_writeable", "Attachment")]
