"""What we write is closed to other users, whatever the umask of the shell is."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.files import open_to_others

from coa.private_files import keep_files_private, private_folder
from coa.staging.folders import logs_folder
from coa_airflow.local import home

INCLUDE = Path(__file__).parents[2] / "include"
READS_ONLY = {"coa_verify_evidence.py"}
"""A checker that is shipped as one file, and writes none."""
COMMANDS = sorted(
    path
    for package in ("coa", "coa_airflow")
    for path in (INCLUDE / package).rglob("*.py")
    if 'if __name__ == "__main__"' in path.read_text("utf-8") and path.name not in READS_ONLY
)


@pytest.mark.parametrize("path", COMMANDS, ids=lambda path: str(path.relative_to(INCLUDE)))
def test_a_command_closes_its_files_before_it_does_anything(path: Path) -> None:
    tree = ast.parse(path.read_text("utf-8"))
    main = next(node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == "main")
    body = main.body[1:] if ast.get_docstring(main) else main.body

    assert ast.unparse(body[0]) == "keep_files_private()"


def test_commands_are_found() -> None:
    assert {path.stem for path in COMMANDS} >= {
        "server",
        "headless",
        "headless_run",
        "check",
        "demo",
        "retention",
    }


def test_every_task_closes_its_files() -> None:
    """All of them go through the one frame."""
    text = (INCLUDE / "coa_airflow" / "running.py").read_text("utf-8")
    frame = next(
        node for node in ast.parse(text).body if isinstance(node, ast.FunctionDef) and node.name == "task_run"
    )

    assert "keep_files_private()" in [ast.unparse(one) for one in frame.body]


def test_bits_are_only_taken_away(tmp_path: Path) -> None:
    before = os.umask(0o200)
    try:
        keep_files_private()
        left = os.umask(0)
    finally:
        os.umask(before)

    assert left == 0o277


def test_what_the_local_postgres_makes_is_closed(tmp_path: Path) -> None:
    environment = {
        "PATH": os.environ["PATH"],
        "COA_LOCAL_FOLDER": str(tmp_path / "local"),
        "PYTHONPATH": str(INCLUDE),
    }
    command = [sys.executable, "-m", "coa.staging.embedded"]

    subprocess.run([*command, "start"], env=environment, umask=0o000, check=True, capture_output=True)
    try:
        found = open_to_others(tmp_path / "local")
    finally:
        subprocess.run([*command, "stop"], env=environment, check=True, capture_output=True)

    assert found == []


def test_passwords_and_logs_of_an_earlier_version_are_closed_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COA_LOCAL_FOLDER", str(tmp_path))
    (tmp_path / "logs").mkdir(mode=0o755)
    (tmp_path / "airflow").mkdir(mode=0o755)
    known = dict.fromkeys(home.USERS, "word")
    home.passwords_file().write_text(str(known).replace("'", '"'))
    home.passwords_file().chmod(0o644)

    assert home.passwords() == known
    logs_folder()
    private_folder(home.airflow_home())

    assert open_to_others(tmp_path / "logs") == []
    assert open_to_others(tmp_path / "airflow") == []


def test_airflow_is_told_to_write_task_logs_for_nobody_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COA_LOCAL_FOLDER", str(tmp_path))

    class Server:
        def url(self, database: str) -> str:
            return f"postgresql://coa@127.0.0.1:1/{database}"

    environment = home.common_environment(Server())  # type: ignore[arg-type]

    assert environment["AIRFLOW__LOGGING__FILE_TASK_HANDLER_NEW_FOLDER_PERMISSIONS"] == "0o700"
    assert environment["AIRFLOW__LOGGING__FILE_TASK_HANDLER_NEW_FILE_PERMISSIONS"] == "0o600"
