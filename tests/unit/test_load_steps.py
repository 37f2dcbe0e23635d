"""The table of load steps: whole, in order, used by all that make or show a step, and spelt nowhere else."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import pytest

from coa import load_steps
from coa.load_steps import BY_NAME, LOAD_STEPS, PLACE, LoadStep, label_of
from coa.model import CUSTOMER, DETAIL, ORDER
from coa_airflow.local.view import step_name
from coa_airflow.ui.steps import step_rows
from tests.unit.source_code import calls_in, modules, strings_in, text_of, where

CODE = [path for path in modules() if path.name != "load_steps.py"]
CONSTANTS = {
    name: value.name
    for name, value in vars(load_steps).items()
    if isinstance(value, LoadStep) and name.isupper()
}
# `step = 'orders'`, `w.step IN ('orders', ...)`, `step LIKE 'restores%'`; `l.step` is the ledger's.
SPELT = re.compile(r"(?<!l\.)\bstep\s*(=|<>|LIKE|IN)\s*\(?\s*'(\w+)")


def test_names_are_unique_and_every_row_stands_in_the_table() -> None:
    assert len(BY_NAME) == len(LOAD_STEPS)
    assert set(CONSTANTS.values()) == set(BY_NAME)


@pytest.mark.parametrize("step", LOAD_STEPS, ids=lambda s: s.name)
def test_a_step_follows_steps_that_stand_before_it(step: LoadStep) -> None:
    assert all(PLACE[name] < PLACE[step.name] for name in step.after)


@pytest.mark.parametrize(("constant", "name"), CONSTANTS.items())
def test_every_row_is_used(constant: str, name: str) -> None:
    if name.startswith("extract_"):
        assert load_steps.extract_step(name.removeprefix("extract_")).name == name
        return
    users = [p for p in CODE if "load_steps" in text_of(p) and re.search(rf"\b{constant}\b", text_of(p))]
    assert users


def test_nobody_else_makes_a_step_or_spells_its_name() -> None:
    made = [
        (where(path), n.lineno)
        for path in CODE
        for n in calls_in(path)
        if getattr(n.func, "id", getattr(n.func, "attr", "")) == "Step"
    ]
    spelt = [
        (where(path), line, m[2])
        for path in CODE
        for line, text in strings_in(path)
        for m in SPELT.finditer(text)
        if any(name.startswith(m[2]) for name in BY_NAME)
    ]

    assert made == []
    assert spelt == []


def test_a_step_refuses_what_the_table_does_not_allow() -> None:
    with pytest.raises(ValueError, match="does not send"):
        load_steps.DETAILS.on(ORDER, 3)
    with pytest.raises(ValueError, match="has chunk -1, not 3"):
        load_steps.CUSTOMERS.on(CUSTOMER, 3)
    with pytest.raises(ValueError, match="needs a chunk"):
        load_steps.DETAILS.on(DETAIL)


def test_page_and_terminal_show_the_labels_of_the_table() -> None:
    now = datetime.now(UTC)
    shown = step_rows(
        [
            {
                "step": s.name,
                "sobject": ORDER,
                "total": 1,
                "done": 1,
                "rejected": 0,
                "started_at": now,
                "updated_at": now,
            }
            for s in reversed(LOAD_STEPS)
        ],
        [],
    )

    assert [(r["step"], r["label"], r["phase"]) for r in shown] == [
        (s.name, s.label, s.phase) for s in LOAD_STEPS
    ]
    assert [step_name(s.name) for s in LOAD_STEPS] == [s.label for s in LOAD_STEPS]
    assert label_of("a_step_of_later") == "A step of later"
