"""Ids, Java's doubles, date literals, auto-numbers: the pure parts."""

from __future__ import annotations

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orgsim.ids import DIGITS, IdSpace, serial_of, to_18
from orgsim.schema.model import Field
from orgsim.soql.dates import literal_range
from orgsim.values import BadValue, java_double, parse_date


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (912260031, "9.12260031E8"),
        (71664061, "7.1664061E7"),
        (16147805824397, "1.6147805824397E13"),
        (100, "100.0"),
        (9999999, "9999999.0"),
        (10000000, "1.0E7"),
        (0.001, "0.001"),
        (0.0001, "1.0E-4"),
        (-12345678.9, "-1.23456789E7"),
        (0, "0.0"),
        (0.1, "0.1"),
        (None, None),
    ],
)
def test_i7_java_doubles(value: float | None, text: str | None) -> None:
    assert java_double(value) == text


@given(st.floats(allow_nan=False, allow_infinity=False, width=64))
def test_java_doubles_keep_the_value(value: float) -> None:
    assert float(java_double(value) or "") == value


@pytest.mark.parametrize("known", ["0018c00002FInboAAD", "7502M00000aFzAIQA0", "005410000020mxHAAQ"])
def test_g_check_characters_of_documented_ids(known: str) -> None:
    assert to_18(known[:15]) == known


@given(st.integers(0, 62**9 - 1), st.text(DIGITS, min_size=2, max_size=2))
def test_ids_are_reversible_and_well_formed(serial: int, pod: str) -> None:
    made = IdSpace("a0B", pod).make(serial)
    assert to_18(made[:15]) == made
    assert serial_of(made) == serial


@pytest.mark.parametrize(
    ("word", "start", "end"),
    [
        ("TODAY", "2026-03-11", "2026-03-12"),
        ("YESTERDAY", "2026-03-10", "2026-03-11"),
        ("TOMORROW", "2026-03-12", "2026-03-13"),
        ("THIS_WEEK", "2026-03-08", "2026-03-15"),
        ("LAST_MONTH", "2026-02-01", "2026-03-01"),
        ("NEXT_QUARTER", "2026-04-01", "2026-07-01"),
        ("THIS_YEAR", "2026-01-01", "2027-01-01"),
        ("LAST_FISCAL_YEAR", "2025-01-01", "2026-01-01"),
        ("LAST_N_DAYS:7", "2026-03-04", "2026-03-12"),
        ("NEXT_N_DAYS:7", "2026-03-12", "2026-03-19"),
        ("LAST_N_MONTHS:3", "2025-12-01", "2026-03-01"),
        ("NEXT_N_YEARS:2", "2027-01-01", "2029-01-01"),
        ("N_DAYS_AGO:2", "2026-03-09", "2026-03-10"),
        ("LAST_90_DAYS", "2025-12-11", "2026-03-12"),
    ],
)
def test_date_literals(word: str, start: str, end: str) -> None:
    found = literal_range(word, dt.date(2026, 3, 11))
    assert found == (dt.date.fromisoformat(start), dt.date.fromisoformat(end))


def test_other_words_are_no_date_literals() -> None:
    assert literal_range("SOMEDAY", dt.date(2026, 3, 11)) is None
    assert literal_range("LAST_N_MOONS:3", dt.date(2026, 3, 11)) is None


DAY = Field("Day__c", "Day", "date")


@given(st.dates(min_value=dt.date(1700, 1, 1), max_value=dt.date(4000, 12, 31)))
def test_a_date_is_taken_as_it_stands(day: dt.date) -> None:
    assert parse_date(day.isoformat(), DAY) == day.isoformat()
    assert parse_date(f"{day.isoformat()}Z", DAY) == day.isoformat()


@pytest.mark.parametrize(
    "text", ["2026-W01-1", "2026-02-30", "2026-1-01x", "20260101", "1699-12-31", "4001-01-01", "x"]
)
def test_what_is_no_date_is_refused(text: str) -> None:
    with pytest.raises(BadValue):
        parse_date(text, DAY)
