"""Whether a difference is an error of the migration, or came later.

A record that was proved equal has the hash of its values in the ledger. At that time the expected values had
the same hash. Comparing it with both sides of today shows what has changed: the target, the source (or what the
maps make of it), or both. A record that was never proved differs because of the migration.
"""

from __future__ import annotations

from psycopg import sql

from coa.codes import SURPLUS, DifferenceKind
from coa.fields.compare import Comparison, actual_hash
from coa.model import DETAIL, DETAIL_ORDER, LOADED, ORDER
from coa.staging.fragments import ledger_of, list_of
from coa.staging.runs import SOURCE, Run
from coa.staging.tables import Table

MIGRATION, IN_SOURCE, IN_TARGET, IN_BOTH = "migration", "source", "target", "both"


def class_field_differences(run: Run, sobject: str, compared: list[Comparison], joins: sql.Composed) -> None:
    """Sets `cause` of the field differences of an sObject; rows of the field set that was proved only."""
    writeable = [c for c in compared if c.field.updateable]
    names = [c.field.name for c in writeable]
    now = actual_hash(writeable)
    wanted = actual_hash([Comparison(c.field, c.actual, c.expected) for c in writeable])
    run.db.execute(
        sql.SQL(
            """UPDATE coa.difference x SET cause = h.cause
               FROM (SELECT e.source_id, CASE
                       WHEN split_part(l.verified_hash, ':', 1) <> split_part({now}, ':', 1) THEN 'unknown'
                       WHEN l.verified_hash <> {now} AND l.verified_hash <> {wanted} THEN 'both'
                       WHEN l.verified_hash <> {now} THEN 'target'
                       WHEN l.verified_hash <> {wanted} THEN 'source' ELSE 'migration' END AS cause
                     FROM {expected} e JOIN {desired} d ON d.source_id = e.source_id
                     JOIN {verify} t ON t."Id" = e.target_id
                     JOIN coa.ledger l ON l.pair_id = {pair} AND l.sobject = {sobject}
                       AND l.source_id = e.source_id AND l.verified_hash IS NOT NULL {joins}
                     WHERE e.source_id IN (SELECT y.source_id FROM coa.difference y
                       WHERE y.run_id = {run} AND y.sobject = {sobject})) h
               WHERE x.run_id = {run} AND x.sobject = {sobject} AND x.source_id = h.source_id
                 AND x.field = ANY ({names}) AND x.kind NOT IN {other}"""
        ).format(
            now=now,
            wanted=wanted,
            expected=run.table(Table.EXPECTED, sobject),
            desired=run.table(Table.DESIRED, sobject),
            verify=run.table(Table.VERIFY, sobject),
            pair=sql.Literal(run.pair_id),
            sobject=sql.Literal(sobject),
            joins=joins,
            run=sql.Literal(run.run_id),
            names=sql.Literal(names),
            other=list_of({DifferenceKind.EXPLAINED, DifferenceKind.DUPLICATE}),
        )
    )


def class_presence(run: Run) -> None:
    """Missing records that were proved once were deleted since; unexpected records that no earlier proof
    saw appeared since.
    """
    run.db.execute(
        sql.SQL(
            """UPDATE coa.difference x SET cause = 'target' FROM coa.ledger l
               WHERE x.run_id = %s AND x.kind = 'missing' AND {} AND l.verified_hash IS NOT NULL"""
        ).format(ledger_of(run.pair_id, "x")),
        [run.run_id],
    )
    run.db.execute(
        sql.SQL(
            """UPDATE coa.difference x SET cause = 'target'
               WHERE x.run_id = %s AND x.kind IN {surplus} AND x.cause = 'migration'
                 AND NOT EXISTS (SELECT FROM coa.difference y JOIN coa.run r USING (run_id)
                                 WHERE r.pair_id = %s AND y.run_id <> x.run_id AND y.sobject = x.sobject
                                   AND y.target_id = x.target_id AND y.kind = x.kind
                                   AND r.loaded_at IS NOT NULL)"""
        ).format(surplus=list_of(SURPLUS)),
        [run.run_id, run.pair_id],
    )


def class_hazards(run: Run) -> None:
    """The migration never sets these fields: somebody in the target did."""
    run.db.execute(
        "UPDATE coa.difference SET cause = 'target' WHERE run_id = %s AND kind = 'hazard'", [run.run_id]
    )


def class_rollups(run: Run) -> None:
    """A total came to differ when one of its details did."""
    run.db.execute(
        sql.SQL(
            """UPDATE coa.difference x SET cause = COALESCE((
                 SELECT min(y.cause) FROM coa.difference y
                 LEFT JOIN {verify} t ON t."Id" = y.target_id LEFT JOIN {source} s ON s."Id" = y.source_id
                 WHERE y.run_id = {run} AND y.sobject = {detail} AND y.kind <> 'explained'
                   AND (t.{parent} = x.target_id OR s.{parent} = x.source_id)), x.cause)
               WHERE x.run_id = {run} AND x.sobject = {order} AND x.kind = 'rollup'"""
        ).format(
            verify=run.table(Table.VERIFY, DETAIL),
            source=run.table(SOURCE, DETAIL),
            parent=sql.Identifier(DETAIL_ORDER),
            run=sql.Literal(run.run_id),
            detail=sql.Literal(DETAIL),
            order=sql.Literal(ORDER),
        )
    )


def list_deleted_in_source(run: Run, of_run: str) -> None:
    """Records that we moved and whose source record is gone: unexpected in the target, by a later deletion."""
    for sobject in LOADED:
        run.db.execute(
            sql.SQL(
                """INSERT INTO coa.difference (run_id, sobject, source_id, target_id, kind, reason, cause)
                   SELECT {run}, {sobject}, l.source_id, l.target_id, 'unexpected',
                          'its source record was deleted since the migration', 'source'
                   FROM coa.ledger l JOIN {verify} t ON t."Id" = l.target_id
                   WHERE l.pair_id = {pair} AND l.sobject = {sobject} AND l.origin = 'inserted'
                     AND ({of_run} = '' OR l.inserted_run = {of_run})
                     AND NOT EXISTS (SELECT FROM {source} s WHERE s."Id" = l.source_id)"""
            ).format(
                run=sql.Literal(run.run_id),
                sobject=sql.Literal(sobject),
                verify=run.table(Table.VERIFY, sobject),
                pair=sql.Literal(run.pair_id),
                of_run=sql.Literal(of_run),
                source=run.table(SOURCE, sobject),
            )
        )
