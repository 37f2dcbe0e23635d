"""Params of a run: all faults at once, and what an emptied field of the form means."""

from __future__ import annotations

from hashlib import sha256

import pytest
from hypothesis import given as each
from hypothesis import strategies as st
from pydantic import ValidationError

from coa.config import MOST_ORDERS_A_CHUNK, RunParams
from coa.config.params import SHOWN
from coa.errors import InvalidParams
from coa.kinds import KINDS
from coa.plan.document import hashed_params
from coa_airflow.params import given


def test_all_faults_of_the_params_are_told_at_once() -> None:
    with pytest.raises(InvalidParams) as told:
        RunParams.parse({"chunk_size": 0, "lanes": "3", "colour": 1, "mode": "some", "dry_run": "no"})

    for part in ("chunk_size: 0", "lanes: '3'", "unknown param 'colour'", "mode: 'some'", "dry_run: 'no'"):
        assert part in str(told.value)


@pytest.mark.parametrize("value", [True, 2.5, "2000", MOST_ORDERS_A_CHUNK + 1, -1])
def test_a_chunk_size_that_is_no_whole_number_in_range_is_refused(value: object) -> None:
    with pytest.raises(InvalidParams, match="chunk_size"):
        RunParams.parse({"chunk_size": value})


def test_a_chunk_size_that_is_given_stands_at_any_size() -> None:
    assert RunParams.parse({"chunk_size": 30}).orders_a_chunk(1_000_000) == 30


def test_an_emptied_chunk_size_is_none_given() -> None:
    assert RunParams.parse(given({"chunk_size": None, "orders_where": None})) == RunParams()


@each(st.integers(0, 5_000_000), st.integers(0, 5_000_000))
def test_chunks_grow_with_the_run_within_bounds(one: int, other: int) -> None:
    small, large = (RunParams().orders_a_chunk(orders) for orders in sorted((one, other)))

    assert 250 <= small <= large <= MOST_ORDERS_A_CHUNK
    assert RunParams().orders_a_chunk(10_000) == 2000
    assert RunParams().orders_a_chunk(100_000) == 5000


def test_a_small_run_has_three_chunks_so_that_its_lanes_have_work_side_by_side() -> None:
    assert RunParams().orders_a_chunk(1000) == 334


# ---- one model of form, schema, checks and docs ----------------------------------------------------
def test_the_name_that_was_meant_is_told() -> None:
    with pytest.raises(InvalidParams) as told:
        RunParams.parse({"received_date": "restore", "canary_gate": "asks"})

    assert "unknown param 'received_date' (is 'received_dates' meant?)" in told.value.message
    assert "canary_gate: 'asks' is not one of continue, ask, only (is 'ask' meant?)" in told.value.message


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        ({"lanes": 17}, "lanes: 17 is not a whole number from 1 to 16"),
        ({"canary": True}, "canary: True is not a whole number from 0 to 500"),
        ({"chunk_size": "2000"}, "chunk_size: '2000' is not a whole number from 1 to 10000"),
        ({"dry_run": "true"}, "dry_run: 'true' is not true or false"),
        ({"mapping": 3}, "mapping: 3 is not text"),
        ({"max_blocked": "abc"}, "max_blocked: 'abc' is neither a number of records nor a percentage"),
        ({"max_blocked": "101%"}, "max_blocked: '101%' is neither"),
        ({"verify_sample": None}, "verify_sample: None is neither"),
        ({"owner_policy": " "}, "owner_policy: empty; use running_user, stop or a user name"),
        ({"orders_where": "LIMIT 5"}, "orders_where is not a SOQL condition"),
        ({"canary": 0, "canary_gate": "ask"}, "canary_gate: 'ask' needs a canary, and canary is 0"),
        ({"mode": None}, "mode: None is not one of full, delta"),
    ],
)
def test_each_kind_of_fault_has_its_sentence(raw: dict[str, object], said: str) -> None:
    with pytest.raises(InvalidParams) as told:
        RunParams.parse(raw)

    assert said in told.value.message


def test_numbers_of_records_may_come_as_text_as_from_a_form() -> None:
    read = RunParams.parse({"max_blocked": "5", "verify_sample": " 2% ", "mapping": " a.yaml "})

    assert (read.max_blocked, read.verify_sample, read.mapping) == (5, "2%", "a.yaml")
    assert RunParams.parse({"max_blocked": "", "verify_sample": "0%"}).model_dump(
        include={"max_blocked", "verify_sample"}
    ) == {"max_blocked": None, "verify_sample": 0}


def test_what_cannot_be_used_is_left_out_of_what_is_still_told() -> None:
    assert RunParams.usable({"lanes": 0, "colour": 1, "canary": 7}) == RunParams(canary=7)


def test_params_do_not_change() -> None:
    with pytest.raises(ValidationError):
        RunParams().lanes = 4


@pytest.mark.parametrize("name", RunParams.model_fields)
def test_a_param_says_all_of_itself(name: str) -> None:
    shown, schema = SHOWN[name], RunParams.model_json_schema()["properties"][name]

    assert shown.title
    assert shown.text
    assert set(shown.kinds) <= set(KINDS)
    assert set(shown.elsewhere) | set(shown.offers) <= set(shown.kinds)
    assert "anyOf" not in schema
    assert schema["default"] == RunParams().model_dump()[name]
    assert list(shown.words) == schema.get("enum", [])
    assert schema.get("enum", [schema["default"]])[0] == schema["default"]


def test_the_hashed_params_of_a_plan_are_what_they_were() -> None:
    """A plan that was approved under an earlier release keeps its hash: the text that goes into it is fixed here."""
    assert sha256(hashed_params(RunParams()).encode()).hexdigest() == (
        "2150f53cd0f11c5cf2951cb13981605153b87566fe4d16276c379fdb630861d5"
    )
    chosen = {"created_dates": "auto", "deletions": "carry", "canary": 10, "canary_gate": "only", "lanes": 4}
    assert hashed_params(RunParams.parse(chosen)) == (
        '{"canary": 10, "canary_gate": "only", "created_dates": "auto", "deletions": "carry", '
        '"on_row_failure": "stop", "received_dates": "restore"}'
    )
