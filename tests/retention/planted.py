"""A run that holds a person's name wherever the register says that a name may be, and a search for it everywhere."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

from psycopg import sql
from psycopg.types.json import Jsonb

from coa.model import ORDER
from coa.retention.places import Places
from coa.retention.register import PERMANENT, RUN_TABLES, Holds
from coa.staging import tables
from coa.staging.database import Database, Row
from coa.staging.runs import Run
from coa.staging.tables import DECLARED, Table
from tests.engine.harness import FAST

NAME = "Zoë O'Brien-Lee"
RECORD = "a0X000000000001"
FIELDS = ["Id", "Name", "SystemModstamp"]

PLAIN_VALUES: dict[str, dict[str, Any]] = {
    "event": {"level": "info", "event": "plan_summary"},
    "finding": {"code": "owner_unmatched", "severity": "note", "stage": "transform"},
    "describe": {"org": "source", "sobject": ORDER},
    "plan_count": {"sobject": ORDER, "action": "blocked", "reason_code": "conflict", "records": 1},
    "approval": {"plan_hash": "f00", "kind": "approval", "approved": True, "answered_by": "approver"},
    "job": {"step": "orders", "sobject": ORDER, "operation": "insert"},
    "ledger": {"sobject": ORDER, "source_id": RECORD, "target_id": "a0Y000000000002AAA", "error_code": "X"},
    "explained": {"sobject": ORDER, "source_id": RECORD, "field": "Name", "cause": "truncated"},
    "difference": {"sobject": ORDER, "source_id": RECORD, "field": "Name", "kind": "field"},
    "rejection": {"sobject": ORDER, "source_id": RECORD, "step": "orders"},
    "canary": {"orders": 1},
    "observed": {
        "sobject": ORDER,
        "field": "Name",
        "step": "orders",
        "effect": "sent",
        "records": 1,
        "example": RECORD,
    },
}
"""Of each permanent table with texts: the columns that a row cannot do without."""

FILES = (
    *(
        "summary.json",
        "id_map.csv",
        "plan.json",
        "report.html",
        "casework.md",
        "audit.json",
        "differences.csv",
    ),
    *("mapping_template.yaml", "history/orders.parquet", "evidence/salts.tsv", "evidence/leaves.tsv"),
    *("evidence/signature.json", "evidence/coa-verify-evidence"),
)
PROOF = {f for f in FILES if f in ("summary.json", "id_map.csv") or f.startswith("evidence/")} - {
    "evidence/salts.tsv"
}


@dataclass
class Planted:
    """The run, and where its files lie."""

    run: Run
    folder: Path
    logs: Path

    @property
    def places(self) -> Places:
        return Places(logs=lambda row: [self.logs / str(row["airflow_run_id"])])

    def row(self) -> Row:
        found = self.run.db.row("SELECT * FROM coa.run WHERE run_id = %s", [self.run.run_id])
        assert found is not None
        return found


def plant(database: Database, folder: Path) -> Planted:
    """A run that ended, with the name in every table, file and log of the register."""
    run = Run.start(
        database,
        FAST,
        dag_id="coa_migrate",
        airflow_run_id=uuid4().hex,
        triggered_by="operator",
        raw_params={},
    )
    artifacts = folder / run.run_id
    run.update(
        pair_id=database.value(
            """INSERT INTO coa.org_pair (source_org_id, target_org_id) VALUES ('s', 't')
               ON CONFLICT (source_org_id, target_org_id, masked) DO UPDATE SET source_org_id = 's' RETURNING pair_id"""
        ),
        params={"mode": "full", "orders_where": f"Name = '{NAME}'", "owner_policy": NAME, "typo": NAME},
        state="verified",
        finished_at="2026-01-01T00:00:00Z",
        started_at="2026-01-01T00:00:00Z",
        loaded_at="2026-01-01T00:00:00Z",
        message=f"{NAME} asked for it.",
        summary={"state": "verified", "message": f"{NAME} asked for it."},
        artifacts=str(artifacts),
        triggered_for=NAME,
        mapping_name=NAME,
        given_params={"mode": "full", "orders_where": f"Name = '{NAME}'"},
    )
    run.refresh()
    _plant_permanent(run)
    _plant_tables(run)
    for name in FILES:
        (artifacts / name).parent.mkdir(parents=True, exist_ok=True)
        (artifacts / name).write_text("ids and hashes" if name in PROOF else f"<td>{NAME}</td>")
    (artifacts / "summary.json").write_text(json.dumps({"state": "verified", "message": f"{NAME} said so."}))
    logs = folder / "logs"
    (logs / run.record.airflow_run_id).mkdir(parents=True)
    (logs / run.record.airflow_run_id / "attempt=1.log").write_text(NAME)
    return Planted(run, artifacts, logs)


def _plant_permanent(run: Run) -> None:
    for table, kept in PERMANENT.items():
        if not kept.emptied or table == "run":
            continue
        name = sql.Identifier("coa", table)
        types = types_of(run.db, "coa", table)
        values: dict[str, Any] = {
            column: run.run_id for column in ("run_id", "last_run", "granted_in") if column in types
        }
        if "pair_id" in types:
            values["pair_id"] = run.pair_id
        if table == "standing_approval":
            values |= {"granted_by": "approver", "expires_at": "2026-01-02T00:00:00Z", "max_records": 1}
            values |= {"actions": ["insert"]}
        values |= PLAIN_VALUES.get(table, {})
        values |= {column: _marked(types[column]) for column in kept.emptied}
        _insert(run.db, name, values)


def _plant_tables(run: Run) -> None:
    for kind, holds in RUN_TABLES.items():
        one = DECLARED[kind]
        sobject = ORDER if one.fields or kind in (Table.MAP, Table.EXPECTED, Table.CUSTOM) else ""
        with run.db.transaction() as connection:
            tables.create(connection, run, kind, sobject, fields=FIELDS if one.fields else ())
        schema, table = run.table(kind, sobject)._obj
        types = types_of(run.db, schema, table)
        ids = {c: RECORD for c in types if c in ("Id", "source_id", "target_id")}
        fixed = {"sobject": ORDER, "kind": str(Table.SOURCE), "action": "left", "step": "orders"}
        fixed |= {"reason_code": "value_invalid", "verdict": "block", "state": "accepted"}
        if kind is Table.PLAN:
            fixed["action"] = "insert"
        if kind is Table.LEDGER:
            fixed["origin"] = "none"
        if kind is Table.ATTACHED:
            fixed["reason"] = "too_large"
        if kind is Table.LEDGER:
            fixed |= {"origin": "inserted", "step": "done"}
        values = {
            column: ids.get(
                column,
                fixed.get(column, _value(type_, marked=holds is not Holds.PLAIN and column not in one.key)),
            )
            for column, type_ in types.items()
            # PostgreSQL numbers the effects itself.
            if (kind, column) != (Table.EFFECT, "nth")
        }
        _insert(run.db, run.table(kind, sobject), values)
    run.db.execute(
        sql.SQL("UPDATE {} SET kind = 'source', done = true").format(run.table(Table.EXTRACT_STATE))
    )


def _value(type_: str, *, marked: bool) -> Any:
    if type_ in ("text", "text[]", "jsonb"):
        return _marked(type_) if marked else {"text": "x", "text[]": ["x"], "jsonb": Jsonb({})}[type_]
    return {
        "bigint": 1,
        "integer": 1,
        "boolean": True,
        "bytea": b"secret",
        "timestamp with time zone": "2026-01-01T00:00:00Z",
    }[type_]


def _marked(type_: str) -> Any:
    return {"text": f"by {NAME}.", "text[]": [f"by {NAME}."], "jsonb": Jsonb({"by": [NAME]})}[type_]


def types_of(database: Database, schema: str, table: str) -> dict[str, str]:
    return {
        r["name"]: r["type"]
        for r in database.rows(
            """SELECT attname AS name, format_type(atttypid, NULL) AS type FROM pg_attribute
               WHERE attrelid = format('%%I.%%I', %s::text, %s::text)::regclass AND attnum > 0 AND NOT attisdropped""",
            [schema, table],
        )
    }


def _insert(database: Database, name: sql.Identifier, values: dict[str, Any]) -> None:
    database.execute(
        sql.SQL("INSERT INTO {} ({}) VALUES ({})").format(
            name,
            sql.SQL(", ").join(map(sql.Identifier, values)),
            sql.SQL(", ").join(sql.Placeholder() for _ in values),
        ),
        list(values.values()),
    )


def tables_that_name(database: Database, name: str) -> list[str]:
    """Every table of ours with the name anywhere in a row, whatever the register says."""
    found = []
    for r in database.rows(
        """SELECT n.nspname AS schema, c.relname AS name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
           WHERE c.relkind IN ('r', 'v', 'm') AND (n.nspname = 'coa' OR n.nspname LIKE 'run\\_%%') ORDER BY 1, 2""",
        [],
    ):
        table = sql.Identifier(r["schema"], r["name"])
        if database.value(
            sql.SQL("SELECT count(*) FROM {} t WHERE strpos(t::text, %s) > 0").format(table), [name]
        ):
            found.append(r["name"])
    return found


def files_that_name(folder: Path, name: str) -> Iterator[str]:
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        if name.encode() in path.read_bytes():
            yield str(path.relative_to(folder))
