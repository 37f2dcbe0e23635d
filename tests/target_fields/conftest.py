"""A target without the migration's fields, and what is deployed to it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from coa.salesforce.session import Org
from orgsim.launch import RunningOrg, running_org
from tests.engine.harness import FAST, connection_to

FOLDER = Path(__file__).parents[2] / "include" / "salesforce_metadata"


@pytest.fixture
def bare() -> Iterator[RunningOrg]:
    """A target without the fields."""
    with running_org(role="target", orders=0, migration_fields=False, job_delay=0.0) as org:
        yield org


@pytest.fixture
def org(bare: RunningOrg) -> Org:
    return Org(connection_to(bare, "coa_target"), FAST)
