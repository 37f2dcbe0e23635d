"""Scheduled runs load under a standing approval only: in force, and within its limits."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.engine.harness import Migrator
from tests.engine.kept import Pair
from tests.reconcile.pairs import edit, table

from coa.approval import record as approval
from coa.approval import standing
from coa.approval.terms import granted_params
from coa.config import RunParams
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
def pair(moved_pair: Pair) -> Migrator:
    """A pair whose orders are moved already."""
    return moved_pair[0]


@pytest.fixture
def first(moved_pair: Pair) -> Run:
    """The run that moved them."""
    return moved_pair[1]


def change(pair: Migrator, orders: int) -> list[str]:
    changed = [r[SOURCE_ID] for r in table(pair.target, ORDER).values() if r[SOURCE_ID]][:orders]
    for i in changed:
        edit(pair.source, ORDER, i, **{COMMENT: "changed"})
    return changed


def plan(pair: Migrator) -> Run:
    run = pair.start(mode="delta", require_approval=True)
    pair.plan(run)
    return run


def test_a_delta_within_the_limits_is_loaded(pair: Migrator, first: Run) -> None:
    assert "until" in standing.grant_from_form(first, form(), "Ada")
    change(pair, 2)
    run = plan(pair)
    approval.record_standing(run)
    pair.load(run)
    pair.verify(run)
    assert pair.finish(run).state == "verified"
    standing.revoke(run)
    # Half a load would leave orders standing as Draft: what has begun is brought to its end.
    approval.require(run, str(run.record.plan_hash))
    answer = approval.last_answer(run)
    assert answer is not None
    assert (answer["kind"], answer["answered_by"]) == ("standing", "Ada")


@pytest.mark.parametrize(
    ("granted", "said"),
    [
        (None, "no standing approval"),
        pytest.param({"standing_records": 1}, "writes 2 records", marks=pytest.mark.lane),
        ({"standing_actions": ["insert"]}, "does not cover: update"),
    ],
)
def test_without_it_or_beyond_it_nothing_is_loaded(
    pair: Migrator, first: Run, granted: dict[str, Any] | None, said: str
) -> None:
    if granted is not None:
        standing.grant_from_form(first, form(**granted), "Ada")
    change(pair, 2)
    run = plan(pair)
    with pytest.raises(RunStopped, match=said) as stopped:
        approval.record_standing(run)
    assert stopped.value.state == "not_approved"
    with pytest.raises(RunStopped, match="no recorded answer"):
        pair.load(run)


def test_one_that_expired_or_was_withdrawn_after_the_gate_saw_it_is_not_enough(
    pair: Migrator, first: Run
) -> None:
    standing.grant_from_form(first, form(), "Ada")
    change(pair, 1)
    run = plan(pair)
    approval.record_standing(run)
    run.db.execute("UPDATE coa.standing_approval SET expires_at = now() - interval '1 second'")
    with pytest.raises(RunStopped, match="expired"):
        pair.load(run)
    standing.grant_from_form(first, form(), "Ada")
    assert (
        standing.grant_from_form(first, {"standing_records": 0}, "Bert")
        == "The standing approval is withdrawn."
    )
    with pytest.raises(RunStopped, match="no standing approval"):
        pair.load(run)


def test_a_form_that_cannot_be_used_grants_nothing_and_says_why(planned_pair: Pair) -> None:
    _, run = planned_pair
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


@pytest.mark.lane
def test_a_grant_from_before_terms_were_bound_is_no_longer_valid(pair: Migrator, first: Run) -> None:
    standing.grant_from_form(first, form(), "Ada")
    first.db.execute("UPDATE coa.standing_approval SET terms = NULL")
    with pytest.raises(RunStopped, match="no longer valid") as stopped:
        approval.record_standing(plan(pair))
    assert "have it granted" in stopped.value.next_step


def write_mapping(folder: Path, text: str) -> str:
    path = folder / "mapping.yaml"
    path.write_text(text)
    return str(path)


@pytest.mark.lane
class TestAnythingElseThanWasGranted:
    """Each is named, and nothing is written."""

    def refused(self, pair: Migrator, **params: Any) -> str:
        run = pair.start(mode="delta", require_approval=True, **params)
        try:
            pair.plan(run)
            with pytest.raises(RunStopped) as stopped:
                approval.record_standing(run)
        finally:
            run.lease.release()
        assert stopped.value.state == "not_approved"
        assert "granted for something else" in stopped.value.message
        return stopped.value.message

    def test_a_param(self, pair: Migrator, first: Run) -> None:
        standing.grant_from_form(first, form(), "Ada")
        said = self.refused(pair, conflict_policy="source_wins", orders_where="Name != null")
        assert "param conflict_policy is source_wins, granted was block_record" in said
        assert "param orders_where is Name != null, granted was empty" in said

    def test_a_mapping_that_is_none_or_another(self, pair: Migrator, tmp_path: Path) -> None:
        path = write_mapping(tmp_path, "version: 1\norders_where: Name != null\n")
        granted = pair.migrate(mapping=path).run
        standing.grant_from_form(granted, form(), "Ada")
        same = pair.start(mode="delta", require_approval=True, mapping=path)
        pair.plan(same)
        approval.record_standing(same)
        same.lease.release()
        assert "the mapping is empty" in self.refused(pair)
        write_mapping(tmp_path, "version: 1\norders_where: Name != 'x'\n")
        assert "the mapping is" in self.refused(pair, mapping=path)

    def test_automation_that_came_since(self, pair: Migrator, first: Run) -> None:
        standing.grant_from_form(first, form(), "Ada")
        trigger = {"Name": "StampOrders", "TableEnumOrId": ORDER, "Status": "Active"}
        pair.target.control("POST", "records/ApexTrigger", trigger, raw="true")
        assert f"automation of the target: trigger StampOrders on {ORDER} came" in self.refused(pair)

    @pytest.mark.parametrize(
        ("role", "key", "said"),
        [
            ("target", "user_id", "the user who writes is"),
            ("target", "id", "the target org is"),
            ("source", "id", "the source org is"),
        ],
    )
    def test_user_and_orgs(self, pair: Migrator, first: Run, role: str, key: str, said: str) -> None:
        standing.grant_from_form(first, form(), "Ada")
        run = plan(pair)
        run.learn(role, **{key: "another"})
        with pytest.raises(RunStopped, match=said):
            standing.check(run)

    def test_the_package(self, pair: Migrator, first: Run) -> None:
        standing.grant_from_form(first, form(), "Ada")
        run = plan(pair)
        run.update(target_package="another")
        with pytest.raises(RunStopped, match="the package of the target is"):
            standing.check(run)


def test_a_scheduled_run_starts_with_the_params_of_the_grant(pair: Migrator) -> None:
    granted = pair.migrate(conflict_policy="source_wins").run
    standing.grant_from_form(granted, form(), "Ada")
    params = granted_params(pair.db, "coa_source", "coa_target")
    assert params["conflict_policy"] == "source_wins"
    assert RunParams.parse({**params, "mode": "delta"}).conflict_policy == "source_wins"
    assert granted_params(pair.db, "coa_source", "coa_other") == {}
    standing.revoke(granted)
    assert granted_params(pair.db, "coa_source", "coa_target") == {}
