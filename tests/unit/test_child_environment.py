"""What a process that we start knows of our environment; and that each start asks for it."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from coa.child_environment import Child, child_environment
from tests.unit.source_code import calls_in, modules, text_of, where

GIVEN = {
    "PATH": "/usr/bin",
    "LC_ALL": "C.UTF-8",
    "PYTHONPATH": "/include",
    "HTTPS_PROXY": "http://user:word@proxy",
    "GITHUB_TOKEN": "of another tool",
    "SSH_AUTH_SOCK": "/tmp/agent",
    "DATABASE_URL": "postgresql://of/another",
    "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": "postgresql://metadata",
    "AIRFLOW_CONN_COA_STAGING": "postgresql://staging",
    "AIRFLOW_CONN_COA_SOURCE": "salesforce://source",
    "AIRFLOW_CONN_COA_TARGET": "salesforce://target",
    "COA_APPROVERS": "ann",
    "COA_STAGING_URL": "postgresql://of/a/command",
    "AWS_PROFILE": "artifacts",
    "PARAMS": "{}",
}
PROGRAM = {"PATH", "LC_ALL"}
AIRFLOW = {
    *(PROGRAM | {"PYTHONPATH", "HTTPS_PROXY", "AWS_PROFILE", "COA_APPROVERS"}),
    *("AIRFLOW__DATABASE__SQL_ALCHEMY_CONN", "AIRFLOW_CONN_COA_STAGING"),
}


@pytest.mark.parametrize(
    ("child", "names"),
    [
        (Child.SERVER, PROGRAM),
        (Child.SIMULATOR, PROGRAM | {"PYTHONPATH"}),
        (Child.AIRFLOW, AIRFLOW),
        (Child.WORKER, AIRFLOW | {"AIRFLOW_CONN_COA_SOURCE", "AIRFLOW_CONN_COA_TARGET"}),
    ],
)
def test_a_child_gets_what_its_kind_needs_and_nothing_else(child: Child, names: set[str]) -> None:
    assert child_environment(child, GIVEN) == {name: GIVEN[name] for name in names}


def test_a_deployment_names_what_its_children_need_beside_that() -> None:
    given = {**GIVEN, "COA_PASS_ENVIRONMENT": "GITHUB_TOKEN, SSH_*,", "SHH": "no"}

    assert {"GITHUB_TOKEN", "SSH_AUTH_SOCK"} <= set(child_environment(Child.WORKER, given))
    assert "SHH" not in child_environment(Child.WORKER, given)
    assert not {"GITHUB_TOKEN", "SSH_AUTH_SOCK"} & set(child_environment(Child.SERVER, given))


def test_without_a_given_environment_it_is_that_of_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COA_APPROVERS", "ann")
    monkeypatch.setenv("GITHUB_TOKEN", "of another tool")

    environment = child_environment(Child.AIRFLOW)

    assert environment["COA_APPROVERS"] == "ann"
    assert "GITHUB_TOKEN" not in environment


def starts(path: Path) -> list[ast.Call]:
    """Calls that start a process."""
    return [
        node
        for node in calls_in(path)
        if isinstance(node.func, ast.Attribute)
        and isinstance(node.func.value, ast.Name)
        and (node.func.value.id, node.func.attr)
        in {(m, a) for m in ("subprocess", "os") for a in ("run", "Popen", "call", "check_output", "system")}
    ]


def test_the_places_where_processes_are_started_are_known() -> None:
    assert {path.stem for path in modules() if starts(path)} >= {
        "embedded",
        "unprivileged",
        "worker",
        "processes",
        "metadata",
    }


def test_every_start_says_what_the_process_gets() -> None:
    """`env=` is there, and what it is made from is never our environment as it is."""
    without = [
        (where(path), ast.unparse(call))
        for path in modules()
        for call in starts(path)
        if "env" not in {k.arg for k in call.keywords}
    ]

    assert without == []


def test_no_copy_of_our_environment_is_made_anywhere_else() -> None:
    copied = [
        (where(path), copy)
        for path in modules()
        if path.name != "child_environment.py"
        for copy in ("dict(os.environ)", "**os.environ", "os.environ.copy()", "{**environ")
        if copy in text_of(path)
    ]

    assert copied == []
