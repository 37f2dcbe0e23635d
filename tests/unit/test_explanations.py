"""Codes decide, sentences are for people: each code has one, and nothing reads meaning out of a text."""

from __future__ import annotations

import ast
import re
from string import Formatter

import pytest

from coa.explanations import SENTENCES, TITLES, Cause, sentence
from coa.staging.schema import migrations
from tests.unit.source_code import calls_in, modules, strings_in, where

# `x.reason LIKE '...'`, `message ~ '...'`, `reason = 'a sentence'` in a condition.
BY_SENTENCE = re.compile(
    r"\b(reason|message|next_step)\s+(NOT\s+)?(I?LIKE|SIMILAR TO)\b|\b(reason|message|next_step)\s*!?~"
    r"|\b(WHERE|AND|OR|WHEN|NOT)\s+(\w+\.)?(reason|message|next_step)\s*(=|<>|IN)\s*\(?'\S+ \S"
)
TEXTS = frozenset({"message", "next_step", "reason"})
PARSING = frozenset({"split", "rsplit", "partition", "rpartition", "startswith", "endswith", "find", "index"})


def test_each_cause_has_a_title() -> None:
    assert set(TITLES) == set(Cause)


def test_nothing_decides_by_a_sentence() -> None:
    by_sql = [
        (where(path), line)
        for path in modules()
        for line, text in strings_in(path)
        if BY_SENTENCE.search(text)
    ]
    by_python = [
        (where(path), n.lineno)
        for path in modules()
        for n in calls_in(path)
        if isinstance(n.func, ast.Attribute)
        and n.func.attr in PARSING
        and isinstance(n.func.value, ast.Attribute)
        and n.func.value.attr in TEXTS
        # What Salesforce says of a failed job is `InvalidBatch : ...`: its code has no field of its own.
        and not (isinstance(n.func.value.value, ast.Name) and n.func.value.value.id == "status")
    ]

    assert by_sql == []
    assert by_python == []


@pytest.mark.parametrize(
    "text",
    [
        "x.reason LIKE 'changed in%'",
        "x.reason NOT LIKE 'changed in%'",
        "WHERE a AND p.reason = 'the order is gone'",
        "message ~ 'gone'",
    ],
)
def test_the_search_finds_what_it_is_for(text: str) -> None:
    assert BY_SENTENCE.search(text)


@pytest.mark.parametrize("cause", Cause)
def test_each_cause_has_a_sentence_which_names_its_facts(cause: Cause) -> None:
    facts = {name: "X" for _, name, _, _ in Formatter().parse(SENTENCES[cause]) if name}

    assert "{" not in sentence(cause, **facts)
    for name in facts:
        with pytest.raises(KeyError, match=name):
            sentence(cause)


def test_the_database_takes_the_causes_of_the_catalogue_and_no_others() -> None:
    last = [m.statements for m in migrations() if "explained_cause_check" in m.statements][-1]
    listed = last[last.index("CHECK (cause IN (") :]

    assert set(re.findall(r"'(\w+)'", listed[: listed.index("))")])) == set(Cause)
