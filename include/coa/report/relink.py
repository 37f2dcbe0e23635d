"""`relink.csv`: which record of the source points at which moved record, with its new id in the target."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from psycopg import sql

from coa.model import CUSTOMER, CUSTOMER_ORG_ID, LOADED
from coa.staging.runs import SOURCE, Run
from coa.staging.tables import Table
from coa.verify.licenses import LICENSE, SUBSCRIBER

RELINK_COLUMNS = (
    "sobject",
    "field",
    "source_record_id",
    "target_record_id",
    "points_at",
    "source_id",
    "target_id",
    "field_in_target",
    "source_url",
    "target_url",
)


def relink_rows(run: Run) -> Iterable[dict[str, Any]]:
    """One row for each lookup that is filled in the source and whose record is now in the target.

    `target_record_id` is filled if the record with the lookup is itself known in the target.
    """
    if not run.has_table(Table.POINTING) or run.record.pair_id is None:
        return
    known = _lookups_of_target(run)
    bases = [str(run.record.org(role).get("instance_url", "")) for role in ("source", "target")]
    for one in run.db.rows(
        sql.SQL("SELECT DISTINCT sobject, field, parent FROM {} ORDER BY 1, 2, 3").format(
            run.table(Table.POINTING)
        )
    ):
        moved = _moved(run, one["parent"])
        if moved is None:
            continue
        query = sql.SQL(
            """SELECT p.sobject, p.field, p.id AS source_record_id, {counterpart} AS target_record_id,
                      p.parent AS points_at, p.points_at AS source_id, m.target_id
               FROM {pointing} p JOIN ({moved}) m ON m.source_id = p.points_at
               WHERE p.sobject = {sobject} AND p.field = {field} AND p.parent = {parent} ORDER BY 3, 6"""
        ).format(
            counterpart=_counterpart(run, one["sobject"], one["parent"]),
            pointing=run.table(Table.POINTING),
            moved=moved,
            sobject=sql.Literal(one["sobject"]),
            field=sql.Literal(one["field"]),
            parent=sql.Literal(one["parent"]),
        )
        there = "yes" if (one["sobject"], one["field"]) in known else "no"
        for row in run.db.stream(query):
            yield {
                **row,
                "field_in_target": there,
                "source_url": f"{bases[0]}/{row['source_record_id']}",
                "target_url": f"{bases[1]}/{row['target_id']}",
            }


def _moved(run: Run, parent: str) -> sql.Composed | None:
    """SQL for source and target ids of the records of an sObject that have a counterpart."""
    if parent in LOADED:
        return sql.SQL(
            """SELECT source_id, target_id FROM coa.ledger
               WHERE pair_id = {} AND sobject = {} AND target_id IS NOT NULL"""
        ).format(sql.Literal(run.pair_id), sql.Literal(parent))
    if run.has_table(Table.MAP, parent):
        return sql.SQL("SELECT source_id, target_id FROM {}").format(run.table(Table.MAP, parent))
    return None


def _counterpart(run: Run, child: str, parent: str) -> sql.Composed:
    """The pointing record in the target: by the map of its sObject; a license by its subscriber's org."""
    found = []
    if run.has_table(Table.MAP, child):
        found.append(
            sql.SQL("(SELECT c.target_id FROM {} c WHERE c.source_id = p.id)").format(
                run.table(Table.MAP, child)
            )
        )
    if (
        child == LICENSE
        and parent == CUSTOMER
        and run.has_table(Table.LICENSES)
        and run.has_table(SOURCE, CUSTOMER)
    ):
        found.append(
            sql.SQL(
                """(SELECT CASE WHEN count(*) = 1 THEN min(l."Id") END FROM {licenses} l JOIN {customers} s
                      ON left(l.{subscriber}, 15) = left(s.{org}, 15) WHERE s."Id" = p.points_at)"""
            ).format(
                licenses=run.table(Table.LICENSES),
                customers=run.table(SOURCE, CUSTOMER),
                subscriber=sql.Identifier(SUBSCRIBER),
                org=sql.Identifier(CUSTOMER_ORG_ID),
            )
        )
    return sql.SQL("COALESCE({}, NULL::text)").format(
        sql.SQL(", ").join(found or [sql.SQL("NULL::text").format()])
    )


def _lookups_of_target(run: Run) -> set[tuple[str, str]]:
    return {
        (str(r["sobject"]), str(r["field"]))
        for r in run.db.rows(
            """SELECT DISTINCT c ->> 'childSObject' AS sobject, c ->> 'field' AS field
               FROM coa.describe d, jsonb_array_elements(
                 CASE WHEN jsonb_typeof(d.describe -> 'childRelationships') = 'array'
                      THEN d.describe -> 'childRelationships' ELSE '[]' END) c
               WHERE d.run_id = %s AND d.org = 'target' AND c ->> 'field' IS NOT NULL""",
            [run.run_id],
        )
    }
