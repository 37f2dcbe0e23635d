"""A run's end state for every combination of facts: the first row of the documented table that holds."""

from __future__ import annotations

from dataclasses import fields
from itertools import product

import pytest

from coa.decide import Facts, decide
from coa.states import RunState

STOPS = (None, RunState.FAILED, RunState.BLOCKED, RunState.NOT_APPROVED)
FLAGS = [f.name for f in fields(Facts) if f.name != "stopped_as"]
EVERY = [
    Facts(stopped_as=stopped, **dict(zip(FLAGS, flags, strict=True)))
    for stopped in STOPS
    for flags in product((False, True), repeat=len(FLAGS))
]


def _holds(state: RunState, facts: Facts) -> bool:
    """Each row of the table of states by itself, whatever the others say."""
    nothing_stopped_it = (
        facts.stopped_as is None and not facts.refused_after_canary and not facts.stopped_by_refusals
    )
    match state:
        case RunState.FAILED:
            return (
                facts.crashed
                or facts.stopped_as == state
                or (nothing_stopped_it and not facts.dry_run and not facts.proved)
            )
        case RunState.BLOCKED:
            return facts.stopped_as == state
        case RunState.NOT_APPROVED:
            return facts.stopped_as == state or facts.refused_after_canary
        case RunState.ROWS_REJECTED:
            return facts.rows_refused or facts.stopped_by_refusals
        case RunState.DIFFERENCES:
            return facts.different
        case RunState.DRY_RUN:
            return facts.dry_run
        case RunState.CANARY_VERIFIED:
            return facts.canary_only and facts.proved
        case RunState.VERIFIED:
            return facts.proved


def test_the_first_row_that_holds_for_every_combination_of_facts() -> None:
    wrong = [
        (facts, found, expected)
        for facts in EVERY
        if (found := decide(facts)) != (expected := next(s for s in RunState if _holds(s, facts)))
    ]

    assert wrong == []
    assert {decide(facts) for facts in EVERY} == set(RunState)


@pytest.mark.parametrize(
    ("facts", "state"),
    [
        (Facts(crashed=True, rows_refused=True), "failed"),
        (Facts(crashed=True, stopped_as=RunState.BLOCKED), "failed"),
        (Facts(stopped_by_refusals=True, rows_refused=True), "rows_rejected"),
        (Facts(stopped_by_refusals=True, rows_refused=True, crashed=True), "failed"),
        (Facts(rows_refused=True, different=True, proved=True), "rows_rejected"),
        (Facts(rows_refused=True), "failed"),
        (Facts(refused_after_canary=True, rows_refused=True, different=True), "not_approved"),
        (Facts(canary_only=True, proved=True), "canary_verified"),
        (Facts(canary_only=True, different=True, proved=True), "differences"),
        (Facts(canary_only=True), "failed"),
        (Facts(dry_run=True), "dry_run"),
        (Facts(), "failed"),
        (Facts(proved=True), "verified"),
    ],
)
def test_what_people_meet(facts: Facts, state: str) -> None:
    assert decide(facts) == state
