"""Which part may import which: the arrows of docs/architecture.md, and no circle anywhere."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

from tests.unit import source_code
from tests.unit.source_code import INCLUDE, tree_of

PACKAGES = ("coa", "coa_airflow", "orgsim")

LAYERS = (
    ("codes", "wording"),
    (
        "artifacts",
        "batches",
        "errors",
        "explanations",
        "files",
        "findings",
        "hanging",
        "kinds",
        "model",
        "private_files",
        "soql_condition",
        "reasons",
        "states",
    ),
    ("config", "decide", "failures", "load_steps", "tabular"),
    ("child_environment", "policies", "stages"),
    ("staging",),
    ("mapping", "salesforce"),
    ("fields",),
    ("masking",),
    ("preflight",),
    ("target_fields",),
    ("extract",),
    ("transform",),
    ("plan",),
    ("approval", "casework"),
    ("contract",),
    ("load",),
    ("verify",),
    ("attachments",),
    ("canary", "mending"),
    ("evidence", "readiness"),
    ("report", "retention"),
    ("relink",),
    ("rollback", "what_if"),
    ("pipeline",),
)
"""Parts of `coa`, lowest first: each imports parts of lower layers only, none of its own."""
RANK = {part: rank for rank, layer in enumerate(LAYERS) for part in layer}


@cache
def modules() -> dict[str, Path]:
    found = {}
    for path in source_code.modules(*PACKAGES):
        parts = path.relative_to(INCLUDE).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def _imports(node: ast.AST) -> Iterator[str]:
    """Names that are imported when the code runs, inside of functions as well.

    Not those for type checkers alone, nor those of a command's `main`, which is the top of a program.
    """
    for child in ast.iter_child_nodes(node):
        if (
            isinstance(child, ast.If)
            and isinstance(child.test, ast.Name)
            and child.test.id == "TYPE_CHECKING"
        ):
            continue
        if isinstance(child, ast.FunctionDef) and child.name == "main":
            continue
        if isinstance(child, ast.Import):
            yield from (alias.name for alias in child.names)
        elif isinstance(child, ast.ImportFrom):
            assert child.level == 0, "relative import"
            module = str(child.module)
            for alias in child.names:
                name = f"{module}.{alias.name}"
                yield name if name in modules() else module
        yield from _imports(child)


@cache
def arrows() -> dict[str, frozenset[str]]:
    """Module -> all that it imports, ours and others'."""
    return {name: frozenset(_imports(tree_of(path))) - {name} for name, path in modules().items()}


def part_of(module: str) -> str:
    return [*module.split("."), ""][1]


def circle_in(graph: dict[str, set[str]]) -> list[str]:
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def test_no_circle_of_modules() -> None:
    assert circle_in({name: set(found) & set(modules()) for name, found in arrows().items()}) == []


def test_a_circle_is_found() -> None:
    assert circle_in({"a": {"b"}, "b": {"c"}, "c": {"a"}}) != []


def test_each_part_has_a_layer() -> None:
    """A new one gets its layer in LAYERS and in docs/architecture.md."""
    assert {part_of(name) for name in modules() if name.startswith("coa.")} - set(RANK) == set()


def test_a_part_imports_lower_layers_only() -> None:
    upwards = {
        (module, other)
        for module in modules()
        if module.startswith("coa.")
        for other in {part_of(name) for name in arrows()[module] if name.startswith("coa.")}
        if other != part_of(module) and RANK[other] >= RANK[part_of(module)]
    }

    assert upwards == set()


@pytest.mark.parametrize(
    ("package", "strangers"),
    [
        ("coa", ("airflow", "coa_airflow", "orgsim", "flask", "fastapi")),
        ("orgsim", ("airflow", "coa", "coa_airflow", "psycopg")),
        ("coa_airflow", ("orgsim",)),
    ],
)
def test_packages_know_nothing_of_those_above_or_beside_them(
    package: str, strangers: tuple[str, ...]
) -> None:
    wrong = {
        (name, found)
        for name, imported in arrows().items()
        if name.split(".")[0] == package
        for found in imported
        if found.split(".")[0] in strangers
    }

    assert wrong == set()


@pytest.mark.parametrize("path", sorted((INCLUDE.parent / "dags").glob("*.py")), ids=lambda p: p.name)
def test_a_dag_file_asks_the_factory_only(path: Path) -> None:
    ours = {n for n in _imports(tree_of(path)) if n.split(".")[0] in PACKAGES}

    assert {n.split(".")[0] for n in ours} == {"coa_airflow"}
