"""Two orgs with a partner's own object, whose invoices name ids of records that were moved.

No migration is run: the ledger says what was moved, and that is all that a re-linking knows of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from coa import pipeline
from coa.approval import record as approval
from coa.errors import CoaError
from coa.model import CUSTOMER, ORDER
from coa.preflight.orgs import identify
from coa.staging.database import Database
from coa.staging.runs import Run
from orgsim.launch import running_org
from tests.engine.harness import FAST, Migration, Migrator
from tests.engine.undo import roll_back
from tests.reconcile.pairs import SYSTEM, create, table

INVOICE = "Partner_Invoice__c"
MAPPING = """
relink:
  Partner_Invoice__c:
    Order__c: {from: Old_Order_Id__c, to: Service_Order__c}
    Customer__c: {from: Old_Customer_Id__c, to: Customer__c}
"""


@dataclass
class Relinker:
    """`migration`: the run that inserted the orders; the customers were matched.

    `ids`: sObject -> source id -> target id of what was moved.
    """

    pair: Migrator
    folder: Path
    migration: Run
    ids: dict[str, dict[str, str]] = field(default_factory=dict)
    rules: str = MAPPING

    def order(self, nth: int = 0) -> tuple[str, str]:
        """(source id, target id) of an order that was moved."""
        return list(self.ids[ORDER].items())[nth]

    def invoice(self, **values: Any) -> str:
        return create(self.pair.target, INVOICE, **{"Name": "I-1", **values})

    def edit(self, invoice: str, **values: Any) -> None:
        self.pair.target.control("PATCH", f"records/{INVOICE}/{invoice}", values)

    def invoices(self) -> dict[str, dict[str, Any]]:
        return {
            record_id: {name: value for name, value in record.items() if name not in SYSTEM}
            for record_id, record in table(self.pair.target, INVOICE).items()
        }

    def orders_of(self, *invoices: str) -> list[str | None]:
        now = self.invoices()
        return [now[one]["Order__c"] for one in invoices]

    def start(self, **params: Any) -> Run:
        mapping = self.folder / "mapping.yaml"
        mapping.write_text(self.rules)
        return pipeline.start(
            self.pair.db,
            self.pair.settings,
            dag_id="coa_relink",
            airflow_run_id=f"test-{uuid4().hex}",
            triggered_by="test",
            raw_params={"require_approval": False, "mapping": str(mapping), **params},
        )

    def plan(self, **params: Any) -> Run:
        run = self.start(**params)
        source, target = self.pair.orgs()
        folder = self.pair.artifacts / run.run_id
        try:
            pipeline.relink_begin(run, source, target, folder)
            pipeline.relink_extract(run, target)
            pipeline.relink_plan(run, folder)
        except CoaError as error:
            self.pair.finish(run, error)
            raise
        return run

    def approved(self, **params: Any) -> Run:
        run = self.plan(**params)
        approval.record(
            run, kind="waiver", approved=True, answered_by="test", plan_hash=str(run.record.plan_hash)
        )
        return run

    def carry_out(self, run: Run) -> Migration:
        error: CoaError | None = None
        target = self.pair.orgs()[1]
        try:
            pipeline.relink_load(run, target)
            pipeline.relink_verify(run, target)
        except CoaError as failure:
            error = failure
        return self.pair.finish(run, error)

    def run(self, **params: Any) -> Migration:
        return self.carry_out(self.approved(**params))

    def undo(self, done: Migration, **params: Any) -> Migration:
        return roll_back(self.pair, done.run, **params)


@pytest.fixture(scope="module")
def moved(module_database: Database, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Relinker]:
    folder = tmp_path_factory.mktemp("relink")
    shape: dict[str, Any] = {"role": "source", "orders": 12, "job_delay": 0.0}
    with (
        running_org(**shape, seed=7) as source,
        running_org(**shape, seed=8, partner_fields=True) as target,
    ):
        pair = Migrator(module_database, source, target, folder / "artifacts", FAST)
        ids = {
            sobject: dict(zip(sorted(table(source, sobject)), sorted(table(target, sobject)), strict=False))
            for sobject in (CUSTOMER, ORDER)
        }
        yield Relinker(pair, folder, _as_moved(pair, ids), ids)


def _as_moved(pair: Migrator, ids: dict[str, dict[str, str]]) -> Run:
    """Writes down that the orders were inserted and the customers matched; the run that did it."""
    source, target = (identify(org) for org in pair.orgs())
    pair_id = pair.db.value(
        "INSERT INTO coa.org_pair (source_org_id, target_org_id) VALUES (%s, %s) RETURNING pair_id",
        [source["id"], target["id"]],
    )
    run = pair.start()
    run.update(
        pair_id=pair_id, source_org=source, target_org=target, state="verified", loaded_at=datetime.now(UTC)
    )
    for sobject, moved in ids.items():
        inserted = sobject == ORDER
        pair.db.execute(
            """INSERT INTO coa.ledger (pair_id, sobject, source_id, target_id, origin, inserted_run)
               SELECT %s, %s, s, t, %s, %s FROM unnest(%s::text[], %s::text[]) AS moved (s, t)""",
            [
                pair_id,
                sobject,
                "inserted" if inserted else "matched",
                run.run_id if inserted else None,
                list(moved),
                list(moved.values()),
            ],
        )
    return run


@pytest.fixture
def relinker(moved: Relinker) -> Relinker:
    for record_id in moved.invoices():
        moved.pair.target.control("DELETE", f"records/{INVOICE}/{record_id}")
    moved.rules = MAPPING
    return moved
