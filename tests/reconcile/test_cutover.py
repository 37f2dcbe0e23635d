"""Before the switch: has the source stood still, and what is left for people?"""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from tests.engine.harness import Migrator
from tests.engine.kept import Pair
from tests.reconcile.pairs import delete, edit, table

from coa import pipeline
from coa.model import DETAIL, DETAIL_ORDER, IN_FLIGHT, NS, ORDER, SOURCE_ID, STATUS
from coa.verify.freeze_check import left_for_people


def test_the_freeze_check_tells_a_source_that_stood_still_from_one_that_did_not(moved_pair: Pair) -> None:
    pair, result = moved_pair
    source = pair.orgs()[0]
    assert pipeline.freeze_check(result, source) == []
    moved = [r[SOURCE_ID] for r in table(pair.target, ORDER).values() if r[SOURCE_ID]]
    edit(pair.source, ORDER, moved[0], **{NS + "Error_Comment__c": "late"})
    delete(pair.source, ORDER, moved[1])
    found = {f.sobject: f for f in pipeline.freeze_check(result, source)}
    assert set(moved[:2]) <= set(found[ORDER].examples)
    assert found[ORDER].severity == "warning"
    assert "deleted" in found[ORDER].message


@pytest.mark.lane
def test_what_remains_for_people_is_counted_by_topic(pair: Migrator) -> None:
    result = pair.migrate(draft_orders="hold")
    orders = table(pair.source, ORDER)
    blocked = set(pair.source.control("GET", "planted")["blocked_orders"])
    left = {(r["topic"], r["sobject"]): r["records"] for r in left_for_people(result.run)}
    drafts = [i for i, r in orders.items() if r[STATUS] == "Draft" and i not in blocked]
    flying = [i for i, r in orders.items() if r[STATUS] in IN_FLIGHT and i not in blocked]
    assert left.get(("held_draft", ORDER), 0) == len(drafts)
    assert left[("in_flight", ORDER)] == len(flying)
    assert left[("blocked", ORDER)] == len(blocked)


def read(folder: Path, name: str) -> list[dict[str, str]]:
    with (folder / name).open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.lane
def test_the_check_is_told_in_summary_report_and_case_work(pair: Migrator) -> None:
    result = pair.migrate()
    assert json.loads((result.folder / "summary.json").read_text())["freeze"]["checked_at"] is None
    source = pair.orgs()[0]
    for changes, words in ((0, "The source was unchanged"), (1, "The source has changed")):
        if changes:
            moved = next(r[SOURCE_ID] for r in table(pair.target, ORDER).values() if r[SOURCE_ID])
            edit(pair.source, ORDER, moved, **{NS + "Error_Comment__c": "late"})
        pipeline.freeze_check(result.run, source)
        pipeline.finish(result.run, result.folder, None)
        freeze = json.loads((result.folder / "summary.json").read_text())["freeze"]
        assert (freeze["frozen"], freeze["changed"]) == (not changes, changes)
        assert words in (result.folder / "casework.md").read_text()
    assert (
        "records changed in the source since this run read it" in (result.folder / "report.html").read_text()
    )


@pytest.mark.lane
def test_a_source_that_does_not_answer_is_a_finding_and_no_failure(moved_pair: Pair) -> None:
    pair, result = moved_pair
    source = pair.orgs()[0]
    pair.source.control("POST", "faults", {"kind": "html_503", "times": 1000})
    found = pipeline.freeze_check(result, source)
    pair.source.control("DELETE", "faults")
    assert [f.code for f in found] == ["freeze_not_checked"]
    assert pair.finish(result).state == "verified"


@pytest.mark.lane
def test_orders_that_are_not_settled_are_listed_with_both_ids(pair: Migrator) -> None:
    result = pair.migrate(draft_orders="load")
    there = {r["Id"]: r for r in table(pair.target, ORDER).values()}
    orders = table(pair.source, ORDER)
    moved = {r[SOURCE_ID] for r in there.values() if r[SOURCE_ID]}
    listed = read(result.folder, "open_orders.csv")
    for topic, statuses in (("in_flight", IN_FLIGHT), ("moved_draft", ("Draft",))):
        rows = [r for r in listed if r["topic"] == topic]
        assert {r["source_id"] for r in rows} == {i for i in moved if orders[i][STATUS] in statuses}
        assert all(there[r["target_id"]][SOURCE_ID] == r["source_id"] for r in rows)
    page = (result.folder / "casework.md").read_text()
    assert "What remains for people" in page


@pytest.mark.lane
def test_records_that_stay_although_they_are_gone_from_the_source_are_in_rejected_rows(
    moved_pair: Pair,
) -> None:
    pair, _ = moved_pair
    gone = next(r[SOURCE_ID] for r in table(pair.target, ORDER).values() if r[SOURCE_ID])
    lines = {i for i, r in table(pair.source, DETAIL).items() if r[DETAIL_ORDER] == gone}
    delete(pair.source, ORDER, gone)
    result = pair.migrate(mode="delta")
    listed = [r for r in read(result.folder, "rejected_rows.csv") if r["reason_code"] == "deleted_in_source"]
    assert {r["source_id"] for r in listed} == {gone, *lines}
    assert {r["action"] for r in listed} == {"left"}
    assert all(r["next_step"] for r in listed)
