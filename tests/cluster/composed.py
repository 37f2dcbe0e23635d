"""Starts what docker-compose.yaml describes as plain processes of this machine, for want of an engine.

Commands, environment and secrets are those of the file as Docker Compose itself resolves it; only names
of hosts and paths inside the containers are replaced. Each component gets a home of its own. The code is
the wheel's, as in the image. PostgreSQL (with TLS, as the file says) and Redis are Debian's.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import requests

PROJECT = Path(__file__).resolve().parents[2]
UV = Path(sys.executable).with_name("uv")
PATIENCE = 300.0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def until(done: Callable[[], Any], what: str, seconds: float = PATIENCE) -> Any:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := done():
            return found
        time.sleep(0.5)
    raise AssertionError(f"{what}: not within {seconds:.0f} s")


def postgres_program(name: str) -> str:
    found = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))
    return str(found[-1]) if found else shutil.which(name) or ""


def what_is_missing() -> str:
    """Why the cluster cannot be started here; empty when it can."""
    missing = [name for name in ("redis-server", "openssl") if not shutil.which(name)]
    if not postgres_program("initdb"):
        missing.append("postgresql")
    return f"install {', '.join(missing)}" if missing else ""


@dataclass
class Composed:
    """The running components, by name."""

    folder: Path
    extra: dict[str, str]
    """For every component."""
    settings: dict[str, str]
    """Values of the file (`.env`), which says itself who gets them."""
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.ports = {name: free_port() for name in ("postgres", "redis", "apiserver")}
        self.values = {
            "AIRFLOW_JWT_SECRET": secrets.token_hex(48),
            "AIRFLOW_SECRET_KEY": secrets.token_hex(24),
            "AIRFLOW_FERNET_KEY": "ZmVybmV0LWtleS1mb3ItdGVzdHMtMzItYnl0ZXMhISE=",
            "POSTGRES_ADMIN_PASSWORD": secrets.token_hex(16),
            "POSTGRES_PASSWORD": secrets.token_hex(16),
            "STAGING_PASSWORD": secrets.token_hex(16),
            "REDIS_PASSWORD": secrets.token_hex(16),
            "AIRFLOW_BASE_URL": f"http://127.0.0.1:{self.ports['apiserver']}",
            "COA_CERTIFICATES": str(self.folder / "certs"),
            "WORKER_CONCURRENCY": "2",
            **self.settings,
        }
        self.password = secrets.token_hex(8)
        subprocess.run(
            [str(PROJECT / "scripts/certificates.sh"), str(self.folder / "certs")],
            check=True,
            stdout=subprocess.DEVNULL,
        )
        # Containers get the files themselves; here PostgreSQL's user has to come by the folder.
        (self.folder / "certs").chmod(0o755)
        self.services = self._resolved()["services"]
        self.installed = self._install_wheel()

    def _install_wheel(self) -> Path:
        """A folder with the package alone, built and installed as the Dockerfile does: it has no plugins folder."""
        hashed = ("--build-constraints", PROJECT / "requirements-build.lock", "--require-hashes")
        built, installed = self.folder / "dist", self.folder / "packages"
        self._uv("build", "--wheel", *hashed, "--out-dir", built, PROJECT)
        self._uv("pip", "install", "--no-deps", "--no-index", "--target", installed, *built.glob("*.whl"))
        return installed

    @staticmethod
    def _uv(*words: str | Path) -> None:
        done = subprocess.run([UV, *words, "--quiet"], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr

    # ---- the file -----------------------------------------------------------------------------
    def _resolved(self) -> dict[str, Any]:
        package = find_spec("compose")
        assert package is not None
        assert package.origin is not None
        done = subprocess.run(
            [str(Path(package.origin).parent / "docker-compose"), "config", "--format", "json"],
            cwd=PROJECT,
            env={"PATH": os.environ["PATH"], "HOME": str(self.folder), **self.values},
            capture_output=True,
            check=True,
        )
        resolved: dict[str, Any] = json.loads(done.stdout)
        return resolved

    def _here(self, text: str, home: Path) -> str:
        """A value of the file with this machine's hosts and paths."""
        for old, new in (
            ("@postgres:5432", f"@localhost:{self.ports['postgres']}"),
            ("@redis:6379", f"@127.0.0.1:{self.ports['redis']}"),
            ("http://apiserver:8080", f"http://127.0.0.1:{self.ports['apiserver']}"),
            ("/run/secrets/ca", str(self.folder / "certs/ca.pem")),
            ("/opt/airflow/artifacts", str(self.folder / "artifacts")),
            ("/tmp/airflow", str(home)),
            ("/opt/airflow", str(home)),
        ):
            text = text.replace(old, new)
        return text

    def environment(self, service: str, home: Path) -> dict[str, str]:
        described = self.services[service]["environment"]
        return {
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "HOME": str(home),
            "AIRFLOW_HOME": str(home),
            # What the Dockerfile installs and sets.
            "PYTHONPATH": str(self.installed),
            "AIRFLOW__CORE__DAGS_FOLDER": str(PROJECT / "dags"),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            **{name: self._here(str(value), home) for name, value in described.items() if value is not None},
            # Containers have a network each; here every server needs a port of its own.
            "AIRFLOW__API__PORT": str(self.ports["apiserver"]),
            "AIRFLOW__API__HOST": "127.0.0.1",
            "AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT": str(free_port()),
            "AIRFLOW__LOGGING__TRIGGER_LOG_SERVER_PORT": str(free_port()),
            "AIRFLOW__SCHEDULER__SCHEDULER_HEALTH_CHECK_SERVER_PORT": str(free_port()),
            **self.extra,
        }

    # ---- processes ----------------------------------------------------------------------------
    def start(self, service: str, name: str = "", command: list[str] | None = None) -> None:
        """A component as its service says; `name` when there are several of one service."""
        name = name or service
        home = self.folder / name
        home.mkdir(parents=True, exist_ok=True)
        self._spawn(
            name,
            [sys.executable, "-m", "airflow", *(command or self.services[service]["command"])],
            self.environment(service, home),
        )

    def _spawn(self, name: str, command: list[str], environment: dict[str, str], **more: Any) -> None:
        with (self.folder / f"{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                command,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                **more,
            )

    def up(self, workers: int) -> None:
        self._start_postgres()
        self._spawn(
            "redis",
            ["redis-server", "--port", str(self.ports["redis"]), "--bind", "127.0.0.1", "--save", "",
             "--requirepass", self.values["REDIS_PASSWORD"]],
            dict(os.environ),
        )  # fmt: skip
        self.start("init")
        assert self.processes.pop("init").wait(PATIENCE) == 0, self.log("init")
        names = ("--username", "admin", "--role", "Admin", "--firstname", "Ann", "--lastname", "Admin")
        self.start(
            "init",
            "user",
            ["users", "create", *names, "--email", "ann@example.com", "--password", self.password],
        )
        assert self.processes.pop("user").wait(PATIENCE) == 0, self.log("user")
        for service in ("apiserver", "scheduler", "dag-processor", "triggerer"):
            self.start(service)
        for number in range(1, workers + 1):
            self.start("worker", f"worker{number}", self._worker(number))
        until(self._answers, "the API server")
        until(lambda: self.call("GET", "dags/coa_migrate").status_code == 200, "the DAG coa_migrate")

    def _worker(self, number: int) -> list[str]:
        # Containers have host names; workers of one machine need names.
        return [*self.services["worker"]["command"], "--celery-hostname", f"worker{number}@%h"]

    def _start_postgres(self) -> None:
        data, certs = self.folder / "postgres", self.folder / "certs"
        password = self.folder / "postgres-password"
        password.write_text(self.values["POSTGRES_ADMIN_PASSWORD"])
        user: dict[str, Any] = {}
        if os.geteuid() == 0:
            # PostgreSQL refuses to run as root. Debian's package made this user.
            user = {"user": "postgres", "group": "postgres"}
        data.mkdir()
        # As the entrypoint of the service does: a copy of the key for the server alone.
        shutil.copy(certs / "postgres.key", self.folder / "server.key")
        for path in (data, password, self.folder / "server.key"):
            path.chmod(0o700 if path.is_dir() else 0o600)
            if user:
                shutil.chown(path, "postgres", "postgres")
        initdb = [postgres_program("initdb"), "-D", str(data), "-U", "postgres", "-A", "scram-sha-256",
                  "--pwfile", str(password)]  # fmt: skip
        subprocess.run(initdb, check=True, stdout=subprocess.DEVNULL, cwd="/", **user)
        self._spawn(
            "postgres",
            [postgres_program("postgres"), "-D", str(data), "-p", str(self.ports["postgres"]),
             "-k", str(data), "-c", "listen_addresses=localhost", "-c", "ssl=on",
             "-c", f"ssl_cert_file={certs / 'postgres.pem'}",
             "-c", f"ssl_key_file={self.folder / 'server.key'}"],
            {"PATH": os.environ["PATH"]},
            cwd="/",
            **user,
        )  # fmt: skip
        until(self._databases_made, "PostgreSQL", 60)

    def _databases_made(self) -> bool:
        """The databases that image and init script make."""
        import psycopg

        password = self.values["POSTGRES_ADMIN_PASSWORD"]
        address = (
            f"host=localhost port={self.ports['postgres']} user=postgres dbname=postgres password={password}"
        )
        try:
            with psycopg.connect(address, autocommit=True) as admin:
                admin.execute(f"CREATE ROLE airflow LOGIN PASSWORD '{self.values['POSTGRES_PASSWORD']}'")
                admin.execute("CREATE DATABASE airflow OWNER airflow")
                admin.execute(f"CREATE ROLE coa LOGIN PASSWORD '{self.values['STAGING_PASSWORD']}'")
                admin.execute("CREATE DATABASE coa_staging OWNER coa")
                admin.execute("REVOKE ALL ON DATABASE airflow, coa_staging, postgres, template1 FROM PUBLIC")
        except psycopg.OperationalError:
            return False
        return True

    @property
    def staging_url(self) -> str:
        home = self.folder / "apiserver"
        return self._here(str(self.services["worker"]["environment"]["AIRFLOW_CONN_COA_STAGING"]), home)

    def kill(self, name: str) -> None:
        """SIGKILL for a component and all that it started, as when its machine is gone."""
        process = self.processes.pop(name)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(30)

    def down(self) -> None:
        for process in reversed(self.processes.values()):
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGTERM)
        for process in reversed(self.processes.values()):
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait(30)

    def log(self, name: str, characters: int = 3000) -> str:
        return (self.folder / f"{name}.log").read_text(errors="replace")[-characters:]

    # ---- Airflow's API ------------------------------------------------------------------------
    def _answers(self) -> bool:
        try:
            return requests.get(f"{self.values['AIRFLOW_BASE_URL']}/api/v2/version", timeout=5).ok
        except requests.RequestException:
            return False

    def call(self, method: str, path: str, body: Any = None) -> requests.Response:
        base = self.values["AIRFLOW_BASE_URL"]
        token = requests.post(
            f"{base}/auth/token", json={"username": "admin", "password": self.password}, timeout=PATIENCE
        ).json()["access_token"]
        return requests.request(
            method,
            f"{base}/api/v2/{path}",
            json=body,
            headers={"Authorization": f"Bearer {token}"},
            timeout=PATIENCE,
        )
