"""A load that begins with its canary: what is written, watched, proved and told, and where it stops."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from typing import Any

import pytest
from psycopg import sql

from coa import pipeline
from coa.approval import record as approval
from coa.errors import InvalidParams, RunStopped
from coa.load.canary_state import canary_of as row_of
from coa.model import CUSTOMER, DETAIL, NS, ORDER, SOURCE_ID, STATUS
from coa.plan.expected_corrections import COPIED_PRICE
from coa.staging.runs import Run
from coa.staging.tables import Table
from tests.engine.checker import check
from tests.engine.harness import Migration, Migrator
from tests.engine.undo import roll_back
from tests.reconcile.pairs import create, dump, edit, like, plan_rows, table


def arrived(pair: Migrator, sobject: str) -> set[str]:
    return {str(r[SOURCE_ID]) for r in table(pair.target, sobject).values() if r[SOURCE_ID]}


def canary_of(result: Migration, sobject: str) -> set[str]:
    rows = result.run.db.rows(
        sql.SQL("SELECT source_id FROM {} WHERE sobject = %s").format(result.run.table(Table.CANARY)),
        [sobject],
    )
    return {str(r["source_id"]) for r in rows}


def observed(result: Migration) -> list[dict[str, Any]]:
    document: dict[str, Any] = json.loads((result.folder / "observed.json").read_text())
    return list(document["observed"])


def listed(result: Migration, name: str) -> list[dict[str, str]]:
    with (result.folder / name).open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def test_only_the_canary_is_written_proved_and_told(pair: Migrator) -> None:
    before = dump(pair.target)

    result = pair.migrate(canary_gate="only")

    assert result.state == "canary_verified", result.error
    assert result.summary["canary"] == {"orders": 25, "verified": 25, "reused_from": None, "careful": []}
    for sobject in (CUSTOMER, ORDER, DETAIL):
        assert arrived(pair, sobject) - {r[SOURCE_ID] for r in before[sobject].values()} == canary_of(
            result, sobject
        )
        assert result.summary["objects"][sobject]["missing"] == 0
    assert len(arrived(pair, ORDER)) == 25
    verdict = check(pair.source, pair.target)
    assert not verdict.duplicated
    assert not verdict.unexpected
    # What leads out of the canary is not due: the checker compares with what is there.
    assert not verdict.different, str(verdict)
    effects = {(r["sobject"], r["field"], r["step"], r["effect"]) for r in observed(result)}
    assert (ORDER, STATUS, "orders", "draft_reset") in effects
    assert (DETAIL, COPIED_PRICE, "details", "price_copied") in effects
    assert all(r["expected"] for r in observed(result))
    plan = plan_rows(result.run)
    sent = {key for key, r in plan.items() if r["action"] in ("insert", "update")}
    assert not {(r["sobject"], r["source_id"]) for r in listed(result, "rejected_rows.csv")} & sent


@pytest.mark.lane
def test_after_a_canary_the_rest_follows_and_all_is_there_once(pair: Migrator) -> None:
    result = pair.migrate()

    assert result.state == "verified", result.error
    assert result.summary["canary"]["orders"] == 25
    left_out = {i for (_, i), r in plan_rows(result.run).items() if r["action"] in ("blocked", "held")}
    verdict = check(pair.source, pair.target, left_out)
    assert verdict.clean, str(verdict)


@pytest.mark.lane
def test_an_automation_that_changes_a_price_after_every_update_stops_the_load_and_is_undone(
    pair: Migrator,
) -> None:
    before = dump(pair.target)
    pair.target.control("PATCH", "settings", {"overwrite_on_update": [f"{DETAIL}.{COPIED_PRICE}=1.25"]})

    result = pair.migrate(canary_gate="only")

    assert result.state == "differences", result.error
    assert COPIED_PRICE in result.error
    assert "step corrections" in result.error
    assert f'"run_id": "{result.run.run_id}"' in result.error
    assert len(arrived(pair, ORDER)) == 25
    surprise = [r for r in observed(result) if not r["expected"]]
    assert {(r["sobject"], r["field"], r["becomes"]) for r in surprise} == {(DETAIL, COPIED_PRICE, "1.25")}
    # Whatever updates a detail: the step that carries line breaks by REST, and that which puts prices right.
    assert {r["step"] for r in surprise} == {"frozen_terms_exact", "corrections"}
    assert result.summary["canary"]["careful"] == [DETAIL]
    assert {r["kind"] for r in listed(result, "differences.csv")} - {"explained"} == {"price", "rollup"}
    undone = roll_back(pair, result.run)
    assert undone.state == "verified", undone.error
    assert dump(pair.target) == before


def test_a_run_that_may_write_its_canary_alone_needs_one(pair: Migrator) -> None:
    before = dump(pair.target)

    result = pair.migrate(canary_gate="only", canary=80)

    assert result.state == "blocked"
    assert "canary" in result.error
    assert dump(pair.target) == before


def answer(run: Run, *, approved: bool, seen: str | None = None) -> None:
    """As the gate writes a person's answer to what the canary showed."""
    canary = canary_row(run)
    approval.record(
        run,
        kind="canary",
        approved=approved,
        answered_by="ada",
        plan_hash=str(run.record.plan_hash),
        observed_hash=canary["observed_hash"] if seen is None else seen,
    )


def canary_row(run: Run) -> dict[str, Any]:
    row = row_of(run)
    assert row is not None
    return row


def at_the_gate(pair: Migrator) -> tuple[Run, list[int]]:
    """A run with a proved canary that waits for a person."""
    run = pair.start(canary_gate="ask")
    pair.plan(run)
    pair.waive(run)
    source, target = pair.orgs()
    lanes = pipeline.prepare_load(run, source, target)
    assert pipeline.load_canary(run, target)
    return run, lanes


@pytest.mark.lane
def test_without_a_yes_to_what_was_seen_nothing_but_the_canary_is_written(pair: Migrator) -> None:
    run, lanes = at_the_gate(pair)
    source, target = pair.orgs()

    def refused() -> None:
        stages: list[Callable[[], None]] = [
            lambda: pipeline.go_on(run, source, target),
            lambda: pipeline.load_customers(run, target),
            lambda: pipeline.load_lanes(run, target, lanes),
            lambda: pipeline.load_links(run, target),
        ]
        for stage in stages:
            with pytest.raises(RunStopped) as stopped:
                stage()
            assert stopped.value.state == "not_approved"

    refused()
    # The answer to the plan is none to the canary, nor is one to something else that was seen.
    pair.waive(run)
    answer(run, approved=True, seen="0" * 64)
    refused()
    answer(run, approved=False)
    refused()
    assert len(arrived(pair, ORDER)) == 25
    result = pair.finish(run)
    assert result.state == "not_approved"
    # A yes without the checks that follow a wait is not enough either.
    answer(run, approved=True)
    with pytest.raises(RunStopped):
        pipeline.load_customers(run, target)


@pytest.mark.lane
def test_after_a_yes_what_changed_meanwhile_is_held_back_and_the_rest_is_loaded(pair: Migrator) -> None:
    run, lanes = at_the_gate(pair)
    source, target = pair.orgs()
    plan = plan_rows(run)
    mine = arrived(pair, ORDER)
    new = sorted(i for (name, i), r in plan.items() if name == ORDER and r["action"] == "insert")
    waiting = next(i for i in new if i not in mine)
    edit(pair.source, ORDER, waiting, **{NS + "Error_Comment__c": "changed while somebody thought"})
    edit(pair.source, ORDER, sorted(mine)[0], **{NS + "Error_Comment__c": "its copy is there already"})
    answer(run, approved=True)

    pipeline.go_on(run, source, target)
    # A retry has written by then, and must not take that for a change of somebody else.
    pipeline.go_on(run, source, target)
    pipeline.load_customers(run, target)
    pipeline.load_lanes(run, target, lanes)
    pipeline.load_links(run, target)
    pair.verify(run)
    result = pair.finish(run)

    assert result.state == "verified", result.error
    assert arrived(pair, ORDER) == set(new) - {waiting}
    assert result.summary["objects"][ORDER]["held"] == 1 + sum(
        r["action"] == "held" for (name, _), r in plan.items() if name == ORDER
    )


@pytest.mark.lane
def test_a_target_that_somebody_changed_during_the_wait_stops_the_rest(pair: Migrator) -> None:
    run, _ = at_the_gate(pair)
    source, target = pair.orgs()
    waiting = next(
        i
        for (name, i), r in plan_rows(run).items()
        if name == ORDER and r["action"] == "insert" and i not in arrived(pair, ORDER)
    )
    twin = next(r for r in table(pair.target, ORDER).values() if r[SOURCE_ID])
    create(pair.target, ORDER, **like(twin), **{SOURCE_ID: waiting})
    answer(run, approved=True)

    with pytest.raises(RunStopped) as stopped:
        pipeline.go_on(run, source, target)

    assert stopped.value.state == "blocked"


@pytest.mark.parametrize("nobody", ["headless", "sync"])
def test_nobody_is_asked_where_nobody_is(nobody: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from coa_airflow.canary_gate import refuse_asking_nobody
    from coa_airflow.pair import Pair
    from coa_airflow.params import form

    if nobody == "headless":
        monkeypatch.setenv("COA_HEADLESS", "token")
    with pytest.raises(InvalidParams, match="canary_gate is ask"):
        refuse_asking_nobody({"canary_gate": "ask"}, "sync" if nobody == "sync" else "migrate")
    refuse_asking_nobody({"canary_gate": "only"}, "sync")
    assert form("sync", Pair())["canary_gate"].schema["enum"] == ["continue", "only"]
