"""Every carried field of every expected record, compared by value after mapping; roll-ups;
what explains a difference."""

from __future__ import annotations

from psycopg import sql

from coa.codes import DifferenceKind
from coa.explanations import Cause, sentence
from coa.fields.compare import Comparison, actual_hash
from coa.fields.field_map import FieldMapping
from coa.model import (
    CURRENCY,
    DETAIL,
    DETAIL_ORDER,
    LOADED,
    ORDER,
    ORDER_VALUE,
    PRICE_FIELDS,
    QUANTITY,
    RECEIVED_AT,
    ROLLUPS,
    difference_kind,
)
from coa.policies import Policies
from coa.staging import tables
from coa.staging.runs import SOURCE, Run
from coa.staging.tables import Table


def find_field_differences(run: Run, sobject: str, compared: list[Comparison], joins: sql.Composed) -> None:
    """One row a record and field; rows that are equal as a whole are passed over first."""
    values = sql.SQL(", ").join(
        sql.SQL("({}, {}, {}, {})").format(
            sql.Literal(c.field.name),
            sql.Literal(kind_of(sobject, c.field)),
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
                 AND x.source_id = e.source_id AND x.field = v.field AND x.cause = {target_wins}
               WHERE ({differs}) AND v.expected IS DISTINCT FROM v.actual"""
        ).format(
            run=sql.Literal(run.run_id),
            target_wins=sql.Literal(Cause.TARGET_WINS.value),
            sobject=sql.Literal(sobject),
            expected=run.table(Table.EXPECTED, sobject),
            desired=run.table(Table.DESIRED, sobject),
            verify=run.table(Table.VERIFY, sobject),
            joins=joins,
            values=values,
            differs=differs,
        )
    )


def kind_of(sobject: str, one: FieldMapping) -> DifferenceKind:
    """The kind of a difference in this field, as differences.csv names it."""
    named = difference_kind(sobject, one.name)
    if named is DifferenceKind.FIELD and one.kind in ("parent", "lookup"):
        return DifferenceKind.LINK
    return named


def note_proved(run: Run, sobject: str, compared: list[Comparison]) -> None:
    """Records without a difference: step `done` and the hash of what the target holds.

    What the ledger says already is not written again: of a delta that is most of it.
    """
    writeable = [c for c in compared if c.field.updateable]
    run.db.execute(
        sql.SQL(
            """UPDATE coa.ledger l SET step = 'done', last_run = {run}, verified_hash = e.hash,
                      updated_at = clock_timestamp()
               -- OFFSET 0: the hash is made once, not for each place that it goes to.
               FROM (SELECT e.source_id, {hash} AS hash
                     FROM {expected} e JOIN {verify} t ON t."Id" = e.target_id
                     WHERE NOT EXISTS (SELECT FROM coa.difference x WHERE x.run_id = {run} AND x.sobject = {sobject}
                                         AND x.source_id = e.source_id) OFFSET 0) e
               WHERE l.pair_id = {pair} AND l.sobject = {sobject} AND l.source_id = e.source_id
                 AND (l.step <> 'done' OR l.verified_hash IS DISTINCT FROM e.hash)"""
        ).format(
            run=sql.Literal(run.run_id),
            hash=actual_hash(writeable),
            expected=run.table(Table.EXPECTED, sobject),
            verify=run.table(Table.VERIFY, sobject),
            pair=sql.Literal(run.pair_id),
            sobject=sql.Literal(sobject),
        )
    )


def _is_converted(run: Run) -> sql.Composed:
    """SQL: whether total `v` of the order (source: `s`) adds up details in another currency than its own.

    A roll-up converts them to the currency of its record, by the rates of its org (Salesforce Help, "Roll-up summary
    field").
    """
    if any(CURRENCY not in run.columns(SOURCE, sobject) for sobject in (ORDER, DETAIL)):
        return sql.SQL("false").format()
    return sql.SQL(
        """(v.field = {total} AND EXISTS (SELECT FROM {details} x WHERE x.{parent} = s."Id"
              AND x.{currency} <> s.{currency}))"""
    ).format(
        total=sql.Literal(ORDER_VALUE),
        details=run.table(SOURCE, DETAIL),
        parent=sql.Identifier(DETAIL_ORDER),
        currency=sql.Identifier(CURRENCY),
    )


def find_rollup_differences(run: Run) -> None:
    """Totals of orders that are there with all their details: the source's roll-up beside the target's.

    A total that follows from a price or quantity that a rule changed on purpose is explained by it.
    """
    columns = set(run.columns(SOURCE, ORDER)) & set(run.columns(Table.VERIFY, ORDER))
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
                 (run_id, sobject, source_id, target_id, field, source_value, target_value, kind, reason)
               SELECT {run}, {order}, e.source_id, t."Id", v.field, v.expected, v.actual,
                      CASE WHEN r.ruled OR {kept} OR {converted} THEN 'explained' ELSE 'rollup' END,
                      CASE WHEN r.ruled THEN {follows} WHEN {kept} THEN {detail_left}
                           WHEN {converted} THEN {rates} ELSE '' END
               FROM {expected} e JOIN {source} s ON s."Id" = e.source_id
               JOIN {verify} t ON t."Id" = e.target_id
               CROSS JOIN LATERAL (VALUES {values}) AS v (field, expected, actual)
               CROSS JOIN LATERAL (SELECT EXISTS (
                 SELECT FROM {source_details} d JOIN coa.explained x ON x.run_id = {run} AND x.sobject = {detail}
                   AND x.source_id = d."Id" AND x.field = ANY ({ruling})
                 WHERE d.{parent} = e.source_id) AS ruled) r
               WHERE v.expected <> v.actual AND NOT EXISTS (
                 SELECT FROM {source_details} d LEFT JOIN {details} x ON x.source_id = d."Id"
                 WHERE d.{parent} = e.source_id AND (x.source_id IS NULL OR x.rejected))"""
        ).format(
            run=sql.Literal(run.run_id),
            kept=_keeps_deleted_detail(run),
            follows=sql.Literal(sentence(Cause.FOLLOWS_FROM_DETAILS)),
            converted=_is_converted(run),
            rates=sql.Literal(sentence(Cause.CURRENCY_RATES)),
            detail_left=sql.Literal(sentence(Cause.DETAIL_LEFT)),
            order=sql.Literal(ORDER),
            expected=run.table(Table.EXPECTED, ORDER),
            source=run.table(SOURCE, ORDER),
            verify=run.table(Table.VERIFY, ORDER),
            values=values,
            source_details=run.table(SOURCE, DETAIL),
            details=run.table(Table.EXPECTED, DETAIL),
            parent=sql.Identifier(DETAIL_ORDER),
            detail=sql.Literal(DETAIL),
            ruling=sql.Literal(sorted({*PRICE_FIELDS, QUANTITY})),
        )
    )


def _keeps_deleted_detail(run: Run) -> sql.Composed:
    """SQL over an order (alias `t`): a detail of it is gone from the source and was left, as the run's policy says."""
    if not run.has_table(Table.DELETION):
        return sql.SQL("false").format()
    return sql.SQL(
        """EXISTS (SELECT FROM {} g WHERE g.sobject = {} AND g.parent_id = t."Id" AND g.action = 'left')"""
    ).format(run.table(Table.DELETION), sql.Literal(DETAIL))


def index_parents(run: Run) -> None:
    """Details are looked up by their order on both sides."""
    for kind in (Table.SOURCE, Table.VERIFY):
        with run.db.transaction() as connection:
            tables.add_index(connection, run, kind, f"{kind}_by_order", DETAIL)


def list_explained(run: Run) -> None:
    """What policies and the mapping changed, beside the unexplained differences."""
    for sobject in LOADED:
        run.db.execute(
            sql.SQL(
                """INSERT INTO coa.difference
                     (run_id, sobject, source_id, target_id, field, source_value, target_value, kind, reason)
                   SELECT x.run_id, x.sobject, x.source_id, COALESCE(e.target_id, ''), x.field, x.source_value,
                          x.target_value, 'explained', x.reason
                   FROM coa.explained x JOIN {} e ON e.source_id = x.source_id
                   WHERE x.run_id = %s AND x.sobject = %s AND x.cause <> %s"""
            ).format(run.table(Table.EXPECTED, sobject)),
            [run.run_id, sobject, Cause.TARGET_WINS.value],
        )
    _explain_reset_received_dates(run)


def _explain_reset_received_dates(run: Run) -> None:
    if Policies(run.params).restores_received_dates or RECEIVED_AT not in run.columns(Table.VERIFY, ORDER):
        return
    run.db.execute(
        sql.SQL(
            """INSERT INTO coa.difference
                 (run_id, sobject, source_id, target_id, field, source_value, target_value, kind, reason)
               SELECT {run}, {order}, e.source_id, t."Id", {name}, coa.canon_datetime(s.{f}),
                      coa.canon_datetime(t.{f}), 'explained', {reason}
               FROM {expected} e JOIN {source} s ON s."Id" = e.source_id JOIN {verify} t ON t."Id" = e.target_id
               WHERE coa.to_second(coa.canon_datetime(s.{f}))
                     IS DISTINCT FROM coa.to_second(coa.canon_datetime(t.{f}))"""
        ).format(
            run=sql.Literal(run.run_id),
            reason=sql.Literal(sentence(Cause.RECEIVED_DATES_RESET)),
            order=sql.Literal(ORDER),
            name=sql.Literal(RECEIVED_AT),
            f=sql.Identifier(RECEIVED_AT),
            expected=run.table(Table.EXPECTED, ORDER),
            source=run.table(SOURCE, ORDER),
            verify=run.table(Table.VERIFY, ORDER),
        )
    )
