"""Start and stop orgs as processes: for tests, demos and benchmarks.

with running_org(role="target", orders=50, seed=7) as org:
    org.url, org.consumer_key, org.consumer_secret
    org.control("GET", "planted")
"""

from __future__ import annotations

import json
import os
import select
import ssl
import subprocess
import sys
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orgsim.settings import Settings, to_arguments


class OrgDidNotStart(RuntimeError):
    """The process ended, or did not announce itself in time; the message has what it printed."""


@dataclass
class RunningOrg:
    """A local org in a process of its own."""

    url: str
    org_id: str
    settings: Settings
    process: subprocess.Popen[bytes]

    @property
    def consumer_key(self) -> str:
        return self.settings.consumer_key

    @property
    def consumer_secret(self) -> str:
        return self.settings.consumer_secret

    def control(self, method: str, path: str, body: object = None, **query: str) -> Any:
        """A control call, e.g. ``control("POST", "faults", {"kind": "html_503"})``; the answer's JSON."""
        address = f"{self.url}/control/{path}"
        if query:
            address += "?" + urllib.parse.urlencode(query)
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(address, data, method=method)
        with urllib.request.urlopen(request, timeout=300, context=self._trust()) as answer:
            content = answer.read()
        return json.loads(content) if content else None

    def snapshot(self) -> bytes:
        """The whole org as bytes: `restore` takes it back, as does ``python -m orgsim --restore FILE``."""
        with urllib.request.urlopen(
            f"{self.url}/control/snapshot", timeout=300, context=self._trust()
        ) as answer:
            return bytes(answer.read())

    def restore(self, snapshot: bytes) -> None:
        """Makes the org what it was; it must have been started with the same role, seed and shape."""
        request = urllib.request.Request(f"{self.url}/control/snapshot", snapshot, method="PUT")
        with urllib.request.urlopen(request, timeout=300, context=self._trust()):
            return

    def records(self, soql: str) -> list[dict[str, Any]]:
        """What a query finds, without a session and without counting as a call."""
        found: list[dict[str, Any]] = self.control("GET", "query", q=soql)["records"]
        return found

    def count(self, soql: str) -> int:
        return int(self.control("GET", "query", q=soql)["totalSize"])

    def login(self) -> str:
        """An access token by client credentials."""
        form = {
            "grant_type": "client_credentials",
            "client_id": self.consumer_key,
            "client_secret": self.consumer_secret,
        }
        with urllib.request.urlopen(
            f"{self.url}/services/oauth2/token",
            urllib.parse.urlencode(form).encode(),
            timeout=300,
            context=self._trust(),
        ) as answer:
            token: str = json.loads(answer.read())["access_token"]
        return token

    def _trust(self) -> ssl.SSLContext | None:
        """An https org's own certificate is trusted, nothing else."""
        certificate = self.settings.tls_certificate
        return ssl.create_default_context(cafile=certificate) if certificate else None

    def stop(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(10)
        if self.process.stdout is not None:
            self.process.stdout.close()


def program(arguments: list[str]) -> subprocess.Popen[bytes]:
    """``python -m orgsim`` with these arguments; what it prints can be read."""
    environment = dict(os.environ)
    environment["PYTHONPATH"] = (
        str(Path(__file__).resolve().parent.parent) + os.pathsep + environment.get("PYTHONPATH", "")
    )
    return subprocess.Popen(
        [sys.executable, "-m", "orgsim", *arguments],
        stdout=subprocess.PIPE,
        env=environment,
        stdin=subprocess.DEVNULL,
    )


#: How the process of an org is made. Who needs hundreds of orgs may put a faster way here, as our tests do.
spawn: Callable[[list[str]], subprocess.Popen[bytes]] = program


def start(*, timeout: float = 300, **switches: Any) -> RunningOrg:
    """Start an org with these settings (:class:`Settings`; port 0, a free one, by default), wait till it listens."""
    switches = {"port": 0, **switches}
    process = spawn(to_arguments(switches))
    line = _first_line(process, timeout)
    words = line.split()
    if words[:3] != ["orgsim", "ready", "on"]:
        process.kill()
        process.wait(10)
        raise OrgDidNotStart(f"orgsim with {switches} said: {line!r}")
    return RunningOrg(words[3], words[5], Settings(**switches), process)


def _first_line(process: subprocess.Popen[bytes], timeout: float) -> str:
    """What the process prints first; empty when it ends or keeps silent."""
    assert process.stdout is not None
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        ready, _, _ = select.select([process.stdout], [], [], 0.5)
        if ready:
            return process.stdout.readline().decode()
        if process.poll() is not None:
            return ""
    return ""


@contextmanager
def running_org(**switches: Any) -> Iterator[RunningOrg]:
    """An org for the length of a ``with`` block."""
    org = start(**switches)
    try:
        yield org
    finally:
        org.stop()


@contextmanager
def running_pair(
    *, target: dict[str, Any] | None = None, **switches: Any
) -> Iterator[tuple[RunningOrg, RunningOrg]]:
    """Source and target of one seed; ``target`` has settings for the target only."""
    with running_org(**{"role": "source", **switches}) as source:
        with running_org(**{**switches, "role": "target", **(target or {})}) as other:
            yield source, other
