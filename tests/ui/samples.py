"""Runs as rows of the staging database: what the page reads, without a migration."""

from __future__ import annotations

from typing import Any

from coa.model import CUSTOMER, DETAIL, ORDER
from coa.staging.database import Database, json_value
from coa.staging.schema import newest_version
from coa.staging.tables import schema_of

EVIL = "<img src=x onerror=\"document.title='broken into'\">"
"""A record's content as an attacker would choose it."""

ALL_STAGES = (
    *("preflight", "extract_source", "extract_target", "transform", "reconcile", "plan"),
    *(
        "prepare_load",
        "load_customers",
        "load_lanes",
        "load_links",
        "extract_verify",
        "verify",
        "verify_sample",
    ),
)
COUNTS = (
    *("extracted", "to_insert", "to_update", "unchanged", "matched", "blocked", "held"),
    *("inserted", "updated", "rejected", "verified", "different", "missing", "duplicated"),
)


def add_run(db: Database, run_id: str, airflow_run_id: str, **columns: Any) -> str:
    """A run with orgs and a schema of its own; `columns` replace those of its row."""
    values: dict[str, Any] = {
        "run_id": run_id,
        "dag_id": "coa_migrate",
        "airflow_run_id": airflow_run_id,
        "triggered_by": "anna",
        "mode": "full",
        "schema_version": newest_version(),
        "given_params": {},
        "params": {"dry_run": False},
        "source_org": {
            "id": "00DA00000000001AAA",
            "name": "Old PBO",
            "instance_url": "https://old.my.salesforce.com",
        },
        "target_org": {
            "id": "00DB00000000001AAA",
            "name": "New PBO",
            "instance_url": "https://new.my.salesforce.com",
        },
        **columns,
    }
    pair = db.value(
        """INSERT INTO coa.org_pair (source_org_id, target_org_id) VALUES ('00DA', '00DB')
           ON CONFLICT (source_org_id, target_org_id, masked) DO UPDATE SET target_org_id = '00DB' RETURNING pair_id"""
    )
    values.setdefault("pair_id", pair)
    names = ", ".join(values)
    marks = ", ".join(["%s"] * len(values))
    db.execute(
        f"INSERT INTO coa.run ({names}) VALUES ({marks})",
        [json_value(v) if isinstance(v, dict) else v for v in values.values()],
    )
    db.execute(f"CREATE SCHEMA {schema_of(run_id)}")
    return run_id


def add_stages(db: Database, run_id: str, *done: str, running: str = "") -> None:
    for name in done:
        add_event(db, run_id, "stage_started", stage=name)
        add_event(db, run_id, "stage_ended", stage=name)
    if running:
        add_event(db, run_id, "stage_started", stage=running)


def add_event(db: Database, run_id: str, event: str, **data: Any) -> None:
    db.execute(
        "INSERT INTO coa.event (run_id, level, event, data) VALUES (%s, 'info', %s, %s)",
        [run_id, event, json_value(data)],
    )


def add_progress(
    db: Database, run_id: str, step: str, sobject: str, total: int, done: int, rejected: int = 0
) -> None:
    db.execute(
        "INSERT INTO coa.progress (run_id, step, sobject, total, done, rejected) VALUES (%s, %s, %s, %s, %s, %s)",
        [run_id, step, sobject, total, done, rejected],
    )


def add_plan(db: Database, run_id: str, sobject: str, action: str, records: int, **more: Any) -> None:
    values = {"reason_code": "", "reason": "", "next_step": "", "examples": [], **more}
    db.execute(
        """INSERT INTO coa.plan_count (run_id, sobject, action, records, reason_code, reason, next_step, examples)
           VALUES (%s, %s, %s, %s, %s, %s, %s, %s)""",
        [
            run_id,
            sobject,
            action,
            records,
            *(values[n] for n in ("reason_code", "reason", "next_step", "examples")),
        ],
    )


def add_rejection(
    db: Database, run_id: str, source_id: str, code: str, error: str, sobject: str = DETAIL
) -> None:
    db.execute(
        "INSERT INTO coa.rejection (run_id, sobject, source_id, step, error_code, error) "
        "VALUES (%s, %s, %s, 'details', %s, %s)",
        [run_id, sobject, source_id, code, error],
    )


def add_job(
    db: Database, run_id: str, state: str, rows: int, job_id: str | None = None, step: str = "details"
) -> None:
    db.execute(
        """INSERT INTO coa.job (pair_id, run_id, step, sobject, operation, rows_planned, job_id, state)
           SELECT pair_id, run_id, %s, %s, 'insert', %s, %s, %s FROM coa.run WHERE run_id = %s""",
        [step, DETAIL, rows, job_id, state, run_id],
    )


def summary_of(**counts: dict[str, int]) -> dict[str, Any]:
    """A `summary.json`; `counts` by `customer`, `order`, `detail`."""
    names = {"customer": CUSTOMER, "order": ORDER, "detail": DETAIL}
    objects = {name: {**dict.fromkeys(COUNTS, 0), **counts.get(short, {})} for short, name in names.items()}
    return {
        "objects": objects,
        "received_dates": {"expected": 60, "equal": 60, "different": 0},
        "draft_exposure": {"max_seconds": 4.2, "left_draft": 0},
    }


def running_run(
    db: Database, run_id: str = "20261123T100000Z-aaaaaa", airflow_run_id: str = "manual__1"
) -> str:
    """In the middle of its load: 62,000 of 400,000 details are in, one job flies, some rows were refused."""
    add_run(db, run_id, airflow_run_id, stage="load_lanes", plan_hash="ab" * 32)
    add_stages(db, run_id, *ALL_STAGES[:8], running="load_lanes")
    add_event(db, run_id, "api_allowance", org="target", remaining=90000, allowed=100000)
    db.execute("INSERT INTO coa.api_usage VALUES (%s, 'target', 'bulk_ingest', 812)", [run_id])
    for step, sobject, total, done in (
        ("extract_source", CUSTOMER, 900, 900),
        ("extract_source", ORDER, 100_200, 100_200),
        ("extract_source", DETAIL, 400_150, 400_150),
        ("extract_source", "Account", 5000, 5000),
        ("extract_source", "User", 70, 70),
        ("customers", CUSTOMER, 800, 800),
        ("orders", ORDER, 100_000, 15_500),
    ):
        add_progress(db, run_id, step, sobject, total, done)
    add_progress(db, run_id, "details", DETAIL, 400_000, 62_000, 12)
    add_plan(db, run_id, CUSTOMER, "insert", 800)
    add_plan(db, run_id, CUSTOMER, "match", 100)
    add_plan(db, run_id, ORDER, "insert", 100_000)
    add_plan(db, run_id, DETAIL, "insert", 400_000)
    blocked = {
        "reason_code": "product_unmatched",
        "reason": "The product is not found.",
        "next_step": "refresh the catalog.",
    }
    add_plan(
        db, run_id, DETAIL, "blocked", 150, examples=["a0B000000000001AAA", "a0B000000000002AAA"], **blocked
    )
    add_plan(
        db,
        run_id,
        ORDER,
        "held",
        200,
        reason_code="held_draft",
        reason="It is a Draft.",
        next_step="set draft_orders.",
    )
    add_job(db, run_id, "settled", 62_012, "7500000000000AAAAA")
    add_job(db, run_id, "submitted", 9500, "7500000000000BBAAA")
    for n in range(12):
        code = "UNABLE_TO_LOCK_ROW" if n < 9 else "STRING_TOO_LONG"
        add_rejection(db, run_id, f"a0B0000000001{n:02d}AAA", code, EVIL)
    db.execute(
        "INSERT INTO coa.finding VALUES (%s, 'code', %s, %s, 'warning', 'preflight', 1, '{}', %s, %s)",
        [run_id, EVIL, EVIL, f"A flow named {EVIL} is active.", f"Switch {EVIL} off."],
    )
    db.execute(
        "INSERT INTO coa.approval (run_id, plan_hash, kind, approved, answered_by, reason) "
        "VALUES (%s, %s, 'approval', true, 'bert', %s)",
        [run_id, "ab" * 32, EVIL],
    )
    return run_id


def finished_run(
    db: Database, run_id: str = "20261123T090000Z-bbbbbb", airflow_run_id: str = "manual__0", **columns: Any
) -> str:
    """Over and verified, with one explained and one unexplained difference listed."""
    counts = {"extracted": 70, "to_insert": 60, "blocked": 10, "inserted": 60, "verified": 59, "different": 1}
    state = columns.get("state", "differences")
    row = {"stage": "finished", "state": state, "plan_hash": "cd" * 32}
    row["summary"] = {**summary_of(order=counts), "state": state}
    add_run(db, run_id, airflow_run_id, **{**row, **columns})
    db.execute(
        "UPDATE coa.run SET finished_at = started_at + interval '75 seconds' WHERE run_id = %s", [run_id]
    )
    add_stages(db, run_id, *ALL_STAGES)
    add_event(db, run_id, "run_finished", state=state)
    add_plan(db, run_id, ORDER, "insert", 60)
    add_plan(db, run_id, ORDER, "blocked", 10, reason_code="contract_unmatched")
    add_progress(db, run_id, "extract_source", ORDER, 70, 70)
    add_progress(db, run_id, "orders", ORDER, 60, 60)
    for kind, field in (("price", "CHANNEL_ORDERS__Price__c"), ("explained", "Name")):
        db.execute(
            """INSERT INTO coa.difference
                 (run_id, sobject, source_id, target_id, field, source_value, target_value, kind)
               VALUES (%s, %s, 'a0A000000000001AAA', 'a0Z000000000001AAA', %s, %s, '=1+1', %s)""",
            [run_id, ORDER, field, "secret value", kind],
        )
    return run_id
