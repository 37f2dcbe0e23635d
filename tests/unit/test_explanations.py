"""Codes decide, sentences are for people: each code has one, and nothing reads meaning out of a text."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from string import Formatter

import pytest

from coa.explanations import SENTENCES, TITLES, Cause, sentence
from coa.staging.schema import migrations

INCLUDE = Path(__file__).parents[2] / "include"
CODE = sorted(path for package in ("coa", "coa_airflow") for path in (INCLUDE / package).rglob("*.py"))
# `x.reason LIKE '...'`, `message ~ '...'`, `reason = 'a sentence'` in a condition.
BY_SENTENCE = re.compile(
    r"\b(reason|message|next_step)\s+(NOT\s+)?(I?LIKE|SIMILAR TO)\b|\b(reason|message|next_step)\s*!?~"
    r"|\b(WHERE|AND|OR|WHEN|NOT)\s+(\w+\.)?(reason|message|next_step)\s*(=|<>|IN)\s*\(?'\S+ \S"
)
TEXTS = frozenset({"message", "next_step", "reason"})
PARSING = frozenset({"split", "rsplit", "partition", "rpartition", "startswith", "endswith", "find", "index"})


def test_each_cause_has_a_title() -> None:
    assert set(TITLES) == set(Cause)


@pytest.mark.parametrize("path", CODE, ids=lambda p: "/".join(p.parts[-3:]))
def test_nothing_decides_by_a_sentence(path: Path) -> None:
    tree = ast.parse(path.read_text("utf-8"))
    by_sql = [
        n.lineno
        for n in ast.walk(tree)
        if isinstance(n, ast.Constant) and isinstance(n.value, str) and BY_SENTENCE.search(n.value)
    ]
    by_python = [
        n.lineno
        for n in ast.walk(tree)
        if isinstance(n, ast.Call)
        and isinstance(n.func, ast.Attribute)
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
