"""A matched customer is matched as long as its org id says so, and the proof knows when it no longer does."""

from __future__ import annotations

from uuid import uuid4

import pytest
from tests.engine.checker import check
from tests.engine.harness import Migrator
from tests.engine.kept import Pair
from tests.reconcile.pairs import actions, create, plan_rows, table

from coa import pipeline
from coa.model import CUSTOMER, CUSTOMER_ORG_ID, NS, ORDER, ORDER_CUSTOMER, SOURCE_ID
from coa.staging.runs import Run


def verify_all(pair: Migrator) -> Run:
    """What `coa_verify` does."""
    run = pipeline.start(
        pair.db,
        pair.settings,
        dag_id="coa_verify",
        airflow_run_id=f"verify-{uuid4().hex}",
        triggered_by="test",
        raw_params={},
    )
    source, target = pair.orgs()
    pipeline.verify_run(run, source, target)
    return run


def differences(run: Run, kind: str) -> set[tuple[str, str]]:
    rows = run.db.rows(
        "SELECT sobject, source_id FROM coa.difference WHERE run_id = %s AND kind = %s", [run.run_id, kind]
    )
    return {(r["sobject"], r["source_id"]) for r in rows}


def test_a_match_holds_only_while_its_key_does(pair: Migrator) -> None:
    source_orders = table(pair.source, ORDER)
    planted = pair.source.control("GET", "planted")
    left = {*planted["blocked_orders"], *planted["blocked_details"]}
    busy = {r[ORDER_CUSTOMER] for i, r in source_orders.items() if i not in left}
    to_another, to_none = sorted(busy)[:2]
    for customer in (to_another, to_none):
        like = table(pair.source, CUSTOMER)[customer]
        given = {
            n: like[n] for n in (CUSTOMER_ORG_ID, NS + "Customer_Company_Name__c", NS + "Customer_Country__c")
        }
        if not any(
            r[CUSTOMER_ORG_ID] == given[CUSTOMER_ORG_ID] for r in table(pair.target, CUSTOMER).values()
        ):
            create(pair.target, CUSTOMER, **given)
    first = pair.migrate()
    assert first.state == "verified", first.error
    plan = actions(first.run)
    assert {plan[CUSTOMER, c][0] for c in (to_another, to_none)} == {"match"}
    moved = {r[SOURCE_ID]: r for r in table(pair.target, ORDER).values() if r[SOURCE_ID]}
    orders_of = {
        c: {i for i in moved if source_orders[i][ORDER_CUSTOMER] == c} for c in (to_another, to_none)
    }
    known = {r[CUSTOMER_ORG_ID][:15] for r in table(pair.source, CUSTOMER).values()}
    stranger = next(
        r for r in table(pair.target, CUSTOMER).values()
        if not r[SOURCE_ID] and r[CUSTOMER_ORG_ID][:15] not in known
    )  # fmt: skip

    # The org ids of two matched customers are corrected in the source.
    corrected = {to_another: stranger[CUSTOMER_ORG_ID], to_none: "00D8x00000NewOrg"}
    for customer, org_id in corrected.items():
        pair.source.control("PATCH", f"records/{CUSTOMER}/{customer}", {CUSTOMER_ORG_ID: org_id})
    theirs = {(ORDER, o) for c in corrected for o in orders_of[c]}

    # The proof compares with the match that holds now, not with what the ledger remembers.
    assert theirs <= differences(verify_all(pair), "link")

    second = pair.migrate(mode="delta")
    assert second.state == "verified", second.error
    found = actions(second.run)
    assert found[CUSTOMER, to_another] == ("match", "match_changed")
    assert found[CUSTOMER, to_none] == ("insert", "match_changed")
    assert {found[o][0] for o in theirs} == {"update"}
    assert all(ORDER_CUSTOMER in plan_rows(second.run)[o]["changed"] for o in theirs)
    assert second.run.db.value(
        "SELECT count FROM coa.finding WHERE run_id = %s AND code = 'match_changed'", [second.run.run_id]
    ) == 2  # fmt: skip
    ours = {r[SOURCE_ID]: r for r in table(pair.target, ORDER).values() if r[SOURCE_ID]}
    assert {ours[o][ORDER_CUSTOMER] for o in orders_of[to_another]} == {stranger["Id"]}
    verdict = check(pair.source, pair.target, left)
    assert verdict.clean, str(verdict)

    # Told once; from then on it is a match like any other.
    third = pair.migrate(mode="delta")
    assert third.state == "verified", third.error
    assert actions(third.run)[CUSTOMER, to_another] == ("match", "")
    assert not differences(verify_all(pair), "link")


@pytest.mark.lane
def test_send_order_set_in_the_target_is_a_hazard_wherever_somebody_looks(moved_pair: Pair) -> None:
    pair, first = moved_pair
    ours = next(r for r in table(pair.target, ORDER).values() if r[SOURCE_ID])
    other = next(r for r in table(pair.target, ORDER).values() if not r[SOURCE_ID])
    for record in (ours, other):
        pair.target.control(
            "PATCH", f"records/{ORDER}/{record['Id']}", {"CHANNEL_ORDERS__Send_Order__c": 1}, raw="true"
        )
    hazard = {(ORDER, ours[SOURCE_ID])}

    source, target = pair.orgs()
    checked = pipeline.freeze_check(first, source, target)
    assert [(f.code, f.count, f.examples) for f in checked] == [("hazard", 1, [ours[SOURCE_ID]])]
    verified = verify_all(pair)
    assert differences(verified, "hazard") == hazard
    delta = pair.migrate(mode="delta")
    assert delta.state == "differences"
    assert differences(delta.run, "hazard") == hazard
    planned = "SELECT count FROM coa.finding WHERE run_id = %s AND code = 'hazard' AND stage = 'reconcile'"
    assert delta.run.db.value(planned, [delta.run.run_id]) == 1
