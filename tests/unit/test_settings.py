"""Settings of the environment: one model has them all, and a value that cannot be used is told by its variable."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import ValidationError

from coa.config import Settings
from coa.config.checked import bounds, words
from coa.config.settings import explained, takes, variable
from coa.errors import InvalidParams
from tests.unit.source_code import modules, text_of, tree_of

PROJECT = Path(__file__).resolve().parents[2]
FIELDS = Settings.model_fields
NUMBERS = [name for name, field in FIELDS.items() if field.annotation in (int, float)]
AT_LEAST_ONE = [name for name in NUMBERS if bounds(FIELDS[name]).get("ge") == 1]
ABOVE_ZERO = [name for name in NUMBERS if "gt" in bounds(FIELDS[name])]
WORDS = [name for name, field in FIELDS.items() if words(field)]
SWITCHES = [name for name, field in FIELDS.items() if field.annotation is bool]
HOURS = ["remind_hours", "run_hours"]
UNUSABLE = ("nan", "-1", "abc", "inf", "-inf", "1,5", "0x10", "١٢x")
OF_OUR_OWN_PROCESSES = {"COA_HEADLESS", "COA_FOLLOW_PARENT"}
"""What a command of ours tells the process that it starts: nobody sets it."""
READ = re.compile(r"""os\.(?:environ(?:\.get\(|\[)|getenv\()\s*([\w"']++)(?!\] = )""")


def refused(name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> InvalidParams:
    monkeypatch.setenv(variable(name), value)
    with pytest.raises(InvalidParams) as told:
        Settings.from_environment()
    return told.value


# ---- all settings alike ----------------------------------------------------------------------------
@pytest.mark.parametrize("value", UNUSABLE)
@pytest.mark.parametrize("name", NUMBERS)
def test_a_number_that_cannot_be_used_is_refused_by_the_name_of_its_variable(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    told = refused(name, value, monkeypatch)

    assert told.message == f"The environment variable {variable(name)} is {value!r}."
    assert told.next_step == f"set it to {takes(name)}."
    assert told.next_step.startswith("set it to a ")


@pytest.mark.parametrize("name", AT_LEAST_ONE + ABOVE_ZERO)
def test_nothing_is_refused_where_nothing_could_be_done_with_it(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    assert f"{variable(name)} is '0'" in refused(name, "0", monkeypatch).message


@pytest.mark.parametrize("name", AT_LEAST_ONE)
def test_a_count_is_a_whole_number(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    assert "whole number" in refused(name, "2.5", monkeypatch).next_step


@pytest.mark.parametrize("name", WORDS)
def test_a_setting_of_words_takes_those_and_no_other(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    for word in words(FIELDS[name]):
        monkeypatch.setenv(variable(name), word)
        assert getattr(Settings.from_environment(), name) == word

    assert f"{variable(name)} is 'something'" in refused(name, "something", monkeypatch).message


@pytest.mark.parametrize("name", SWITCHES)
def test_a_switch_is_true_or_false(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    for word, read in {"true": True, "False": False, "": False}.items():
        monkeypatch.setenv(variable(name), word)
        assert getattr(Settings.from_environment(), name) is read

    for word in ("yes", "1", "on", "yes please"):
        assert refused(name, word, monkeypatch).next_step == "set it to true or false."


@pytest.mark.parametrize("value", ["soon", "0", "-1", "nan", "1;2", "1,x"])
@pytest.mark.parametrize("name", HOURS)
def test_hours_that_are_none_are_refused(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    told = refused(name, value, monkeypatch)

    assert variable(name) in told.message
    assert told.next_step == "set it to hours above 0, with commas between them, or to nothing."


@pytest.mark.parametrize("name", FIELDS)
def test_each_setting_is_of_a_kind_that_is_looked_at_here_or_takes_any_text(name: str) -> None:
    known = {*NUMBERS, *WORDS, *SWITCHES, *HOURS}

    assert name in known or FIELDS[name].annotation in (str, tuple[str, ...])
    assert explained(name).text


def test_all_that_cannot_be_used_is_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COA_DRAFT_MINUTES", "an hour")
    told = refused("rows_per_job", "0", monkeypatch)

    assert "COA_ROWS_PER_JOB is '0'" in told.message
    assert "COA_DRAFT_MINUTES is 'an hour'" in told.message
    assert (
        told.next_step
        == "set COA_ROWS_PER_JOB to a whole number of 1 or more; set COA_DRAFT_MINUTES to a number of 0 or more."
    )


def test_usable_values_are_taken_and_empty_ones_are_the_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "COA_ROWS_PER_JOB": "1",
        "COA_READ_TIMEOUT": " 0.5 ",
        "COA_API_RESERVE": "0",
        "COA_ROW_ATTEMPTS": "",
        "COA_APPROVERS": " anna,, bert ",
        "COA_REMIND_HOURS": "2, 1,2",
    }.items():
        monkeypatch.setenv(name, value)

    read = Settings.from_environment()

    assert (read.rows_per_job, read.read_timeout, read.api_reserve) == (1, 0.5, 0)
    assert read.row_attempts == Settings().row_attempts
    assert read.approvers == ("anna", "bert")
    assert read.remind_hours == (1.0, 2.0)


def test_who_asks_for_one_setting_does_not_fail_for_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COA_ROWS_PER_JOB", "none")
    monkeypatch.setenv("COA_FOUR_EYES", "true")

    assert Settings.from_environment("four_eyes") == Settings(four_eyes=True)


def test_settings_do_not_change() -> None:
    with pytest.raises(ValidationError):
        Settings().rows_per_job = 1
    with pytest.raises(ValidationError):
        Settings(rows_per_jib=1)  # type: ignore[call-arg]


# ---- one model -------------------------------------------------------------------------------------
def reads_of_the_environment(path: Path) -> Iterator[str]:
    """What a module asks the environment for by itself: a name, or `?` and the constant of another module."""
    tree = tree_of(path)
    constants = {
        target.id: node.value.value
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    for call in READ.finditer(text_of(path)):
        word = call[1]
        yield word.strip("\"'") if word[0] in "\"'" else str(constants.get(word, f"?{word}"))


def test_nobody_reads_a_variable_of_ours_past_the_model() -> None:
    found = {
        (path.name, name)
        for path in modules()
        for name in reads_of_the_environment(path)
        if name.startswith(("COA_", "?")) and name.upper() == name
    }

    assert {name for _, name in found} == {*OF_OUR_OWN_PROCESSES, "?HEADLESS"}


def test_a_read_past_the_model_is_found(tmp_path: Path) -> None:
    module = tmp_path / "m.py"
    module.write_text(
        'NAME = "COA_A"\nos.environ.get(NAME)\nos.environ["COA_B"]\nos.getenv("COA_C")\nos.environ.get(D)\n'
        'os.environ["COA_E"] = "written"\n'
    )

    assert list(reads_of_the_environment(module)) == ["COA_A", "COA_B", "COA_C", "?D"]


# ---- commands --------------------------------------------------------------------------------------
MORE_FAULTS = [("COA_READ_TIMEOUT", "nan"), ("COA_READ_TIMEOUT", "abc"), ("COA_DRAFT_MINUTES", "abc")]


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("COA_ROWS_PER_JOB", "0"),
        *(pytest.param(*set_to, marks=pytest.mark.lane) for set_to in MORE_FAULTS),
    ],
)
@pytest.mark.parametrize(
    "command", [["coa_airflow.local.headless", "coa_migrate"], ["coa_airflow.local.check"]]
)
def test_a_command_says_so_in_a_sentence_before_it_starts_anything(
    command: list[str], variable: str, value: str, tmp_path: Path
) -> None:
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("AIRFLOW", "COA_"))}

    ended = subprocess.run(
        [sys.executable, "-m", *command],
        cwd=PROJECT,
        env={
            **clean,
            "PYTHONPATH": str(PROJECT / "include"),
            "COA_LOCAL_FOLDER": str(tmp_path / "local"),
            variable: value,
        },
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    said = ended.stdout + ended.stderr
    assert ended.returncode != 0
    assert f"{variable} is '{value}'" in said
    assert "Next step: set it to a" in said
    assert "Traceback" not in said
    assert len(said.strip().splitlines()) <= 2
    assert not (tmp_path / "local").exists()
