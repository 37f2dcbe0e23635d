"""A load by one pass that is killed at each of its steps: the same end, no order twice, none left a Draft."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

from coa.load import jobs, one_pass, steps
from coa.load.one_pass_state import count_ways
from coa.plan.one_pass import ONE_PASS, SET_BACK
from coa.staging.database import Database
from tests.canary.test_interrupted import Killed, expect_clean, killed_at
from tests.canary.test_one_pass import RULES_OFF
from tests.engine.harness import Migrator
from tests.reconcile.pairs import two_orgs


@contextmanager
def killed_in(module: Any, name: str, *, after: bool) -> Iterator[None]:
    """A kill before or after a function's work of the first call."""
    real = getattr(module, name)

    def dies(*args: Any, **more: Any) -> Any:
        if after:
            real(*args, **more)
        raise Killed(name)

    with patch.object(module, name, dies):
        yield


def kills() -> list[Any]:
    return [
        # Of the first order alone: where it is set back, no other one is looked at.
        killed_in(one_pass, "_look_at", after=False),
        killed_in(one_pass, "_look_at", after=True),
        killed_at("orders_one_pass", watched=False),
        killed_at("details", watched=False),
        killed_in(one_pass, "_judge", after=False),
        killed_in(one_pass, "_judge", after=True),
        killed_in(one_pass, "_plan_way_back", after=True),
        killed_in(one_pass, "_send_refused_details_again", after=True),
        killed_in(steps, "settle_units", after=True),
        killed_in(jobs, "apply_results", after=True),
    ]


@pytest.mark.lane
@pytest.mark.parametrize("refused", [False, True])
def test_a_load_by_one_pass_that_is_killed_at_every_step_ends_the_same(
    database: Database, tmp_path: Path, refused: bool
) -> None:
    with two_orgs(
        database, tmp_path, orders=90, target={**RULES_OFF, "details_under_drafts": refused}
    ) as pair:
        run = pair.start()
        pair.plan(run)
        pair.waive(run)
        for kill in kills():
            with kill, pytest.raises(Killed):
                pair.load(run)

        result = pair.go_on(run)

        expect_clean(pair, result)
        assert (SET_BACK in count_ways(run)) == refused
        assert (ONE_PASS in count_ways(run)) != refused


@pytest.mark.lane
def test_the_next_run_finishes_what_a_killed_one_pass_left(database: Database, tmp_path: Path) -> None:
    with two_orgs(database, tmp_path, orders=90, target=RULES_OFF) as pair:
        killed: Migrator = pair
        run = killed.start()
        killed.plan(run)
        killed.waive(run)
        with killed_in(one_pass, "_look_at", after=False), pytest.raises(Killed):
            killed.load(run)
        run.lease.release()

        expect_clean(pair, pair.migrate())
