"""Scheduled runs load under a standing approval only: in force, and within its limits."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from tests.engine.harness import Migrator
from tests.reconcile.pairs import edit, table

from coa.approval import record as approval
from coa.approval import standing
from coa.errors import RunStopped
from coa.model import NS, ORDER, SOURCE_ID
from coa.staging.runs import Run

COMMENT = NS + "Error_Comment__c"


def form(**other: Any) -> dict[str, Any]:
    until = datetime.now(UTC) + timedelta(days=7)
    return {
        "standing_until": until.isoformat(),
        "standing_records": 10,
        "standing_actions": ["insert", "update"],
        **other,
    }


@pytest.fixture
def moved(pair: Migrator) -> Run:
    """A pair whose orders are moved already."""
    result = pair.migrate()
    assert result.state == "verified", result.error
    return result.run


def change(pair: Migrator, orders: int) -> list[str]:
    changed = [r[SOURCE_ID] for r in table(pair.target, ORDER).values() if r[SOURCE_ID]][:orders]
    for i in changed:
        edit(pair.source, ORDER, i, **{COMMENT: "changed"})
    return changed


def plan(pair: Migrator) -> Run:
    run = pair.start(mode="delta", require_approval=True)
    pair.plan(run)
    return run


def test_a_delta_within_the_limits_is_loaded(pair: Migrator, moved: Run) -> None:
    assert "until" in standing.grant_from_form(moved, form(), "Ada")
    change(pair, 2)
    run = plan(pair)
    approval.record_standing(run)
    pair.load(run)
    pair.verify(run)
    assert pair.finish(run).state == "verified"
    standing.revoke(run)
    # Half a load would leave orders standing as Draft: what has begun is brought to its end.
    approval.require(run, run.row["plan_hash"])
    answer = approval.last_answer(run)
    assert answer is not None
    assert (answer["kind"], answer["answered_by"]) == ("standing", "Ada")


@pytest.mark.parametrize(
    ("granted", "said"),
    [
        (None, "no standing approval"),
        ({"standing_records": 1}, "writes 2 records"),
        ({"standing_actions": ["insert"]}, "does not cover: update"),
    ],
)
def test_without_it_or_beyond_it_nothing_is_loaded(
    pair: Migrator, moved: Run, granted: dict[str, Any] | None, said: str
) -> None:
    if granted is not None:
        standing.grant_from_form(moved, form(**granted), "Ada")
    change(pair, 2)
    run = plan(pair)
    with pytest.raises(RunStopped, match=said) as stopped:
        approval.record_standing(run)
    assert stopped.value.state == "not_approved"
    with pytest.raises(RunStopped, match="no recorded answer"):
        pair.load(run)


def test_one_that_expired_or_was_withdrawn_after_the_gate_saw_it_is_not_enough(
    pair: Migrator, moved: Run
) -> None:
    standing.grant_from_form(moved, form(), "Ada")
    change(pair, 1)
    run = plan(pair)
    approval.record_standing(run)
    run.db.execute("UPDATE coa.standing_approval SET expires_at = now() - interval '1 second'")
    with pytest.raises(RunStopped, match="expired"):
        pair.load(run)
    standing.grant_from_form(moved, form(), "Ada")
    assert (
        standing.grant_from_form(moved, {"standing_records": 0}, "Bert")
        == "The standing approval is withdrawn."
    )
    with pytest.raises(RunStopped, match="no standing approval"):
        pair.load(run)


def test_a_form_that_cannot_be_used_grants_nothing_and_says_why(pair: Migrator) -> None:
    run = pair.start()
    pair.plan(run)
    past = (datetime.now(UTC) - timedelta(days=1)).isoformat()
    far = (datetime.now(UTC) + timedelta(days=400)).isoformat()
    for given in (
        form(standing_until=past),
        form(standing_until=far),
        form(standing_records="many"),
        form(standing_actions=["drop"]),
        form(standing_until=None),
    ):
        assert standing.grant_from_form(run, given, "Ada").startswith("No standing approval")
    assert standing.grant_from_form(run, {"reason": "fine"}, "Ada") == ""
    assert standing.current(run) is None
