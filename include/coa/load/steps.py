"""The life of a chunk of orders, step by step; each step can be started again after any interruption.

orders (insert, Draft) -> details (insert, while Draft) -> statuses -> corrections -> received dates. Where one pass is
tried, orders are created with their status, and need no statuses and received dates (`coa.load.one_pass`).
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from psycopg import sql

from coa.codes import WRITTEN
from coa.fields.compare import is_unresolved, parent_join
from coa.fields.field_map import FieldMapping
from coa.load.conditions import (
    has_parent,
    is_complete,
    is_missing,
    left_draft,
    list_orphans,
    not_held_back,
)
from coa.load.corrections import AFTER_LINKS, WHILE_DRAFT, correct, forget_canary_corrections, in_chunk
from coa.load.jobs import Loader
from coa.load.one_pass import insert_as_they_are, settle_units
from coa.load.one_pass_state import is_open, of_one_pass, one_pass_of
from coa.load.text_links import plan_links_in_texts, rewrites_links, send_links_in_texts
from coa.load.work import chunk_step_done, mark_chunk_step
from coa.load_steps import (
    CANARY_CHUNK,
    CUSTOMERS,
    CUSTOMERS_CHUNK,
    DETAILS,
    LINKS,
    LINKS_CHUNK,
    ORDERS,
    ORDERS_ONE_PASS,
    STATUSES,
    WATCHED_CHUNKS,
    Step,
)
from coa.model import CUSTOMER, DETAIL, DRAFT, ORDER, STATUS
from coa.salesforce.session import Org
from coa.staging.fragments import ledger_of, list_of
from coa.staging.runs import TARGET, Run
from coa.staging.tables import Table

log = logging.getLogger(__name__)


def load_customer_records(
    run: Run, org: Org, carried: dict[str, list[FieldMapping]], chunk_no: int = CUSTOMERS_CHUNK
) -> None:
    """Inserts new customers, then corrects what automation changed on them and on updated ones."""
    fields = carried[CUSTOMER]
    step = CUSTOMERS.on(CUSTOMER, chunk_no)
    _plan_inserts(run, step)
    Loader(run, org, fields).send(step)
    correct(run, org, CUSTOMER, chunk_no, fields)


def load_chunk(run: Run, org: Org, carried: dict[str, list[FieldMapping]], chunk_no: int) -> None:
    """Takes one chunk through all its steps; those that are done already are skipped."""
    steps: tuple[tuple[str, Callable[[], None]], ...] = (
        ("orders", lambda: _insert_orders(run, org, carried[ORDER], chunk_no)),
        ("details", lambda: _insert_details(run, org, carried, chunk_no)),
        ("statuses", lambda: _set_statuses(run, org, carried[ORDER], chunk_no)),
        ("corrections_details", lambda: correct(run, org, DETAIL, chunk_no, carried[DETAIL])),
        ("corrections_orders", lambda: correct(run, org, ORDER, chunk_no, carried[ORDER])),
    )
    for name, action in steps:
        if not chunk_step_done(run, chunk_no, name):
            action()
            mark_chunk_step(run, chunk_no, name)
    run.db.execute(
        sql.SQL("UPDATE {} SET done_at = clock_timestamp() WHERE chunk_no = %s").format(
            run.table(Table.CHUNK)
        ),
        [chunk_no],
    )


def _plan_inserts(run: Run, step: Step) -> None:
    """Rows of the plan that are to be created and are not there yet; none without what it hangs on."""
    run.db.execute(
        sql.SQL(
            """INSERT INTO {work} (step, sobject, chunk_no, source_id, parent_id)
               SELECT {step}, p.sobject, {chunk}, p.source_id, {parent_id}
               FROM {plan} p
               WHERE p.sobject = {sobject} AND p.action = 'insert'
                 AND {in_chunk} AND {missing} AND {not_held} AND {has_parent} AND {of_step}
               ON CONFLICT DO NOTHING"""
        ).format(
            missing=is_missing(run),
            work=run.table(Table.WORK),
            step=sql.Literal(step.name),
            of_step=_of_step(run, step),
            chunk=sql.Literal(step.chunk_no),
            in_chunk=in_chunk(step.chunk_no),
            # Only details are kept together by parent: orders lock nothing of their customers.
            parent_id=sql.SQL("p.parent_id") if step.sobject == DETAIL else sql.SQL("NULL"),
            plan=run.table(Table.PLAN),
            sobject=sql.Literal(step.sobject),
            not_held=not_held_back(run),
            has_parent=has_parent(run, step.sobject),
        )
    )


def _of_step(run: Run, step: Step) -> sql.Composed:
    """SQL on the plan (alias `p`): orders that this step creates, and not the other one."""
    if step.sobject != ORDER:
        return sql.SQL("true").format()
    as_it_is = of_one_pass(run, ORDER)
    return as_it_is if step.name == ORDERS_ONE_PASS.name else sql.SQL("NOT {}").format(as_it_is)


def _insert_orders(run: Run, org: Org, fields: list[FieldMapping], chunk_no: int) -> None:
    """Inserts orders with their status where one pass allows it; all others as Drafts."""
    if one_pass_of(run) is not None:
        as_they_are = ORDERS_ONE_PASS.on(ORDER, chunk_no)
        if is_open(run):
            _plan_inserts(run, as_they_are)
        insert_as_they_are(run, org, fields, as_they_are)
    step = ORDERS.on(ORDER, chunk_no)
    _plan_inserts(run, step)
    Loader(run, org, fields).send(step)
    list_orphans(run, ORDER, step.name, chunk_no)


def _insert_details(run: Run, org: Org, carried: dict[str, list[FieldMapping]], chunk_no: int) -> None:
    """Details, then at once those fields of theirs that are frozen when the order leaves Draft."""
    fields = carried[DETAIL]
    step = DETAILS.on(DETAIL, chunk_no)
    _plan_inserts(run, step)
    Loader(run, org, fields).send(step)
    settle_units(run, org, carried, chunk_no)
    list_orphans(run, DETAIL, step.name, chunk_no)
    correct(run, org, DETAIL, chunk_no, fields, WHILE_DRAFT)


def _set_statuses(run: Run, org: Org, fields: list[FieldMapping], chunk_no: int) -> None:
    """Sets the final status of every order of the chunk that has another one now; an order that is a Draft
    in the source stays one.

    An order leaves Draft only when all its planned details, with their special terms, are in the target.
    """
    step = STATUSES.on(ORDER, chunk_no)
    run.db.execute(
        sql.SQL(
            """WITH due AS MATERIALIZED ({due}), sent AS (
                 INSERT INTO {work} (step, sobject, chunk_no, source_id, target_id, changed)
                 SELECT {step}, {order}, {chunk}, s.source_id, s.target_id, ARRAY[{status_name}]
                 FROM due s WHERE NOT s.waits ON CONFLICT DO NOTHING)
               {left_draft}"""
        ).format(
            work=run.table(Table.WORK),
            step=sql.Literal(step.name),
            order=sql.Literal(ORDER),
            chunk=sql.Literal(chunk_no),
            status_name=sql.Literal(STATUS),
            due=_due_statuses(run, chunk_no),
            left_draft=left_draft(run, step.name, "due"),
        )
    )
    Loader(run, org, fields).send(step)


def _due_statuses(run: Run, chunk_no: int) -> sql.Composed:
    """SELECT of the orders of a chunk that get another status: source_id, target_id, waits (it has to stay a Draft)."""
    return sql.SQL(
        """SELECT p.source_id, l.target_id,
                  NOT {complete} AND (p.action = 'insert' OR t.{status} = {draft}) AS waits
           FROM {plan} p JOIN coa.ledger l
             ON {ledger}
           JOIN {desired} d ON d.source_id = p.source_id
           LEFT JOIN {target} t ON t."Id" = l.target_id
           WHERE p.sobject = {order} AND p.chunk_no = {chunk} AND l.target_id IS NOT NULL AND {not_held}
             AND ((p.action = 'insert' AND d.{status} IS DISTINCT FROM {draft} AND NOT {one_pass})
                  OR (p.action = 'update' AND {status_name} = ANY (p.changed)))"""
    ).format(
        ledger=ledger_of(run.pair_id, "p"),
        complete=is_complete(run),
        one_pass=of_one_pass(run, ORDER),
        status=sql.Identifier(STATUS),
        draft=sql.Literal(DRAFT),
        plan=run.table(Table.PLAN),
        desired=run.table(Table.DESIRED, ORDER),
        target=run.table(TARGET, ORDER),
        order=sql.Literal(ORDER),
        chunk=sql.Literal(chunk_no),
        not_held=not_held_back(run),
        status_name=sql.Literal(STATUS),
    )


def _linked_in(chunk_no: int) -> sql.Composed:
    """SQL on the plan (alias `p`): the records whose links are set in this round."""
    if chunk_no != CANARY_CHUNK:
        return sql.SQL("true").format()
    return sql.SQL("p.chunk_no = ANY ({})").format(sql.Literal(list(WATCHED_CHUNKS)))


def load_deferred_links(
    run: Run, org: Org, sobject: str, fields: list[FieldMapping], chunk_no: int = LINKS_CHUNK
) -> None:
    """Links to records that may have been created later than the one that points: clone links first of all, then those
    in texts.

    `chunk_no`: `CANARY_CHUNK` for the records of the canary alone. Their links that are not due yet are set in the
    last round with those of all others.
    """
    deferred = [f for f in fields if f.deferred and f.updateable]
    if not deferred and not rewrites_links(fields):
        return
    _plan_links(run, sobject, deferred, chunk_no)
    plan_links_in_texts(run, sobject, fields, chunk_no, _linked_in(chunk_no))
    if chunk_no != CANARY_CHUNK:
        forget_canary_corrections(run, sobject, chunk_no)
    if deferred:
        Loader(run, org, fields).send(LINKS.on(sobject, chunk_no))
    send_links_in_texts(run, org, sobject, fields, chunk_no)
    correct(run, org, sobject, chunk_no, fields, AFTER_LINKS)


def _plan_links(run: Run, sobject: str, deferred: list[FieldMapping], chunk_no: int) -> None:
    if not deferred:
        return
    step = LINKS.on(sobject, chunk_no)
    changed, joins = [], []
    for n, one in enumerate(deferred):
        alias = sql.Identifier(f"p{n}")
        joins.append(parent_join(run, sobject, one, alias))
        changed.append(
            sql.SQL(
                """CASE WHEN (p.action = 'insert' AND {a}.target_id IS NOT NULL)
                          OR (p.action = 'update' AND {name} = ANY (p.changed) AND NOT {unresolved}) THEN {name} END"""
            ).format(a=alias, name=sql.Literal(one.name), unresolved=is_unresolved(run, sobject, one, alias))
        )
    run.db.execute(
        sql.SQL(
            """INSERT INTO {work} AS w (step, sobject, chunk_no, source_id, target_id, changed)
               SELECT {step}, p.sobject, {chunk}, p.source_id, l.target_id, c.changed
               FROM {plan} p JOIN {desired} d ON d.source_id = p.source_id
               JOIN coa.ledger l ON {ledger}
               {joins}, LATERAL (SELECT array_remove(ARRAY[{changed}]::text[], NULL) AS changed OFFSET 0) c
               WHERE p.sobject = {sobject} AND p.action IN {written} AND l.target_id IS NOT NULL
                 AND c.changed <> '{{}}' AND {not_held} AND {meant}
               -- A record of the canary of which another link has come due since.
               ON CONFLICT (step, sobject, source_id) DO UPDATE
                 SET chunk_no = EXCLUDED.chunk_no, changed = EXCLUDED.changed, state = 'pending', job_key = NULL,
                     attempts = 0, error_code = NULL, error = NULL
                 WHERE w.chunk_no = {canary} AND EXCLUDED.chunk_no <> {canary}
                   AND NOT EXCLUDED.changed <@ w.changed"""
        ).format(
            ledger=ledger_of(run.pair_id, "p"),
            work=run.table(Table.WORK),
            step=sql.Literal(step.name),
            chunk=sql.Literal(step.chunk_no),
            plan=run.table(Table.PLAN),
            desired=run.table(Table.DESIRED, sobject),
            joins=sql.SQL(" ").join(joins),
            changed=sql.SQL(", ").join(changed),
            sobject=sql.Literal(sobject),
            not_held=not_held_back(run),
            meant=_linked_in(chunk_no),
            canary=sql.Literal(CANARY_CHUNK),
            written=list_of(WRITTEN),
        )
    )
