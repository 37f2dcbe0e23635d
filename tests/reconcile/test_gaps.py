"""What the source leaves open or the target changes: blank contracts, inactive owners, cut and trimmed texts."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from psycopg import sql
from tests.engine.harness import Migration
from tests.reconcile.pairs import actions, create, like, table, two_orgs, writes

from coa.model import DETAIL, DETAIL_CONTRACT, DETAIL_ORDER, NS, ORDER, ORDER_CONTRACT, SOURCE_ID, STATUS
from coa.staging.database import Database

INVOICE = NS + "Invoice_Description__c"
TERMS = NS + "Product_Special_Terms__c"


def rows(migration: Migration, name: str) -> list[dict[str, str]]:
    with (migration.folder / name).open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def test_what_is_filled_kept_and_cut_is_explained_and_known_again(database: Database, tmp_path: Path) -> None:
    with two_orgs(database, tmp_path, orders=20, target={"trim_text": True}) as pair:
        blocked = pair.source.control("GET", "planted")
        details = [
            d for d in table(pair.source, DETAIL).values()
            if d[DETAIL_ORDER] not in blocked["blocked_orders"]
        ]  # fmt: skip
        blank = {d["Id"] for d in details[:7]}
        for source_id in blank:
            pair.source.control("PATCH", f"records/{DETAIL}/{source_id}", {DETAIL_CONTRACT: None}, raw="true")
        cut = details[0][DETAIL_ORDER]
        text = "nineteen characters and the rest"
        pair.source.control("PATCH", f"records/{ORDER}/{cut}", {INVOICE: text}, raw="true")
        pair.target.control("POST", "fields", {"field": INVOICE_PATH, "length": 20})

        # Every order of one owner, who is inactive in the target.
        users = {u["FederationIdentifier"]: u for u in table(pair.target, "User").values()}
        inactive = next(
            (theirs, u)
            for theirs in table(pair.source, "User").values()
            if (u := users.get(theirs["FederationIdentifier"])) and not u["IsActive"] and theirs["FederationIdentifier"]
        )  # fmt: skip
        pair.source.control("PATCH", f"records/{ORDER}/{cut}", {"OwnerId": inactive[0]["Id"]}, raw="true")

        refused = pair.migrate(dry_run=True, too_long_policy="truncate", blank_contract="block_record")
        assert {i for (_, i), (_, code) in actions(refused.run).items() if code == "contract_blank"} == blank

        done = pair.migrate(too_long_policy="truncate")
        assert done.state == "verified", done.error
        assert not [r for r in rows(done, "rejected_rows.csv") if r["source_id"] in blank]
        ours = {r[SOURCE_ID]: r for r in table(pair.target, DETAIL).values() if r[SOURCE_ID]}
        orders = {r["Id"]: r for r in table(pair.target, ORDER).values()}
        assert all(ours[d][DETAIL_CONTRACT] == orders[ours[d][DETAIL_ORDER]][ORDER_CONTRACT] for d in blank)
        explained = {
            (r["source_id"], r["field"]) for r in rows(done, "differences.csv") if r["kind"] == "explained"
        }
        assert {(d, DETAIL_CONTRACT) for d in blank} <= explained
        assert done.run.db.value(
            "SELECT count FROM coa.finding WHERE run_id = %s AND code = 'value_changed_by_policy' AND field = %s",
            [done.run.run_id, DETAIL_CONTRACT],
        ) == len(blank)  # fmt: skip
        order = next(r for r in orders.values() if r[SOURCE_ID] == cut)
        assert order[INVOICE] == text[:20].rstrip() == "nineteen characters"
        assert order["OwnerId"] == inactive[1]["Id"]

        # Our own changes are known again: nothing is written, nobody else is taken to have changed something.
        again = pair.migrate(mode="delta", too_long_policy="truncate")
        assert again.state == "verified", again.error
        assert writes(again.summary) == 0


INVOICE_PATH = "Service_Order__c.Invoice_Description__c"


def test_without_the_permission_an_inactive_owner_is_replaced(database: Database, tmp_path: Path) -> None:
    off = ["Product_must_belong_to_contract_terms", "Order_must_belong_to_contract_terms"]
    with two_orgs(
        database, tmp_path, orders=12, target={"inactive_owner": False, "validation_off": off}
    ) as pair:
        # Where the target's rules are off, neither a blank product nor a blank contract is anybody's business.
        blocked = pair.source.control("GET", "planted")["blocked_orders"]
        bare = next(d for d in table(pair.source, DETAIL).values() if d[DETAIL_ORDER] not in blocked)
        empty = {NS + "Product_Name__c": None, DETAIL_CONTRACT: None}
        pair.source.control("PATCH", f"records/{DETAIL}/{bare['Id']}", empty, raw="true")
        run = pair.start(dry_run=True)
        pair.plan(run)
        assert not run.record.target_org.get("keeps_inactive_owners")
        active = {i for i, u in table(pair.target, "User").items() if u["IsActive"]}
        owners = run.db.rows(
            sql.SQL('SELECT DISTINCT "OwnerId" AS id FROM {}').format(run.table("desired", ORDER))
        )
        assert {r["id"] for r in owners} <= active
        assert actions(run)[DETAIL, bare["Id"]] == ("insert", "")
        kept = run.db.row(
            sql.SQL("SELECT {} AS contract FROM {} WHERE source_id = %s").format(
                sql.Identifier(DETAIL_CONTRACT), run.table("desired", DETAIL)
            ),
            [bare["Id"]],
        )
        assert kept == {"contract": None}


@pytest.mark.lane
def test_terms_that_would_be_frozen_inexact_are_not_brought_at_all(
    database: Database, tmp_path: Path
) -> None:
    """A new detail of a released order: what follows its insert by an update, the package would refuse."""
    with two_orgs(database, tmp_path, orders=12) as pair:
        assert pair.migrate().state == "verified"
        moved = {r[SOURCE_ID] for r in table(pair.target, ORDER).values() if r[SOURCE_ID]}
        sold = next(
            d for d in table(pair.source, DETAIL).values()
            if d[DETAIL_ORDER] in moved and table(pair.source, ORDER)[d[DETAIL_ORDER]][STATUS] == "Provisioned"
        )  # fmt: skip
        late = create(pair.source, DETAIL, **like(sold, **{TERMS: "one\r\ntwo"}))
        plain = create(pair.source, DETAIL, **like(sold, **{TERMS: "one\ntwo"}))

        delta = pair.migrate(mode="delta")

        found = actions(delta.run)
        assert found[DETAIL, late] == ("blocked", "refused_by_org")
        assert found[DETAIL, plain][0] == "insert"
        assert delta.state == "verified", [
            r for r in rows(delta, "differences.csv") if r["kind"] != "explained"
        ]
        ours = {r[SOURCE_ID]: r for r in table(pair.target, DETAIL).values() if r[SOURCE_ID]}
        assert ours[plain][TERMS] == "one\ntwo"
