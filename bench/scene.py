"""Two fresh orgs of one seed, the staging server, and folders: what a measurement happens in."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import psutil
import psycopg

from coa.staging.embedded import EmbeddedPostgres
from orgsim import tls
from orgsim.launch import RunningOrg, running_org

PROJECT = Path(__file__).resolve().parent.parent
SEED = 7
TRUST = "REQUESTS_CA_BUNDLE"
API_LIMIT = 10_000_000
"""No client of this benchmark shall be stopped by the daily allowance."""


@dataclass
class Scene:
    """What a subject gets to work with."""

    source: RunningOrg
    target: RunningOrg
    folder: Path
    """Its own, empty at the start."""
    tools: Path
    """Installed peers."""
    certificate: Path
    poll_seconds: float
    staging_url: str = ""
    own_pace: bool = False
    """Whether ours looks at jobs when it thinks fit, and not as often as the others."""

    def environment(self, **more: str) -> dict[str, str]:
        """Nothing of the caller's Airflow or project settings; the orgs' certificate is trusted."""
        clean = {k: v for k, v in os.environ.items() if not k.startswith(("AIRFLOW", "COA_", "PARAMS"))}
        return {
            **clean,
            "PYTHONPATH": f"{PROJECT / 'include'}{os.pathsep}{PROJECT}",
            "NO_PROXY": "127.0.0.1,localhost",
            "no_proxy": "127.0.0.1,localhost",
            TRUST: str(self.certificate),
            "NODE_EXTRA_CA_CERTS": str(self.certificate),
            "CURL_CA_BUNDLE": str(self.certificate),
            "HOME": str(self.folder),
            **more,
        }


@contextmanager
def orgs(
    folder: Path, orders: int, source: dict[str, Any] | None = None, target: dict[str, Any] | None = None
) -> Iterator[tuple[RunningOrg, RunningOrg, Path]]:
    """A fresh pair and its certificate; `source` and `target` are settings of one org only.

    Over https for all subjects alike, since some clients know nothing else.
    """
    certificate, key = tls.make(folder / "tls")
    common = {
        "orders": orders,
        "seed": SEED,
        "api_limit": API_LIMIT,
        "bulk_batch_limit": API_LIMIT,
        "bulk_query_limit": API_LIMIT,
        "tls_certificate": str(certificate),
        "tls_key": str(key),
        # A client that does not come to reading, on a busy machine, must not be cut off.
        "keep_alive": 3600,
        "timeout": 1800,
    }
    with running_org(**common, role="source", **(source or {})) as ours:
        with running_org(**common, role="target", **(target or {})) as theirs, trusted(certificate):
            yield ours, theirs, certificate


@contextmanager
def trusted(certificate: Path) -> Iterator[None]:
    """This process asks the orgs for their fields when it writes what the peers are told.

    Only that long: nothing else could be reached, and the next subject may be one that has to be installed.
    """
    before = os.environ.get(TRUST)
    os.environ[TRUST] = str(certificate)
    try:
        yield
    finally:
        del os.environ[TRUST]
        if before is not None:
            os.environ[TRUST] = before


def processor_seconds(org: RunningOrg) -> float:
    times = psutil.Process(org.process.pid).cpu_times()
    return float(times.user + times.system)


@contextmanager
def staging_server(work: Path) -> Iterator[EmbeddedPostgres]:
    """The project's own PostgreSQL in a folder of the benchmark."""
    server = EmbeddedPostgres(work / "local" / "postgres")
    with server.in_use():
        yield server


@contextmanager
def staging_database(server: EmbeddedPostgres) -> Iterator[str]:
    """URL of a new database that ends with the measurement."""
    name = f"bench_{uuid4().hex[:12]}"
    with closing(psycopg.connect(server.admin_url(), autocommit=True)) as admin:
        admin.execute(f"CREATE DATABASE {name} OWNER coa")
        try:
            yield server.url(name)
        finally:
            admin.execute(f"DROP DATABASE {name} WITH (FORCE)")


def python(*arguments: str) -> list[str]:
    return [sys.executable, *arguments]
