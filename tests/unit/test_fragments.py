"""Where SQL stands: what several stages share in `coa.staging.fragments`, long statements of a fixed text in files."""

from __future__ import annotations

import re
from enum import StrEnum

import pytest
from psycopg import sql

from coa import codes
from coa.codes import WRITTEN
from coa.staging.fragments import examples, ledger_of, list_of, same_record
from coa.states import RunState
from tests.unit.source_code import INCLUDE, modules, strings_in, text_of, where

MODULES = [path for path in modules("coa") if path.name != "fragments.py"]
STATEMENT = re.compile(r"\s*(SELECT|INSERT|UPDATE|DELETE|WITH)\b")
READABLE = 10
"""Lines of a statement inside of Python."""
CLOSED_SETS: tuple[type[StrEnum], ...] = (
    RunState,
    *(
        one
        for one in vars(codes).values()
        if isinstance(one, type) and issubclass(one, StrEnum) and list(one)
    ),
)
OWNERS = ("coa/codes.py", "coa/staging/fragments.py")
LISTED = re.compile(r"\b(?:IN\s*\(|ARRAY\s*\[)\s*('\w+'(?:\s*,\s*'\w+')+)\s*[)\]]")
BY_HAND = {
    "ledger_of": re.compile(
        # Other tables have the same key.
        r"coa\.ledger (\w+)\b(?:(?!coa\.\w+ \1\b).){0,600}?"
        r"\b\1\.pair_id = (?:%s|%\(\w+\)s|\{\w*\})\s+"
        r"AND \1\.sobject = (\w+)\.sobject\s+AND \1\.source_id = \2\.source_id",
        re.DOTALL,
    ),
    "same_record": re.compile(r"\b(\w+)\.sobject = (\w+)\.sobject\s+AND\s+\1\.source_id = \2\.source_id\b"),
    "examples": re.compile(r"array_agg\([\w.]+ ORDER BY [\w.]+\)\)\[1:10\]"),
}


def test_no_fragment_is_written_by_hand() -> None:
    found = {
        (where(path), name)
        for path in MODULES
        for name, pattern in BY_HAND.items()
        if pattern.search(text_of(path))
    }

    assert found == set()


@pytest.mark.parametrize(
    ("name", "fragment"),
    [
        ("ledger_of", sql.SQL("coa.ledger l ON {}").format(ledger_of(7, "p"))),
        ("same_record", same_record("w", "p")),
        ("examples", examples("p.source_id")),
    ],
)
def test_the_search_finds_what_it_is_for(name: str, fragment: sql.Composed) -> None:
    text = fragment.as_string(None).replace("= 7", "= {pair}")

    assert BY_HAND[name].search(text)


def test_a_long_statement_of_a_fixed_text_has_a_file() -> None:
    fixed = [
        (where(path), line)
        for path in MODULES
        for line, text in strings_in(path)
        if STATEMENT.match(text)
        and not re.search(r"\{\w*\}", text)
        and len(text.strip().splitlines()) > READABLE
    ]

    assert fixed == []


def test_each_file_is_run_by_a_module_beside_it() -> None:
    for path in (INCLUDE / "coa").rglob("*.sql"):
        if path.parent.name != "migrations":
            beside = "".join(one.read_text("utf-8") for one in path.parent.glob("*.py"))
            assert f'sql_file(__package__, "{path.stem}")' in beside


def lists_of_codes(text: str) -> list[str]:
    """Lists in SQL that are written out although a set of `coa.codes` says the same."""
    return [
        values
        for values in LISTED.findall(text)
        if any(set(re.findall(r"\w+", values)) <= set(known) for known in CLOSED_SETS)
    ]


def test_no_list_of_codes_is_written_out() -> None:
    found = [
        (where(path), line, values)
        for path in modules()
        if where(path) not in OWNERS
        for line, text in strings_in(path)
        for values in lists_of_codes(text)
    ]

    assert found == []


@pytest.mark.parametrize("negated", ["", "NOT "])
def test_a_list_that_is_written_out_is_found(negated: str) -> None:
    text = sql.SQL("p.action {}IN {}").format(sql.SQL(negated), list_of(WRITTEN)).as_string(None)

    assert lists_of_codes(text) == ["'insert', 'update'"]
    assert lists_of_codes("relkind IN ('r', 'v')") == []
