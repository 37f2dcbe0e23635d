"""Orgs that are asked, and the sessions to ask with."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from coa.config import Settings
from coa.contract.ledger import MemoryLedger
from coa.contract.marks import new_key
from coa.contract.probe_org import ProbeOrg
from coa.salesforce.session import Org, OrgConnection
from orgsim.launch import RunningOrg, running_org

QUICK = Settings(poll_first_seconds=0.02, poll_max_seconds=0.1, retry_first_seconds=0.02, request_retries=2)
SMALL: dict[str, Any] = {"role": "target", "orders": 5, "sandbox": True, "job_delay": 0.01}


def session(org: RunningOrg) -> Org:
    return Org(
        OrgConnection(
            "coa_target", org.url, consumer_key=org.consumer_key, consumer_secret=org.consumer_secret
        ),
        QUICK,
    )


def probe_org(org: RunningOrg, *, status_allowed: bool = True) -> ProbeOrg:
    return ProbeOrg(session(org), MemoryLedger(new_key()), status_allowed=status_allowed)


@pytest.fixture
def sandbox() -> Iterator[Callable[..., RunningOrg]]:
    """Starts a small sandbox with these settings."""
    with ExitStack() as stack:
        yield lambda **settings: stack.enter_context(running_org(**{**SMALL, **settings}))
