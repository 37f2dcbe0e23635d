"""A policy is resolved to behaviour in one place; nobody else compares its param with a word."""

from __future__ import annotations

import re

import pytest

from coa.codes import Severity, Verdict
from coa.config import CHOICES, RunParams
from coa.policies import Policies
from tests.unit.source_code import modules, text_of, where

RESOLVED = (
    "received_dates",
    "created_dates",
    "picklist_policy",
    "invalid_values",
    "too_long_policy",
    "masked_values",
    "unmatched_contract_policy",
    "unmatched_product_policy",
    "canary_gate",
    "learned_passes",
    "on_row_failure",
    "deletions",
    "attachments",
    "activities",
    "history",
)
TESTED = re.compile(rf"""params\.({"|".join(RESOLVED)})\s*(==|!=|in |not in )|\.get\(\w*\.?params\.""")


def of(**params: object) -> Policies:
    return Policies(RunParams.parse(dict(params)))


@pytest.mark.parametrize(
    ("param", "behaviour", "chosen_by"),
    [
        ("received_dates", "restores_received_dates", {"restore"}),
        ("created_dates", "carries_created_dates", {"required", "auto"}),
        ("picklist_policy", "blanks_missing_picklist_values", {"blank"}),
        ("invalid_values", "blanks_invalid_values", {"blank"}),
        ("too_long_policy", "truncates", {"truncate"}),
        ("canary_gate", "asks_after_canary", {"ask"}),
        ("canary_gate", "ends_with_canary", {"only"}),
        ("canary_gate", "needs_canary", {"ask", "only"}),
        ("learned_passes", "learns_from_canary", {"use"}),
        ("on_row_failure", "stops_at_refused_rows", {"stop"}),
        ("deletions", "carries_deletions", {"carry"}),
        ("attachments", "carries_attachments", {"carry"}),
        ("activities", "carries_activities", {"carry"}),
        ("history", "archives_history", {"archive"}),
    ],
)
def test_each_choice_of_a_param_means_what_it_says(param: str, behaviour: str, chosen_by: set[str]) -> None:
    assert {word for word in CHOICES[param] if getattr(of(**{param: word}), behaviour)} == chosen_by


@pytest.mark.parametrize(
    "param",
    [
        "picklist_policy",
        "too_long_policy",
        "invalid_values",
        "masked_values",
        "unmatched_contract_policy",
        "unmatched_product_policy",
    ],
)
def test_stop_alone_stops_the_run(param: str) -> None:
    assert {word: of(**{param: word}).verdict(param) for word in CHOICES[param]} == {
        word: Verdict.STOP if word == "stop" else Verdict.BLOCK for word in CHOICES[param]
    }


def test_audit_fields_that_may_not_be_written_are_as_grave_as_they_are_wanted() -> None:
    assert [of(created_dates=word).created_dates_refused for word in ("required", "auto", "off")] == [
        Severity.BLOCKER,
        Severity.WARNING,
        None,
    ]


def test_nobody_else_compares_a_resolved_policy_with_a_word() -> None:
    compared = [
        (where(path), match[0])
        for path in modules()
        if path.name != "policies.py"
        for match in TESTED.finditer(text_of(path))
    ]

    assert compared == []
