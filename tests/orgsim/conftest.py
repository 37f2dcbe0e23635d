"""Orgs for the simulator's own tests: one process a module, one HTTP session a test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from orgsim.launch import RunningOrg, running_org
from tests.orgsim.client import Client, connect


@pytest.fixture(scope="module")
def org(request: pytest.FixtureRequest) -> Iterator[RunningOrg]:
    """An org with the settings of the module's ``ORG`` dictionary."""
    switches = {
        "role": "source",
        "orders": 60,
        "seed": 7,
        "job_delay": 0.02,
        **getattr(request.module, "ORG", {}),
    }
    with running_org(**switches) as running:
        yield running


@pytest.fixture
def client(org: RunningOrg) -> Iterator[Client]:
    client = connect(org)
    yield client
    org.control("DELETE", "faults")
    client.http.close()
