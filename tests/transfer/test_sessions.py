"""A session that ends in the middle of a call."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from coa.errors import AuthenticationFailed
from coa.model import ORDER
from coa.salesforce.session import MOST_RENEWALS, Org
from orgsim.launch import RunningOrg, running_org
from tests.engine.harness import FAST, connection_to

QUERY = {"method": "GET", "path": "/query", "kind": "invalid_session"}


@pytest.fixture(scope="module")
def running() -> Iterator[RunningOrg]:
    with running_org(role="source", orders=5, seed=3) as org:
        yield org


@pytest.fixture
def org(running: RunningOrg) -> Iterator[Org]:
    yield Org(connection_to(running, "coa_source"), FAST)
    running.control("DELETE", "faults")


@pytest.mark.parametrize("times", range(1, MOST_RENEWALS + 1))
def test_a_session_that_ended_is_replaced(running: RunningOrg, org: Org, times: int) -> None:
    running.control("POST", "faults", {**QUERY, "times": times})

    assert org.count(ORDER) == 5


def test_an_org_that_takes_no_session_is_told_with_what_to_check(running: RunningOrg, org: Org) -> None:
    running.control("POST", "faults", {**QUERY, "times": 100})

    with pytest.raises(AuthenticationFailed, match=r"coa_source: GET .* answered 401") as told:
        org.count(ORDER)

    assert "check the connection coa_source" in told.value.next_step
    assert running.control("GET", "faults")[0]["fired"] == MOST_RENEWALS + 1
