"""The plan against an expectation that is computed from the orgs' records, with none of our SQL."""

from __future__ import annotations

import pytest
from psycopg import sql
from tests.engine.harness import Migrator
from tests.engine.kept import Pair
from tests.reconcile.pairs import actions, edit, plan_rows, table

from coa.errors import RunStopped
from coa.model import CLONED_FROM, CUSTOMER, CUSTOMER_ORG_ID, DETAIL, DETAIL_ORDER, NS, ORDER, STATUS

COMMENT = NS + "Error_Comment__c"


def expected_first_plan(pair: Migrator) -> dict[tuple[str, str], str]:
    """Customers that the target has are matched, planted orders blocked, Drafts held, all else inserted."""
    there = {r[CUSTOMER_ORG_ID][:15] for r in table(pair.target, CUSTOMER).values()}
    planted = pair.source.control("GET", "planted")
    blocked = set(planted["blocked_orders"])
    expected: dict[tuple[str, str], str] = {}
    for i, r in table(pair.source, CUSTOMER).items():
        expected[CUSTOMER, i] = "match" if r[CUSTOMER_ORG_ID][:15] in there else "insert"
    orders = table(pair.source, ORDER)
    for i, r in orders.items():
        held = "held" if r[STATUS] == "Draft" else "insert"
        expected[ORDER, i] = "blocked" if i in blocked else held
    for i, r in table(pair.source, DETAIL).items():
        expected[DETAIL, i] = expected[ORDER, r[DETAIL_ORDER]]
    return expected


def test_the_first_plan_is_what_the_records_of_both_orgs_call_for(pair: Migrator) -> None:
    run = pair.start(draft_orders="hold")
    pair.plan(run)
    found = {key: action for key, (action, _) in actions(run).items()}
    assert found == expected_first_plan(pair)


def test_blocked_records_name_their_cause(pair: Migrator) -> None:
    run = pair.start(draft_orders="hold")
    pair.plan(run)
    found = actions(run)
    planted = pair.source.control("GET", "planted")["blocked"]
    for reason, records in planted.items():
        assert {found[DETAIL, i] for i in records["details"]} == {("blocked", reason)}
        assert {found[ORDER, i] for i in records["orders"]} == {("blocked", "order_incomplete")}
    assert {code for action, code in found.values() if action == "held"} <= {"held_draft"}


def test_the_second_plan_updates_exactly_what_changed_in_the_source(moved_pair: Pair) -> None:
    pair, first = moved_pair
    moved = [i for (s, i), (a, _) in actions(first).items() if s == ORDER and a == "insert"]
    changed = moved[:3]
    for i in changed:
        edit(pair.source, ORDER, i, **{COMMENT: "asked again"})
    run = pair.start()
    pair.plan(run)
    for (sobject, i), row in plan_rows(run).items():
        before = actions(first)[sobject, i][0]
        if sobject == ORDER and i in changed:
            assert (row["action"], row["changed"]) == ("update", [COMMENT])
        else:
            assert row["action"] == {"insert": "unchanged"}.get(before, before)


@pytest.mark.lane
def test_the_same_inputs_give_the_same_hash_and_any_change_another(pair: Migrator) -> None:
    hashes = []
    for _ in range(2):
        run = pair.start()
        pair.plan(run)
        run.lease.release()
        hashes.append(run.record.plan_hash)
    assert hashes[0] == hashes[1]
    order = next(iter(table(pair.source, ORDER)))
    edit(pair.source, ORDER, order, **{COMMENT: "one word"})
    run = pair.start()
    pair.plan(run)
    assert run.record.plan_hash != hashes[0]


@pytest.mark.lane
def test_a_param_that_changes_what_is_written_changes_the_hash(pair: Migrator) -> None:
    hashes = set()
    for params in ({}, {"received_dates": "accept_reset"}, {"on_row_failure": "continue"}):
        run = pair.start(**params)
        pair.plan(run)
        run.lease.release()
        hashes.add(run.record.plan_hash)
    assert len(hashes) == 3


@pytest.mark.parametrize("what", ["action", "value"])
def test_a_plan_that_was_tampered_with_is_refused(planned_pair: Pair, what: str) -> None:
    pair, run = planned_pair
    pair.waive(run)
    if what == "action":
        run.db.execute(
            sql.SQL(
                "UPDATE {} SET action = 'insert' WHERE (sobject, source_id) IN "
                "(SELECT sobject, source_id FROM {} WHERE action = 'blocked' LIMIT 1)"
            ).format(run.table("plan"), run.table("plan"))
        )
    else:
        run.db.execute(
            sql.SQL("UPDATE {t} SET {f} = 'other' WHERE source_id = (SELECT min(source_id) FROM {t})").format(
                t=run.table("desired", ORDER), f=sql.Identifier(COMMENT)
            )
        )
    with pytest.raises(RunStopped, match="was changed after it was made") as stopped:
        pair.load(run)
    assert stopped.value.state == "not_approved"
    assert pair.target.count(f"SELECT COUNT() FROM {ORDER} WHERE COA_Source_Id__c != null") == 0


def test_without_an_answer_nothing_is_loaded(planned_pair: Pair) -> None:
    pair, run = planned_pair
    with pytest.raises(RunStopped, match="no recorded answer") as stopped:
        pair.load(run)
    assert stopped.value.state == "not_approved"
    assert pair.finish(run).state == "not_approved"


def test_a_rejected_plan_is_not_loaded(pair: Migrator) -> None:
    from coa.approval import record as approval

    run = pair.start()
    pair.plan(run)
    pair.waive(run)
    approval.record(
        run,
        kind="approval",
        approved=False,
        answered_by="Ada",
        plan_hash=str(run.record.plan_hash),
        reason="too early",
    )
    with pytest.raises(RunStopped, match=r"Ada did not approve .* too early"):
        pair.load(run)
    assert pair.target.count(f"SELECT COUNT() FROM {ORDER} WHERE COA_Source_Id__c != null") == 0


@pytest.mark.lane
def test_only_customers_of_chosen_orders_move_and_links_out_of_the_choice_are_listed(pair: Migrator) -> None:
    orders = table(pair.source, ORDER)
    clone = next(r for r in orders.values() if r[CLONED_FROM] and r[STATUS] != "Draft")
    original = clone[CLONED_FROM]
    result = pair.migrate(orders_where=f"Id = '{clone['Id']}'")
    assert result.state == "verified", result.error
    assert result.summary["objects"][CUSTOMER]["extracted"] == 1
    assert result.summary["objects"][ORDER]["inserted"] == 1
    moved = pair.target.records(f"SELECT {CLONED_FROM} FROM {ORDER} WHERE COA_Source_Id__c = '{clone['Id']}'")
    assert moved[0][CLONED_FROM] is None
    listed = (result.folder / "differences.csv").read_text("utf-8-sig")
    assert f"{clone['Id']}" in listed
    assert "cloned from is not moved" in listed

    again = pair.migrate(orders_where=f"Id = '{original}'")
    assert again.state == "verified", again.error
    third = pair.migrate(orders_where=f"Id = '{clone['Id']}'")
    assert third.state == "verified", third.error
    linked = pair.target.records(
        f"SELECT {CLONED_FROM} FROM {ORDER} WHERE COA_Source_Id__c = '{clone['Id']}'"
    )
    parent = pair.target.records(f"SELECT Id FROM {ORDER} WHERE COA_Source_Id__c = '{original}'")
    assert linked[0][CLONED_FROM] == parent[0]["Id"]


def test_hold_policies_leave_drafts_and_orders_in_flight_with_their_details(pair: Migrator) -> None:
    run = pair.start(draft_orders="hold", in_flight_orders="hold")
    pair.plan(run)
    orders, found = table(pair.source, ORDER), actions(run)
    blocked = set(pair.source.control("GET", "planted")["blocked_orders"])
    for i, r in orders.items():
        if i in blocked:
            continue
        reason = {"Draft": "held_draft", "Submitted": "held_in_flight", "Received": "held_in_flight"}
        code = {**reason, "In Process": "held_in_flight"}.get(r[STATUS], "")
        assert found[ORDER, i] == (("held", code) if code else ("insert", ""))
    for i, r in table(pair.source, DETAIL).items():
        assert found[DETAIL, i][0] == found[ORDER, r[DETAIL_ORDER]][0]
