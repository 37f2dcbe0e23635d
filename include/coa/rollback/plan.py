"""The plan of a roll-back as data: its table, its hash, `plan.json`, and the page that whoever approves reads."""

from __future__ import annotations

import json
from hashlib import sha256
from typing import Any

from psycopg import sql

from coa.attachments import undo
from coa.mapping.model import Mapping
from coa.model import LOADED, NS
from coa.rollback.actions import (
    adopt_unknown,
    list_deleted_by_run,
    list_erased,
    plan_deletes,
    plan_restores,
)
from coa.rollback.dependents import keep_what_belongs_together
from coa.rollback.relinked import plan_restores as plan_relinked
from coa.rollback.scope import is_relinking, original_of, restorable_fields, undone_objects
from coa.staging import tables
from coa.staging.runs import Run
from coa.staging.tables import Table

ACTIONS = ("delete", "restore", "left")


def make_plan(run: Run, mapping: Mapping) -> str:
    """Fills the table `rollback` and the pre-image `desired__`; the plan's hash."""
    original = original_of(run)
    if is_relinking(original):
        plan_relinked(run, original, mapping.relink)
        return plan_hash(run)
    fields = restorable_fields(run, original, mapping)
    _create_table(run)
    for sobject in LOADED:
        adopt_unknown(run, original, sobject)
        plan_deletes(run, original, sobject)
        plan_restores(run, original, sobject, fields[sobject])
        list_erased(run, original, sobject)
    list_deleted_by_run(run, original)
    undo.keep_records(run)
    while keep_what_belongs_together(run):
        pass
    return plan_hash(run)


def _create_table(run: Run) -> None:
    with run.db.transaction() as connection:
        tables.create(connection, run, Table.ROLLBACK)


def plan_hash(run: Run) -> str:
    """SHA-256 over every action and every value that is written back."""
    digest = sha256(json.dumps([run.params.run_id, run.params.force, run.record.target_org["id"]]).encode())
    for sobject in undone_objects(run):
        for row in run.db.stream(
            sql.SQL(
                """SELECT concat_ws('|', p.sobject, p.source_id, p.target_id, p.action,
                            array_to_string(p.changed, ','),
                            CASE WHEN p.action = 'restore' THEN md5(d::text) END) AS line
                   FROM {} p LEFT JOIN {} d ON d.source_id = p.source_id AND p.wanted = 'restore'
                   WHERE p.sobject = %s ORDER BY p.source_id"""
            ).format(run.table(Table.ROLLBACK), run.table(Table.DESIRED, sobject)),
            [sobject],
        ):
            digest.update(row["line"].encode())
    digest.update(undo.plan_hash(run).encode())
    return digest.hexdigest()


def plan_counts(run: Run) -> dict[str, dict[str, int]]:
    """sObject -> `to_delete`, `to_restore`, `left`."""
    counts = {name: {"to_delete": 0, "to_restore": 0, "left": 0} for name in undone_objects(run)}
    if run.has_table(Table.ROLLBACK):
        names = {"delete": "to_delete", "restore": "to_restore", "left": "left"}
        for r in run.db.rows(
            sql.SQL("SELECT sobject, action, count(*) AS n FROM {} GROUP BY 1, 2").format(
                run.table(Table.ROLLBACK)
            )
        ):
            counts[r["sobject"]][names[r["action"]]] = int(r["n"])
    return counts


def reasons(run: Run) -> list[dict[str, Any]]:
    """Rows (sobject, reason_code, records, next_step) of what the roll-back leaves."""
    return run.db.rows(
        sql.SQL(
            """SELECT sobject, reason_code, count(*) AS records, min(next_step) AS next_step FROM {}
               WHERE action = 'left' GROUP BY 1, 2 ORDER BY 1, 2"""
        ).format(run.table(Table.ROLLBACK))
    )


def plan_document(run: Run) -> dict[str, Any]:
    """What `plan.json` of a roll-back holds."""
    return {
        "run_id": run.run_id,
        "rolls_back": run.params.run_id,
        "plan_hash": run.record.plan_hash,
        "target_org": run.record.target_org,
        "params": run.record.params,
        "objects": plan_counts(run),
        "left": reasons(run),
        "attached": undo.counts(run),
    }


def plan_markdown(run: Run) -> str:
    """The page of whoever approves: counts and reasons, no values."""
    lines = [
        f"Undo run `{run.params.run_id}` in **{run.record.target_org['id']}**"
        + (", also where somebody changed records since (force)." if run.params.force else "."),
        "",
        "| sObject | delete | restore | left |",
        "|---|---:|---:|---:|",
    ]
    for name, c in plan_counts(run).items():
        label = name.removeprefix(NS).removesuffix("__c").replace("_", " ")
        lines.append(f"| {label} | {c['to_delete']:,} | {c['to_restore']:,} | {c['left']:,} |")
    lines += undo.markdown(run)
    left = reasons(run)
    if left:
        lines += ["", "**Left unchanged**", "", "| sObject | reason | records |", "|---|---|---:|"]
        for r in left:
            label = r["sobject"].removeprefix(NS).removesuffix("__c").replace("_", " ")
            lines.append(f"| {label} | `{r['reason_code']}` | {r['records']:,} |")
    lines += ["", f"Plan hash `{run.record.plan_hash}`: what is approved is this plan and no other."]
    return "\n".join(lines)
