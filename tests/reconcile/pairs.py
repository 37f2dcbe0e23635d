"""What the tests of plans, deltas and roll-backs share: two small orgs, edits by people, dumps."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.engine.harness import FAST, Migrator

from coa.config import Settings
from coa.model import LOADED, NS
from coa.staging.database import Database
from coa.staging.runs import Run
from orgsim.launch import RunningOrg, running_pair

SYSTEM = {"LastModifiedDate", "LastModifiedById", "SystemModstamp", "IsDeleted"}


@contextmanager
def two_orgs(
    database: Database, folder: Path, *, settings: Settings = FAST, **switches: Any
) -> Iterator[Migrator]:
    with running_pair(**{"orders": 40, "seed": 7, "job_delay": 0.0, **switches}) as (source, target):
        yield Migrator(database, source, target, folder / "artifacts", settings)


def let_expire(database: Database) -> None:
    """Every run that works has shown no sign of life for too long."""
    for place in ("target_lease", "lease"):
        database.execute(f"UPDATE coa.{place} SET expires_at = clock_timestamp() - interval '1 second'")


def edit(org: RunningOrg, sobject: str, record_id: str, **values: Any) -> None:
    """A change by a person in the org's UI."""
    org.control("PATCH", f"records/{sobject}/{record_id}", values)


def create(org: RunningOrg, sobject: str, **values: Any) -> str:
    return str(org.control("POST", f"records/{sobject}", values)["id"])


def delete(org: RunningOrg, sobject: str, record_id: str) -> None:
    org.control("DELETE", f"records/{sobject}/{record_id}")


def table(org: RunningOrg, sobject: str) -> dict[str, dict[str, Any]]:
    """Every living record of an org as it is stored, by id."""
    return {r["Id"]: r for r in org.control("GET", f"table/{sobject}") if not r.get("IsDeleted")}


def dump(org: RunningOrg) -> dict[str, dict[str, dict[str, Any]]]:
    """All COA records of an org but for system stamps."""
    return {
        sobject: {
            i: {k: v for k, v in r.items() if k not in SYSTEM} for i, r in sorted(table(org, sobject).items())
        }
        for sobject in LOADED
    }


def plan_rows(run: Run) -> dict[tuple[str, str], dict[str, Any]]:
    from psycopg import sql

    rows = run.db.rows(sql.SQL("SELECT * FROM {}").format(run.table("plan")))
    return {(r["sobject"], r["source_id"]): r for r in rows}


def actions(run: Run) -> dict[tuple[str, str], tuple[str, str]]:
    """(sObject, source id) -> (action, reason code)."""
    return {key: (r["action"], r["reason_code"]) for key, r in plan_rows(run).items()}


def writes(summary: dict[str, Any]) -> int:
    return sum(o["inserted"] + o["updated"] for o in summary["objects"].values())


ORDER_INPUTS = (
    "Customer__c",
    "Customer_Org_ID__c",
    "Partner_Contract_Rules__c",
    "Order_Type__c",
    "Service_Start_Date__c",
    "Date_Partner_Received_Customer_Order__c",
)
DETAIL_INPUTS = (
    "Partner_Order__c",
    "Product_Name__c",
    "pc_Partner_Contract_Term__c",
    "Quantity__c",
    "pc_Cancellation_Terms__c",
    "pc_Contract_Length__c",
    "pc_Renewal_Terms__c",
)


def like(record: dict[str, Any], **other: Any) -> dict[str, Any]:
    """What a person would type in to enter such an order or detail once more."""
    names = DETAIL_INPUTS if NS + "Partner_Order__c" in record else ORDER_INPUTS
    return {NS + n: record[NS + n] for n in names if record[NS + n] is not None} | other
