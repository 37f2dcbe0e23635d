"""Missing, duplicated and unexpected records of the target.

`snapshot(sobject)` is the table of what was in the target before our first write: what stood there
already is neither a duplicate of ours nor unexpected.
"""

from __future__ import annotations

from collections.abc import Callable

from psycopg import sql

from coa.fields.other_sources import held_by_others
from coa.model import (
    CUSTOMER,
    CUSTOMER_ORG_ID,
    DETAIL,
    DETAIL_ORDER,
    DETAIL_PRODUCT,
    NS,
    ORDER,
    ORDER_CONTRACT,
    ORDER_CUSTOMER,
    ORDER_DATES,
    ORDER_TYPE,
    QUANTITY,
    SOURCE_ID,
)
from coa.staging.runs import SOURCE, Run
from coa.staging.tables import Table

Snapshot = Callable[[str], sql.Identifier | None]

# What makes two details of one order look like one.
DETAIL_LOOKS = (DETAIL_PRODUCT, QUANTITY, NS + "pc_Fixed_Price__c", NS + "Customer_Price_Per_Month__c")


def find_missing(run: Run, sobject: str) -> None:
    """Lists expected records that the target does not have; those that the org refused are listed as such elsewhere."""
    run.db.execute(
        sql.SQL(
            """INSERT INTO coa.difference (run_id, sobject, source_id, target_id, kind, reason)
               SELECT %s, %s, e.source_id, COALESCE(e.target_id, ''), 'missing', 'not found in the target'
               FROM {expected} e WHERE NOT e.rejected
                 AND NOT EXISTS (SELECT FROM {verify} t WHERE t."Id" = e.target_id)"""
        ).format(expected=run.table(Table.EXPECTED, sobject), verify=run.table(Table.VERIFY, sobject)),
        [run.run_id, sobject],
    )


def find_duplicates_by_key(run: Run, sobject: str) -> None:
    """More than one record of the target with one migration key, or one that the ledger does not mean."""
    run.db.execute(
        sql.SQL(
            """INSERT INTO coa.difference (run_id, sobject, source_id, target_id, field, kind, reason)
               SELECT %s, %s, e.source_id, t."Id", {name}, 'duplicate', 'a second record with this migration key'
               FROM {expected} e
               JOIN (SELECT "Id", CASE WHEN char_length({key}) = 15 THEN coa.id18({key}) ELSE {key} END AS key
                     FROM {verify}) t ON t.key = e.source_id AND t."Id" <> e.target_id"""
        ).format(
            name=sql.Literal(SOURCE_ID),
            key=sql.Identifier(SOURCE_ID),
            expected=run.table(Table.EXPECTED, sobject),
            verify=run.table(Table.VERIFY, sobject),
        ),
        [run.run_id, sobject],
    )


def find_duplicates_without_key(run: Run, snapshot: Snapshot) -> None:
    """Records that are not ours, came after our snapshot, and look like one of ours."""
    _customers_of_one_org(run, snapshot)
    _orders_that_look_alike(run, snapshot)
    _extra_details(run)


def _foreign(run: Run, sobject: str, snapshot: Snapshot) -> sql.Composed:
    """SQL for the ids of records that no ledger row of this pair means and that were not there before."""
    before = snapshot(sobject)
    known = (
        sql.SQL('AND NOT EXISTS (SELECT FROM {} b WHERE b."Id" = f."Id")').format(before)
        if before is not None
        else sql.SQL("").format()
    )
    return sql.SQL(
        """SELECT f."Id" AS id FROM {verify} f
           WHERE NOT EXISTS (SELECT FROM coa.ledger l WHERE l.pair_id = {pair} AND l.sobject = {sobject}
                               AND l.target_id = f."Id")
             AND NOT EXISTS (SELECT FROM coa.difference x WHERE x.run_id = {run} AND x.sobject = {sobject}
                               AND x.target_id = f."Id" AND x.kind = 'duplicate') {known}"""
    ).format(
        verify=run.table(Table.VERIFY, sobject),
        pair=sql.Literal(run.pair_id),
        sobject=sql.Literal(sobject),
        run=sql.Literal(run.run_id),
        known=known,
    )


def _customers_of_one_org(run: Run, snapshot: Snapshot) -> None:
    run.db.execute(
        sql.SQL(
            """INSERT INTO coa.difference (run_id, sobject, source_id, target_id, field, source_value, target_value,
                                           kind, reason)
               SELECT DISTINCT ON (t."Id") {run}, {customer}, e.source_id, t."Id", {name}, o.{org}, t.{org},
                      'duplicate', 'a second customer of this org'
               FROM ({foreign}) f JOIN {verify} t ON t."Id" = f.id
               JOIN {verify} o ON coa.org_key(o.{org}) = coa.org_key(t.{org}) AND o."Id" <> t."Id"
               JOIN {expected} e ON e.target_id = o."Id" ORDER BY t."Id", e.source_id"""
        ).format(
            run=sql.Literal(run.run_id),
            customer=sql.Literal(CUSTOMER),
            name=sql.Literal(CUSTOMER_ORG_ID),
            org=sql.Identifier(CUSTOMER_ORG_ID),
            foreign=_foreign(run, CUSTOMER, snapshot),
            verify=run.table(Table.VERIFY, CUSTOMER),
            expected=run.table(Table.EXPECTED, CUSTOMER),
        )
    )


def _orders_that_look_alike(run: Run, snapshot: Snapshot) -> None:
    """Same customer, contract, type, dates, and the same lines (or none yet) as an order of ours."""
    present = set(run.columns(Table.VERIFY, ORDER))
    alike = [n for n in (ORDER_CUSTOMER, ORDER_CONTRACT, ORDER_TYPE, *ORDER_DATES) if n in present]
    run.db.execute(
        sql.SQL(
            """WITH pair AS MATERIALIZED (
                 SELECT t."Id" AS extra, o."Id" AS ours, e.source_id
                 FROM ({foreign}) f JOIN {verify} t ON t."Id" = f.id
                 JOIN {verify} o ON {same} AND o."Id" <> t."Id"
                 JOIN {expected} e ON e.target_id = o."Id"),
               lines AS (
                 SELECT x.{parent} AS order_id, string_agg(concat_ws('*', x.{product}, coa.canon_number(x.{quantity})),
                        ',' ORDER BY x.{product}, coa.canon_number(x.{quantity})) AS lines
                 FROM {details} x WHERE x.{parent} IN (SELECT extra FROM pair UNION SELECT ours FROM pair) GROUP BY 1)
               INSERT INTO coa.difference (run_id, sobject, source_id, target_id, kind, reason)
               SELECT DISTINCT ON (p.extra) {run}, {order}, p.source_id, p.extra, 'duplicate',
                      'an order without migration key that looks like ' || p.ours
               FROM pair p LEFT JOIN lines a ON a.order_id = p.extra LEFT JOIN lines b ON b.order_id = p.ours
               WHERE (a.lines IS NULL OR a.lines = b.lines) AND NOT {moved} ORDER BY p.extra, p.source_id"""
        ).format(
            foreign=_foreign(run, ORDER, snapshot),
            verify=run.table(Table.VERIFY, ORDER),
            same=sql.SQL(" AND ").join(
                sql.SQL("{a} = {b}" if name == ORDER_CUSTOMER else "{a} IS NOT DISTINCT FROM {b}").format(
                    a=sql.Identifier("o", name), b=sql.Identifier("t", name)
                )
                for name in alike
            ),
            expected=run.table(Table.EXPECTED, ORDER),
            parent=sql.Identifier(DETAIL_ORDER),
            product=sql.Identifier(DETAIL_PRODUCT),
            quantity=sql.Identifier(QUANTITY),
            details=run.table(Table.VERIFY, DETAIL),
            run=sql.Literal(run.run_id),
            order=sql.Literal(ORDER),
            # Whether those are the same was decided when they came (`possible_duplicates`).
            moved=held_by_others(run, ORDER, sql.SQL("p.extra")),
        )
    )


def _extra_details(run: Run) -> None:
    """Details under our orders that no source record accounts for: they change the order's totals.

    One that equals a detail of ours is its duplicate, any other is unexpected.
    """
    present = set(run.columns(Table.VERIFY, DETAIL))
    looks = [n for n in DETAIL_LOOKS if n in present]
    run.db.execute(
        sql.SQL(
            """INSERT INTO coa.difference (run_id, sobject, source_id, target_id, kind, reason)
               SELECT {run}, {detail}, COALESCE(twin.source_id, ''), t."Id",
                      CASE WHEN twin.source_id IS NULL THEN 'unexpected' ELSE 'duplicate' END,
                      CASE WHEN twin.source_id IS NULL THEN 'a detail of a moved order that is not ours'
                           ELSE 'a detail without migration key that looks like ' || twin.id END
               FROM {verify} t JOIN {orders} e ON e.target_id = t.{parent}
               LEFT JOIN LATERAL (
                 SELECT d.source_id, o."Id" AS id FROM {verify} o JOIN {details} d ON d.target_id = o."Id"
                 WHERE o.{parent} = t.{parent} AND o."Id" <> t."Id" AND {same} ORDER BY 1 LIMIT 1) twin ON true
               WHERE NOT EXISTS (SELECT FROM coa.ledger l WHERE l.pair_id = {pair} AND l.sobject = {detail}
                                   AND l.target_id = t."Id")
                 AND NOT EXISTS (SELECT FROM coa.difference x WHERE x.run_id = {run} AND x.target_id = t."Id"
                                   AND x.kind = 'duplicate')"""
        ).format(
            run=sql.Literal(run.run_id),
            detail=sql.Literal(DETAIL),
            verify=run.table(Table.VERIFY, DETAIL),
            orders=run.table(Table.EXPECTED, ORDER),
            details=run.table(Table.EXPECTED, DETAIL),
            parent=sql.Identifier(DETAIL_ORDER),
            same=sql.SQL(" AND ").join(
                sql.SQL("{} IS NOT DISTINCT FROM {}").format(sql.Identifier("o", n), sql.Identifier("t", n))
                for n in looks
            ),
            pair=sql.Literal(run.pair_id),
        )
    )


def find_unknown_keys(run: Run, sobject: str, snapshot: Snapshot) -> None:
    """Records that came after our snapshot and bear a migration key that no source record has."""
    run.db.execute(
        sql.SQL(
            """INSERT INTO coa.difference (run_id, sobject, target_id, field, target_value, kind, reason)
               SELECT {run}, {sobject}, t."Id", {name}, t.{key}, 'unexpected',
                      'its migration key is the id of no source record'
               FROM ({foreign}) f JOIN {verify} t ON t."Id" = f.id
               WHERE t.{key} IS NOT NULL AND NOT {moved}
                 AND NOT EXISTS (SELECT FROM {source} s WHERE s."Id" = coa.id18(t.{key}))
                 AND NOT EXISTS (SELECT FROM coa.difference x WHERE x.run_id = {run} AND x.target_id = t."Id")"""
        ).format(
            run=sql.Literal(run.run_id),
            sobject=sql.Literal(sobject),
            name=sql.Literal(SOURCE_ID),
            key=sql.Identifier(SOURCE_ID),
            foreign=_foreign(run, sobject, snapshot),
            verify=run.table(Table.VERIFY, sobject),
            source=run.table(SOURCE, sobject),
            moved=held_by_others(run, sobject, sql.SQL('t."Id"')),
        )
    )
