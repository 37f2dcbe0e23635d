"""Reads again what was written, and rewrites every carried field that automation changed.

Examples: the package writes today's catalog price over the historical one, a partner's trigger sets a field, a
default fills an empty field. Reading again finds what no list of rules predicts. The received date is written
last and by itself: the package sets it to NOW() when an order becomes Received, but not when only the date is
updated.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from psycopg import sql

from coa.codes import WRITTEN
from coa.extract.bulk import LONGEST_SOQL, ExtractSpec, query_into
from coa.extract.rest_values import LONGEST_QUERY, by_ids, keep_records, read_few
from coa.fields.bulk_values import bulk_cannot_carry
from coa.fields.compare import LinksInTexts, Unresolved, changed_fields, comparisons
from coa.fields.field_map import FieldMapping
from coa.load.conditions import is_complete, not_held_back
from coa.load.jobs import Loader
from coa.load.learned import frozen_terms_at_stake, is_learned, links_are_learned
from coa.load.one_pass_state import of_one_pass
from coa.load.rest_update import send_exact
from coa.load.work import forget_work
from coa.load_steps import (
    CANARY_CHUNK,
    CORRECTIONS,
    CORRECTIONS_AFTER_LINKS,
    CORRECTIONS_AFTER_LINKS_EXACT,
    CORRECTIONS_EXACT,
    CUSTOMERS_CHUNK,
    FROZEN_TERMS,
    FROZEN_TERMS_EXACT,
    MENDING,
    MENDING_DATES,
    MENDING_EXACT,
    RECEIVED_DATES,
    RECEIVED_DATES_AFTER_LINKS,
    STATUSES,
    LoadStep,
    Step,
)
from coa.model import DETAIL, DETAIL_ORDER, DRAFT, FROZEN_DETAIL_FIELDS, ORDER, RECEIVED_AT, STATUS
from coa.policies import Policies
from coa.salesforce.session import Org
from coa.salesforce.soql import text_list
from coa.staging import tables
from coa.staging.fragments import ledger_of, list_of, same_record
from coa.staging.runs import Run
from coa.staging.tables import Table

ID_IN_A_LIST = len("'001000000000000AAA', ")


def ids_a_query(sobject: str, names: Sequence[str]) -> int:
    """How many ids a query on these fields has room for.

    >>> ids_a_query("Customer__c", ["Id", "Name"]), ids_a_query("Customer__c", ["A_long_field_name__c"] * 500)
    (4543, 4043)
    """
    bare = ExtractSpec("reread", sobject, list(names), "Id IN ()").soql
    return (LONGEST_SOQL - len(bare)) // ID_IN_A_LIST


@dataclass(frozen=True)
class Pass:
    """One re-reading of some records, and the steps that it sends; `only` narrows the fields down.

    `dates`: the step that puts received dates of orders right at the end of the pass. `in_texts`: what is expected of
    texts whose links are rewritten.
    """

    by_bulk: LoadStep
    by_rest: LoadStep
    dates: LoadStep | None = None
    only: frozenset[str] | None = None
    in_texts: LinksInTexts = LinksInTexts.REWRITTEN


FINAL = Pass(CORRECTIONS, CORRECTIONS_EXACT, RECEIVED_DATES, in_texts=LinksInTexts.LATER)
WHILE_DRAFT = Pass(FROZEN_TERMS, FROZEN_TERMS_EXACT, only=FROZEN_DETAIL_FIELDS)
AFTER_LINKS = Pass(CORRECTIONS_AFTER_LINKS, CORRECTIONS_AFTER_LINKS_EXACT, RECEIVED_DATES_AFTER_LINKS)
MEND = Pass(MENDING, MENDING_EXACT, MENDING_DATES)
LINKING = CORRECTIONS_AFTER_LINKS.after
"""Names of the steps that set links."""


def correct(
    run: Run, org: Org, sobject: str, chunk_no: int, fields: list[FieldMapping], one_pass: Pass = FINAL
) -> None:
    """One round of corrections for what the plan writes of an sObject in a chunk."""
    chosen = [f for f in fields if one_pass.only is None or f.name in one_pass.only]
    if not any(f.updateable for f in chosen):
        return
    loader = Loader(run, org, fields)
    by_bulk, by_rest = one_pass.by_bulk.on(sobject, chunk_no), one_pass.by_rest.on(sobject, chunk_no)
    dates = one_pass.dates.on(sobject, chunk_no) if one_pass.dates and sobject == ORDER else None
    for step in filter(None, (by_bulk, by_rest, dates)):
        # What an interrupted try left is brought to its end; then everything is found anew.
        loader.settle_open_jobs(step)
        forget_work(run, step)
    learned = one_pass is FINAL and is_learned(run, sobject, chunk_no)
    if one_pass is AFTER_LINKS and links_are_learned(run, sobject, chunk_no):
        return
    among = sql.SQL("p.action = 'update'" if learned else "true").format()
    if one_pass is WHILE_DRAFT:
        # Details of an order that was created released cannot be corrected in these any more.
        among = sql.SQL("{} AND NOT {}").format(
            frozen_terms_at_stake(run, fields, chunk_no), of_one_pass(run, DETAIL)
        )
    if not reread(run, org, sobject, chunk_no, chosen, one_pass, among) and not learned:
        return
    _plan_corrections(run, by_bulk, by_rest, chosen, one_pass.in_texts)
    if learned:
        _plan_expected(run, by_bulk, by_rest, chosen)
    loader.send(by_bulk)
    send_exact(run, org, by_rest, fields)
    if dates and Policies(run.params).restores_received_dates:
        _plan_dates(run, by_bulk, by_rest, dates)
        if learned:
            _plan_expected_dates(run, dates)
        loader.send(dates)
    with run.db.transaction() as connection:
        tables.drop(connection, run, Table.REREAD, sobject, _part(chunk_no))


def reread_table(run: Run, sobject: str, chunk_no: int) -> sql.Identifier:
    """A table of its own for each chunk: lanes work side by side."""
    return run.table(Table.REREAD, sobject, _part(chunk_no))


def _part(chunk_no: int) -> str:
    return str(chunk_no) if chunk_no >= 0 else f"{-chunk_no}x"


def _in_pass(run: Run, chunk_no: int, one_pass: Pass) -> sql.Composed:
    """SQL on the plan (alias `p`): the records that a pass looks at."""
    if one_pass is AFTER_LINKS:
        return sql.SQL(
            """EXISTS (SELECT FROM {} w WHERE w.step = ANY ({}) AND {w_is_p}
                 AND w.chunk_no = {} AND w.state = 'accepted')"""
        ).format(
            run.table(Table.WORK),
            sql.Literal(list(LINKING)),
            sql.Literal(chunk_no),
            w_is_p=same_record("w", "p"),
        )
    if one_pass is MEND:
        return sql.SQL("EXISTS (SELECT FROM {} m WHERE {m_is_p})").format(
            run.table(Table.MEND), m_is_p=same_record("m", "p")
        )
    wanted = sql.SQL("p.action IN {written} AND {}").format(in_chunk(chunk_no), written=list_of(WRITTEN))
    if one_pass is WHILE_DRAFT:
        # Just created now, or by an earlier run that was interrupted before it came to this.
        return sql.SQL("{} AND (p.action = 'insert' OR p.changed && {}::text[])").format(
            wanted, sql.Literal(sorted(FROZEN_DETAIL_FIELDS))
        )
    return wanted


def in_chunk(chunk_no: int) -> sql.Composed:
    """SQL on the plan (alias `p`), in forms that its index by chunk serves: each step of each chunk asks."""
    if chunk_no == CUSTOMERS_CHUNK:
        return sql.SQL("p.chunk_no IS NULL").format()
    return sql.SQL("p.chunk_no = {}").format(sql.Literal(chunk_no))


def reread(
    run: Run,
    org: Org,
    sobject: str,
    chunk_no: int,
    fields: list[FieldMapping],
    one_pass: Pass,
    among: sql.Composed,
) -> int:
    """Fills the chunk's reread table with what the target holds now; records asked for.

    `among`: SQL on the plan (alias `p`) that narrows down the records of the pass.
    """
    names = ["Id", *(f.name for f in fields)]
    with run.db.transaction() as connection:
        table = tables.create(connection, run, Table.REREAD, sobject, part=_part(chunk_no), fields=names)
    ids = [
        str(r["target_id"])
        for r in run.db.rows(
            sql.SQL(
                """SELECT l.target_id FROM {plan} p JOIN coa.ledger l
                     ON {ledger}
                   WHERE p.sobject = %s AND l.target_id IS NOT NULL AND {in_pass} AND {among} AND {not_held}
                   ORDER BY 1"""
            ).format(
                plan=run.table(Table.PLAN),
                among=among,
                in_pass=_in_pass(run, chunk_no, one_pass),
                not_held=not_held_back(run),
                ledger=ledger_of(run.pair_id, "p"),
            ),
            [sobject],
        )
    ]
    _read_into(run, org, ExtractSpec(Table.REREAD, sobject, names), ids, table)
    with run.db.transaction() as connection:
        tables.analyze(connection, run, Table.REREAD, sobject, _part(chunk_no))
    run.lease.renew()
    return len(ids)


def _read_into(run: Run, org: Org, spec: ExtractSpec, ids: list[str], table: sql.Identifier) -> None:
    """The records of these ids: a few by REST, for a Bulk query waits in a queue and costs three calls at the least."""
    few = by_ids(spec, ids)
    if len(ids) <= run.settings.delta_rest_rows and all(len(q.soql) <= LONGEST_QUERY for q in few):
        records = read_few(org, few).get(spec.sobject, [])
        with run.db.transaction() as connection:
            keep_records(run, connection, spec, table, records)
        return
    step = ids_a_query(spec.sobject, spec.fields)
    for start in range(0, len(ids), step):
        some = ids[start : start + step]
        query_into(run, org, replace(spec, where=f"Id IN ({text_list(some)})"), table, len(some))


def forget_canary_corrections(run: Run, sobject: str, chunk_no: int) -> None:
    """Removes corrections of canary records that get another link, so that they are corrected anew: a step
    has one row a record.
    """
    run.db.execute(
        sql.SQL(
            """DELETE FROM {work} c USING {work} w WHERE w.step = ANY (%s) AND w.sobject = %s AND w.chunk_no = %s
                 AND {c_is_w} AND c.chunk_no = %s AND c.step = ANY (%s)"""
        ).format(work=run.table(Table.WORK), c_is_w=same_record("c", "w")),
        [
            list(LINKING),
            sobject,
            chunk_no,
            CANARY_CHUNK,
            [step.name for step in (AFTER_LINKS.by_bulk, AFTER_LINKS.by_rest, AFTER_LINKS.dates) if step],
        ],
    )


def _plan_corrections(
    run: Run, by_bulk: Step, by_rest: Step, fields: list[FieldMapping], in_texts: LinksInTexts
) -> None:
    """One row a record with the fields that differ; by REST where Bulk could not carry one of them."""
    sobject, chunk_no = by_bulk.sobject, by_bulk.chunk_no
    compared, joins = comparisons(run, sobject, fields, Unresolved.LEFT_ALONE, in_texts)
    wanted = [c for c in compared if is_corrected(c.field)]
    run.db.execute(
        sql.SQL(
            """INSERT INTO {work} (step, sobject, chunk_no, source_id, parent_id, target_id, changed)
               SELECT CASE WHEN {uncarriable} THEN {by_rest} ELSE {by_bulk} END,
                      {sobject}, {chunk}, d.source_id, {parent_id}, t."Id", c.changed
               FROM {reread} t JOIN coa.ledger l ON l.pair_id = {pair} AND l.sobject = {sobject}
                 AND l.target_id = t."Id"
               JOIN {desired} d ON d.source_id = l.source_id {joins}
               CROSS JOIN LATERAL (SELECT {changed} AS changed OFFSET 0) c
               WHERE c.changed <> '{{}}' ON CONFLICT DO NOTHING"""
        ).format(
            work=run.table(Table.WORK),
            uncarriable=uncarriable(run, [c.field for c in wanted]),
            by_rest=sql.Literal(by_rest.name),
            by_bulk=sql.Literal(by_bulk.name),
            chunk=sql.Literal(chunk_no),
            parent_id=sql.SQL("d.{}").format(sql.Identifier(DETAIL_ORDER))
            if sobject == DETAIL
            else sql.SQL("NULL"),
            reread=reread_table(run, sobject, chunk_no),
            pair=sql.Literal(run.pair_id),
            sobject=sql.Literal(sobject),
            desired=run.table(Table.DESIRED, sobject),
            joins=joins,
            changed=_but_for_drafts(run, changed_fields(wanted))
            if sobject == ORDER
            else changed_fields(wanted),
        )
    )


def _but_for_drafts(run: Run, changed: sql.Composed) -> sql.Composed:
    """What differs in an order, without its status while it must stay a Draft."""
    return sql.SQL(
        """CASE WHEN t.{status} = {draft} AND NOT EXISTS (SELECT FROM {plan} p WHERE p.sobject = {order}
                       AND p.source_id = d.source_id AND {complete})
                THEN array_remove({changed}, {status_name}) ELSE {changed} END"""
    ).format(
        status=sql.Identifier(STATUS),
        draft=sql.Literal(DRAFT),
        plan=run.table(Table.PLAN),
        order=sql.Literal(ORDER),
        complete=is_complete(run),
        changed=changed,
        status_name=sql.Literal(STATUS),
    )


def is_corrected(one: FieldMapping) -> bool:
    """Links have a step of their own, and received dates come last."""
    return one.updateable and not one.deferred and one.name != RECEIVED_AT


def uncarriable(run: Run, fields: list[FieldMapping]) -> sql.Composed:
    """SQL over `d` and `c.changed`: whether Bulk could not carry one of the changed values."""
    tests = [
        sql.SQL("({} = ANY (c.changed) AND {})").format(
            sql.Literal(one.name),
            bulk_cannot_carry(one, sql.SQL("d.{}").format(sql.Identifier(one.name)), run.settings),
        )
        for one in fields
    ]
    return sql.SQL(" OR ").join(tests) if tests else sql.SQL("false").format()


def _plan_expected(run: Run, by_bulk: Step, by_rest: Step, fields: list[FieldMapping]) -> None:
    """One row for each new record, with the fields that the plan expects to be corrected; nothing is read
    for it.
    """
    sobject, chunk_no = by_bulk.sobject, by_bulk.chunk_no
    wanted = [one for one in fields if is_corrected(one)]
    run.db.execute(
        sql.SQL(
            """INSERT INTO {work} (step, sobject, chunk_no, source_id, parent_id, target_id, changed)
               SELECT CASE WHEN {uncarriable} THEN {by_rest} ELSE {by_bulk} END,
                      {sobject}, {chunk}, c.source_id, {parent_id}, l.target_id, c.changed
               -- From the expected corrections, for most records have none.
               FROM (SELECT p.source_id, p.parent_id, array_agg(x.field ORDER BY x.field) AS changed
                     FROM {plan} p JOIN {expected} x ON {x_is_p}
                     WHERE p.sobject = {sobject} AND p.action = 'insert' AND {in_chunk} AND {not_held}
                       AND x.step = {expected_in} AND x.field = ANY ({names})
                     GROUP BY p.source_id, p.parent_id) c
               JOIN coa.ledger l
                 ON l.pair_id = {pair} AND l.sobject = {sobject} AND l.source_id = c.source_id
               JOIN {desired} d ON d.source_id = c.source_id
               WHERE l.target_id IS NOT NULL ON CONFLICT DO NOTHING"""
        ).format(
            work=run.table(Table.WORK),
            uncarriable=uncarriable(run, wanted),
            by_rest=sql.Literal(by_rest.name),
            by_bulk=sql.Literal(by_bulk.name),
            sobject=sql.Literal(sobject),
            chunk=sql.Literal(chunk_no),
            parent_id=sql.SQL("c.parent_id") if sobject == DETAIL else sql.SQL("NULL"),
            plan=run.table(Table.PLAN),
            pair=sql.Literal(run.pair_id),
            desired=run.table(Table.DESIRED, sobject),
            expected=run.table(Table.EXPECTED_CORRECTIONS),
            expected_in=sql.Literal(CORRECTIONS.name),
            names=sql.Literal([one.name for one in wanted]),
            in_chunk=in_chunk(chunk_no),
            not_held=not_held_back(run),
            x_is_p=same_record("x", "p"),
        )
    )


def _plan_expected_dates(run: Run, dates: Step) -> None:
    """New orders whose status was set to one that stamps the received date."""
    run.db.execute(
        sql.SQL(
            """INSERT INTO {work} (step, sobject, chunk_no, source_id, target_id, changed)
               SELECT {dates}, {order}, {chunk}, p.source_id, l.target_id, ARRAY[x.field]
               FROM {plan} p JOIN {expected} x
                 ON {x_is_p} AND x.step = {expected_in}
               JOIN coa.ledger l ON {ledger}
               WHERE p.sobject = {order} AND p.action = 'insert' AND {in_chunk} AND l.target_id IS NOT NULL
                 AND {not_held} AND EXISTS (SELECT FROM {work} w WHERE w.step = {statuses} AND w.sobject = {order}
                                              AND w.source_id = p.source_id AND w.state = 'accepted')
               ON CONFLICT DO NOTHING"""
        ).format(
            ledger=ledger_of(run.pair_id, "p"),
            work=run.table(Table.WORK),
            statuses=sql.Literal(STATUSES.name),
            dates=sql.Literal(dates.name),
            order=sql.Literal(ORDER),
            chunk=sql.Literal(dates.chunk_no),
            plan=run.table(Table.PLAN),
            expected=run.table(Table.EXPECTED_CORRECTIONS),
            expected_in=sql.Literal(RECEIVED_DATES.name),
            in_chunk=in_chunk(dates.chunk_no),
            not_held=not_held_back(run),
            x_is_p=same_record("x", "p"),
        )
    )


def _plan_dates(run: Run, by_bulk: Step, by_rest: Step, dates: Step) -> None:
    """Orders whose received date differs now, or will differ because their status was just rewritten."""
    run.db.execute(
        sql.SQL(
            """INSERT INTO {work} (step, sobject, chunk_no, source_id, target_id, changed)
               SELECT {dates}, {order}, {chunk}, d.source_id, t."Id", ARRAY[{date_name}]
               FROM {reread} t JOIN coa.ledger l ON l.pair_id = {pair} AND l.sobject = {order}
                 AND l.target_id = t."Id"
               JOIN {desired} d ON d.source_id = l.source_id
               LEFT JOIN {work} w ON w.step IN ({by_bulk}, {by_rest}) AND w.sobject = {order}
                 AND w.source_id = d.source_id
               WHERE coa.to_second(coa.canon_datetime(t.{date})) IS DISTINCT FROM coa.to_second(d.{date})
                  OR {status} = ANY (w.changed)
               ON CONFLICT DO NOTHING"""
        ).format(
            work=run.table(Table.WORK),
            dates=sql.Literal(dates.name),
            chunk=sql.Literal(dates.chunk_no),
            date_name=sql.Literal(RECEIVED_AT),
            reread=reread_table(run, ORDER, dates.chunk_no),
            pair=sql.Literal(run.pair_id),
            order=sql.Literal(ORDER),
            desired=run.table(Table.DESIRED, ORDER),
            by_bulk=sql.Literal(by_bulk.name),
            by_rest=sql.Literal(by_rest.name),
            date=sql.Identifier(RECEIVED_AT),
            status=sql.Literal(STATUS),
        )
    )
