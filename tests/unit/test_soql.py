"""SOQL literals: whatever a text holds, it stays one text."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coa.salesforce.soql import date_time, text_list

LITERAL = re.compile(r"'((?:[^'\\]|\\.)*)'", re.S)


@given(st.lists(st.text(), max_size=4))
def test_texts_are_read_back_as_they_were(values: list[str]) -> None:
    found = LITERAL.findall(text_list(values))

    assert [re.sub(r"\\(.)", r"\1", one, flags=re.S) for one in found] == values


def test_a_moment_is_told_in_utc_and_never_later_than_it_was() -> None:
    berlin = timezone(timedelta(hours=1))

    assert date_time(datetime(2026, 1, 31, 12, 0, 0, 999_999, tzinfo=berlin)) == "2026-01-31T11:00:00.999Z"
    assert date_time(datetime(2026, 1, 31, tzinfo=UTC)) == "2026-01-31T00:00:00.000Z"
    with pytest.raises(ValueError, match="zone"):
        date_time(datetime(2026, 1, 31))  # noqa: DTZ001  # that is what is refused
