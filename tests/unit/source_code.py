"""Our own code, for the tests that look for something in all of it: each file is read and parsed once."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

INCLUDE = Path(__file__).parents[2] / "include"


@cache
def modules(*packages: str) -> tuple[Path, ...]:
    """Files of these packages, of `coa` and `coa_airflow` where none is named."""
    return tuple(
        sorted(
            path
            for package in packages or ("coa", "coa_airflow")
            for path in (INCLUDE / package).rglob("*.py")
        )
    )


def where(path: Path) -> str:
    """Name of a file for a failed test."""
    return str(path.relative_to(INCLUDE))


@cache
def text_of(path: Path) -> str:
    return path.read_text("utf-8")


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(text_of(path))


@cache
def nodes_of(path: Path) -> tuple[ast.AST, ...]:
    return tuple(ast.walk(tree_of(path)))


def calls_in(path: Path) -> Iterator[ast.Call]:
    return (node for node in nodes_of(path) if isinstance(node, ast.Call))


def strings_in(path: Path) -> Iterator[tuple[int, str]]:
    """Line and value of each string, and of each fixed part of one with places."""
    for node in nodes_of(path):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.lineno, node.value
