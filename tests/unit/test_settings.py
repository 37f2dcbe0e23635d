"""Settings of the environment: a value that cannot be used gives one sentence that names the variable."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest

from coa.config import ABOVE_ZERO, AT_LEAST_ONE, WORDS, Settings
from coa.errors import InvalidParams

PROJECT = Path(__file__).resolve().parents[2]
NUMBERS = [f.name for f in fields(Settings) if f.name not in WORDS and f.name != "newest_api_version"]
UNUSABLE = ("nan", "-1", "abc", "inf", "-inf", "1,5", "0x10", "١٢x")


@pytest.mark.parametrize("value", UNUSABLE)
@pytest.mark.parametrize("name", NUMBERS)
def test_a_number_that_cannot_be_used_is_refused_by_the_name_of_its_variable(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    variable = "COA_" + name.upper()
    monkeypatch.setenv(variable, value)

    with pytest.raises(InvalidParams) as told:
        Settings.from_environment()

    assert told.value.message == f"The environment variable {variable} is {value!r}."
    assert told.value.next_step.startswith("set it to a")


@pytest.mark.parametrize("name", sorted(AT_LEAST_ONE | ABOVE_ZERO))
def test_nothing_is_refused_where_nothing_could_be_done_with_it(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv("COA_" + name.upper(), "0")

    with pytest.raises(InvalidParams, match=f"COA_{name.upper()} is '0'"):
        Settings.from_environment()


@pytest.mark.parametrize("name", sorted(AT_LEAST_ONE))
def test_a_count_is_a_whole_number(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv("COA_" + name.upper(), "2.5")

    with pytest.raises(InvalidParams, match="whole number"):
        Settings.from_environment()


@pytest.mark.parametrize("name", sorted(WORDS))
def test_a_setting_of_words_takes_those_and_no_other(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    variable = "COA_" + name.upper()
    for word in WORDS[name]:
        monkeypatch.setenv(variable, word)
        assert getattr(Settings.from_environment(), name) == word
    monkeypatch.setenv(variable, "something")

    with pytest.raises(InvalidParams, match=f"{variable} is 'something'"):
        Settings.from_environment()


def test_usable_values_are_taken_and_empty_ones_are_the_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COA_ROWS_PER_JOB", "1")
    monkeypatch.setenv("COA_READ_TIMEOUT", " 0.5 ")
    monkeypatch.setenv("COA_API_RESERVE", "0")
    monkeypatch.setenv("COA_ROW_ATTEMPTS", "")

    read = Settings.from_environment()

    assert (read.rows_per_job, read.read_timeout, read.api_reserve) == (1, 0.5, 0)
    assert read.row_attempts == Settings().row_attempts


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("COA_ROWS_PER_JOB", "0"),
        ("COA_READ_TIMEOUT", "nan"),
        ("COA_READ_TIMEOUT", "-1"),
        ("COA_READ_TIMEOUT", "abc"),
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
