"""A shared source, a fresh target and a fresh staging database for each case."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from coa.staging.database import Database
from orgsim.launch import RunningOrg, running_org
from tests.engine.checker import Verdict, check
from tests.engine.harness import FAST, Migration, Migrator

ORDERS = 24
SEED = 11
# Short enough that "slower than the time-out" does not slow the tests down.
IMPATIENT = FAST.model_copy(update={"read_timeout": 2.0, "request_retries": 4})


@pytest.fixture(scope="session")
def fault_source() -> Iterator[RunningOrg]:
    with running_org(role="source", orders=ORDERS, seed=SEED, job_delay=0.02) as org:
        yield org


@pytest.fixture
def migrator(
    fault_source: RunningOrg, database: Database, tmp_path: Path
) -> Iterator[Callable[..., Migrator]]:
    """Makes a migrator whose target is fresh; keyword arguments are switches of the target."""
    with ExitStack() as orgs:

        def make(**switches: object) -> Migrator:
            target = orgs.enter_context(
                running_org(
                    **{"role": "target", "orders": ORDERS, "seed": SEED, "job_delay": 0.02, **switches}
                )
            )
            return Migrator(database, fault_source, target, tmp_path, IMPATIENT)

        yield make


def left_out(migration: Migration) -> set[str]:
    """Source ids that the run lists as blocked, held or refused."""
    with (migration.folder / "rejected_rows.csv").open(encoding="utf-8-sig", newline="") as file:
        return {row["source_id"] for row in csv.DictReader(file)}


def verdict_on(migrator: Migrator, migration: Migration) -> Verdict:
    """The end state of the target, with exactly the records left out that the seeds plant."""
    planted = migrator.source.control("GET", "planted")
    expected = {*planted["blocked_orders"], *planted["blocked_details"]}
    assert left_out(migration) == expected
    return check(migrator.source, migrator.target, expected)
