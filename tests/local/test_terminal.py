"""The table of counts with which a run ends in the terminal, for each kind of run."""

from __future__ import annotations

from io import StringIO
from typing import Any

import pytest
from rich.console import Console

from coa_airflow.local.view import show_totals


def told(summary: dict[str, Any]) -> list[list[str]]:
    out = StringIO()
    show_totals(summary, Console(file=out, width=120))
    return [line.split() for line in out.getvalue().splitlines()]


@pytest.mark.parametrize(
    ("mode", "state", "counts", "columns"),
    [
        ("full", "verified", {"extracted": 3, "inserted": 2}, ["extracted", "inserted"]),
        ("full", "dry_run", {"extracted": 3, "to_insert": 2}, ["extracted", "to", "insert"]),
        ("rollback", "verified", {"to_delete": 3, "deleted": 2}, ["to", "delete", "deleted"]),
        ("relink", "verified", {"to_set": 3, "set": 2}, ["to", "set", "set"]),
    ],
)
def test_the_counts_are_those_of_the_kind_of_run(
    mode: str, state: str, counts: dict[str, int], columns: list[str]
) -> None:
    heading, line = told(
        {"mode": mode, "state": state, "objects": {"Partner_Visit__c": {**counts, "rejected": 0}}}
    )

    assert heading[: len(columns)] == columns
    assert line == ["Partner", "Visit", *map(str, counts.values())]


def test_a_run_that_looked_at_nothing_shows_no_table() -> None:
    assert told({"mode": "relink", "state": "blocked", "objects": {}}) == []
