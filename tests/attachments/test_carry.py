"""What hangs on the records arrives once, whole and proved, with every difficulty that is planted."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator

import pytest

from coa.attachments import ledger
from coa.attachments.proof import prove
from coa.staging.database import Database
from tests.attachments.orgs import CARRY, around, lose_calls, planted_of
from tests.engine.harness import FAST, Migration, Migrator
from tests.reconcile.pairs import two_orgs


@pytest.fixture(scope="module")
def migrator(module_database: Database, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Migrator]:
    settings = FAST.model_copy(update={"lost_call_seconds": 0.0})
    folder = tmp_path_factory.mktemp("attachments")
    with two_orgs(module_database, folder, settings=settings, orders=24, attachments=True) as pair:
        yield pair


@pytest.fixture(scope="module")
def migration(migrator: Migrator) -> Migration:
    """With answers lost at every step, and several pages of each kind."""
    lose_calls(migrator, "reset_after")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ledger, "PAGE", 2)
        done = migrator.migrate(**CARRY)
    assert all(rule["fired"] for rule in migrator.target.control("GET", "faults"))
    return done


def test_the_run_is_verified_and_counts_what_it_carried(migrator: Migrator, migration: Migration) -> None:
    assert migration.state == "verified", migration.run.record.message
    found = migration.summary["attached"]
    assert {name: n["carried"] - n["verified"] for name, n in found.items()} == dict.fromkeys(found, 0)
    assert found["ContentVersion"]["to_carry"] == found["ContentVersion"]["verified"] == 12
    assert found["ContentVersion"]["carried_bytes"] > 300_000


def test_the_target_has_around_each_order_what_the_source_has(
    migrator: Migrator, migration: Migration
) -> None:
    source, target = around(migrator.source), around(migrator.target)

    for order in planted_of(migrator)["orders"]:
        assert target.of(target.counterpart(order)) == source.of(order)


def test_a_document_that_orders_share_is_there_once(migrator: Migrator, migration: Migration) -> None:
    target = around(migrator.target)
    moved = [target.counterpart(order) for order in planted_of(migrator)["orders"]]

    shared = set.intersection(*(target.documents(record) for record in moved[:3]))

    assert [target.versions[document][0][0] for document in shared] == ["Master agreement"]


def test_who_has_no_counterpart_leaves_his_file_to_the_running_user(
    migrator: Migrator, migration: Migration
) -> None:
    found = migrator.target.records(
        "SELECT Owner.Username, CreatedBy.Username FROM ContentVersion WHERE Title IN ('Purchase order', 'Offer')"
    )

    assert len({row["Owner"]["Username"] for row in found}) == 2


def test_plan_and_lists_tell_what_is_carried_and_what_it_needs(
    migrator: Migrator, migration: Migration
) -> None:
    plan = json.loads((migration.folder / "plan.json").read_text())["attached"]
    assert plan["objects"]["ContentVersion"]["to_carry"] == 12
    assert plan["bytes"] > 300_000
    assert plan["file_storage_mb_left"] == 20480
    assert {"sobject": "Task", "reason": "with_email", "n": 1} in plan["left"]
    with (migration.folder / "attached.csv").open(encoding="utf-8-sig", newline="") as file:
        listed = list(csv.DictReader(file))
    assert {row["state"] for row in listed if row["action"] == "carry"} == {"proved"}
    assert all(len(row["sha256"]) == 64 for row in listed if row["sobject"] == "ContentVersion")


def test_history_is_archived_by_order_and_read_without_an_org(
    migrator: Migrator, migration: Migration
) -> None:
    with (migration.folder / "history" / "field_history.csv").open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))

    assert [(row["source_id"], row["old_value"], row["new_value"]) for row in rows] == [
        (order, "Received", "Activated") for order in planted_of(migrator)["orders"]
    ]
    assert all(row["order_number"].startswith("SO-") and row["changed_by"] and row["label"] for row in rows)


@pytest.mark.lane
def test_a_second_run_has_nothing_to_carry(migrator: Migrator, migration: Migration) -> None:
    again = migrator.migrate(**CARRY)

    assert again.state == "verified"
    assert {n["to_carry"] for n in again.summary["attached"].values()} == {0}


@pytest.mark.lane
def test_a_run_without_its_ledger_carries_nothing_twice(migrator: Migrator, migration: Migration) -> None:
    before = around(migrator.target).everything()
    migrator.db.execute("DELETE FROM coa.attached")
    without = migrator.migrate(**CARRY)

    assert without.state == "verified", without.run.record.message
    assert without.summary["attached"]["ContentVersion"]["verified"] == 12
    assert around(migrator.target).everything() == before


def test_bytes_that_the_target_gives_back_otherwise_are_a_difference(
    migrator: Migrator, migration: Migration
) -> None:
    migrator.db.execute("UPDATE coa.attached SET last_run = %s", [migration.run.run_id])
    migrator.target.control(
        "POST", "faults", {"kind": "status", "status": 200, "body": "other", "path": "/VersionData$"}
    )

    prove(migration.run, migrator.orgs()[0], migrator.orgs()[1])

    found = migrator.db.rows(
        "SELECT sobject, field FROM coa.difference WHERE run_id = %s AND kind <> 'explained'",
        [migration.run.run_id],
    )
    assert [(r["sobject"], r["field"]) for r in found] == [("ContentVersion", "SHA-256 of VersionData")]
