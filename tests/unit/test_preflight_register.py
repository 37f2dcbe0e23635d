"""Preflight's checks are declared once, and docs/preflight.md lists the same."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from coa.findings import texts
from coa.findings.finding import finding
from coa.preflight.hidden_fields import STRUCTURE
from coa.preflight.register import CHECKS, Scope, reaches
from coa.reasons import REASONS

PAGE = (Path(__file__).parents[2] / "docs" / "preflight.md").read_text("utf-8")


def codes_of(catalogue: Mapping[str, Any]) -> set[str]:
    return {key.partition(":")[0] for key in catalogue}


def rows(heading: str) -> list[dict[str, bool]]:
    """Codes of each row of the table below a heading; true for those in bold."""
    section = PAGE.partition(f"## {heading}\n")[2].partition("\n## ")[0]
    found = []
    for cell in re.findall(r"^\| (.*?) \|", section, re.MULTILINE):
        row = {}
        for bold, code in re.findall(r"(\*\*)?`([a-z_]+\*?)`", cell):
            names = [code[:-1] + role for role in ("source", "target")] if code.endswith("*") else [code]
            row.update(dict.fromkeys(names, bool(bold)))
        if row:
            found.append(row)
    return found


def test_the_page_lists_the_checks_of_the_orgs_in_their_order() -> None:
    assert rows("What is checked of the orgs") == [
        {code: scope is not Scope.PLAN for code, scope in check.codes.items()} for check in CHECKS
    ]


def test_every_sentence_about_the_orgs_belongs_to_a_check() -> None:
    of_the_orgs = {**texts.ORGS, **texts.RIGHTS_AND_FIELDS, **texts.AUTOMATION_AND_ROOM}
    # Counted with the data.
    assert {code for check in CHECKS for code in check.codes} == codes_of(of_the_orgs) - {"field_not_carried"}


def test_no_code_belongs_to_two_checks() -> None:
    assert sum(len(check.codes) for check in CHECKS) == len(
        {code for check in CHECKS for code in check.codes}
    )


def test_the_page_lists_the_findings_on_the_data() -> None:
    listed = {code for row in rows("What is checked of the data") for code in row}
    findings = (codes_of(texts.DATA) | codes_of(texts.PLAN) | {"field_not_carried"}) - {"problem"}

    assert findings <= listed
    assert listed - findings <= codes_of(REASONS)


def test_a_hidden_field_ends_the_run_only_if_nothing_can_be_planned_without_it() -> None:
    (check,) = (c for c in CHECKS if "field_hidden" in c.codes)
    facts: dict[str, Any] = {"roles": "source", "because": "so", "connections": "coa_source"}
    needed, other = (
        finding("blocker", "field_hidden", sobject="S", field=name, **facts)
        for name in (min(STRUCTURE), "A__c")
    )

    assert (reaches(check, needed), reaches(check, other)) == (Scope.ORGS, Scope.PLAN)
    assert reaches(check, finding("note", "field_hidden", field=min(STRUCTURE), **facts)) is None
