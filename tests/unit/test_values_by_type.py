"""The second comparison takes values for equal just when they mean the same; and the size of its sample."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coa.config import RunParams
from coa.errors import InvalidParams
from coa.verify.second_reading import sample_size
from coa.verify.values_by_type import plain

# Type, text of Bulk CSV, JSON of REST: one value each.
SAME = [
    ("double", "5.00", 5.0),
    ("currency", "-0.10", -0.1),
    ("int", "12", 12),
    ("percent", "1E+2", 100),
    ("boolean", "true", True),
    ("boolean", "false", False),
    ("boolean", "false", None),
    ("datetime", "2020-02-29T23:59:59.000Z", "2020-02-29T23:59:59.000+0000"),
    ("datetime", "2020-02-29T23:59:59.789Z", "2020-03-01T01:59:59.000+02:00"),
    ("date", "2020-02-29", "2020-02-29"),
    ("multipicklist", "b;a", "a;b"),
    ("string", "", None),
    ("string", " x\r\n", " x\r\n"),
    ("reference", "a01000000000001AAA", "a01000000000001AAA"),
]
OTHER = [
    ("double", "5.01", 5.0),
    ("double", "", 0),
    ("boolean", "true", False),
    ("datetime", "2020-02-29T23:59:59.000Z", "2020-02-29T23:59:58.000+0000"),
    ("date", "2020-02-29", "2020-03-01"),
    ("multipicklist", "a;b", "a"),
    ("string", "x", "x "),
    ("string", "a", "A"),
    ("string", "0012", "12"),
    ("string", "null", None),
    ("reference", "a01000000000001AAA", "a01000000000001aAA"),
]


@pytest.mark.parametrize(("kind", "csv", "json"), SAME)
def test_the_same_value_in_two_notations_is_equal(kind: str, csv: str, json: object) -> None:
    assert plain(kind, csv) == plain(kind, json)


@pytest.mark.parametrize(("kind", "csv", "json"), OTHER)
def test_another_value_is_not_equal(kind: str, csv: str, json: object) -> None:
    assert plain(kind, csv) != plain(kind, json)


@given(st.decimals(min_value=-(10**12), max_value=10**12, places=2))
def test_numbers_are_equal_by_value_and_by_nothing_else(number: Decimal) -> None:
    assert plain("double", str(number)) == plain("double", float(number))
    assert plain("double", str(number)) != plain("double", float(number + Decimal("0.01")))


@given(st.text())
def test_text_is_equal_to_itself_alone(text: str) -> None:
    assert plain("string", text) == (text or None)
    assert plain("string", text) != plain("string", text + "x")


def test_at_least_two_hundred_records_are_drawn_if_there_are_so_many() -> None:
    assert [sample_size(n, "1%") for n in (0, 150, 200, 20_000, 20_001)] == [0, 150, 200, 200, 201]
    assert [sample_size(1000, n) for n in (1, 500, 5000)] == [200, 500, 1000]
    assert sample_size(1000, "100%") == 1000


@pytest.mark.parametrize(
    ("given", "parsed"), [("1%", "1%"), ("2.5%", "2.5%"), (300, 300), ("0", 0), ("0%", 0), (0, 0)]
)
def test_the_param_takes_a_share_or_a_number(given: object, parsed: object) -> None:
    assert RunParams.parse({"verify_sample": given}).verify_sample == parsed


@pytest.mark.parametrize("given", ["101%", "all", -1, True, 1.5, "1 %%"])
def test_the_param_refuses_anything_else(given: object) -> None:
    with pytest.raises(InvalidParams, match="verify_sample"):
        RunParams.parse({"verify_sample": given})
