"""What changes between the plan and the load: in the source it is held back, in the target the load refuses."""

from __future__ import annotations

import csv

import pytest
from tests.engine.checker import check
from tests.engine.kept import Pair
from tests.reconcile.pairs import actions, create, delete, edit, like, table

from coa.errors import RunStopped
from coa.model import CUSTOMER, DETAIL, DETAIL_ORDER, NS, ORDER, ORDER_CUSTOMER

COMMENT = NS + "Error_Comment__c"
LINE = NS + "Product_Line_Description__c"


def test_records_that_changed_in_the_source_since_the_plan_are_held_back_whole_and_come_next(
    planned_pair: Pair,
) -> None:
    pair, run = planned_pair
    planned = actions(run)
    orders, details = table(pair.source, ORDER), table(pair.source, DETAIL)
    free = [i for i in orders if planned[ORDER, i][0] == "insert"]
    lines = {i: [d for d, r in details.items() if r[DETAIL_ORDER] == i] for i in free}
    edited, with_edited_line, with_new_line, with_gone_line, gone = free[:5]
    edit(pair.source, ORDER, edited, **{COMMENT: "changed"})
    edit(pair.source, ORDER, free[5], **{COMMENT: "changed as well"})
    edit(pair.source, DETAIL, lines[with_edited_line][0], **{LINE: "other words"})
    edit(pair.source, DETAIL, lines[free[6]][0], **{LINE: "other words"})
    twin = details[lines[with_new_line][0]]
    new_line = create(pair.source, DETAIL, **like(twin))
    delete(pair.source, DETAIL, lines[with_gone_line][-1])
    delete(pair.source, ORDER, gone)
    customer = next(
        c for c in {orders[i][ORDER_CUSTOMER] for i in free[7:]} if planned[CUSTOMER, c][0] == "insert"
    )
    edit(pair.source, CUSTOMER, customer, **{NS + "Customer_City__c": "Elsewhere"})
    of_customer = {i for i in free if orders[i][ORDER_CUSTOMER] == customer}
    new_order = create(pair.source, ORDER, **like(orders[edited]))

    pair.waive(run)
    pair.load(run)
    pair.verify(run)
    result = pair.finish(run)

    held = {edited, free[5], with_edited_line, free[6], with_new_line, with_gone_line, gone} | of_customer
    assert result.state == "verified", result.error
    arrived = {r["COA_Source_Id__c"] for r in table(pair.target, ORDER).values()} - {None}
    assert arrived == set(free) - held
    with (result.folder / "rejected_rows.csv").open(encoding="utf-8-sig", newline="") as file:
        listed = {r["source_id"] for r in csv.DictReader(file) if r["reason_code"] == "changed_since_plan"}
    assert listed >= held | {customer}
    assert {d for i in held for d in lines[i] if planned[DETAIL, d][0] == "insert"} <= listed
    counts = result.summary["objects"][ORDER]
    assert counts["held"] == len(held)
    assert counts["extracted"] == sum(
        counts[n] for n in ("to_insert", "to_update", "unchanged", "matched", "blocked", "held")
    )

    following = pair.migrate()
    assert following.state == "verified", following.error
    arrived = {r["COA_Source_Id__c"] for r in table(pair.target, ORDER).values()} - {None}
    assert arrived == (set(free) | {new_order}) - {gone}
    assert new_line in {r["COA_Source_Id__c"] for r in table(pair.target, DETAIL).values()}


def test_a_record_to_update_that_changed_in_the_target_since_the_plan_stops_the_load(
    moved_pair: Pair,
) -> None:
    pair, _ = moved_pair
    moved = {r["COA_Source_Id__c"]: i for i, r in table(pair.target, ORDER).items() if r["COA_Source_Id__c"]}
    source_id, target_id = next(iter(moved.items()))
    edit(pair.source, ORDER, source_id, **{COMMENT: "new in the source"})
    run = pair.start()
    pair.plan(run)
    pair.waive(run)
    edit(pair.target, ORDER, target_id, **{COMMENT: "new in the target"})
    with pytest.raises(RunStopped, match="changed in the target after the plan was made") as stopped:
        pair.load(run)
    assert stopped.value.state == "blocked"
    assert table(pair.target, ORDER)[target_id][COMMENT] == "new in the target"
    assert pair.finish(run).state == "blocked"


def test_a_record_that_somebody_else_created_with_our_key_since_the_plan_stops_the_load(
    planned_pair: Pair,
) -> None:
    pair, run = planned_pair
    pair.waive(run)
    order = next(i for (s, i), (a, _) in actions(run).items() if s == ORDER and a == "insert")
    there = next(iter(table(pair.target, ORDER).values()))
    create(pair.target, ORDER, **like(there), COA_Source_Id__c=order)
    with pytest.raises(RunStopped, match="changed in the target"):
        pair.load(run)


@pytest.mark.lane
def test_nothing_is_lost_by_holding_back(planned_pair: Pair) -> None:
    pair, run = planned_pair
    blocked = {i for (_, i), (a, _) in actions(run).items() if a == "blocked"}
    for i in [i for (s, i), (a, _) in actions(run).items() if s == ORDER and a == "insert"][:4]:
        edit(pair.source, ORDER, i, **{COMMENT: "changed"})
    pair.waive(run)
    pair.load(run)
    pair.verify(run)
    pair.finish(run)
    assert pair.migrate().state == "verified"
    verdict = check(pair.source, pair.target, blocked)
    assert verdict.clean, str(verdict)
