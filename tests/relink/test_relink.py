"""Lookups of other records are set to what was moved: where they are as planned and the old id stands, nowhere else."""

from __future__ import annotations

import csv
import json
from typing import Any

import pytest
import yaml

from coa import pipeline
from coa.errors import ConfigurationError, InvalidParams, RunStopped
from coa.model import CUSTOMER, ORDER
from coa.staging.runs import Run
from coa_airflow.ui.downloads import LISTS
from coa_airflow.ui.problems import problems
from tests.engine.harness import Migration
from tests.engine.killing import kill_while
from tests.relink.conftest import INVOICE, Relinker

OTHER_ORG = "00D000000000001AAA"


def counts(done: Migration) -> dict[str, int]:
    return {name: n for name, n in done.summary["objects"][INVOICE].items() if n}


def listed(done: Migration, name: str = "rejected_rows.csv") -> list[dict[str, str]]:
    with (done.folder / name).open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def reasons(done: Migration) -> dict[str, str]:
    return {row["source_id"]: row["reason_code"] for row in listed(done)}


def on_the_page(run: Run) -> list[tuple[str, str, int]]:
    """(kind, code, records) of the groups that the migration page lists."""
    row = run.db.row("SELECT * FROM coa.run WHERE run_id = %s", [run.run_id])
    assert row is not None
    with run.db.transaction() as connection:
        return sorted((g["kind"], g["code"], g["records"]) for g in problems(connection, row)["not_moved"])


def test_difficult_records_and_their_undo(relinker: Relinker) -> None:
    (old, new), (second, other), (_, third) = (relinker.order(n) for n in range(3))
    doomed, gone_order = relinker.order(3)
    customer, new_customer = next(iter(relinker.ids[CUSTOMER].items()))
    empty = relinker.invoice(Old_Order_Id__c=old, Old_Customer_Id__c=customer)
    in_a_text = relinker.invoice(Old_Order_Id__c=f"was https://old.example/{old[:15]}, paid")
    right = relinker.invoice(Old_Order_Id__c=old, Order__c=new)
    taken = relinker.invoice(Old_Order_Id__c=old, Order__c=other)
    unknown = relinker.invoice(Old_Order_Id__c="a0X000000000001AAA")
    two_ids = relinker.invoice(Old_Order_Id__c=f"{old} {second}")
    silent = relinker.invoice(Name="without any id")
    changed = relinker.invoice(Old_Order_Id__c=old)
    deleted = relinker.invoice(Old_Order_Id__c=old)
    refused = relinker.invoice(Old_Order_Id__c=doomed)
    before = relinker.invoices()
    run = relinker.approved()
    relinker.edit(changed, Order__c=third)
    relinker.pair.target.control("DELETE", f"records/{INVOICE}/{deleted}")
    relinker.pair.target.control("DELETE", f"records/{ORDER}/{gone_order}")

    done = relinker.carry_out(run)

    assert done.state == "rows_rejected", done.error
    assert relinker.orders_of(empty, in_a_text, right, taken, unknown, two_ids, silent, changed, refused) == [
        new, new, new, other, None, None, None, third, None,
    ]  # fmt: skip
    assert relinker.invoices()[empty]["Customer__c"] == new_customer
    assert counts(done) == {"to_set": 6, "unchanged": 1, "left": 3, "set": 3, "held": 2, "rejected": 1}
    assert reasons(done) == {
        taken: "conflict",
        unknown: "lookup_unmatched",
        two_ids: "lookup_unmatched",
        changed: "changed_since_plan",
        deleted: "changed_since_plan",
        refused: "refused_by_org",
    }
    assert "Lookups set to moved records" in (done.folder / "report.html").read_text()
    assert on_the_page(run) == [
        ("held", "changed_since_plan", 1),
        ("held", "changed_since_plan", 1),
        ("left", "conflict", 1),
        ("left", "lookup_unmatched", 2),
        ("refused", "ENTITY_IS_DELETED", 1),
    ]
    assert {row["source_id"] for row in LISTS["rejected_rows"][1](run)} == set(reasons(done))
    assert run.db.value("SELECT count(*) FROM coa.ledger WHERE sobject = %s", [INVOICE]) == 0

    undone = relinker.undo(done)

    assert undone.state == "verified", undone.error
    assert list(LISTS["rejected_rows"][1](undone.run)) == []
    del before[deleted]
    before[changed]["Order__c"] = third
    assert relinker.invoices() == before


@pytest.mark.lane
def test_every_lookup_of_the_plan_is_proved_and_a_second_run_has_nothing_to_do(relinker: Relinker) -> None:
    for nth in range(3):
        relinker.invoice(Old_Order_Id__c=relinker.order(nth)[0])

    done, again = relinker.run(), relinker.run()

    assert (done.state, counts(done)) == ("verified", {"to_set": 3, "set": 3, "verified": 3})
    assert (again.state, counts(again)) == ("verified", {"unchanged": 3})


def test_a_rule_may_replace_what_a_lookup_holds_and_the_undo_puts_it_back(relinker: Relinker) -> None:
    (old, new), (_, other), (_, third) = (relinker.order(n) for n in range(3))
    relinker.rules = relinker.rules.replace("to: Service_Order__c}", "to: Service_Order__c, replace: true}")
    held, moved_on, touched = (relinker.invoice(Old_Order_Id__c=old, Order__c=other) for _ in range(3))
    run = relinker.approved()
    relinker.edit(moved_on, Order__c=third)

    done = relinker.carry_out(run)

    assert (done.state, counts(done)) == ("verified", {"to_set": 3, "set": 2, "held": 1, "verified": 2})
    assert relinker.orders_of(held, moved_on, touched) == [new, third, new]
    assert [row["held"] for row in listed(done, "relinked.csv")] == [other] * 3
    relinker.edit(touched, Order__c=third)

    undone = relinker.undo(done)

    assert (undone.state, reasons(undone)) == ("verified", {touched: "conflict"})
    assert relinker.orders_of(held, moved_on, touched) == [other, third, third]


def test_an_id_that_two_sources_share_is_listed_and_not_set(relinker: Relinker) -> None:
    (shared, _), (own, new), (_, elsewhere) = (relinker.order(n) for n in range(3))
    db = relinker.pair.db
    other_pair = db.value(
        """INSERT INTO coa.org_pair (source_org_id, target_org_id)
           SELECT %s, target_org_id FROM coa.org_pair WHERE pair_id = %s RETURNING pair_id""",
        [OTHER_ORG, relinker.migration.pair_id],
    )
    db.execute(
        "INSERT INTO coa.ledger (pair_id, sobject, source_id, target_id, origin) VALUES (%s, %s, %s, %s, 'inserted')",
        [other_pair, ORDER, shared, elsewhere],
    )
    ambiguous, clear = relinker.invoice(Old_Order_Id__c=shared), relinker.invoice(Old_Order_Id__c=own)

    done = relinker.run()

    db.execute("DELETE FROM coa.ledger WHERE pair_id = %s", [other_pair])
    assert done.state == "verified", done.error
    assert relinker.orders_of(ambiguous, clear) == [None, new]
    (row,) = listed(done)
    assert (row["source_id"], row["reason_code"]) == (ambiguous, "lookup_unmatched")
    assert "Another source" in row["reason"]


def test_a_dry_run_of_one_migration_plans_its_records_and_writes_nothing(relinker: Relinker) -> None:
    old, _ = relinker.order()
    matched = next(iter(relinker.ids[CUSTOMER]))
    invoice = relinker.invoice(Old_Order_Id__c=old, Old_Customer_Id__c=matched)

    run = relinker.plan(dry_run=True, run_id=relinker.migration.run_id)
    done = relinker.pair.finish(run)

    assert (done.state, counts(done)) == ("dry_run", {"to_set": 1})
    assert relinker.orders_of(invoice) == [None]
    plan = json.loads((done.folder / "plan.json").read_text())
    assert [(row["field"], row["action"], row["records"]) for row in plan["lookups"]] == [
        ("Order__c", "set", 1)
    ]


@pytest.mark.lane
def test_a_run_that_moved_nothing_is_no_migration(relinker: Relinker) -> None:
    done = relinker.pair.finish(relinker.plan(dry_run=True))

    with pytest.raises(ConfigurationError, match=f"Run {done.run.run_id} moved nothing"):
        relinker.plan(run_id=done.run.run_id)


def test_nothing_is_written_without_an_approval_of_exactly_this_plan(relinker: Relinker) -> None:
    (old, _), (_, other) = relinker.order(), relinker.order(1)
    invoice = relinker.invoice(Old_Order_Id__c=old)

    assert relinker.carry_out(relinker.plan()).state == "not_approved"
    run = relinker.approved()
    run.db.execute(f"UPDATE {run.schema}.relink SET target_id = %s", [other])
    assert relinker.carry_out(run).state == "not_approved"
    assert relinker.orders_of(invoice) == [None]


@pytest.mark.parametrize(
    "moment",
    [
        pytest.param({"method": "POST", "path": r"/jobs/ingest/?$"}, id="creating", marks=pytest.mark.lane),
        pytest.param({"method": "PUT", "path": r"/batches"}, id="uploading", marks=pytest.mark.lane),
        pytest.param({"method": "PATCH", "path": r"/jobs/ingest/"}, id="closing", marks=pytest.mark.lane),
        pytest.param({"method": "GET", "path": r"/successfulResults"}, id="results"),
    ],
)
def test_a_write_that_was_killed_goes_on(relinker: Relinker, moment: dict[str, Any]) -> None:
    old, new = relinker.order()
    invoices = [relinker.invoice(Old_Order_Id__c=old) for _ in range(3)]
    run = relinker.approved()
    kill_while(relinker.pair, run, "relink_load", moment)

    done = relinker.carry_out(Run.load(run.db, run.settings, run.run_id))

    assert (done.state, counts(done)) == ("verified", {"to_set": 3, "set": 3, "verified": 3})
    assert relinker.orders_of(*invoices) == [new] * 3


def test_a_lookup_that_changed_after_its_write_is_a_difference(relinker: Relinker) -> None:
    invoice = relinker.invoice(Old_Order_Id__c=relinker.order()[0])
    run = relinker.approved()
    target = relinker.pair.orgs()[1]
    pipeline.relink_load(run, target)
    relinker.edit(invoice, Order__c=None)
    pipeline.relink_verify(run, target)

    done = relinker.pair.finish(run)

    assert (done.state, counts(done)["different"]) == ("differences", 1)


@pytest.mark.lane
def test_a_roll_back_leaves_what_was_changed_since_unless_it_is_forced(relinker: Relinker) -> None:
    (old, new), (_, other) = relinker.order(), relinker.order(1)
    kept, changed = (relinker.invoice(Old_Order_Id__c=old) for _ in range(2))
    done = relinker.run()
    relinker.edit(changed, Order__c=other)

    assert relinker.undo(done, dry_run=True).state == "dry_run"
    assert relinker.orders_of(kept, changed) == [new, other]
    undone = relinker.undo(done)
    assert relinker.orders_of(kept, changed) == [None, other]
    found = undone.summary["objects"][INVOICE]
    assert (found["to_restore"], found["restored"], found["left"], found["verified"]) == (1, 1, 1, 1)
    assert relinker.undo(done, force=True).state == "verified"
    assert relinker.orders_of(kept, changed) == [None, None]


@pytest.mark.parametrize(
    ("rules", "code"),
    [
        ("{Nowhere__c: {A__c: {from: B__c, to: Service_Order__c}}}", "relink_object"),
        *(
            pytest.param(rules, code, marks=pytest.mark.lane)
            for rules, code in (
                ("{Partner_Invoice__c: {No__c: {from: Old_Order_Id__c, to: Customer__c}}}", "relink_field"),
                ("{Partner_Invoice__c: {OwnerId: {from: Old_Order_Id__c, to: Customer__c}}}", "relink_field"),
                (
                    "{Partner_Invoice__c: {Order__c: {from: Old_Order_Id__c, to: Customer__c}}}",
                    "relink_field",
                ),
                (
                    "{Partner_Invoice__c: {Order__c: {from: Customer__c, to: Service_Order__c}}}",
                    "relink_text",
                ),
            )
        ),
    ],
)
def test_rules_that_cannot_be_followed_stop_the_run_before_anything_is_read(
    relinker: Relinker, rules: str, code: str
) -> None:
    relinker.rules = f"relink: {rules}\n"

    with pytest.raises(RunStopped):
        relinker.plan()

    run = last_run(relinker)
    assert (run["state"], run["codes"]) == ("blocked", [code])


@pytest.mark.parametrize(
    ("rules", "fault"),
    [
        ("{sfLma__License__c: {sfLma__Package__c: {from: Name, to: Customer__c}}}", "a managed field"),
        ("{Visit__c: {CHANNEL_ORDERS__X__c: {from: Old__c, to: Customer__c}}}", "a managed field"),
        ("{Service_Order__c: {License__c: {from: Old__c, to: Customer__c}}}", "coa_migrate writes this object"),
        ("{Visit__c: {Order__c: {to: Customer__c}}}", "a lookup needs `from`"),
        ("{Visit__c: {Order__c: {from: Old__c, to: Account}}}", "a lookup needs `from`"),
    ],
)  # fmt: skip
def test_managed_fields_and_moved_objects_are_refused_by_name(
    relinker: Relinker, rules: str, fault: str
) -> None:
    relinker.rules = f"relink: {rules}\n"

    with pytest.raises(InvalidParams, match=fault):
        relinker.start()


def test_the_product_fills_in_the_rules_that_the_records_show(relinker: Relinker) -> None:
    relinker.invoice(Old_Order_Id__c=f"see {relinker.order()[0][:15]}")
    relinker.invoice(Old_Order_Id__c="nothing")
    relinker.rules = "version: 1\n"
    with pytest.raises(RunStopped, match="No rule says"):
        relinker.plan()
    run = last_run(relinker)
    assert (run["state"], run["codes"]) == ("blocked", ["relink_without_rules"])
    template = (relinker.pair.artifacts / run["run_id"] / "relink_template.yaml").read_text()

    assert yaml.safe_load(template)["relink"] == {
        INVOICE: {"Order__c": {"from": "Old_Order_Id__c", "to": "Service_Order__c"}}
    }
    assert "# Customer__c: {from: , to: Customer__c}" in template
    relinker.rules = template
    assert counts(relinker.pair.finish(relinker.plan(dry_run=True))) == {"to_set": 1, "left": 1}


def test_orgs_between_which_nothing_was_moved_are_refused(relinker: Relinker) -> None:
    run = relinker.start()
    target, source = relinker.pair.orgs()

    with pytest.raises(ConfigurationError, match="Nothing was moved from"):
        pipeline.relink_begin(run, source, target, relinker.pair.artifacts / run.run_id)


def last_run(relinker: Relinker) -> dict[str, Any]:
    """run_id, state and codes of the findings of the last re-linking."""
    row = relinker.pair.db.row(
        """SELECT run_id, state, (SELECT array_agg(code) FROM coa.finding f WHERE f.run_id = r.run_id) AS codes
           FROM coa.run r WHERE mode = 'relink' ORDER BY started_at DESC LIMIT 1"""
    )
    assert row is not None
    return row
