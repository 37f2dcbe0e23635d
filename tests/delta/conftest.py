"""Two small orgs, fresh for each test: what a test does to them must not meet the next one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from coa.staging.database import Database
from tests.engine.harness import Migrator
from tests.reconcile.pairs import two_orgs


@pytest.fixture
def pair(database: Database, tmp_path: Path) -> Iterator[Migrator]:
    with two_orgs(database, tmp_path) as migrator:
        yield migrator
