"""The verify stage: re-extracts the target and compares it with what the plan wanted, in SQL.

Differences go to `coa.difference`; records proved equal get their hash into the ledger, by which a
later change in the target is recognised.
"""

from __future__ import annotations

from psycopg import sql

from coa.compare import Comparison, actual_hash, comparisons
from coa.extract.bulk import ensure_state_table
from coa.extract.run import coa_specs, extract_all
from coa.fieldmap import CarriedField
from coa.mapping import Mapping
from coa.model import (
    DETAIL,
    DETAIL_ORDER,
    LOADED,
    ORDER,
    ROLLUPS,
    SOURCE_ID,
    difference_kind,
)
from coa.preflight.run import saved_carried
from coa.salesforce.session import Org
from coa.staging.runs import SOURCE, TARGET, Run

VERIFY = "verify"


def run_verify(run: Run, target: Org, mapping: Mapping) -> None:
    """Extracts the target anew and records every difference."""
    ensure_state_table(run)
    run.db.execute(sql.SQL("DELETE FROM {} WHERE kind = %s").format(run.table("extract_state")), [VERIFY])
    extract_all(run, target, coa_specs(run, TARGET, VERIFY))
    compare_all(run, mapping)


def compare_all(run: Run, mapping: Mapping) -> None:
    """Compares what was extracted; writes `coa.difference` anew."""
    carried = saved_carried(run, mapping)
    run.db.execute("DELETE FROM coa.difference WHERE run_id = %s", [run.run_id])
    for sobject, fields in carried.items():
        _make_expected(run, sobject)
        _find_missing(run, sobject)
        _find_duplicates(run, sobject)
        compared, joins = comparisons(run, sobject, fields)
        _find_field_differences(run, sobject, compared, joins)
        _note_proved(run, sobject, compared)
    _find_unexpected_details(run)
    _find_rollup_differences(run)
    _list_explained(run)


def _make_expected(run: Run, sobject: str) -> None:
    """`expected__<slug>`: the records that must be there now, with the target id that the ledger knows."""
    table = run.table("expected", sobject)
    holdback = (
        sql.SQL(
            "AND NOT EXISTS (SELECT FROM {} h WHERE h.sobject = p.sobject AND h.source_id = p.source_id)"
        ).format(run.table("holdback"))
        if run.has_table("holdback")
        else sql.SQL("").format()
    )
    with run.db.transaction() as connection:
        connection.execute(sql.SQL("DROP TABLE IF EXISTS {}").format(table))
        connection.execute(
            sql.SQL(
                """CREATE TABLE {} AS SELECT p.source_id, l.target_id, l.target_id IS NULL AND EXISTS (
                     SELECT FROM coa.rejection r WHERE r.run_id = {run} AND r.sobject = p.sobject
                       AND r.source_id = p.source_id) AS rejected
                   FROM {plan} p JOIN coa.ledger l
                     ON l.pair_id = {pair} AND l.sobject = p.sobject AND l.source_id = p.source_id
                   WHERE p.sobject = {sobject} AND p.action IN ('insert', 'update', 'unchanged') {holdback}"""
            ).format(
                table,
                run=sql.Literal(run.run_id),
                plan=run.table("plan"),
                pair=sql.Literal(run.pair_id),
                sobject=sql.Literal(sobject),
                holdback=holdback,
            )
        )
        connection.execute(sql.SQL("ALTER TABLE {} ADD PRIMARY KEY (source_id)").format(table))
        connection.execute(sql.SQL("ANALYZE {}").format(table))


def _find_missing(run: Run, sobject: str) -> None:
    run.db.execute(
        sql.SQL(
            """INSERT INTO coa.difference (run_id, sobject, source_id, target_id, kind, reason)
               SELECT %s, %s, e.source_id, COALESCE(e.target_id, ''), 'missing', 'not found in the target'
               FROM {expected} e WHERE NOT e.rejected
                 AND NOT EXISTS (SELECT FROM {verify} t WHERE t."Id" = e.target_id)"""
        ).format(expected=run.table("expected", sobject), verify=run.table(VERIFY, sobject)),
        [run.run_id, sobject],
    )


def _find_duplicates(run: Run, sobject: str) -> None:
    """More than one record of the target with one migration key, or one that the ledger does not mean."""
    run.db.execute(
        sql.SQL(
            """INSERT INTO coa.difference (run_id, sobject, source_id, target_id, field, kind, reason)
               SELECT %s, %s, e.source_id, t."Id", {name}, 'duplicate', 'a second record with this migration key'
               FROM {expected} e JOIN {verify} t ON coa.id18(t.{key}) = e.source_id AND t."Id" <> e.target_id"""
        ).format(
            name=sql.Literal(SOURCE_ID),
            key=sql.Identifier(SOURCE_ID),
            expected=run.table("expected", sobject),
            verify=run.table(VERIFY, sobject),
        ),
        [run.run_id, sobject],
    )


def _find_field_differences(run: Run, sobject: str, compared: list[Comparison], joins: sql.Composed) -> None:
    """One row a record and field; rows that are equal as a whole are passed over first."""
    values = sql.SQL(", ").join(
        sql.SQL("({}, {}, {}, {})").format(
            sql.Literal(c.field.name),
            sql.Literal(_kind(sobject, c.field)),
            c.expected,
            c.actual,
        )
        for c in compared
    )
    differs = sql.SQL(" OR ").join(c.differs for c in compared)
    run.db.execute(
        sql.SQL(
            """INSERT INTO coa.difference
                 (run_id, sobject, source_id, target_id, field, source_value, target_value, kind, reason)
               SELECT {run}, {sobject}, e.source_id, t."Id", v.field, v.expected, v.actual,
                      CASE WHEN x.reason IS NULL THEN v.kind ELSE 'explained' END, COALESCE(x.reason, '')
               FROM {expected} e JOIN {desired} d ON d.source_id = e.source_id
               JOIN {verify} t ON t."Id" = e.target_id {joins}
               CROSS JOIN LATERAL (VALUES {values}) AS v (field, kind, expected, actual)
               LEFT JOIN coa.explained x ON x.run_id = {run} AND x.sobject = {sobject}
                 AND x.source_id = e.source_id AND x.field = v.field AND x.reason LIKE 'changed in the target%'
               WHERE ({differs}) AND v.expected IS DISTINCT FROM v.actual"""
        ).format(
            run=sql.Literal(run.run_id),
            sobject=sql.Literal(sobject),
            expected=run.table("expected", sobject),
            desired=run.table("desired", sobject),
            verify=run.table(VERIFY, sobject),
            joins=joins,
            values=values,
            differs=differs,
        )
    )


def _kind(sobject: str, one: CarriedField) -> str:
    named = difference_kind(sobject, one.name)
    if named == "field" and one.kind in ("parent", "lookup"):
        return "link"
    return named


def _note_proved(run: Run, sobject: str, compared: list[Comparison]) -> None:
    """Records without a difference: step `done` and the hash of what the target holds."""
    writeable = [c for c in compared if c.field.updateable]
    run.db.execute(
        sql.SQL(
            """UPDATE coa.ledger l SET step = 'done', last_run = {run}, proved_hash = {hash},
                      updated_at = clock_timestamp()
               FROM {expected} e JOIN {verify} t ON t."Id" = e.target_id
               WHERE l.pair_id = {pair} AND l.sobject = {sobject} AND l.source_id = e.source_id
                 AND NOT EXISTS (SELECT FROM coa.difference x WHERE x.run_id = {run} AND x.sobject = {sobject}
                                   AND x.source_id = e.source_id)"""
        ).format(
            run=sql.Literal(run.run_id),
            hash=actual_hash(writeable),
            expected=run.table("expected", sobject),
            verify=run.table(VERIFY, sobject),
            pair=sql.Literal(run.pair_id),
            sobject=sql.Literal(sobject),
        )
    )


def _find_unexpected_details(run: Run) -> None:
    """Details under our orders that no source record accounts for: they change the order's totals."""
    run.db.execute(
        sql.SQL(
            """INSERT INTO coa.difference (run_id, sobject, source_id, target_id, kind, reason)
               SELECT %(run)s, %(detail)s, '', t."Id", 'unexpected', 'a detail of a moved order that is not ours'
               FROM {verify} t JOIN {orders} e ON e.target_id = t.{parent}
               WHERE NOT EXISTS (SELECT FROM coa.ledger l WHERE l.pair_id = %(pair)s AND l.sobject = %(detail)s
                                   AND l.target_id = t."Id")
                 AND NOT EXISTS (SELECT FROM coa.difference x WHERE x.run_id = %(run)s AND x.target_id = t."Id"
                                   AND x.kind = 'duplicate')"""
        ).format(
            verify=run.table(VERIFY, DETAIL),
            orders=run.table("expected", ORDER),
            parent=sql.Identifier(DETAIL_ORDER),
        ),
        {"run": run.run_id, "detail": DETAIL, "pair": run.pair_id},
    )


def _find_rollup_differences(run: Run) -> None:
    """Totals of orders whose details are all there: the source's roll-up beside the target's."""
    columns = set(run.columns(SOURCE, ORDER)) & set(run.columns(VERIFY, ORDER))
    names = [n for n in ROLLUPS if n in columns]
    if not names:
        return
    values = sql.SQL(", ").join(
        sql.SQL(
            "({}, COALESCE(coa.canon_number(s.{f}), '0'), COALESCE(coa.canon_number(t.{f}), '0'))"
        ).format(sql.Literal(n), f=sql.Identifier(n))
        for n in names
    )
    run.db.execute(
        sql.SQL(
            """INSERT INTO coa.difference
                 (run_id, sobject, source_id, target_id, field, source_value, target_value, kind)
               SELECT {run}, {order}, e.source_id, t."Id", v.field, v.expected, v.actual, 'rollup'
               FROM {expected} e JOIN {source} s ON s."Id" = e.source_id
               JOIN {verify} t ON t."Id" = e.target_id,
                    LATERAL (VALUES {values}) AS v (field, expected, actual)
               WHERE v.expected <> v.actual AND NOT EXISTS (
                 SELECT FROM {plan} p LEFT JOIN {details} x ON x.source_id = p.source_id
                 WHERE p.sobject = {detail} AND p.parent_id = e.source_id
                   AND (x.source_id IS NULL OR x.rejected))"""
        ).format(
            run=sql.Literal(run.run_id),
            order=sql.Literal(ORDER),
            expected=run.table("expected", ORDER),
            source=run.table(SOURCE, ORDER),
            verify=run.table(VERIFY, ORDER),
            values=values,
            plan=run.table("plan"),
            details=run.table("expected", DETAIL),
            detail=sql.Literal(DETAIL),
        )
    )


def _list_explained(run: Run) -> None:
    """What policies and the mapping changed, beside the unexplained differences."""
    for sobject in LOADED:
        run.db.execute(
            sql.SQL(
                """INSERT INTO coa.difference
                     (run_id, sobject, source_id, target_id, field, source_value, target_value, kind, reason)
                   SELECT x.run_id, x.sobject, x.source_id, COALESCE(e.target_id, ''), x.field, x.source_value,
                          x.target_value, 'explained', x.reason
                   FROM coa.explained x JOIN {} e ON e.source_id = x.source_id
                   WHERE x.run_id = %s AND x.sobject = %s AND x.reason NOT LIKE 'changed in the target%%'"""
            ).format(run.table("expected", sobject)),
            [run.run_id, sobject],
        )
