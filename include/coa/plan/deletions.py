"""Records that we brought to the target and that are gone from the source.

They are not in the plan, which holds source records, but in the run's table `deletion`. With `deletions:
report` all of them stay and are listed. With `carry`, those are deleted that nobody changed since we proved
them equal, and that no other record depends on.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from psycopg import sql

from coa.codes import Removal
from coa.fields.compare import actual_hash, comparisons
from coa.fields.field_map import FieldMapping
from coa.findings.finding import Finding, finding
from coa.model import CUSTOMER, DETAIL, DETAIL_ORDER, LOADED, ORDER, ORDER_CUSTOMER
from coa.policies import Policies
from coa.reasons import clause, reason
from coa.staging import tables
from coa.staging.fragments import examples
from coa.staging.runs import SOURCE, TARGET, Run
from coa.staging.tables import Table

DELETE, LEFT = Removal


def find_deletions(run: Run, carried: dict[str, list[FieldMapping]]) -> None:
    """Fills `deletion` anew. A run on chosen orders (`orders_where`) does not see what is gone: it finds none."""
    table = run.table(Table.DELETION)
    with run.db.transaction() as connection:
        tables.create(connection, run, Table.DELETION)
    if run.params.orders_where:
        return
    for sobject in LOADED:
        _find(run, sobject, carried[sobject])
    if not Policies(run.params).carries_deletions:
        run.db.execute(
            sql.SQL("UPDATE {} SET action = %s, reason = %s").format(table),
            [LEFT, clause("deletions_reported")],
        )
        return
    _keep_what_is_in_use(run, ORDER, DETAIL, DETAIL_ORDER, clause("detail_stays"))
    _keep_details_of_kept_orders(run)
    _keep_what_is_in_use(run, CUSTOMER, ORDER, ORDER_CUSTOMER, clause("used_by_orders"))


def _find(run: Run, sobject: str, fields: list[FieldMapping]) -> None:
    compared, _ = comparisons(run, sobject, fields)
    parent = {ORDER: ORDER_CUSTOMER, DETAIL: DETAIL_ORDER}.get(sobject)
    run.db.execute(
        sql.SQL(
            """INSERT INTO {deletion}
               SELECT l.sobject, l.source_id, l.target_id, {parent},
                      CASE WHEN l.verified_hash = {actual} THEN {delete} ELSE {left} END,
                      CASE WHEN l.verified_hash = {actual} THEN ''
                           WHEN l.verified_hash IS NULL THEN {never_proved}
                           ELSE {changed_in_target} END
               FROM {ledgers} l JOIN {target} t ON t."Id" = l.target_id
               WHERE l.pair_id = {pair} AND l.sobject = {sobject} AND l.origin = 'inserted'
                 AND NOT EXISTS (SELECT FROM {source} s WHERE s."Id" = l.source_id)"""
        ).format(
            ledgers=run.ledger,
            deletion=run.table(Table.DELETION),
            parent=sql.SQL("t.{}").format(sql.Identifier(parent)) if parent else sql.SQL("NULL"),
            actual=actual_hash([c for c in compared if c.field.updateable]),
            delete=sql.Literal(DELETE),
            left=sql.Literal(LEFT),
            never_proved=sql.Literal(clause("never_proved")),
            changed_in_target=sql.Literal(clause("changed_in_target")),
            target=run.table(TARGET, sobject),
            pair=sql.Literal(run.pair_id),
            sobject=sql.Literal(sobject),
            source=run.table(SOURCE, sobject),
        )
    )


def _keep_what_is_in_use(run: Run, sobject: str, user: str, lookup: str, reason: str) -> None:
    """Keeps a record if a record of `user` that points at it by `lookup` stays: deleting it would delete
    that one as well.
    """
    run.db.execute(
        sql.SQL(
            """UPDATE {d} o SET action = %s, reason = %s
               WHERE o.sobject = %s AND o.action = %s AND EXISTS (
                 SELECT FROM {users} t WHERE t.{lookup} = o.target_id AND NOT EXISTS (
                   SELECT FROM {d} x WHERE x.sobject = %s AND x.target_id = t."Id" AND x.action = %s))"""
        ).format(d=run.table(Table.DELETION), users=run.table(TARGET, user), lookup=sql.Identifier(lookup)),
        [LEFT, reason, sobject, DELETE, user, DELETE],
    )


def _keep_details_of_kept_orders(run: Run) -> None:
    """An order that stays although it is gone from the source stays whole."""
    run.db.execute(
        sql.SQL(
            """UPDATE {d} x SET action = %s, reason = %s FROM {d} o
               WHERE x.sobject = %s AND x.action = %s AND o.sobject = %s AND o.action = %s
                 AND o.target_id = x.parent_id"""
        ).format(d=run.table(Table.DELETION)),
        [LEFT, clause("order_stays"), DETAIL, DELETE, ORDER, LEFT],
    )


def deletion_counts(run: Run) -> dict[str, dict[str, int]]:
    """sObject -> `found`, `to_delete`, `left`; counted apart from the plan's actions."""
    counts = {name: {"found": 0, "to_delete": 0, "left": 0} for name in LOADED}
    if run.has_table(Table.DELETION):
        for r in run.db.rows(
            sql.SQL(
                """SELECT sobject, count(*) AS found, count(*) FILTER (WHERE action = 'delete') AS to_delete,
                          count(*) FILTER (WHERE action = 'left') AS "left" FROM {} GROUP BY 1"""
            ).format(run.table(Table.DELETION))
        ):
            counts[r["sobject"]] = {k: int(r[k]) for k in ("found", "to_delete", "left")}
    return counts


def planned_deletions(run: Run) -> int:
    """Records of the target that the plan deletes, of all sObjects."""
    return sum(c["to_delete"] for c in deletion_counts(run).values())


def deletion_rows(run: Run, limit: int | None = None) -> Iterator[dict[str, Any]]:
    """Every record concerned: sobject, source_id, target_id, action, reason."""
    if run.has_table(Table.DELETION):
        yield from run.db.stream(
            sql.SQL(
                """SELECT sobject, source_id, target_id, action, reason FROM {}
                   ORDER BY sobject, source_id LIMIT {}"""
            ).format(run.table(Table.DELETION), sql.Literal(limit))
        )


def left_rows(run: Run) -> Iterator[dict[str, Any]]:
    """Records that are gone from the source and stay in the target: sobject, source_id, reason_code, reason,
    next_step."""
    for row in deletion_rows(run):
        if row["action"] == LEFT:
            why = reason("deleted_in_source", target_id=row["target_id"], why=row["reason"])
            yield {
                "sobject": row["sobject"],
                "source_id": row["source_id"],
                "reason_code": why.code,
                "reason": why.message,
                "next_step": why.next_step,
            }


def deletion_findings(run: Run) -> list[Finding]:
    """One finding an sObject for what stays, one for what goes."""
    if run.params.orders_where and Policies(run.params).carries_deletions:
        return [finding("note", "deletions_not_looked_for")]
    rows = run.db.rows(
        sql.SQL(
            """SELECT sobject, action, count(*) AS n, {examples} AS examples
               FROM {} GROUP BY 1, 2 ORDER BY 2 DESC, 1"""
        ).format(run.table(Table.DELETION), examples=examples("target_id"))
    )
    return [
        finding(
            "warning",
            "deleted_in_source" if r["action"] == LEFT else "deletions_carried",
            sobject=r["sobject"],
            count=r["n"],
            examples=r["examples"],
        )
        for r in rows
    ]
