"""The catalogue of findings: every code has its sentences, and whoever finds gives what they name."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
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
    RIGHTS_AND_FIELDS,
    ROLLBACK,
    TEXTS,
)
from coa.wording import placeholders

INCLUDE = Path(__file__).parents[2] / "include"
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
    CONTRACT,
)


@dataclass(frozen=True)
class Call:
    """A call of `finding`: patterns of the entries that it may ask for, and the keywords that it gives."""

    where: str
    patterns: tuple[str, ...]
    given: frozenset[str]

    def entries(self) -> list[str]:
        return [key for key in TEXTS if any(re.fullmatch(p, key) for p in self.patterns)]


def _patterns(node: ast.expr, module: str) -> Iterator[str]:
    if isinstance(node, ast.Constant):
        yield re.escape(str(node.value))
    elif isinstance(node, ast.JoinedStr):
        yield "".join(_pattern(part) for part in node.values)
    elif isinstance(node, ast.IfExp):
        yield from _patterns(node.body, module)
        yield from _patterns(node.orelse, module)
    elif isinstance(node, ast.Name) and hasattr(import_module(module), node.id):
        yield re.escape(str(getattr(import_module(module), node.id)))
    elif isinstance(node, ast.Name):
        # The parameter of a helper: what its callers in the module give.
        yield from _given_to_parameter(node.id, module)
    else:
        raise AssertionError(f"{module}: {ast.unparse(node)} does not show which entry is meant")


def _pattern(part: ast.expr) -> str:
    if isinstance(part, ast.Constant):
        return re.escape(str(part.value))
    assert isinstance(part, ast.FormattedValue)
    return "(source|target)" if ast.unparse(part.value).endswith("role") else "[a-z_]+"


def _tree(module: str) -> ast.Module:
    return ast.parse((INCLUDE / module.replace(".", "/")).with_suffix(".py").read_text("utf-8"))


def _given_to_parameter(name: str, module: str) -> Iterator[str]:
    tree = _tree(module)
    for function in (n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef)):
        names = [a.arg for a in function.args.args]
        if name in names:
            for call in _calls(tree, function.name):
                yield from _patterns(call.args[names.index(name)], module)


def _calls(tree: ast.AST, name: str) -> Iterator[ast.Call]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == name:
            yield node


def all_calls() -> Iterator[Call]:
    for path in sorted(INCLUDE.glob("coa*/**/*.py")):
        module = ".".join(path.relative_to(INCLUDE).with_suffix("").parts)
        for call in _calls(ast.parse(path.read_text("utf-8")), "finding"):
            if module.startswith("coa.findings"):
                continue
            yield Call(
                f"{module}:{call.lineno}",
                tuple(_patterns(call.args[1], module)),
                frozenset(k.arg or "**" for k in call.keywords),
            )


CALLS = list(all_calls())


@pytest.mark.parametrize("call", CALLS, ids=lambda c: c.where)
def test_a_finder_gives_what_its_sentences_name_and_no_more(call: Call) -> None:
    entries = call.entries()
    named = {e: placeholders(TEXTS[e].message) | placeholders(TEXTS[e].next_step) for e in entries}

    assert entries, f"no entry of the catalogue fits {call.patterns}"
    for entry, names in named.items():
        assert names - OWN <= call.given, entry
    assert call.given - NO_FACTS <= set().union(*named.values())


def test_every_entry_is_used() -> None:
    assert set(TEXTS) == {entry for call in CALLS for entry in call.entries()}


def test_no_code_is_in_two_parts_of_the_catalogue() -> None:
    assert sum(map(len, PARTS)) == len(TEXTS)


def test_findings_are_made_from_the_catalogue_only() -> None:
    by_hand = [
        f"{path.name}:{call.lineno}"
        for path in sorted(INCLUDE.glob("coa*/**/*.py"))
        for call in _calls(ast.parse(path.read_text("utf-8")), "Finding")
        if path.parent.name != "findings"
    ]

    assert by_hand == []


@pytest.mark.parametrize("key", TEXTS)
def test_an_entry_is_one_or_more_sentences_and_a_next_step(key: str) -> None:
    text = TEXTS[key]

    assert re.search(r"[.}]$", text.message)
    assert re.search(r"[.}]$", text.next_step)


def test_a_missing_fact_is_an_error() -> None:
    with pytest.raises(KeyError, match="conflict"):
        finding("blocker", "type_differs", sobject="A", field="B")


def test_a_variant_keeps_the_code() -> None:
    facts: dict[str, Any] = {"rules": ["A", "B"], "clicks": "Setup"}
    made = finding("warning", "workflow_rules_off:in_a_load", count=2, **facts)

    assert made.code == "workflow_rules_off"
    assert "2 workflow rules of the package: A, B. They were off" in made.message
