"""The catalogue of mapping faults: every fault has its sentences, and the readers give what they name."""

from __future__ import annotations

import ast
import re

import pytest

from coa.mapping.faults import ENTRIES, FILES, MOST_TOLD, SEVERAL, MappingErrors, fault, unusable
from coa.mapping.yaml_nodes import compose
from coa.wording import Text, placeholders
from tests.unit.catalogues import Call, calls_of
from tests.unit.source_code import INCLUDE, calls_in

FILE = INCLUDE / "coa" / "mapping" / "file.py"
CATALOGUES = {"fault": ENTRIES, "unusable": FILES}


def calls_to(function: str) -> list[Call]:
    return calls_of(function, 0, "coa.mapping.faults")


@pytest.mark.parametrize("function", CATALOGUES)
def test_a_reader_gives_what_the_sentences_name_and_no_more(function: str) -> None:
    for call in calls_to(function):
        entries = call.entries(CATALOGUES[function])
        assert entries, f"{call.where}: no entry of the catalogue fits {call.patterns}"
        for entry in entries:
            text = CATALOGUES[function][entry]
            assert placeholders(text.message) | placeholders(text.next_step) == call.given, call.where


@pytest.mark.parametrize("function", CATALOGUES)
def test_every_entry_is_used(function: str) -> None:
    used = {entry for call in calls_to(function) for entry in call.entries(CATALOGUES[function])}

    assert used == set(CATALOGUES[function])


def test_faults_are_made_from_the_catalogue_only() -> None:
    added = [
        ast.unparse(call.args[1])
        for call in calls_in(FILE)
        if isinstance(call.func, ast.Attribute) and ast.unparse(call.func) == "self.faults.add"
    ]

    assert added
    assert [made for made in added if not re.match(r"fault\(|_unknown_key\(", made)] == []


@pytest.mark.parametrize("key", ENTRIES)
def test_the_sentences_of_an_entry_can_be_joined_to_others(key: str) -> None:
    assert not ENTRIES[key].message.endswith(".")
    assert re.fullmatch(r"[a-z].*[^.]", ENTRIES[key].next_step)


@pytest.mark.parametrize("text", FILES.values(), ids=FILES)
def test_a_fault_of_the_file_is_a_sentence_and_a_next_step(text: Text) -> None:
    assert re.fullmatch(r"[A-Z{].*\.", text.message)
    assert re.fullmatch(r"[a-z].*\.|\{remedy\}", text.next_step)


def test_a_missing_fact_is_an_error() -> None:
    with pytest.raises(KeyError, match="kind"):
        fault("not_text", place="owners")
    with pytest.raises(KeyError, match="said"):
        unusable("not_yaml", name="a.yaml")


def test_a_variant_keeps_the_code() -> None:
    assert fault("not_python:line", line=3).code == fault("not_python").code


def errors(*keys: str) -> MappingErrors:
    """Faults of these entries, the first one at the end of the document."""
    root = compose("\n".join(f"- {n}" for n in range(len(keys))))
    assert root is not None
    found = MappingErrors()
    for node, key in zip(reversed(root.value), keys, strict=True):
        found.add(node, fault(key, place="owners"))
    return found


def test_faults_are_told_in_the_order_of_the_file() -> None:
    assert errors("empty", "not_a_flag").message() == (
        "line 1, column 3: owners must be true or false; line 2, column 3: owners is empty"
    )


def test_of_very_many_faults_the_rest_is_counted() -> None:
    assert errors(*["empty"] * (MOST_TOLD + 2)).message().endswith("; 2 more")


def test_the_next_step_is_that_of_the_fault_where_there_is_one_kind() -> None:
    assert errors("empty", "empty").next_step().startswith("give the key a value, or remove it, and trigger")
    assert errors("empty", "not_a_flag").next_step() == SEVERAL
