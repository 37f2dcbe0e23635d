"""A pair of orgs with more new orders than two canaries."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from coa.staging.database import Database
from tests.engine.harness import Migrator
from tests.reconcile.pairs import two_orgs

ORDERS = 90


@pytest.fixture
def pair(database: Database, tmp_path: Path) -> Iterator[Migrator]:
    with two_orgs(database, tmp_path, orders=ORDERS) as migrator:
        yield migrator
