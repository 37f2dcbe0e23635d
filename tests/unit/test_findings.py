"""The catalogue of findings: every code has its sentences, and whoever finds gives what they name."""

from __future__ import annotations

import re
from typing import Any

import pytest

from coa.findings.finding import finding
from coa.findings.texts import (
    AUTOMATION_AND_ROOM,
    CONTRACT,
    DATA,
    LOAD_AND_PROOF,
    ORGS,
    PLAN,
    RELINK,
    RIGHTS_AND_FIELDS,
    ROLLBACK,
    SETUP,
    TEXTS,
)
from coa.wording import placeholders
from tests.unit.catalogues import Call, calls, calls_of
from tests.unit.source_code import modules

OWN = frozenset({"sobject", "field", "count"})
NO_FACTS = OWN | {"code", "examples"}
PARTS = (
    ORGS,
    RIGHTS_AND_FIELDS,
    AUTOMATION_AND_ROOM,
    DATA,
    PLAN,
    LOAD_AND_PROOF,
    ROLLBACK,
    RELINK,
    CONTRACT,
    SETUP,
)


def of_findings() -> list[Call]:
    return calls_of("finding", 1, "coa.findings")


def test_a_finder_gives_what_its_sentences_name_and_no_more() -> None:
    for call in of_findings():
        entries = call.entries(TEXTS)
        named = {e: placeholders(TEXTS[e].message) | placeholders(TEXTS[e].next_step) for e in entries}

        assert entries, f"{call.where}: no entry of the catalogue fits {call.patterns}"
        for entry, names in named.items():
            assert names - OWN <= call.given, (call.where, entry)
        assert call.given - NO_FACTS <= set().union(*named.values()), call.where


def test_every_entry_is_used() -> None:
    assert set(TEXTS) == {entry for call in of_findings() for entry in call.entries(TEXTS)}


def test_no_code_is_in_two_parts_of_the_catalogue() -> None:
    assert sum(map(len, PARTS)) == len(TEXTS)


def test_findings_are_made_from_the_catalogue_only() -> None:
    by_hand = [
        f"{path.name}:{call.lineno}"
        for path in modules()
        for call in calls(path, "Finding")
        if path.parent.name != "findings"
    ]

    assert by_hand == []


def test_an_entry_is_one_or_more_sentences_and_a_next_step() -> None:
    unfinished = [
        key
        for key, text in TEXTS.items()
        if not (re.search(r"[.}]$", text.message) and re.search(r"[.}]$", text.next_step))
    ]

    assert unfinished == []


def test_a_missing_fact_is_an_error() -> None:
    with pytest.raises(KeyError, match="conflict"):
        finding("blocker", "type_differs", sobject="A", field="B")


def test_a_variant_keeps_the_code() -> None:
    facts: dict[str, Any] = {"rules": ["A", "B"], "clicks": "Setup"}
    made = finding("warning", "workflow_rules_off:in_a_load", count=2, **facts)

    assert made.code == "workflow_rules_off"
    assert "2 workflow rules of the package: A, B. They were off" in made.message
