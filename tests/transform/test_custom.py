"""A custom rule that breaks its contract is named, with what it did; it never loses or adds a record."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path
from typing import Any

import pandas
import pytest

from coa.errors import ConfigurationError, InvalidParams
from coa.mapping.model import CustomRule
from coa.transform.custom import _checked, _text, load_function

BEFORE = pandas.DataFrame({"A__c": ["x", None], "Parent__c": ["p", "q"]}, index=["1", "2"], dtype=object)


@pytest.mark.parametrize(
    ("result", "said"),
    [
        (None, "returned NoneType, not a DataFrame"),
        (BEFORE.iloc[:1], "returned other rows"),
        (pandas.concat([BEFORE, BEFORE]), "returned other rows"),
        (BEFORE.assign(New__c="x"), "added columns that are not carried: New__c"),
        (BEFORE.assign(Parent__c="z"), "changed Parent__c, which is not its to change"),
    ],
)
def test_a_result_that_breaks_the_contract_is_refused(result: Any, said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        _checked(result, BEFORE, ["Parent__c"], "rules.py:tidy")


def test_rows_may_come_back_in_another_order_and_with_fewer_columns() -> None:
    after = _checked(BEFORE[["A__c"]].iloc[::-1], BEFORE, ["Parent__c"], "rules.py:tidy")
    assert list(after.index) == ["1", "2"]


def test_what_pandas_made_of_values_becomes_text_again() -> None:
    values = (None, float("nan"), pandas.NaT, "", True, 12, pandas.Timestamp("2024-01-02T03:04:05Z"))
    assert [_text(v) for v in values] == [None, None, None, None, "true", "12", "2024-01-02T03:04:05+00:00"]


def test_a_worker_with_another_file_refuses_to_run_it(tmp_path: Path) -> None:
    file = tmp_path / "rules.py"
    file.write_text("def tidy(desired, source):\n    return desired\n")
    rule = CustomRule(str(file), "tidy", sha256(file.read_bytes()).hexdigest())
    assert load_function(rule)(BEFORE, BEFORE) is BEFORE
    file.write_text("def tidy(desired, source):\n    return None\n")
    with pytest.raises(InvalidParams, match="changed since the run began"):
        load_function(rule)
