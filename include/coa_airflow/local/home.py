"""The environment of an Airflow on this machine: where it lives, what it may use, who may log in."""

from __future__ import annotations

import json
import os
import secrets
import socket
import sys
from contextlib import closing
from pathlib import Path

from coa.child_environment import Child, child_environment
from coa.errors import ConfigurationError
from coa.private_files import private_folder
from coa.staging.embedded import AIRFLOW_DATABASE, EmbeddedPostgres
from coa.staging.folders import local_folder, project_folder
from coa_airflow.local.worker import with_our_packages

USERS = {"admin": "admin", "operator": "op", "viewer": "viewer"}
"""Users of a local Airflow and their roles. Their passwords are made on this machine."""


def airflow_home() -> Path:
    """`AIRFLOW_HOME` of the local Airflow."""
    return local_folder() / "airflow"


def dags_folder() -> Path:
    """`dags/` of the checkout. Installed as a package there is none: one file with the factory's DAGs does."""
    checked_out = project_folder() / "dags"
    if checked_out.is_dir():
        return checked_out
    made = airflow_home() / "dags"
    made.mkdir(parents=True, exist_ok=True)
    (made / "coa.py").write_text("from coa_airflow import migration_dags\n\nmigration_dags()\n", "utf-8")
    return made


def common_environment(server: EmbeddedPostgres) -> dict[str, str]:
    """Environment of what runs tasks of a local Airflow. What the caller's environment sets already wins."""
    home, project = private_folder(airflow_home()), project_folder()
    database = server.url(AIRFLOW_DATABASE).replace("postgresql://", "postgresql+psycopg2://", 1)
    wanted = {
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__DAGS_FOLDER": str(dags_folder()),
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(project / "plugins"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": database,
        "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(home / "logs"),
        # Airflow sets these whatever the umask is; by default the group may read and write.
        "AIRFLOW__LOGGING__FILE_TASK_HANDLER_NEW_FOLDER_PERMISSIONS": "0o700",
        "AIRFLOW__LOGGING__FILE_TASK_HANDLER_NEW_FILE_PERMISSIONS": "0o600",
        # Masked wherever Airflow prints a connection's extras.
        "AIRFLOW__CORE__SENSITIVE_VAR_CONN_NAMES": "session_id,consumer_key,security_token",
    }
    result = {**wanted, **child_environment(Child.WORKER)}
    # The home is ours alone: a variable that is meant for another Airflow must not mix the two up.
    result["AIRFLOW_HOME"] = wanted["AIRFLOW_HOME"]
    result = with_our_packages(result)
    # `airflow standalone` starts plain `airflow ...`: the one of this environment must come first.
    result["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    result["PYTHONWARNINGS"] = "ignore"
    return result


def server_environment(server: EmbeddedPostgres, port: int) -> dict[str, str]:
    """Environment of `airflow standalone` with its UI on `port`."""
    log_ports = free_ports(2)
    wanted = {
        "AIRFLOW__CORE__EXECUTOR": "coa_airflow.local.executor.OrderlyLocalExecutor",
        # Eight workers: three lanes, both extracts and room for a second run, without 32 idle processes.
        "AIRFLOW__CORE__PARALLELISM": "8",
        "AIRFLOW__API__PORT": str(port),
        "AIRFLOW__API__HOST": "127.0.0.1",
        # Tasks find the execution API by it: with the port alone changed each task would fail.
        "AIRFLOW__API__BASE_URL": f"http://localhost:{port}",
        "AIRFLOW__API__WORKERS": "1",
        "AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT": str(log_ports[0]),
        "AIRFLOW__LOGGING__TRIGGER_LOG_SERVER_PORT": str(log_ports[1]),
        # A second a step of the chain would be ten seconds of waiting in a run.
        "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.1",
        "AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL": "1",
        # A task whose call to the API server is not answered in 5 seconds is lost: too short on a busy machine.
        "AIRFLOW__WORKERS__EXECUTION_API_TIMEOUT": "30",
        # A task whose process vanished is tried again after this, not after five minutes.
        "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "60",
        "COA_REMIND_HOURS": "24,72,144",
        "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "30",
        "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "30",
        "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": ",".join(f"{u}:{role}" for u, role in USERS.items()),
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(passwords_file()),
    }
    common = common_environment(server)
    fixed = {name: wanted[name] for name in ("AIRFLOW__API__PORT", "AIRFLOW__API__BASE_URL")}
    return {**wanted, **common, **fixed}


def passwords_file() -> Path:
    """Where the passwords of the local Airflow are; only the owner can read it."""
    return airflow_home() / "passwords.json"


def passwords() -> dict[str, str]:
    """Passwords of the users, made at the first call and kept in a file of mode 0600."""
    path = passwords_file()
    try:
        known: dict[str, str] = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        known = {}
    if set(USERS) - set(known):
        known = {user: known.get(user) or secrets.token_urlsafe(9) for user in USERS}
        private_folder(path.parent)
        path.touch(mode=0o600)
        path.write_text(json.dumps(known), "utf-8")
    # Airflow compares the passwords as they stand here, so they cannot be hashed.
    path.chmod(0o600)
    return known


def port_from(variable: str, default: int) -> int:
    """A port number from the environment. Raises `ConfigurationError` for what is no port number."""
    text = os.environ.get(variable) or str(default)
    if not text.isdigit() or not 0 < int(text) < 65536:
        raise ConfigurationError(f"{variable} is {text!r}.", next_step="set it to a port number, 1 to 65535.")
    return int(text)


def require_free(port: int, what: str, variable: str) -> None:
    """Raises `ConfigurationError` when something listens on the port already."""
    with closing(socket.socket()) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise ConfigurationError(
                f"Port {port}, meant for {what}, is in use.",
                next_step=f"stop what listens there, or choose another: {variable}={port + 100} make ...",
            ) from error


def free_ports(count: int) -> list[int]:
    """Ports of this machine that nobody uses at the moment."""
    probes = [socket.socket() for _ in range(count)]
    try:
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [int(probe.getsockname()[1]) for probe in probes]
    finally:
        for probe in probes:
            probe.close()
