"""The two wheels, built, and an empty environment with nothing in it but them and what they ask for."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]
UV = Path(sys.executable).with_name("uv")

Command = Callable[..., str]


def run(*command: str | Path, cwd: Path, environment: dict[str, str] | None = None) -> str:
    done = subprocess.run(
        [str(word) for word in command], cwd=cwd, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, (
        f"{' '.join(map(str, command))}\n{done.stdout[-3000:]}\n{done.stderr[-6000:]}"
    )
    return done.stdout


@pytest.fixture(scope="session")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Wheels by distribution, each built from its source distribution as `uv build` does."""
    folder = tmp_path_factory.mktemp("dist")
    for source in (PROJECT, PROJECT / "include/orgsim"):
        run(UV, "build", "--quiet", "--out-dir", folder, source, cwd=folder)
    return {path.name.split("-")[0]: path for path in folder.glob("*.whl")}


@pytest.fixture(scope="session")
def bare(tmp_path_factory: pytest.TempPathFactory, wheels: dict[str, Path]) -> Path:
    """The programs of an environment in which somebody installed our wheel and nothing else."""
    return _environment(tmp_path_factory.mktemp("bare"), str(wheels["coa_migration"]))


@pytest.fixture(scope="session")
def full(tmp_path_factory: pytest.TempPathFactory, wheels: dict[str, Path]) -> Path:
    """The same with the extra `demo`."""
    ours = f"coa-migration[demo] @ {wheels['coa_migration'].as_uri()}"
    return _environment(tmp_path_factory.mktemp("full"), ours, str(wheels["coa_orgsim"]))


def _environment(folder: Path, *packages: str) -> Path:
    run(UV, "venv", "--quiet", "--python", sys.executable, folder / "venv", cwd=folder)
    programs = folder / "venv/bin"
    run(
        *(str(UV), "pip", "install", "--quiet", "--python", str(programs / "python"), *packages),
        *("--constraint", str(PROJECT / "constraints.txt")),
        cwd=folder,
        environment={**os.environ, "UV_HTTP_TIMEOUT": "180"},
    )
    return programs


@pytest.fixture
def airflow_home(tmp_path: Path) -> dict[str, str]:
    """Environment of an Airflow far from the project: nothing of it on any path."""
    clean = {
        k: v for k, v in os.environ.items() if not k.startswith(("AIRFLOW", "COA_", "PYTHON", "VIRTUAL"))
    }
    (tmp_path / "dags").mkdir()
    (tmp_path / "plugins").mkdir()
    return {
        **clean,
        "HOME": str(tmp_path),
        "AIRFLOW_HOME": str(tmp_path),
        "AIRFLOW__CORE__DAGS_FOLDER": str(tmp_path / "dags"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__LOGGING__LOGGING_LEVEL": "WARNING",
        "COLUMNS": "300",
    }
