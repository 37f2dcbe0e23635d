"""A run's tables are declared in one place, and nobody else makes one or spells its name."""

from __future__ import annotations

import ast
import re

import pytest

from coa.staging.tables import DECLARED, LONGEST_NAME, Table, table_name
from tests.unit.source_code import INCLUDE, calls_in, modules, strings_in, where

CODE = [path for path in modules() if path.parent != INCLUDE / "coa" / "staging"]
DDL = re.compile(
    r"\b(CREATE (OR REPLACE )?(UNLOGGED )?(TABLE|VIEW|(UNIQUE )?INDEX)|ALTER TABLE|ADD COLUMN)\b"
)
ASKS = frozenset({"table", "has_table", "columns", "table_name", "identifier"})


def test_every_table_has_its_declaration() -> None:
    assert set(DECLARED) == set(Table)


def test_no_ddl_and_no_name_of_a_table_outside_the_declarations() -> None:
    names = set(Table)
    ddl = [(where(path), line) for path in CODE for line, text in strings_in(path) if DDL.search(text)]
    spelt = [
        (where(path), n.lineno)
        for path in CODE
        for n in calls_in(path)
        if getattr(n.func, "attr", getattr(n.func, "id", "")) in ASKS
        and any(isinstance(a, ast.Constant) and a.value in names for a in n.args)
    ]

    assert ddl == []
    assert spelt == []


def test_a_name_that_is_not_declared_is_refused() -> None:
    with pytest.raises(ValueError, match="'plans' is not a valid Table"):
        table_name("plans")


@pytest.mark.parametrize("kind", Table)
def test_names_fit_into_an_identifier_of_postgresql(kind: Table) -> None:
    # A table with a column `sobject` holds the rows of all of them, and has none in its name.
    of_all = DECLARED[kind].columns.find("sobject text") >= 0
    long = "" if of_all else "Namespace__" + "Very_Long_Object_Name" * 3 + "__c"

    part = "12345" if kind == Table.REREAD else ""
    assert len(table_name(kind, long, part)) <= LONGEST_NAME


@pytest.mark.parametrize("kind", [k for k in Table if DECLARED[k].columns])
def test_keys_and_indexes_name_columns_of_their_table(kind: Table) -> None:
    one = DECLARED[kind]
    columns = set(re.findall(r"(?:^|,)\s*(\w+) ", re.sub(r"\([^)]*\)|'[^']*'", "", one.columns)))

    named = {*one.key, *one.sampled, *(c for index in one.indexes.values() for c in index)}
    assert named <= columns
