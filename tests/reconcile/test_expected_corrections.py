"""What the plan foresees the package to do, against what a real run then had to put right."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest
from tests.engine.harness import Migration, Migrator
from tests.engine.kept import Pair
from tests.reconcile.pairs import actions, edit, table, two_orgs

from coa.model import CLONED_FROM, DETAIL, NS, ORDER, RECEIVED_AT, STATUS, WORKFLOW_PRICING, WORKFLOW_RECEIVED
from coa.report.corrections import made_updates
from coa.staging.database import Database
from coa.staging.runs import Run

Update = tuple[str, str, str]
PRICE = NS + "pc_Fixed_Price__c"
DAY_RECEIVED = NS + "Date_Partner_Received_Customer_Order__c"


def listed(folder: Path) -> list[dict[str, str]]:
    with (folder / "corrections.csv").open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def foreseen(folder: Path) -> set[Update]:
    return {(r["sobject"], r["source_id"], r["field"]) for r in listed(folder) if r["step"]}


def made(run: Run) -> set[Update]:
    return {(r["sobject"], r["source_id"], r["field"]) for r in run.db.rows(made_updates(run))}


def dry_then_real(pair: Migrator, **params: Any) -> tuple[Migration, Migration]:
    dry = pair.migrate(dry_run=True, **params)
    assert dry.state == "dry_run", dry.error
    real = pair.migrate(**params)
    assert real.state == "verified", real.error
    return dry, real


@pytest.mark.parametrize("seed", [23, pytest.param(7, marks=pytest.mark.lane)])
def test_a_real_run_makes_exactly_the_corrections_that_the_dry_run_listed(
    database: Database, tmp_path: Path, seed: int
) -> None:
    with two_orgs(database, tmp_path, orders=60, seed=seed) as pair:
        dry, real = dry_then_real(pair)
    assert foreseen(dry.folder) == made(real.run)
    assert real.summary["corrections"] == {
        "foreseen": len(made(real.run)),
        "made": len(made(real.run)),
        "unforeseen": 0,
    }
    effects = {r["effect"] for r in listed(dry.folder)}
    assert effects >= {"draft_reset", "price_copied", "received_stamped", "not_by_bulk", "link_later"}


def test_each_listed_correction_says_what_the_package_makes_and_what_is_wanted(pair: Migrator) -> None:
    dry = pair.migrate(dry_run=True)
    orders, details = table(pair.source, ORDER), table(pair.source, DETAIL)
    for row in listed(dry.folder):
        if row["effect"] == "draft_reset":
            assert (row["becomes"], row["wanted"]) == ("Draft", orders[row["source_id"]][STATUS])
        if row["effect"] == "price_copied" and row["field"] == PRICE:
            assert float(row["wanted"]) == details[row["source_id"]][PRICE]
            assert float(row["becomes"]) != float(row["wanted"])
        if row["effect"] == "received_stamped":
            assert orders[row["source_id"]][STATUS] == "Received"
            assert row["wanted"][:19] == orders[row["source_id"]][RECEIVED_AT][:19]


def test_the_plan_counts_corrections_by_effect_with_their_reasons(pair: Migrator) -> None:
    run = pair.start(dry_run=True)
    page = pair.plan(run)
    folder = pair.artifacts / run.run_id
    document = json.loads((folder / "plan.json").read_text())["rehearsal"]
    rows = listed(folder)
    for effect in document["effects"]:
        same = [r for r in rows if all(r[k] == effect[k] for k in ("sobject", "field", "effect", "step"))]
        assert effect["records"] == len(same)
        assert effect["reason"]
        assert f"`{effect['effect']}`" in page
    assert sum(e["records"] for e in document["effects"]) == len(rows)
    totals = document["corrective_updates"]
    assert sum(t["fields"] for t in totals.values()) == len(foreseen(folder))
    pair.finish(run)


@pytest.mark.lane
def test_a_stamp_that_is_accepted_is_foreseen_and_not_corrected(pair: Migrator) -> None:
    dry, real = dry_then_real(pair, received_dates="accept_reset")
    stamped = [r for r in listed(dry.folder) if r["field"] == RECEIVED_AT]
    assert stamped
    assert {r["step"] for r in stamped} == {""}
    assert foreseen(dry.folder) == made(real.run)


@pytest.mark.lane
def test_rules_that_are_switched_off_in_the_target_are_not_foreseen(
    database: Database, tmp_path: Path
) -> None:
    with two_orgs(database, tmp_path, workflow_off=["pricing", "received"]) as pair:
        dry, real = dry_then_real(pair)
    assert set(dry.run.record.target_org["inactive_workflow_rules"]) == {WORKFLOW_PRICING, WORKFLOW_RECEIVED}
    assert not {"price_copied", "received_stamped"} & {r["effect"] for r in listed(dry.folder)}
    assert foreseen(dry.folder) == made(real.run)


@pytest.mark.lane
def test_an_update_to_received_is_foreseen_to_stamp_the_date(moved_pair: Pair) -> None:
    pair, first = moved_pair
    moved = [i for (s, i), (a, _) in actions(first).items() if s == ORDER and a == "insert"]
    orders = table(pair.source, ORDER)
    draft = next(
        i for i in moved if orders[i][STATUS] in ("Draft", "Submitted") and not orders[i][CLONED_FROM]
    )
    edit(
        pair.source,
        ORDER,
        draft,
        **{STATUS: "Received", RECEIVED_AT: "2019-03-04T05:06:07.000Z"},
    )
    dry, real = dry_then_real(pair, mode="delta")
    assert foreseen(dry.folder) == made(real.run)


@pytest.mark.lane
def test_what_a_partners_trigger_does_is_named_and_counted_as_unforeseen(
    database: Database, tmp_path: Path
) -> None:
    with two_orgs(database, tmp_path, partner_trigger=True) as pair:
        dry, real = dry_then_real(pair)
    document = json.loads((dry.folder / "plan.json").read_text())["rehearsal"]
    assert document["not_foreseen"]
    surprises = made(real.run) - foreseen(dry.folder)
    assert {field for _, _, field in surprises} == {DAY_RECEIVED}
    assert foreseen(dry.folder) <= made(real.run)
    assert real.summary["corrections"]["unforeseen"] == len(surprises)
