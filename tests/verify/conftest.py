"""A good migration between two small orgs, once for the module that damages its target."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.engine.harness import Migrator

from coa.staging.database import Database
from orgsim.launch import running_pair

ORDERS = 260


@pytest.fixture(scope="module")
def world(module_database: Database, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Migrator]:
    """Two orgs with a partner's own fields; nothing moved yet."""
    with running_pair(orders=ORDERS, seed=5, job_delay=0.01, partner_fields=True) as (source, target):
        yield Migrator(module_database, source, target, tmp_path_factory.mktemp("artifacts"))
