"""Who may approve and waive: a list of the deployment, which nobody who uses Airflow can widen."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from coa.errors import ConfigurationError, InvalidParams, RunStopped
from coa_airflow import approvers as rules

Deploy = Callable[..., Any]


@pytest.fixture
def deploy(monkeypatch: pytest.MonkeyPatch) -> Deploy:
    """`deploy(listed, variable, triggered_by, four_eyes)`: a run under these settings."""

    def settings(
        listed: str = "", variable: str = "", triggered_by: str = "mallory", four_eyes: str = ""
    ) -> Any:
        monkeypatch.setenv("COA_APPROVERS", listed)
        monkeypatch.setenv("COA_FOUR_EYES", four_eyes)
        monkeypatch.setattr(rules, "_from_airflow_cfg", lambda: "")
        monkeypatch.setattr(rules, "_variable", lambda: rules._names(variable))
        return SimpleNamespace(record=SimpleNamespace(triggered_by=triggered_by))

    return settings


def test_without_a_list_whoever_airflow_lets_may_waive_and_answer(deploy: Deploy) -> None:
    run = deploy()

    assert rules.may_waive(run) == "mallory"
    rules.may_answer(run, "7", "mallory")
    assert rules.asked("mallory") == []


def test_with_a_list_nobody_else_waives_or_answers(deploy: Deploy) -> None:
    run = deploy("anna, bert")

    with pytest.raises(RunStopped, match="mallory is not one of those who may waive") as waiver:
        rules.may_waive(run)
    with pytest.raises(RunStopped, match="mallory is not one of those who may approve"):
        rules.may_answer(run, "7", "mallory")
    assert waiver.value.state == "not_approved"
    rules.may_answer(run, "7", "anna")
    rules.may_answer(run, "bert", "Bert B.")
    assert rules.may_waive(deploy("anna,bert", triggered_by="anna")) == "anna"
    with pytest.raises(RunStopped):
        rules.may_waive(deploy("anna", triggered_by=""))


def test_the_variable_takes_names_away_and_adds_none(deploy: Deploy) -> None:
    deploy("anna,bert", "bert,mallory")
    assert rules.approvers() == {"bert"}
    assert rules.asked("") == [{"id": "bert", "name": "bert"}]

    deploy("anna", "mallory")
    with pytest.raises(ConfigurationError, match="Nobody may approve"):
        rules.approvers()

    # Without a list the variable says whom the gate asks, and makes nobody an approver.
    deploy("", "mallory")
    assert rules.approvers() == frozenset()
    assert [user["id"] for user in rules.asked("")] == ["mallory"]


def test_four_eyes_are_those_of_two_people(deploy: Deploy) -> None:
    run = deploy("anna,bert", triggered_by="anna", four_eyes="true")

    with pytest.raises(RunStopped, match="anna triggered this run"):
        rules.may_answer(run, "anna", "anna")
    with pytest.raises(RunStopped, match="No approval can be waived"):
        rules.may_waive(run)
    rules.may_answer(run, "bert", "bert")
    assert [user["id"] for user in rules.asked("anna")] == ["bert"]
    deploy(four_eyes="maybe")
    with pytest.raises(InvalidParams, match="COA_FOUR_EYES"):
        rules.four_eyes()


def test_a_headless_run_is_the_operating_systems_users_whatever_the_environment_says(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("COA_TRIGGERED_BY", "USER", "LOGNAME"):
        monkeypatch.setenv(name, "anna")
    monkeypatch.setenv("COA_HEADLESS", "token")

    assert rules.who_triggers(SimpleNamespace(triggering_user_name="anna")) == rules.os_user() != "anna"
    monkeypatch.delenv("COA_HEADLESS")
    assert rules.who_triggers(SimpleNamespace(triggering_user_name="bert")) == "bert"
