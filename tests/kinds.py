"""Tests of whole kinds of faults: random schemas, values, refusals. The marker is `kinds`, the seed is told.

Among all tests the seed is a fixed one, so that a red build is red again; `make test ARGS='-m kinds'` takes another
one each time. COA_KINDS_SEED repeats one that was told.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from typing import Any, TypeVar

import hypothesis
import pytest

VARIABLE = "COA_KINDS_SEED"
FIXED = 20_261_128

Test = TypeVar("Test", bound=Callable[..., Any])


def choose_seed(selected: str) -> None:
    """Once a session, before the tests are imported: `selected` is the expression of `-m`. Workers inherit it."""
    asked_for = "kinds" in selected.split() and "not" not in selected.split()
    os.environ.setdefault(VARIABLE, str(random.randrange(2**32) if asked_for else FIXED))


def seed() -> int:
    return int(os.environ.get(VARIABLE, FIXED))


def told() -> str:
    return f"kinds: seed {seed()}; {VARIABLE}={seed()} repeats it"


def kind(test: Test) -> Test:
    """Marks a test of a kind; the examples of a hypothesis test follow from the seed."""
    if hypothesis.is_hypothesis_test(test):
        test = hypothesis.seed(seed())(test)
    marked: Test = pytest.mark.kinds(test)
    return marked
