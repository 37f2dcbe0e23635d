"""Orders that the target may have already, entered by hand or moved from another source: with the same
customer, contract, type, dates and lines.

They are blocked for a person's decision, never silently duplicated. The mapping file decides by record: `load`,
or the id of the target order that it is.
"""

from __future__ import annotations

from psycopg import sql

from coa.codes import NOT_INSERTED
from coa.mapping.model import Mapping
from coa.model import (
    CUSTOMER,
    DETAIL,
    DETAIL_ORDER,
    DETAIL_PRODUCT,
    ORDER,
    ORDER_CONTRACT,
    ORDER_CUSTOMER,
    ORDER_DATES,
    ORDER_TYPE,
    QUANTITY,
)
from coa.reasons import reason_sql
from coa.staging.fragments import list_of
from coa.staging.runs import TARGET, Run
from coa.staging.tables import Table


def match_decided(run: Run, mapping: Mapping) -> None:
    """Orders that the mapping file declares to be a certain order of the target: matched, with their details.

    What an earlier file declared counts no more: orders are matched by such decisions only.
    """
    run.db.execute(
        sql.SQL(
            """UPDATE {} SET origin = 'none', target_id = NULL, step = 'none'
               WHERE pair_id = %s AND sobject = ANY (%s) AND origin = 'matched'"""
        ).format(run.ledger),
        [run.pair_id, [ORDER, DETAIL]],
    )
    for source_id, decision in mapping.duplicates.items():
        if decision == "load":
            continue
        run.db.execute(
            sql.SQL(
                """INSERT INTO {ledgers} AS l (pair_id, sobject, source_id, target_id, origin, step)
                   SELECT %s, %s, d.source_id, t."Id", 'matched', 'done' FROM {} d, {} t
                   WHERE d.source_id = coa.id18(%s) AND t."Id" = coa.id18(%s)
                   ON CONFLICT (pair_id, sobject, source_id) DO UPDATE
                     SET target_id = EXCLUDED.target_id, origin = 'matched', step = 'done'
                     WHERE l.origin IN {not_inserted}"""
            ).format(
                run.table(Table.DESIRED, ORDER),
                run.table(TARGET, ORDER),
                ledgers=run.ledger,
                not_inserted=list_of(NOT_INSERTED),
            ),
            [run.pair_id, ORDER, source_id, decision],
        )
    run.db.execute(
        sql.SQL(
            """INSERT INTO {ledgers} AS l (pair_id, sobject, source_id, origin, step)
               SELECT o.pair_id, %s, d.source_id, 'matched', 'done' FROM {details} d
               JOIN {ledgers} o ON o.pair_id = %s AND o.sobject = %s AND o.source_id = d.{parent}
               WHERE o.origin = 'matched'
               ON CONFLICT (pair_id, sobject, source_id) DO UPDATE SET origin = 'matched', step = 'done'
                 WHERE l.origin = 'none'"""
        ).format(
            details=run.table(Table.DESIRED, DETAIL), parent=sql.Identifier(DETAIL_ORDER), ledgers=run.ledger
        ),
        [DETAIL, run.pair_id, ORDER],
    )


def block_possible_duplicates(run: Run, mapping: Mapping) -> int:
    """Adds a problem for each new order that looks like one of the target's own; how many."""
    if run.params.possible_duplicates == "load":
        return 0
    alike = reason_sql("possible_duplicate", target_id=sql.SQL("target_id"))
    decided = [s for s, d in mapping.duplicates.items() if d == "load"]
    return run.db.execute(
        sql.SQL(
            """WITH lines_d AS (
                 SELECT {parent} AS order_id, string_agg(concat_ws('*', {product}, {quantity}), ','
                        ORDER BY {product}, {quantity}) AS lines FROM {details} GROUP BY 1),
               lines_t AS (
                 SELECT {parent} AS order_id, string_agg(concat_ws('*', {product}, coa.canon_number({quantity})), ','
                        ORDER BY {product}, coa.canon_number({quantity})) AS lines FROM {t_details} GROUP BY 1),
               hit AS (
                 SELECT d.source_id, min(t."Id") AS target_id
                 FROM {orders} d
                 LEFT JOIN {ledgers} l
                   ON l.pair_id = %(pair)s AND l.sobject = %(order)s AND l.source_id = d.source_id
                 JOIN {ledgers} c ON c.pair_id = %(pair)s AND c.sobject = %(customer)s AND c.source_id = d.{customer}
                                  AND c.target_id IS NOT NULL
                 JOIN {t_orders} t ON t.{customer} = c.target_id AND t.{contract} = d.{contract}
                                  AND t.{type} IS NOT DISTINCT FROM d.{type} {dates}
                                  AND NOT EXISTS (SELECT FROM {ledgers} m WHERE m.pair_id = %(pair)s
                                        AND m.sobject = %(order)s AND m.target_id = t."Id" AND m.origin = 'inserted')
                 LEFT JOIN lines_d ld ON ld.order_id = d.source_id
                 LEFT JOIN lines_t lt ON lt.order_id = t."Id"
                 WHERE COALESCE(l.origin, 'none') = 'none' AND ld.lines IS NOT DISTINCT FROM lt.lines
                   AND d.source_id <> ALL (%(decided)s)
                 GROUP BY 1)
               INSERT INTO {problem}
               SELECT %(order)s, source_id, {code}, '', {reason}, {next_step}, 'block'
               FROM hit ON CONFLICT DO NOTHING"""
        ).format(
            ledgers=run.ledger,
            code=alike.code,
            reason=alike.message,
            next_step=alike.next_step,
            parent=sql.Identifier(DETAIL_ORDER),
            product=sql.Identifier(DETAIL_PRODUCT),
            quantity=sql.Identifier(QUANTITY),
            details=run.table(Table.DESIRED, DETAIL),
            t_details=run.table(TARGET, DETAIL),
            orders=run.table(Table.DESIRED, ORDER),
            t_orders=run.table(TARGET, ORDER),
            customer=sql.Identifier(ORDER_CUSTOMER),
            contract=sql.Identifier(ORDER_CONTRACT),
            type=sql.Identifier(ORDER_TYPE),
            dates=sql.SQL(" ").join(
                sql.SQL("AND coa.canon_date(t.{f}) IS NOT DISTINCT FROM d.{f}").format(f=sql.Identifier(f))
                for f in ORDER_DATES
            ),
            problem=run.table(Table.PROBLEM),
        ),
        {
            "pair": run.pair_id,
            "order": ORDER,
            "customer": CUSTOMER,
            "decided": decided,
        },
    )
