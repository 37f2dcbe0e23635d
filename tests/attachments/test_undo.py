"""A roll-back takes back what its run carried, and nothing that others have changed or use."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from coa.model import CUSTOMER
from coa.staging.database import Database
from tests.attachments.orgs import CARRY, around, planted_of
from tests.engine.harness import FAST, Migrator
from tests.engine.undo import roll_back
from tests.reconcile.pairs import create, edit, two_orgs


@pytest.fixture
def migrator(database: Database, tmp_path: Path) -> Iterator[Migrator]:
    settings = FAST.model_copy(update={"lost_call_seconds": 0.0})
    with two_orgs(database, tmp_path, settings=settings, orders=12, planted=False, attachments=True) as pair:
        yield pair


@pytest.mark.lane
def test_what_nobody_touched_goes_and_the_rest_stays_with_its_records(migrator: Migrator) -> None:
    planted = planted_of(migrator)
    before = around(migrator.target).everything()
    migration = migrator.migrate(**CARRY)
    assert migration.state == "verified", migration.run.record.message
    moved = around(migrator.target)
    _first, second, _third, fourth = (moved.counterpart(one) for one in planted["orders"])
    [note] = [n for n in moved.records["Note"] if n["ParentId"] == second and n["Title"] == "Call back"]
    edit(migrator.target, "Note", note["Id"], Title="Called back")
    customer = migrator.target.records(f"SELECT Id FROM {CUSTOMER} LIMIT 1")[0]["Id"]
    [used] = [d for d in moved.documents(fourth) if moved.versions[d][0][0] == "Purchase order"]
    create(migrator.target, "ContentDocumentLink", ContentDocumentId=used, LinkedEntityId=customer)

    undone = roll_back(migrator, migration.run)

    assert undone.state == "verified", undone.run.record.message
    left = around(migrator.target)
    assert set(left.versions) == {used}
    assert [n["Title"] for n in left.records["Note"]] == ["Called back"]
    assert left.counterpart(planted["orders"][1]) == second  # the order under the note
    assert left.records["Task"] == left.records["Event"] == left.records["Attachment"] == []
    assert undone.summary["attached"]["ContentDocument"]["left"] == 1
    assert undone.summary["attached"]["Note"]["left"] == 1

    forced = roll_back(migrator, migration.run, force=True)

    assert forced.state == "verified", forced.run.record.message
    rest: dict[str, Any] = around(migrator.target).everything()
    assert rest["Note"] == []
    # What others use stays even then.
    assert [link for link in rest["links"] if not link[1].startswith("005")] == [(used, customer)]
    assert {name: rest[name] for name in ("Task", "Event", "Attachment", "EmailMessage")} == {
        name: before[name] for name in ("Task", "Event", "Attachment", "EmailMessage")
    }


@pytest.mark.lane
def test_a_migration_after_a_roll_back_carries_everything_again(migrator: Migrator) -> None:
    first = migrator.migrate(**CARRY)
    assert roll_back(migrator, first.run).state == "verified"
    assert around(migrator.target).versions == {}

    second = migrator.migrate(**CARRY)

    assert second.state == "verified", second.run.record.message
    source, target = around(migrator.source), around(migrator.target)
    for order in planted_of(migrator)["orders"]:
        assert target.of(target.counterpart(order)) == source.of(order)
