"""A custom rule that breaks its contract is named, with what it did; it never loses or adds a record."""

from __future__ import annotations

from dataclasses import replace
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
        (BEFORE.iloc[:1], "returned different rows"),
        (pandas.concat([BEFORE, BEFORE]), "returned different rows"),
        (BEFORE.assign(New__c="x"), "added columns that are not carried: New__c"),
        (BEFORE.assign(Parent__c="z"), "changed Parent__c, which it may not change"),
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


def rule(code: str) -> CustomRule:
    return CustomRule("rules.py", "tidy", sha256(code.encode()).hexdigest(), code)


GOOD = "def tidy(desired, source):\n    return desired\n"


def test_what_was_kept_with_the_run_is_run_and_no_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("COA_CUSTOM_RULES", "true")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rules.py").write_text("raise SystemExit\n")

    assert load_function(rule(GOOD))(BEFORE, BEFORE) is BEFORE


@pytest.mark.parametrize("word", [None, "", "false"])
def test_a_worker_that_runs_no_rules_refuses(monkeypatch: pytest.MonkeyPatch, word: str | None) -> None:
    monkeypatch.delenv("COA_CUSTOM_RULES", raising=False)
    if word is not None:
        monkeypatch.setenv("COA_CUSTOM_RULES", word)

    with pytest.raises(InvalidParams, match="this worker runs no custom rules") as refused:
        load_function(rule("raise SystemExit\n"))
    assert "COA_CUSTOM_RULES=true" in refused.value.next_step


def test_code_that_was_not_kept_or_is_another_is_not_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COA_CUSTOM_RULES", "true")

    for other in (replace(rule(GOOD), code=""), replace(rule(GOOD), code=GOOD + "#")):
        with pytest.raises(InvalidParams, match="was not kept with the run"):
            load_function(other)


def test_an_error_of_a_rule_names_its_line_and_no_value(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COA_CUSTOM_RULES", "true")

    with pytest.raises(ConfigurationError, match=r"importing it raised ValueError in line 2\. ") as broken:
        load_function(rule("# a rule\nint('Jane Doe')\n"))
    assert "Jane" not in str(broken.value)
    assert broken.value.__suppress_context__
