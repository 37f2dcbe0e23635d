"""Examples in docstrings are true."""

from __future__ import annotations

import doctest
from importlib import import_module
from pathlib import Path

import pytest

INCLUDE = Path(__file__).parents[2] / "include"
WITH_EXAMPLES = sorted(
    ".".join(path.relative_to(INCLUDE).with_suffix("").parts)
    for package in ("coa", "coa_airflow", "orgsim")
    for path in (INCLUDE / package).rglob("*.py")
    if "\n    >>> " in path.read_text("utf-8")
)


@pytest.mark.parametrize("name", WITH_EXAMPLES)
def test_examples_are_true(name: str) -> None:
    module = import_module(name)

    result = doctest.testmod(module, extraglobs={"re": import_module("re")})

    assert result.attempted
    assert not result.failed
