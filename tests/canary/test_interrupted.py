"""A load that is killed while its canary is on its way: the same records again, and all of them once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from unittest.mock import patch

import pytest
from psycopg import sql

from coa.load import jobs, observation, rest_update
from coa.load.canary_state import counts
from coa.load.observed import observed
from coa.load_steps import WATCHED_CHUNKS, Step
from coa.salesforce.session import Org
from coa.staging.runs import Run
from coa.staging.tables import Table
from tests.engine.checker import check
from tests.engine.harness import Migration, Migrator
from tests.reconcile.pairs import plan_rows


class Killed(BaseException):
    """What no handler of ours may catch, as no process catches a kill."""


@contextmanager
def killed_at(step_name: str, *, watched: bool) -> Iterator[None]:
    """A kill after a step of the canary was sent, before or after it was looked at."""
    observe = observation.observe

    def dies(run: Run, org: Org, step: Step) -> None:
        if step.chunk_no in WATCHED_CHUNKS and step.name == step_name:
            if watched:
                observe(run, org, step)
            raise Killed(step_name)
        observe(run, org, step)

    with patch.object(jobs, "observe", dies), patch.object(rest_update, "observe", dies):
        yield


def canary_rows(run: Run) -> list[tuple[str, str]]:
    rows = run.db.rows(
        sql.SQL("SELECT sobject, source_id FROM {} ORDER BY 1, 2").format(run.table(Table.CANARY))
    )
    return [(r["sobject"], r["source_id"]) for r in rows]


def expect_clean(pair: Migrator, result: Migration) -> None:
    assert result.state == "verified", result.error
    left_out = {i for (_, i), r in plan_rows(result.run).items() if r["action"] in ("blocked", "held")}
    verdict = check(pair.source, pair.target, left_out)
    assert verdict.clean, str(verdict)


STEPS = (
    "customers",
    "orders",
    "details",
    "frozen_terms_exact",
    "statuses",
    "corrections",
    "received_dates",
    "links",
)


@pytest.mark.parametrize("watched", [False, pytest.param(True, marks=pytest.mark.lane)])
def test_a_load_that_is_killed_at_every_step_of_its_canary_goes_on_with_the_same_records(
    pair: Migrator, watched: bool
) -> None:
    run = pair.start()
    pair.plan(run)
    pair.waive(run)
    chosen: list[list[tuple[str, str]]] = []
    for step in STEPS:
        with killed_at(step, watched=watched), pytest.raises(Killed, match=step):
            pair.load(run)
        chosen.append(canary_rows(run))

    result = pair.go_on(run)

    assert all(rows == chosen[0] for rows in [*chosen, canary_rows(run)])
    assert result.summary["canary"]["verified"] == 25
    assert {r["step"] for r in observed(run)} <= {"customers", "orders", "details", "statuses"}
    assert not [r for r in observed(run) if r["surprise"]]
    expect_clean(pair, result)


@pytest.mark.lane
def test_what_a_killed_run_left_as_draft_comes_first_in_the_next_and_is_proved_with_its_canary(
    pair: Migrator,
) -> None:
    killed = pair.start()
    pair.plan(killed)
    pair.waive(killed)
    with killed_at("details", watched=True), pytest.raises(Killed):
        pair.load(killed)
    killed.lease.release()

    result = pair.migrate(canary=20)

    expect_clean(pair, result)
    found = counts(result.run)
    # All but the genuine Drafts among them, which are as they should be.
    assert 15 < found["unfinished"] <= 25
    assert found["orders"] == 20
    assert result.summary["canary"]["verified"] == found["orders"] + found["unfinished"]
