"""What the target already has: conflicts, possible duplicates, deletions, frozen terms."""

from __future__ import annotations

import json
from typing import Any

import pytest
from psycopg import sql
from tests.engine.harness import Migrator
from tests.engine.kept import Pair
from tests.reconcile.pairs import actions, create, delete, edit, like, plan_rows, table

from coa.mapping.model import Mapping
from coa.model import (
    CLONED_FROM,
    CUSTOMER,
    CUSTOMER_ORG_ID,
    DETAIL,
    DETAIL_CONTRACT,
    DETAIL_ORDER,
    DETAIL_PRODUCT,
    NS,
    ORDER,
    ORDER_CONTRACT,
    ORDER_CUSTOMER,
    SOURCE_ID,
    STATUS,
)
from coa.plan.reconcile import run_reconcile
from coa.staging.runs import Run

COMMENT = NS + "Error_Comment__c"
TERMS = NS + "Product_Special_Terms__c"


def counterparts(pair: Migrator, sobject: str) -> dict[str, str]:
    """Source id -> target id."""
    return {r[SOURCE_ID]: i for i, r in table(pair.target, sobject).items() if r[SOURCE_ID]}


def deletions(run: Run) -> dict[tuple[str, str], tuple[str, str]]:
    rows = run.db.rows(sql.SQL("SELECT * FROM {}").format(run.table("deletion")))
    return {(r["sobject"], r["source_id"]): (r["action"], r["reason"]) for r in rows}


def test_a_record_that_both_sides_changed_follows_the_conflict_policy(moved_pair: Pair) -> None:
    pair, _ = moved_pair
    orders = counterparts(pair, ORDER)
    disputed, untouched_there = list(orders)[:2]
    edit(pair.source, ORDER, disputed, **{COMMENT: "source"})
    edit(pair.target, ORDER, orders[disputed], **{COMMENT: "target"})
    edit(pair.source, ORDER, untouched_there, **{COMMENT: "source"})

    blocked = pair.migrate(dry_run=True, conflict_policy="block_record")
    row = plan_rows(blocked.run)[ORDER, disputed]
    assert (row["action"], row["reason_code"]) == ("blocked", "conflict")
    assert COMMENT in row["reason"]
    assert actions(blocked.run)[ORDER, untouched_there] == ("update", "")

    kept = pair.migrate(conflict_policy="target_wins")
    assert kept.state == "verified", kept.error
    there = table(pair.target, ORDER)
    assert there[orders[disputed]][COMMENT] == "target"
    assert there[orders[untouched_there]][COMMENT] == "source"
    assert "target_wins" in (kept.folder / "differences.csv").read_text("utf-8-sig")

    taken = pair.migrate(conflict_policy="source_wins")
    assert taken.state == "verified", taken.error
    assert table(pair.target, ORDER)[orders[disputed]][COMMENT] == "source"


@pytest.mark.lane
def test_a_clone_link_that_comes_later_does_not_overrule_target_wins(pair: Migrator) -> None:
    all_orders = table(pair.source, ORDER)
    clone = next(r for r in all_orders.values() if r[CLONED_FROM] and r[STATUS] not in ("Draft",))
    assert pair.migrate(orders_where=f"Id = '{clone['Id']}'").state == "verified"
    target_id = counterparts(pair, ORDER)[clone["Id"]]
    edit(pair.target, ORDER, target_id, **{COMMENT: "target"})
    result = pair.migrate(conflict_policy="target_wins")
    assert result.state == "verified", result.error
    assert table(pair.target, ORDER)[target_id][COMMENT] == "target"


def entered_by_hand(pair: Migrator) -> tuple[str, str]:
    """An order of the source that somebody has entered in the target as well: (source id, target id)."""
    there = {r[CUSTOMER_ORG_ID][:15]: i for i, r in table(pair.target, CUSTOMER).items()}
    customers = table(pair.source, CUSTOMER)
    names = {r["Name"]: i for i, r in table(pair.target, NS + "Partner_Contract_Terms__c").items()}
    contracts = table(pair.source, NS + "Partner_Contract_Terms__c")
    products = table(pair.source, NS + "Partner_Product_Catalog__c")
    offered = {
        (r[NS + "Partner_Contract_Terms__c"], r[NS + "Product_ID__c"]): i
        for i, r in table(pair.target, NS + "Partner_Product_Catalog__c").items()
    }
    details = table(pair.source, DETAIL).values()
    planted = set(pair.source.control("GET", "planted")["blocked_orders"])
    for order in table(pair.source, ORDER).values():
        customer = there.get(customers[order[ORDER_CUSTOMER]][CUSTOMER_ORG_ID][:15])
        if customer is None or order["Id"] in planted:
            continue
        contract = names[contracts[order[ORDER_CONTRACT]]["Name"]]
        made = create(
            pair.target, ORDER, **like(order, **{ORDER_CUSTOMER: customer, ORDER_CONTRACT: contract})
        )
        for line in details:
            if line[DETAIL_ORDER] == order["Id"]:
                product = offered[contract, products[line[DETAIL_PRODUCT]][NS + "Product_ID__c"]]
                mine = {DETAIL_ORDER: made, DETAIL_PRODUCT: product, DETAIL_CONTRACT: contract}
                create(pair.target, DETAIL, **like(line, **mine))
        return order["Id"], made
    raise AssertionError("no customer is in both orgs")


@pytest.mark.lane
def test_an_order_that_somebody_entered_in_the_target_is_not_doubled_before_a_person_decided(
    pair: Migrator,
) -> None:
    twin, made = entered_by_hand(pair)
    run = pair.start()
    pair.plan(run)
    row = plan_rows(run)[ORDER, twin]
    assert (row["action"], row["reason_code"]) == ("blocked", "possible_duplicate")
    assert made in row["reason"]
    others = [r for (s, _), r in plan_rows(run).items() if r["reason_code"] == "possible_duplicate"]
    assert others == [row]

    for decisions, expected in (({twin: "load"}, "insert"), ({twin: made}, "match")):
        run.db.execute("DELETE FROM coa.ledger")
        run_reconcile(run, Mapping(duplicates=decisions))
        found = actions(run)
        assert found[ORDER, twin] == (expected, "")
        lines = {i for i, r in table(pair.source, DETAIL).items() if r[DETAIL_ORDER] == twin}
        assert {found[DETAIL, i] for i in lines} == {(expected, "")}
    run.lease.release()
    run = pair.start(possible_duplicates="load")
    pair.plan(run)
    assert actions(run)[ORDER, twin] == ("insert", "")


@pytest.mark.lane
def test_deletions_in_the_source_are_listed_and_carried_only_where_nobody_touched_the_record(
    moved_pair: Pair,
) -> None:
    pair, _ = moved_pair
    orders, lines = counterparts(pair, ORDER), table(pair.source, DETAIL)
    gone, touched, alone = list(orders)[:3]
    alone_line = next(i for i, r in lines.items() if r[DETAIL_ORDER] == alone)
    details = counterparts(pair, DETAIL)
    for i in (gone, touched):
        delete(pair.source, ORDER, i)
    delete(pair.source, DETAIL, alone_line)
    edit(pair.target, ORDER, orders[touched], **{COMMENT: "by a person"})

    told = pair.migrate()
    # The totals of the order whose detail stays differ, and that is explained.
    assert told.state == "verified", told.error
    assert "stays in the target" in (told.folder / "differences.csv").read_text("utf-8-sig")
    assert {a for a, _ in deletions(told.run).values()} == {"left"}
    document = json.loads((told.folder / "plan.json").read_text())
    assert document["deletions"]["counts"][ORDER] == {"found": 2, "to_delete": 0, "left": 2}
    found = told.run.db.rows(
        "SELECT sobject, count FROM coa.finding WHERE run_id = %s AND code = 'deleted_in_source'",
        [told.run.run_id],
    )
    assert {r["sobject"]: r["count"] for r in found}[ORDER] == 2

    result = pair.migrate(deletions="carry")
    assert result.state == "verified", result.error
    there = table(pair.target, ORDER)
    assert orders[gone] not in there
    assert orders[touched] in there
    left = table(pair.target, DETAIL)
    assert details[alone_line] not in left
    assert {i for i, r in left.items() if r[DETAIL_ORDER] == orders[touched]}
    assert deletions(result.run)[ORDER, touched][0] == "left"
    assert result.summary["deletions"][ORDER] == {"found": 2, "to_delete": 1, "left": 1, "deleted": 1}
    extracted = result.summary["objects"][ORDER]
    assert extracted["extracted"] == len(table(pair.source, ORDER))


@pytest.mark.lane
def test_changed_special_terms_of_a_sent_order_are_blocked_not_forced(moved_pair: Pair) -> None:
    pair, _ = moved_pair
    orders, details = table(pair.source, ORDER), table(pair.source, DETAIL)
    moved = counterparts(pair, DETAIL)
    sent = next(
        i for i, r in details.items() if i in moved and orders[r[DETAIL_ORDER]][STATUS] == "Activated"
    )
    pair.source.control("PATCH", "package", {"validations": {"Special_Fields": False}})
    edit(pair.source, DETAIL, sent, **{TERMS: "other terms"})
    result = pair.migrate()
    assert result.state == "verified", result.error
    row = plan_rows(result.run)[DETAIL, sent]
    assert (row["action"], row["reason_code"]) == ("blocked", "refused_by_org")


@pytest.mark.lane
def test_accepted_resets_of_the_received_date_are_neither_restored_nor_counted_as_changes(
    pair: Migrator,
) -> None:
    first = pair.migrate(received_dates="accept_reset")
    assert first.state == "verified", first.error
    assert first.summary["received_dates"]["different"] > 0
    again: Any = pair.migrate(received_dates="accept_reset")
    assert again.summary["objects"][ORDER]["to_update"] == 0
    restored = pair.migrate(received_dates="restore")
    assert restored.state == "verified", restored.error
    assert restored.summary["received_dates"]["different"] == 0


def test_a_customer_in_both_orgs_is_matched_by_either_form_of_its_org_id(planned_pair: Pair) -> None:
    pair, run = planned_pair
    there = table(pair.target, CUSTOMER)
    matched = {
        r["source_id"]: r["target_id"]
        for (s, _), r in plan_rows(run).items()
        if s == CUSTOMER and r["action"] == "match"
    }
    assert matched
    for source_id, target_id in matched.items():
        ours = table(pair.source, CUSTOMER)[source_id][CUSTOMER_ORG_ID]
        assert there[target_id][CUSTOMER_ORG_ID][:15] == ours[:15]
        assert there[target_id][CUSTOMER_ORG_ID] != ours
