"""One pass: orders are created with their final status. It is tried with one order, then with the canary, and
checked until the end.

The unit is an order with its details. The canary decides: if the org refuses details of a released order, or
changes its status, its received date or a special term of its details, one pass ends. The orders of the canary
to which this happened are set back to Draft (this very run created them) and go through all passes.

Later, each job is followed by a query for orders that are Drafts, or have another received date than was sent:
somebody may have switched a rule on again. The first one found ends one pass for the rest of the run.
"""

from __future__ import annotations

from functools import partial

import psycopg
from psycopg import sql

from coa.extract.bulk import LONGEST_SOQL, ExtractSpec, query_into
from coa.fields.field_map import FieldMapping
from coa.findings.finding import finding
from coa.load.conditions import list_incomplete, planned_details_are_there
from coa.load.jobs import Loader
from coa.load.one_pass_state import count_ways, end_one_pass, is_open, one_pass_of
from coa.load.totals import set_totals
from coa.load.work import chunk_step_done, mark_chunk_step
from coa.load_steps import BACK_TO_DRAFT, CANARY_CHUNK, DETAILS, ORDERS_ONE_PASS, TRIAL_CHUNK, Step
from coa.model import DETAIL, DRAFT, FROZEN_DETAIL_FIELDS, ORDER, RECEIVED_AT, STATUS
from coa.plan.one_pass import (
    DATE_CHANGED,
    ENDED,
    MADE_DRAFT,
    ONE_PASS,
    REFUSED,
    SET_BACK,
    WAYS,
    may_be_tried,
    ways,
)
from coa.salesforce.session import Org
from coa.salesforce.soql import text_list
from coa.staging import tables
from coa.staging.database import Row
from coa.staging.fragments import ledger_of, same_record
from coa.staging.runs import Run
from coa.staging.tables import Table

HIT = (MADE_DRAFT, DATE_CHANGED, SET_BACK, REFUSED)
"""Ways of orders that met something; `ended` are those that came after them."""
TRIED_CHUNKS = (TRIAL_CHUNK, CANARY_CHUNK)
AN_ORDER_IN_SOQL = len("'001000000000000AAA', 2026-01-31T12:00:00.000Z, ")
ROOM = LONGEST_SOQL - 1000


# ---- before the first write ----------------------------------------------------------------------
def plan_one_pass(
    run: Run, connection: psycopg.Connection[Row], carried: dict[str, list[FieldMapping]], chosen: list[str]
) -> None:
    """Decides which way each order goes, and chooses the order that is tried first: one of the `chosen`
    with few details.

    Its chunk is `TRIAL_CHUNK`. If the canary has no suitable order, one pass is not tried.
    """
    if not may_be_tried(run, {f.name: f for f in carried[ORDER]}):
        return
    tables.ensure(connection, run, Table.ONE_PASS)
    connection.execute(
        sql.SQL("INSERT INTO {} (source_id, way) {}").format(run.table(Table.ONE_PASS), ways(run))
    )
    first = connection.execute(
        sql.SQL(
            """SELECT o.source_id FROM {one_pass} o JOIN {plan} q
                 ON q.sobject = %s AND q.parent_id = o.source_id AND q.action = 'insert'
               WHERE o.way = %s AND o.source_id = ANY (%s) GROUP BY 1 ORDER BY count(*), 1 LIMIT 1"""
        ).format(one_pass=run.table(Table.ONE_PASS), plan=run.table(Table.PLAN)),
        [DETAIL, ONE_PASS, chosen],
    ).fetchone()
    if first is None:
        tables.drop(connection, run, Table.ONE_PASS)
        return
    connection.execute(
        sql.SQL(
            """UPDATE {} SET chunk_no = %(chunk)s WHERE (sobject = %(order)s AND source_id = %(first)s)
                 OR (sobject = %(detail)s AND parent_id = %(first)s AND action = 'insert')"""
        ).format(run.table(Table.PLAN)),
        {"chunk": TRIAL_CHUNK, "order": ORDER, "detail": DETAIL, "first": first["source_id"]},
    )
    connection.execute("INSERT INTO coa.one_pass (run_id) VALUES (%s) ON CONFLICT DO NOTHING", [run.run_id])


# ---- orders ----------------------------------------------------------------------------------------
def insert_as_they_are(run: Run, org: Org, fields: list[FieldMapping], step: Step) -> None:
    """Sends the pending rows of the step while one pass is open; each job is followed by a check.

    Orders that are not created when it ends are created as Drafts, in this chunk and in all later ones.
    """
    look = partial(_look, run, org, step)
    Loader(run, org, fields).send(step, between_jobs=look)
    look()
    _try_refused_as_drafts(run, step)
    _tell(run)


def _look(run: Run, org: Org, step: Step) -> None:
    """Checks what was created since the last check, then takes out of the step what must not go one pass
    any more.
    """
    created = _not_looked_at(run, step)
    size = ROOM // AN_ORDER_IN_SOQL
    for start in range(0, len(created), size):
        _look_at(run, org, step, created[start : start + size])
    if not is_open(run):
        _divert(run, step)


def _not_looked_at(run: Run, step: Step) -> list[Row]:
    """source_id, target_id, received (as it was sent) of orders that were created and not looked at."""
    return run.db.rows(
        sql.SQL(
            """SELECT w.source_id, w.target_id, coa.to_second(d.{received}) || 'Z' AS received
               FROM {work} w JOIN {one_pass} o USING (source_id) JOIN {desired} d USING (source_id)
               WHERE w.step = %s AND w.sobject = %s AND w.chunk_no = %s AND w.state = 'accepted'
                 AND NOT o.looked_at ORDER BY w.target_id"""
        ).format(
            received=sql.Identifier(RECEIVED_AT),
            work=run.table(Table.WORK),
            one_pass=run.table(Table.ONE_PASS),
            desired=run.table(Table.DESIRED, ORDER),
        ),
        [step.name, step.sobject, step.chunk_no],
    )


def hit_condition(created: list[Row]) -> str:
    """SOQL: those of the created orders that are Drafts or bear another received date than was sent.

    >>> hit_condition([{"target_id": "a01", "received": None}])
    "(Id IN ('a01') AND (CHANNEL_ORDERS__Service_Order_Status__c = 'Draft' OR \
CHANNEL_ORDERS__Date_Service_Order_Received_by_SFDC__c != null))"
    """
    dated = [r for r in created if r["received"]]
    bare = [r for r in created if not r["received"]]
    parts = []
    if dated:
        sent = ", ".join(sorted({str(r["received"]) for r in dated}))
        other = f"{RECEIVED_AT} = null OR {RECEIVED_AT} NOT IN ({sent})"
        parts.append(_among(dated, other))
    if bare:
        parts.append(_among(bare, f"{RECEIVED_AT} != null"))
    return " OR ".join(parts)


def _among(orders: list[Row], other_date: str) -> str:
    ids = text_list([str(r["target_id"]) for r in orders])
    return f"(Id IN ({ids}) AND ({STATUS} = '{DRAFT}' OR {other_date}))"


def _look_at(run: Run, org: Org, step: Step, created: list[Row]) -> None:
    """Asks for hits among a job's orders; what was found, and that it was asked, is one transaction."""
    part = f"hit{abs(step.chunk_no)}" + ("x" if step.chunk_no < 0 else "")
    names = ["Id", STATUS, RECEIVED_AT]
    with run.db.transaction() as connection:
        table = tables.create(connection, run, Table.REREAD, ORDER, part=part, fields=names)
    query_into(run, org, ExtractSpec("reread", ORDER, names, hit_condition(created)), table, at_most=1)
    with run.db.transaction() as connection:
        hits = connection.execute(
            sql.SQL(
                """UPDATE {one_pass} o SET way = CASE WHEN t.{status} = %(draft)s THEN %(made)s ELSE %(dated)s END
                   FROM {work} w JOIN {table} t ON coa.id18(t."Id") = w.target_id
                   WHERE w.step = %(step)s AND w.sobject = %(order)s AND w.source_id = o.source_id
                     AND o.way = %(one_pass)s RETURNING o.source_id"""
            ).format(
                one_pass=run.table(Table.ONE_PASS),
                status=sql.Identifier(STATUS),
                work=run.table(Table.WORK),
                table=table,
            ),
            {
                "draft": DRAFT,
                "made": MADE_DRAFT,
                "dated": DATE_CHANGED,
                "step": step.name,
                "order": ORDER,
                "one_pass": ONE_PASS,
            },
        ).fetchall()
        if hits:
            end_one_pass(
                connection,
                run,
                f"the target changed {len(hits)} orders that were created with their status",
                late=True,
            )
        _note_looked_at(run, connection, [str(r["source_id"]) for r in created])
        tables.drop(connection, run, Table.REREAD, ORDER, part)
    run.lease.renew()


def _note_looked_at(run: Run, connection: psycopg.Connection[Row], orders: list[str]) -> None:
    """What is no hit is released; what was made a Draft has been one since its job."""
    connection.execute(
        sql.SQL("UPDATE {} SET looked_at = true WHERE source_id = ANY (%s)").format(
            run.table(Table.ONE_PASS)
        ),
        [orders],
    )
    connection.execute(
        sql.SQL(
            """UPDATE coa.ledger l SET step = CASE WHEN o.way = %(made)s THEN 'created' ELSE 'released' END,
                      draft_since = CASE WHEN o.way = %(made)s THEN j.created_at END, draft_until = NULL,
                      updated_at = clock_timestamp()
               FROM {} o, coa.job j WHERE o.source_id = ANY (%(orders)s) AND l.pair_id = %(pair)s
                 AND l.sobject = %(order)s AND l.source_id = o.source_id AND j.job_key = l.job_key"""
        ).format(run.table(Table.ONE_PASS)),
        {"made": MADE_DRAFT, "orders": orders, "pair": run.pair_id, "order": ORDER},
    )


def _divert(run: Run, step: Step) -> None:
    """Makes orders of a chunk that are not created go the usual way, as Drafts: rows of no job, and those
    never sent.
    """
    with run.db.transaction() as connection:
        connection.execute(
            sql.SQL(
                """DELETE FROM {} WHERE step = %s AND sobject = %s AND chunk_no = %s AND state = 'pending'"""
            ).format(run.table(Table.WORK)),
            [step.name, step.sobject, step.chunk_no],
        )
        connection.execute(
            sql.SQL(
                """UPDATE {one_pass} o SET way = %s FROM {plan} p
                   WHERE p.sobject = %s AND p.chunk_no = %s AND p.source_id = o.source_id AND o.way = %s
                     AND NOT EXISTS (SELECT FROM {work} w WHERE w.step = %s AND {w_is_p})"""
            ).format(
                one_pass=run.table(Table.ONE_PASS),
                plan=run.table(Table.PLAN),
                work=run.table(Table.WORK),
                w_is_p=same_record("w", "p"),
            ),
            [ENDED, ORDER, step.chunk_no, ONE_PASS, step.name],
        )


def _try_refused_as_drafts(run: Run, step: Step) -> None:
    """What the org refuses to create with its status may be accepted as a Draft; in the canary such a
    refusal ends one pass.
    """
    of_step = [step.name, step.sobject, step.chunk_no]
    with run.db.transaction() as connection:
        refused = connection.execute(
            sql.SQL(
                """UPDATE {} o SET way = %s FROM {} w WHERE w.source_id = o.source_id AND w.step = %s
                     AND w.sobject = %s AND w.chunk_no = %s AND w.state = 'rejected' AND o.way = %s
                   RETURNING o.source_id"""
            ).format(run.table(Table.ONE_PASS), run.table(Table.WORK)),
            [REFUSED, *of_step, ONE_PASS],
        ).fetchall()
        connection.execute(
            "DELETE FROM coa.rejection WHERE run_id = %s AND step = %s AND sobject = %s AND source_id = ANY (%s)",
            [run.run_id, step.name, step.sobject, [r["source_id"] for r in refused]],
        )
        if refused and step.chunk_no in TRIED_CHUNKS:
            why = f"the target refused {len(refused)} orders of the canary with their status"
            end_one_pass(connection, run, why, late=False)


# ---- after their details -----------------------------------------------------------------------------
def settle_units(run: Run, org: Org, carried: dict[str, list[FieldMapping]], chunk_no: int) -> None:
    """After the details of a chunk: checks the orders that were created with their status.

    In the canary, orders whose details were refused, or that were changed, are set back to Draft, and their
    refused details are sent again. In later chunks they are listed as incomplete.
    """
    if one_pass_of(run) is None:
        return
    if chunk_no not in TRIED_CHUNKS:
        list_incomplete(run, DETAILS.name, chunk_no)
        return
    _judge(run, chunk_no)
    step = BACK_TO_DRAFT.on(ORDER, chunk_no)
    _plan_way_back(run, step)
    Loader(run, org, carried[ORDER]).send(step)
    details = DETAILS.on(DETAIL, chunk_no)
    if not chunk_step_done(run, chunk_no, step.name):
        _send_refused_details_again(run, details)
        mark_chunk_step(run, chunk_no, step.name)
    Loader(run, org, carried[DETAIL]).send(details)
    _tell(run)


def _judge(run: Run, chunk_no: int) -> None:
    """Ends one pass if an order of the canary did not arrive complete and as it was sent."""
    with run.db.transaction() as connection:
        bad = connection.execute(
            sql.SQL(
                """UPDATE {one_pass} o SET way = %(set_back)s FROM {plan} p
                   WHERE p.sobject = %(order)s AND p.chunk_no = %(chunk)s AND p.source_id = o.source_id
                     AND o.way = %(one_pass)s AND o.looked_at
                     AND (NOT {there} OR EXISTS (
                       SELECT FROM {effect} e LEFT JOIN {plan} x ON {x_is_e}
                       WHERE (e.sobject = %(order)s AND e.source_id = o.source_id AND e.field = ANY (%(kept)s))
                          OR (e.sobject = %(detail)s AND x.parent_id = o.source_id AND e.field = ANY (%(frozen)s))))
                   RETURNING o.source_id, {there} AS there"""
            ).format(
                one_pass=run.table(Table.ONE_PASS),
                plan=run.table(Table.PLAN),
                effect=run.table(Table.EFFECT),
                there=planned_details_are_there(run),
                x_is_e=same_record("x", "e"),
            ),
            {
                "set_back": SET_BACK,
                "order": ORDER,
                "detail": DETAIL,
                "chunk": chunk_no,
                "one_pass": ONE_PASS,
                "kept": [STATUS, RECEIVED_AT],
                "frozen": sorted(FROZEN_DETAIL_FIELDS),
            },
        ).fetchall()
        if bad:
            refused = sum(not r["there"] for r in bad)
            why = (
                f"the target refused details under {refused} released orders of the canary"
                if refused
                else f"the target changed {len(bad)} released orders of the canary"
            )
            end_one_pass(connection, run, why, late=False)


def _plan_way_back(run: Run, step: Step) -> None:
    """Only orders that this very run has created, by its own row of work."""
    run.db.execute(
        sql.SQL(
            """INSERT INTO {work} (step, sobject, chunk_no, source_id, target_id, changed)
               SELECT {step}, {order}, {chunk}, p.source_id, l.target_id, ARRAY[{status}]
               FROM {plan} p JOIN {one_pass} o ON o.source_id = p.source_id AND o.way = {set_back}
               JOIN {work} w ON w.step = {created} AND {w_is_p}
                 AND w.state = 'accepted'
               JOIN coa.ledger l ON {ledger}
                 AND l.origin = 'inserted' AND l.inserted_run = {run} AND l.target_id = w.target_id
               WHERE p.sobject = {order} AND p.chunk_no = {chunk} ON CONFLICT DO NOTHING"""
        ).format(
            ledger=ledger_of(run.pair_id, "p"),
            work=run.table(Table.WORK),
            step=sql.Literal(step.name),
            order=sql.Literal(ORDER),
            chunk=sql.Literal(step.chunk_no),
            status=sql.Literal(STATUS),
            plan=run.table(Table.PLAN),
            one_pass=run.table(Table.ONE_PASS),
            set_back=sql.Literal(SET_BACK),
            created=sql.Literal(ORDERS_ONE_PASS.name),
            run=sql.Literal(run.run_id),
            w_is_p=same_record("w", "p"),
        )
    )


def _send_refused_details_again(run: Run, details: Step) -> None:
    """Sends details again that were refused because their order was released; as details of a Draft they
    may be accepted.
    """
    of_set_back = sql.SQL(
        """source_id IN (SELECT p.source_id FROM {plan} p JOIN {one_pass} o
             ON o.source_id = p.parent_id AND o.way = {set_back} WHERE p.sobject = {detail})"""
    ).format(
        plan=run.table(Table.PLAN),
        one_pass=run.table(Table.ONE_PASS),
        set_back=sql.Literal(SET_BACK),
        detail=sql.Literal(DETAIL),
    )
    with run.db.transaction() as connection:
        connection.execute(
            sql.SQL(
                """UPDATE {} SET state = 'pending', job_key = NULL, attempts = 0, error_code = NULL, error = NULL
                   WHERE step = %s AND sobject = %s AND chunk_no = %s AND state = 'rejected' AND {}"""
            ).format(run.table(Table.WORK), of_set_back),
            [details.name, details.sobject, details.chunk_no],
        )
        connection.execute(
            sql.SQL(
                "DELETE FROM coa.rejection WHERE run_id = %s AND sobject = %s AND step = %s AND {}"
            ).format(of_set_back),
            [run.run_id, details.sobject, details.name],
        )


# ---- what is told ------------------------------------------------------------------------------------
def _tell(run: Run) -> None:
    """Records a finding when one pass has ended: which orders caused it, which were set back, how many went
    the usual way.
    """
    found = one_pass_of(run)
    if found is None or found["ended_at"] is None:
        return
    hit = run.db.rows(
        sql.SQL("SELECT source_id, way FROM {} WHERE way = ANY (%s) ORDER BY 1").format(
            run.table(Table.ONE_PASS)
        ),
        [list(HIT)],
    )
    set_totals(run)
    counted = count_ways(run)
    said = "; ".join(f"{counted[way]} orders: {WAYS[way]}" for way in HIT if way in counted)
    run.findings.replace(
        "one_pass",
        [
            finding(
                "warning",
                "one_pass_ended",
                sobject=ORDER,
                count=len(hit),
                examples=[str(r["source_id"]) for r in hit],
                why=found["why"],
                hit=said,
            )
        ],
    )
