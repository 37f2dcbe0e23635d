"""The plan of a run of `coa_relink` as data: its table, its hash, `plan.json`, and the approver's page.

A lookup is set only where the text beside it names exactly one record that was moved, and where it is empty, or its
rule says `replace`. Everything else is left, with the reason.
"""

from __future__ import annotations

import json
from hashlib import sha256
from typing import Any

from psycopg import sql

from coa.codes import Relink
from coa.fields.other_sources import other_pairs
from coa.mapping.model import RelinkRule
from coa.reasons import SqlReason, reason_sql
from coa.relink.scope import Rules
from coa.staging import tables
from coa.staging.fragments import same_record
from coa.staging.runs import TARGET, Run
from coa.staging.tables import Table
from coa.wording import escape_markdown

IDS = r"\m[A-Za-z0-9]{15}(?:[A-Za-z0-9]{3})?\M"
"""Words of a text that could be record ids."""


def make_plan(run: Run, rules: Rules) -> str:
    """Fills the table `relink`, one row a record and lookup whose text is filled; the plan's hash."""
    with run.db.transaction() as connection:
        tables.create(connection, run, Table.RELINK)
    for sobject, lookups in rules.items():
        for name, rule in lookups.items():
            _plan_lookup(run, sobject, name, rule)
    return plan_hash(run)


def _plan_lookup(run: Run, sobject: str, name: str, rule: RelinkRule) -> None:
    """The old id in the text, 15 or 18 characters, leads to the new one by the ledger of the pair.

    An id that another source of the target has too (copies of one org) leads nowhere:
    the text does not say whose it is.
    """
    lookup, text = sql.Identifier("t", name), sql.Literal(rule.found_in)
    unmatched = reason_sql("lookup_unmatched:relink", text=text)
    several = reason_sql("lookup_unmatched:several", text=text, field=sql.Literal(name))
    two_sources = reason_sql("lookup_unmatched:two_sources", text=text, field=sql.Literal(name))
    conflict = reason_sql("conflict:relink", field=sql.Literal(name), held=lookup)
    cases: tuple[tuple[sql.Composable, Relink, SqlReason | None], ...] = (
        (sql.SQL("n.records = 0"), Relink.LEFT, unmatched),
        (sql.SQL("n.records > 1"), Relink.LEFT, several),
        (sql.SQL("coa.id18({}) = n.target_id").format(lookup), Relink.UNCHANGED, None),
        (sql.SQL("n.elsewhere"), Relink.LEFT, two_sources),
        (sql.SQL("{} <> '' AND NOT {}").format(lookup, sql.Literal(rule.replace)), Relink.LEFT, conflict),
        (sql.SQL("true"), Relink.SET, None),
    )

    def choice(values: list[sql.Composable]) -> sql.Composed:
        whens = [
            sql.SQL("WHEN {} THEN {}").format(condition, value)
            for (condition, _, _), value in zip(cases, values, strict=True)
        ]
        return sql.SQL("CASE {} END").format(sql.SQL(" ").join(whens))

    reasons = [one for _, _, one in cases]
    nothing = sql.Literal("")
    run.db.execute(
        sql.SQL(
            """INSERT INTO {plan} (sobject, record_id, field, points_at, source_id, target_id, held, action,
                                   reason_code, reason, next_step)
               SELECT {sobject}, t."Id", {field}, {to}, n.source_id, n.target_id, NULLIF(coa.id18({lookup}), ''),
                      {action}, {code}, {reason}, {next_step}
               FROM {records} t CROSS JOIN LATERAL (
                 SELECT count(DISTINCT l.source_id) AS records, min(l.source_id) AS source_id,
                        min(l.target_id) AS target_id, min(l.inserted_run) AS inserted_run,
                        COALESCE(bool_or(EXISTS (
                          SELECT FROM coa.ledger o WHERE o.pair_id = ANY ({others}) AND {same}
                            AND o.target_id IS NOT NULL
                            AND o.target_id <> l.target_id)), false) AS elsewhere
                 FROM regexp_matches(t.{text}, {ids}, 'g') AS word (found)
                 JOIN coa.ledger l ON l.pair_id = {pair} AND l.sobject = {to} AND l.source_id = coa.id18(word.found[1])
                 WHERE l.target_id IS NOT NULL) n
               WHERE t.{text} <> '' AND ({run} = '' OR n.records <> 1 OR n.inserted_run = {run})"""
        ).format(
            plan=run.table(Table.RELINK),
            sobject=sql.Literal(sobject),
            field=sql.Literal(name),
            to=sql.Literal(rule.to),
            action=choice([sql.Literal(action.value) for _, action, _ in cases]),
            code=choice([one.code if one else nothing for one in reasons]),
            reason=choice([one.message if one else nothing for one in reasons]),
            next_step=choice([one.next_step if one else nothing for one in reasons]),
            records=run.table(TARGET, sobject),
            text=sql.Identifier(rule.found_in),
            ids=sql.Literal(IDS),
            pair=sql.Literal(run.pair_id),
            others=sql.Literal(other_pairs(run)),
            same=same_record("o", "l"),
            lookup=lookup,
            run=sql.Literal(run.params.run_id),
        )
    )


def plan_hash(run: Run) -> str:
    """SHA-256 over every action with the record that it sets, and the orgs."""
    digest = sha256(json.dumps([run.pair_id, run.record.target_org["id"]]).encode())
    for row in run.db.stream(
        sql.SQL(
            """SELECT concat_ws('|', sobject, record_id, field, points_at, source_id, target_id, COALESCE(held, ''),
                                action, reason_code) AS line FROM {} ORDER BY sobject, record_id, field"""
        ).format(run.table(Table.RELINK))
    ):
        digest.update(f"{row['line']}\n".encode())
    return digest.hexdigest()


def plan_counts(run: Run) -> dict[str, dict[str, int]]:
    """sObject -> `to_set`, `unchanged`, `left`, in lookups."""
    counts: dict[str, dict[str, int]] = {}
    if run.has_table(Table.RELINK):
        names = {Relink.SET: "to_set", Relink.UNCHANGED: "unchanged", Relink.LEFT: "left"}
        for row in run.db.rows(
            sql.SQL("SELECT sobject, action, count(*) AS n FROM {} GROUP BY 1, 2 ORDER BY 1").format(
                run.table(Table.RELINK)
            )
        ):
            one = counts.setdefault(row["sobject"], dict.fromkeys(names.values(), 0))
            one[names[Relink(row["action"])]] = int(row["n"])
    return counts


def plan_lookups(run: Run) -> list[dict[str, Any]]:
    """By lookup and action: sobject, field, points_at, action, reason_code, reason, next_step, records."""
    return run.db.rows(
        sql.SQL(
            """SELECT sobject, field, points_at, action, reason_code, min(reason) AS reason,
                      min(next_step) AS next_step, count(*) AS records
               FROM {} GROUP BY 1, 2, 3, 4, 5 ORDER BY 1, 2, 4, 5"""
        ).format(run.table(Table.RELINK))
    )


def plan_document(run: Run) -> dict[str, Any]:
    """What `plan.json` of such a run holds."""
    return {
        "run_id": run.run_id,
        "plan_hash": run.record.plan_hash,
        "source_org": run.record.source_org,
        "target_org": run.record.target_org,
        "params": run.record.params,
        "objects": plan_counts(run),
        "lookups": plan_lookups(run),
    }


def plan_markdown(run: Run) -> str:
    """The page of whoever approves: each lookup with its counts."""
    lines = [
        f"Set lookups in **{run.record.target_org['id']}** to the records that were moved from "
        f"{run.record.source_org['id']}.",
        "",
        "| Lookup | leads to | | records | why |",
        "|---|---|---|---:|---|",
    ]
    lines += [
        f"| {escape_markdown(row['sobject'])}.{escape_markdown(row['field'])} | {escape_markdown(row['points_at'])} "
        f"| {row['action']} | {row['records']:,} | {row['reason_code'] or '–'} |"
        for row in plan_lookups(run)
    ]
    lines += ["", f"Plan hash `{run.record.plan_hash}`: what is approved is this plan and no other."]
    return "\n".join(lines)
