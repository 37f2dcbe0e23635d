"""The canary: the few orders that a load writes first, to see what the target does with them.

They are chosen once, before the first write, and kept in the run's table `canary`, so that a retry loads the
same records. In the plan they have the chunk number `CANARY_CHUNK`. The order of chunks is not part of the
plan's hash.
"""

from __future__ import annotations

from typing import Any

import psycopg
from psycopg import sql

from coa.codes import MOVED_BEFORE, WRITTEN
from coa.fields.field_map import FieldMapping
from coa.load.canary_choice import MOST_ROWS, Candidate, choose, has_canary
from coa.load.canary_reuse import fingerprint, reusable, strata_document, what_is_new
from coa.load.canary_state import CHOSEN, UNFINISHED, counts, much_mended_before
from coa.load.canary_strata import candidates, count_new_orders
from coa.load.one_pass import plan_one_pass
from coa.load_steps import CANARY_CHUNK, UNFINISHED_CHUNK
from coa.model import CUSTOMER, DETAIL, DRAFT, ORDER, STATUS
from coa.staging import tables
from coa.staging.database import Row, json_value
from coa.staging.fragments import ledger_of, list_of, same_record
from coa.staging.runs import TARGET, Run
from coa.staging.tables import Table


def choose_canary(run: Run, carried: dict[str, list[FieldMapping]]) -> int:
    """Fills `canary` unless an earlier try did; gives the number of the plan's new orders in it."""
    if not run.has_table(Table.CANARY):
        new_orders = count_new_orders(run)
        has_one = has_canary(new_orders, run.params.canary)
        pool: list[Candidate] = []
        reused: Row | None = None
        if has_one:
            pool = candidates(run, carried, str(run.record.plan_hash), run.params.canary)
            reused = reusable(run, carried)
        chosen = choose(what_is_new(pool, reused["strata"]) if reused else pool, run.params.canary)
        with run.db.transaction() as connection:
            tables.ensure(connection, run, Table.CANARY)
            if has_one:
                _keep_unfinished(run, connection)
                _keep_chosen(run, connection, chosen)
                plan_one_pass(run, connection, carried, chosen)
                # With the records, or a kill in between would leave a canary that no stage knows of.
                _keep_row(run, connection, strata_document(pool, chosen), fingerprint(run, carried), reused)
        if has_one:
            run.events.add(
                "canary_chosen", records=counts(run), reused_from=reused["run_id"] if reused else ""
            )
    return counts(run)["orders"]


def _keep_row(
    run: Run,
    connection: psycopg.Connection[Row],
    strata: list[list[str]],
    under: dict[str, Any] | None,
    reused: Row | None,
) -> None:
    """Writes the run's row of `coa.canary`. If everything was taken over from another run, there is nothing
    to prove.
    """
    connection.execute(
        sql.SQL(
            """INSERT INTO coa.canary (run_id, orders, strata, fingerprint, reused_from,
                 learned, careful, proved, ended_at)
               SELECT %(run)s, n, %(strata)s, %(under)s, %(reused)s, %(learned)s, %(careful)s, d.done,
                      CASE WHEN d.done THEN clock_timestamp() END
               FROM (SELECT count(*) AS n FROM {} WHERE sobject = %(order)s) c
               CROSS JOIN LATERAL (SELECT CASE WHEN n = 0 AND %(reused)s::text IS NOT NULL THEN true END AS done) d
               ON CONFLICT DO NOTHING"""
        ).format(run.table(Table.CANARY)),
        {
            "run": run.run_id,
            "strata": json_value(strata),
            "under": json_value(under) if under is not None else None,
            "reused": reused["run_id"] if reused else None,
            "learned": sorted(set(reused["learned"]) - much_mended_before(run)) if reused else [],
            "careful": reused["careful"] if reused else [],
            "order": ORDER,
        },
    )


def _keep_chosen(run: Run, connection: psycopg.Connection[Row], orders: list[str]) -> None:
    """The chosen orders with all that the plan creates with them: their details and their new customers."""
    plan, canary = run.table(Table.PLAN), run.table(Table.CANARY)
    for sobject, belongs in (
        (ORDER, "p.source_id = ANY (%(orders)s)"),
        (DETAIL, "p.parent_id = ANY (%(orders)s)"),
        (
            CUSTOMER,
            """p.source_id IN (SELECT o.parent_id FROM {plan} o WHERE o.sobject = %(order)s
                                 AND o.source_id = ANY (%(orders)s))""",
        ),
    ):
        connection.execute(
            sql.SQL(
                "INSERT INTO {canary} SELECT p.sobject, p.source_id, %(part)s FROM {plan} p "
                "WHERE p.sobject = %(sobject)s AND p.action = 'insert' AND " + belongs
            ).format(canary=canary, plan=plan),
            {"part": CHOSEN, "sobject": sobject, "order": ORDER, "orders": orders},
        )
    _set_chunk(run, connection, CHOSEN, CANARY_CHUNK)


def _keep_unfinished(run: Run, connection: psycopg.Connection[Row]) -> None:
    """Adds orders of ours that an earlier run left as Draft, with everything that they still lack, as far
    as they can be observed.

    All of them come first, in a chunk of their own. Those beyond `MOST_ROWS` rows are not part of the
    canary.
    """
    left = sql.SQL(
        """SELECT p.source_id FROM {plan} p
           JOIN coa.ledger l ON {ledger}
           JOIN {target} t ON t."Id" = p.target_id
           WHERE p.sobject = {order} AND p.action IN {moved_before} AND p.chunk_no IS NOT NULL
             AND l.origin = 'inserted' AND l.step <> 'done' AND t.{status} = {draft}
             AND ({status_name} = ANY (p.changed) OR EXISTS (
                    SELECT FROM {plan} q WHERE q.sobject = {detail} AND q.parent_id = p.source_id
                      AND q.action = 'insert'))"""
    ).format(
        ledger=ledger_of(run.pair_id, "p"),
        plan=run.table(Table.PLAN),
        target=run.table(TARGET, ORDER),
        order=sql.Literal(ORDER),
        detail=sql.Literal(DETAIL),
        status=sql.Identifier(STATUS),
        status_name=sql.Literal(STATUS),
        draft=sql.Literal(DRAFT),
        moved_before=list_of(MOVED_BEFORE),
    )
    connection.execute(
        sql.SQL(
            """WITH unfinished AS MATERIALIZED ({left}), sized AS (
                 SELECT u.source_id, sum(1 + (SELECT count(*) FROM {plan} q WHERE q.sobject = %(detail)s
                   AND q.parent_id = u.source_id AND q.action IN {written})) OVER (ORDER BY u.source_id) AS rows
                 FROM unfinished u)
               INSERT INTO {canary} SELECT p.sobject, p.source_id, %(part)s FROM {plan} p JOIN sized s
                 ON s.rows <= %(most)s AND s.source_id = CASE WHEN p.sobject = %(order)s THEN p.source_id
                                                              ELSE p.parent_id END
               WHERE p.sobject = %(order)s OR (p.sobject = %(detail)s AND p.action IN {written})"""
        ).format(
            left=left, plan=run.table(Table.PLAN), canary=run.table(Table.CANARY), written=list_of(WRITTEN)
        ),
        {"order": ORDER, "detail": DETAIL, "part": UNFINISHED, "most": MOST_ROWS},
    )
    connection.execute(
        sql.SQL(
            """WITH unfinished AS MATERIALIZED ({left})
               UPDATE {plan} p SET chunk_no = %(chunk)s FROM unfinished u WHERE p.chunk_no IS NOT NULL AND
                 ((p.sobject = %(order)s AND p.source_id = u.source_id)
                   OR (p.sobject = %(detail)s AND p.parent_id = u.source_id))"""
        ).format(left=left, plan=run.table(Table.PLAN)),
        {"order": ORDER, "detail": DETAIL, "chunk": UNFINISHED_CHUNK},
    )


def _set_chunk(run: Run, connection: psycopg.Connection[Row], part: str, chunk_no: int) -> None:
    connection.execute(
        sql.SQL("UPDATE {} p SET chunk_no = %s FROM {} c WHERE c.part = %s AND {p_is_c}").format(
            run.table(Table.PLAN), run.table(Table.CANARY), p_is_c=same_record("p", "c")
        ),
        [chunk_no, part],
    )
