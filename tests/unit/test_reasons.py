"""The catalogue of reasons: every code has its sentences, and whoever blocks gives what they name."""

from __future__ import annotations

import re

import pytest
from psycopg import sql

from coa.codes import ReasonCode
from coa.reasons import CLAUSES, REASONS, reason, reason_sql
from coa.wording import placeholders
from tests.unit.catalogues import Call, calls_of

WITHOUT_TEXT = {
    # What the org refused is told in its own words (`coa.report.reasons`).
    ReasonCode.REFUSED_BY_ORG,
    ReasonCode.INCOMPLETE,
    # Findings, which block no single record.
    ReasonCode.FIELD_HIDDEN,
}


def of_reasons() -> list[Call]:
    return [call for name in ("reason", "reason_sql") for call in calls_of(name, 0, "coa.reasons")]


def of_clauses() -> list[Call]:
    return calls_of("clause", 0, "coa.reasons")


def test_whoever_blocks_gives_what_the_sentences_name_and_no_more() -> None:
    for call in of_reasons():
        entries = call.entries(REASONS)
        assert entries, f"{call.where}: no entry of the catalogue fits {call.patterns}"
        for entry in entries:
            named = placeholders(REASONS[entry].message) | placeholders(REASONS[entry].next_step)
            assert named == call.given, call.where


def test_a_clause_gets_what_it_names() -> None:
    for call in of_clauses():
        (entry,) = call.entries(CLAUSES)
        assert placeholders(CLAUSES[entry]) == call.given, call.where


def test_every_entry_is_used() -> None:
    assert set(REASONS) == {entry for call in of_reasons() for entry in call.entries(REASONS)}
    assert set(CLAUSES) == {entry for call in of_clauses() for entry in call.entries(CLAUSES)}


def test_every_code_has_sentences() -> None:
    told = {entry.partition(":")[0] for entry in REASONS}

    assert told - {"deleted_in_source"} == set(ReasonCode) - WITHOUT_TEXT | {ReasonCode.REFUSED_BY_ORG}


@pytest.mark.parametrize("key", REASONS)
def test_an_entry_is_a_sentence_and_a_next_step(key: str) -> None:
    text = REASONS[key]

    assert re.fullmatch(r"[A-Z{].*\.", text.message)
    assert re.fullmatch(r"[a-z].*\.", text.next_step)
    # A statement with parameters would take it for one of them.
    assert "%" not in text.message + text.next_step


def test_a_missing_fact_is_an_error() -> None:
    with pytest.raises(KeyError, match="length"):
        reason("value_too_long", field="Name")
    with pytest.raises(KeyError, match="target_id"):
        reason_sql("possible_duplicate")


def test_facts_of_a_statement_are_joined_to_the_sentence() -> None:
    told = reason_sql("conflict", fields=sql.SQL("x.f")).message

    assert told.as_string(None) == "concat('The target''s record was changed after we wrote it: ', x.f, '.')"
