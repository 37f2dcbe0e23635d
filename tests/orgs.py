"""Orgs in a tenth of the time: forked from a process that has imported orgsim and kept the small ones it seeded.

A fresh `python -m orgsim` spends a second of CPU on imports, two on the tables of its SOQL parser and a part of
one on seeding, and the tests start several hundreds. `use_forked_orgs()` puts `spawn` in the place of
`orgsim.launch.spawn`; an org is a process of its own as before. As a program (`python -m tests.orgs FD`) this
is the process that is forked from.
"""

from __future__ import annotations

import atexit
import contextlib
import io
import json
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from typing import IO, Any, cast

SMALL = 300
"""Orders up to which a seeded org is kept: `test_the_same_seed_gives_the_same_org` seeds more, anew each time."""
KEPT = 24
READ = 65536


# ---- in the tests' process -----------------------------------------------------------------------------------


class Forked:
    """What `subprocess.Popen` is to a program of ours, for a process that another one forked."""

    def __init__(self, nursery: Nursery, pid: int, stdout: IO[bytes]) -> None:
        self._nursery = nursery
        self.pid = pid
        self.stdout = stdout
        self.returncode: int | None = None

    def poll(self) -> int | None:
        if self.returncode is None:
            self.returncode = self._nursery.ask({"ended": self.pid})
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        if self.returncode is None:
            self.returncode = self._nursery.ask({"wait": self.pid, "seconds": timeout})
        if self.returncode is None:
            raise subprocess.TimeoutExpired(f"org {self.pid}", timeout or 0)
        return self.returncode

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


class Nursery:
    """The process that orgs are forked from, started at the first org; it ends with this one."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._ours: socket.socket | None = None

    def _connected(self) -> socket.socket:
        if self._ours is None:
            self._ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            with theirs:
                subprocess.Popen(
                    [sys.executable, "-m", "tests.orgs", str(theirs.fileno())],
                    pass_fds=[theirs.fileno()],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    env={**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)},
                )
            atexit.register(self._ours.close)
        return self._ours

    def ask(self, question: dict[str, Any], descriptors: tuple[int, ...] = ()) -> int | None:
        with self._lock:
            link = self._connected()
            socket.send_fds(link, [json.dumps(question).encode()], list(descriptors))
            answer = link.recv(READ)
        if not answer:
            raise RuntimeError("the process that orgs are forked from has ended")
        return cast("int | None", json.loads(answer))

    def spawn(self, arguments: list[str]) -> subprocess.Popen[bytes]:
        reads, writes = os.pipe()
        errors = os.dup(2)
        try:
            pid = self.ask({"start": arguments}, (writes, errors))
        finally:
            os.close(writes)
            os.close(errors)
        assert pid is not None
        return cast("subprocess.Popen[bytes]", Forked(self, pid, io.open(reads, "rb")))  # noqa: UP020


def use_forked_orgs() -> None:
    from orgsim import launch

    launch.spawn = Nursery().spawn


# ---- in the process that is forked from -----------------------------------------------------------------------


def key(settings: Any) -> str:
    return json.dumps({**settings.as_dict(), "port": 0}, sort_keys=True)


class ForkServer:
    """Forks an org for each request on a socket, and keeps the small ones seeded for the next fork."""

    def __init__(self, link: socket.socket) -> None:
        self.link = link
        self.seeded: dict[str, Any] = {}
        self.running: set[int] = set()

    def serve(self) -> None:
        """Answers until the other side is gone; orgs that still run are stopped then."""
        while True:
            data, descriptors, _, _ = socket.recv_fds(self.link, READ, 2)
            if not data:
                break
            asked = json.loads(data)
            if "start" in asked:
                reply: int | None = self._start(asked["start"], descriptors)
            elif "wait" in asked:
                reply = self._waited(asked["wait"], asked["seconds"])
            else:
                reply = self._ended(asked["ended"], block=False)
            self.link.send(json.dumps(reply).encode())
        for pid in self.running:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)

    def _start(self, arguments: list[str], descriptors: list[int]) -> int:
        self._prepare(arguments)
        pid = os.fork()
        if pid == 0:
            status = 1
            try:
                self._be_an_org(arguments, *descriptors)
                status = 0
            except SystemExit as end:
                print(end.code if isinstance(end.code, str) else "", file=sys.stderr)
                status = end.code if isinstance(end.code, int) else 1
            finally:
                sys.stdout.flush()
                sys.stderr.flush()
                os._exit(status)
        for one in descriptors:
            os.close(one)
        self.running.add(pid)
        return pid

    def _be_an_org(self, arguments: list[str], stdout: int, stderr: int) -> None:
        from orgsim.__main__ import answer, build, listen
        from orgsim.settings import from_arguments

        self.link.close()
        os.dup2(stdout, 1)
        os.dup2(stderr, 2)
        os.close(stdout)
        os.close(stderr)
        random.seed()
        settings = from_arguments(arguments)
        sock = listen(settings)
        org = self.seeded.get(key(settings)) or build(settings)
        # A restarted port is this org's own; everything else of the settings is what was seeded.
        org.settings.port = settings.port
        answer(org, sock)

    def _prepare(self, arguments: list[str]) -> None:
        """Seeds here what the next fork finds ready. What cannot be, fails in the fork, where it is told."""
        from orgsim.__main__ import build
        from orgsim.settings import from_arguments

        with contextlib.suppress(SystemExit, Exception), contextlib.redirect_stderr(io.StringIO()):
            settings = from_arguments(arguments)
            if settings.orders <= SMALL and key(settings) not in self.seeded:
                made = build(settings)
                if len(self.seeded) >= KEPT:
                    self.seeded.pop(next(iter(self.seeded)))
                self.seeded[key(settings)] = made

    def _ended(self, pid: int, block: bool) -> int | None:
        if pid not in self.running:
            return 0
        found, status = os.waitpid(pid, 0 if block else os.WNOHANG)
        if not found:
            return None
        self.running.discard(pid)
        return os.waitstatus_to_exitcode(status)

    def _waited(self, pid: int, seconds: float | None) -> int | None:
        deadline = time.monotonic() + (seconds if seconds is not None else 3600)
        while True:
            code = self._ended(pid, block=False)
            if code is not None or time.monotonic() > deadline:
                return code
            time.sleep(0.005)


def main(descriptor: int) -> None:
    from orgsim.soql.tree import parse

    # The tables of the parser of SOQL take two seconds, at the first query of each process.
    parse("SELECT Id FROM Organization")
    ForkServer(socket.socket(fileno=descriptor)).serve()


if __name__ == "__main__":
    main(int(sys.argv[1]))
