"""Seeded random schedules of several faults at once: the end state of the target is the fault-free one."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from coa.staging.embedded import EmbeddedPostgres
from coa.staging.runs import Run
from tests.engine.harness import AFTER_PLAN, Migration, Migrator
from tests.engine.kept import Pair, Scene, restored
from tests.faults.conftest import IMPATIENT, SEED, verdict_on
from tests.faults.test_fault_matrix import ENDPOINTS, FAULTS

SCHEDULES = 200
SAMPLE = (14,)
SMALL = range(1000, 1020)
JOB_FAULTS: list[dict[str, Any]] = [
    {"kind": "lock_rows", "fraction": 0.3, "times": 3},
    {"kind": "job_failed", "batches": 0, "times": 1},
    {"kind": "rows_vanish", "fraction": 0.2, "times": 2},
    {"kind": "slow_job", "seconds": 0.3, "times": 3},
]


def schedule(seed: int) -> list[dict[str, Any]]:
    """Three to six faults; each 401 strikes once, because one after the other without end means a wrong password."""
    dice = random.Random(seed)
    rules: list[dict[str, Any]] = []
    for _ in range(dice.randint(3, 6)):
        if dice.random() < 0.25:
            rules.append({**dice.choice(JOB_FAULTS), "skip": dice.randint(0, 5)})
            continue
        endpoint = dice.choice([e for e in ENDPOINTS if e not in ("token", "versions")])
        fault = FAULTS[dice.choice([f for f in FAULTS if f != "too_slow"])]
        rules.append({**ENDPOINTS[endpoint], **fault, "skip": dice.randint(0, 6)})
    return rules


def _expect_clean(made: Migrator, migration: Migration, seed: int) -> None:
    assert migration.state == "verified", f"seed {seed}: {migration.error}"
    verdict = verdict_on(made, migration)
    assert verdict.clean, f"seed {seed}: {verdict}"


def _whole_run(make: Callable[..., Migrator], seed: int) -> None:
    made = make()
    made.target.control("POST", "faults", schedule(seed), seed=str(seed))
    _expect_clean(made, made.migrate_with_retries(tries=10, chunk_size=12), seed)


@pytest.mark.lane
@pytest.mark.parametrize("seed", SAMPLE)
def test_several_faults_at_once_leave_no_trace(migrator: Callable[..., Migrator], seed: int) -> None:
    _whole_run(migrator, seed)


@pytest.mark.faults
@pytest.mark.parametrize("seed", [s for s in range(SCHEDULES) if s not in SAMPLE])
def test_no_random_schedule_leaves_a_trace(migrator: Callable[..., Migrator], seed: int) -> None:
    _whole_run(migrator, seed)


# ---- small ones: from the approved plan of a few orders to the proof ----------------------------------------
def _approved(pair: Migrator) -> Run:
    run = pair.start(chunk_size=3)
    pair.plan(run)
    pair.waive(run)
    return run


APPROVED = Scene("approved", _approved, {"orders": 8, "seed": SEED, "job_delay": 0.0})


@pytest.fixture
def approved(postgres_server: EmbeddedPostgres, shared_folder: Path, tmp_path: Path) -> Iterator[Pair]:
    with restored(APPROVED, postgres_server, shared_folder, tmp_path) as pair:
        yield pair


@pytest.mark.parametrize("seed", SMALL)
def test_no_schedule_leaves_a_trace_in_a_load_of_a_few_orders(approved: Pair, seed: int) -> None:
    pair, run = approved
    made = replace(pair, settings=IMPATIENT)
    made.target.control("POST", "faults", schedule(seed), seed=str(seed))

    migration = made.go_on(Run.load(made.db, IMPATIENT, run.run_id), tries=10, stages=AFTER_PLAN)

    _expect_clean(made, migration, seed)
