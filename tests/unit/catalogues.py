"""Which entries of a catalogue of sentences our code asks for, and which facts it gives: read from the code itself."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

from tests.unit.source_code import INCLUDE, calls_in, modules, nodes_of


@dataclass(frozen=True)
class Call:
    """A call that fills an entry: patterns of the entries that it may ask for, and the keywords that it gives."""

    where: str
    patterns: tuple[str, ...]
    given: frozenset[str]

    def entries(self, catalogue: Mapping[str, Any]) -> list[str]:
        return [key for key in catalogue if any(re.fullmatch(p, key) for p in self.patterns)]


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


def _given_to_parameter(name: str, module: str) -> Iterator[str]:
    path = (INCLUDE / module.replace(".", "/")).with_suffix(".py")
    for function in (n for n in nodes_of(path) if isinstance(n, ast.FunctionDef)):
        names = [a.arg for a in function.args.args]
        if name in names:
            for call in calls(path, function.name):
                yield from _patterns(call.args[names.index(name)], module)


def calls(path: Path, name: str) -> Iterator[ast.Call]:
    """Calls of a function by its bare name."""
    return (call for call in calls_in(path) if isinstance(call.func, ast.Name) and call.func.id == name)


@cache
def calls_of(function: str, argument: int, but_in: str) -> list[Call]:
    """Every call of `function` outside of `but_in`; its entry is the positional `argument`."""
    found = []
    for path in modules():
        module = ".".join(path.relative_to(INCLUDE).with_suffix("").parts)
        if module.startswith(but_in):
            continue
        for call in calls(path, function):
            found.append(
                Call(
                    f"{module}:{call.lineno}",
                    tuple(_patterns(call.args[argument], module)),
                    frozenset(k.arg or "**" for k in call.keywords),
                )
            )
    return found
