"""Before the switch: has the source stood still, and what is left for people?"""

from __future__ import annotations

from tests.engine.harness import Migrator
from tests.reconcile.pairs import delete, edit, table

from coa import pipeline
from coa.model import IN_FLIGHT, NS, ORDER, SOURCE_ID, STATUS
from coa.reconcile.cutover import left_for_people


def test_the_freeze_check_tells_a_source_that_stood_still_from_one_that_did_not(pair: Migrator) -> None:
    result = pair.migrate()
    source = pair.orgs()[0]
    assert pipeline.freeze_check(result.run, source) == []
    moved = [r[SOURCE_ID] for r in table(pair.target, ORDER).values() if r[SOURCE_ID]]
    edit(pair.source, ORDER, moved[0], **{NS + "Error_Comment__c": "late"})
    delete(pair.source, ORDER, moved[1])
    found = {f.sobject: f for f in pipeline.freeze_check(result.run, source)}
    assert set(moved[:2]) <= set(found[ORDER].examples)
    assert found[ORDER].grade == "warning"
    assert "deleted" in found[ORDER].message


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
