"""Hidden fields and masked values through a whole run: nothing is lost without a word, no asterisk is written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from coa.model import CUSTOMER, NS
from coa.staging.database import Database
from tests.engine.harness import Migration
from tests.reconcile.pairs import actions, table, two_orgs

STATE = NS + "Customer_State__c"


def blockers(migration: Migration) -> set[tuple[str, str]]:
    rows = migration.run.db.rows(
        "SELECT code, field FROM coa.finding WHERE run_id = %s AND severity = 'blocker'",
        [migration.run.run_id],
    )
    return {(r["code"], r["field"]) for r in rows}


def test_hidden_fields_stop_the_run_and_masked_values_their_records(
    database: Database, tmp_path: Path
) -> None:
    unseen: dict[str, Any] = {
        "hide_field": ["Service_Order__c.Invoice_Description__c"],
        "encrypt_field": ["Customer__c.Customer_State__c"],
    }
    with two_orgs(
        database, tmp_path, orders=12, **unseen, target={"hide_field": [], "view_encrypted": True}
    ) as pair:
        stopped = pair.migrate(dry_run=True)
        assert stopped.state == "blocked"
        assert blockers(stopped) == {("field_hidden", NS + "Invoice_Description__c")}
        assert "Invoice_Description__c" in stopped.error

        masked = pair.migrate(dry_run=True, hidden_fields="report", masked_values="stop")
        assert masked.state == "blocked"
        assert blockers(masked) == {("value_masked", STATE)}

        done = pair.migrate(hidden_fields="report")
        assert done.state == "verified", done.error
        with_state = {i for i, r in table(pair.source, CUSTOMER).items() if r[STATE]}
        found = actions(done.run)
        waiting = {i for (name, i), (_, code) in found.items() if name == CUSTOMER and code == "value_masked"}
        assert waiting
        assert waiting == {i for i in with_state if found[CUSTOMER, i][0] != "match"}
        assert not any("*" in (r[STATE] or "") for r in table(pair.target, CUSTOMER).values())


@pytest.mark.lane
def test_a_user_who_sees_encrypted_data_moves_it(database: Database, tmp_path: Path) -> None:
    both: dict[str, Any] = {"encrypt_field": ["Customer__c.Customer_State__c"], "view_encrypted": True}
    with two_orgs(database, tmp_path, orders=8, **both) as pair:
        run = pair.start(dry_run=True)
        pair.plan(run)
        assert "masked_fields" not in run.record.source_org
        assert not [k for k, (_, code) in actions(run).items() if code == "value_masked"]
