"""Undoing a run: the target is as it was before, but for what people touched since."""

from __future__ import annotations

import csv
import json
from dataclasses import replace

import pytest
from psycopg import sql
from tests.engine.harness import Migration, Migrator
from tests.engine.kept import Pair
from tests.engine.steps_seen import require_known_steps
from tests.engine.undo import approve, begin, roll_back
from tests.reconcile.pairs import create, dump, edit, like, table

from coa import pipeline
from coa.errors import CoaError, RunStopped
from coa.model import CUSTOMER, DETAIL, DETAIL_ORDER, NS, ORDER, SOURCE_ID
from coa.retention.person import Person, erase

COMMENT = NS + "Error_Comment__c"
STATUS = NS + "Service_Order_Status__c"


def rows(result: Migration, name: str) -> list[dict[str, str]]:
    with (result.folder / name).open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def test_after_a_migration_and_its_roll_back_the_target_is_as_it_was_before(pair: Migrator) -> None:
    before = dump(pair.target)
    migrated = pair.migrate()
    assert migrated.state == "verified", migrated.error
    assert dump(pair.target) != before
    result = roll_back(pair, migrated.run)
    assert result.state == "verified", result.error
    assert dump(pair.target) == before
    page = (result.folder / "report.html").read_text()
    assert f"Roll-back of run {migrated.run.run_id}" in page
    assert "Everything in the plan was undone and proved" in page
    written = migrated.summary["objects"]
    for sobject, counts in result.summary["objects"].items():
        assert counts["deleted"] == counts["to_delete"] == written[sobject]["inserted"]
        assert counts["left"] == counts["rejected"] == 0


@pytest.mark.lane
def test_a_delta_is_undone_alone_and_its_updates_are_restored(moved_pair: Pair) -> None:
    pair, first = moved_pair
    sources = {r[SOURCE_ID]: i for i, r in table(pair.target, ORDER).items() if r[SOURCE_ID]}
    orders, details = table(pair.source, ORDER), table(pair.source, DETAIL)
    provisioned = next(i for i in sources if orders[i][STATUS] == "Provisioned")
    line = next(d for d, r in details.items() if r[DETAIL_ORDER] in sources)
    edit(pair.source, ORDER, provisioned, **{COMMENT: "a\r\nb", STATUS: "Received"})
    edit(pair.source, DETAIL, line, **{NS + "Product_Line_Description__c": "changed"})
    added = create(pair.source, ORDER, **like(orders[provisioned]))
    before = dump(pair.target)
    delta = pair.migrate(mode="delta")
    assert delta.state == "verified", delta.error
    assert dump(pair.target) != before
    result = roll_back(pair, delta.run)
    assert result.state == "verified", (result.error, rows(result, "differences.csv"))
    assert dump(pair.target) == before
    assert added not in {r[SOURCE_ID] for r in table(pair.target, ORDER).values()}
    assert result.summary["objects"][ORDER]["restored"] == 1
    assert {"restores", "deletions", "extract_verify"} <= require_known_steps(result.run)

    again = pair.migrate()
    assert again.state == "verified", again.error
    assert roll_back(pair, again.run).state == "verified"
    assert roll_back(pair, first).state == "verified"


@pytest.mark.lane
def test_an_edited_record_stays_with_what_belongs_to_it_and_is_listed(moved_pair: Pair) -> None:
    pair, migrated = moved_pair
    ours = {i: r for i, r in table(pair.target, ORDER).items() if r[SOURCE_ID]}
    edited, parent = list(ours)[:2]
    lines = table(pair.target, DETAIL)
    line = next(i for i, r in lines.items() if r[DETAIL_ORDER] == parent)
    edit(pair.target, ORDER, edited, **{COMMENT: "by a person"})
    edit(pair.target, DETAIL, line, **{NS + "Product_Line_Description__c": "by a person"})
    result = roll_back(pair, migrated)
    assert result.state == "verified", result.error
    left = table(pair.target, ORDER)
    assert left[edited][COMMENT] == "by a person"
    assert {edited, parent} <= set(left)
    kept = {i for i, r in lines.items() if r[DETAIL_ORDER] in (edited, parent)}
    assert kept <= set(table(pair.target, DETAIL))
    listed = {r["source_id"]: r["reason_code"] for r in rows(result, "rejected_rows.csv")}
    assert listed[ours[edited][SOURCE_ID]] == "conflict"
    assert listed[lines[line][SOURCE_ID]] == "conflict"
    assert listed[ours[parent][SOURCE_ID]] == "order_incomplete"

    forced = roll_back(pair, migrated, force=True)
    assert forced.state == "verified", forced.error
    assert not any(r[SOURCE_ID] for r in table(pair.target, ORDER).values())


def test_an_order_to_which_somebody_added_a_detail_stays_even_by_force(moved_pair: Pair) -> None:
    pair, migrated = moved_pair
    lines = table(pair.target, DETAIL)
    one = next(r for r in lines.values() if r[SOURCE_ID])
    foreign = create(pair.target, DETAIL, **like(one))
    result = roll_back(pair, migrated, force=True)
    assert result.state == "verified", result.error
    assert one[DETAIL_ORDER] in table(pair.target, ORDER)
    assert foreign in table(pair.target, DETAIL)
    customers = {r["source_id"] for r in rows(result, "rejected_rows.csv") if r["sobject"] == CUSTOMER}
    assert len(customers) <= 1


@pytest.mark.lane
def test_a_dry_run_tells_and_writes_nothing(pair: Migrator) -> None:
    migrated = pair.migrate()
    before = dump(pair.target)
    result = roll_back(pair, migrated.run, dry_run=True)
    assert result.state == "dry_run"
    assert dump(pair.target) == before
    assert "Nothing was written." in (result.folder / "report.html").read_text()
    document = json.loads((result.folder / "plan.json").read_text())
    assert document["objects"][ORDER]["to_delete"] == migrated.summary["objects"][ORDER]["inserted"]


def test_without_an_answer_or_with_another_plan_nothing_is_undone(moved_pair: Pair) -> None:
    pair, migrated = moved_pair
    before = dump(pair.target)
    run = begin(pair, migrated)
    with pytest.raises(RunStopped, match="no recorded answer"):
        pipeline.rollback_load(run, pair.orgs()[1])
    approve(run)
    run.db.execute(
        sql.SQL("UPDATE {} SET action = 'left' WHERE sobject = %s").format(run.table("rollback")), [CUSTOMER]
    )
    with pytest.raises(RunStopped, match="was changed after it was made"):
        pipeline.rollback_load(run, pair.orgs()[1])
    assert dump(pair.target) == before
    assert pair.finish(run).state == "not_approved"


@pytest.mark.lane
def test_a_target_that_changed_under_the_plan_is_refused(moved_pair: Pair) -> None:
    pair, migrated = moved_pair
    run = begin(pair, migrated)
    approve(run)
    ours = next(i for i, r in table(pair.target, ORDER).items() if r[SOURCE_ID])
    edit(pair.target, ORDER, ours, **{COMMENT: "just now"})
    with pytest.raises(RunStopped, match="changed in the target after the plan was made"):
        pipeline.rollback_load(run, pair.orgs()[1])
    assert pair.finish(run).state == "blocked"


def test_an_unknown_run_and_one_that_wrote_nothing_cannot_be_undone(pair: Migrator) -> None:
    dry = pair.migrate(dry_run=True)
    with pytest.raises(CoaError, match="wrote nothing"):
        begin(pair, dry.run)
    with pytest.raises(CoaError, match="no run"):
        begin(pair, replace(dry.run, record=replace(dry.run.record, run_id="20200101T000000Z-000000")))


def test_a_record_whose_pre_image_went_with_a_persons_data_is_left_and_the_rest_is_undone(
    moved_pair: Pair,
) -> None:
    """The run is named by the id of its Airflow run."""
    pair, _ = moved_pair
    orders = table(pair.source, ORDER)
    moved = [r[SOURCE_ID] for r in table(pair.target, ORDER).values() if r[SOURCE_ID]][:2]
    for one, text in zip(moved, ("by Zoe Quill", "by nobody"), strict=True):
        edit(pair.source, ORDER, one, **{COMMENT: text})
    added = create(pair.source, ORDER, **like(orders[moved[0]]))
    delta = pair.migrate(mode="delta")
    assert delta.state == "verified", delta.error
    # The reading before the delta did not know the name; the person's record is named by its id as well.
    erase(pair.db, Person.named(["Zoe Quill", moved[0]]))

    by_airflow = replace(delta.run.record, run_id=delta.run.record.airflow_run_id)
    result = roll_back(pair, replace(delta.run, record=by_airflow))

    assert result.state == "verified", (result.error, rows(result, "differences.csv"))
    there = {r[SOURCE_ID]: r[COMMENT] for r in table(pair.target, ORDER).values()}
    assert there[moved[0]] == "by Zoe Quill"
    assert there[moved[1]] != "by nobody"
    assert added not in there
    assert [(r["source_id"], r["reason_code"]) for r in rows(result, "rejected_rows.csv")] == [
        (moved[0], "pre_image_erased")
    ]
