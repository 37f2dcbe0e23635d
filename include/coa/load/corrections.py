"""Re-reads what was written and rewrites every carried field that automation changed.

Today's catalog price over the historical one, whatever a partner's trigger stamped, defaults that filled
an empty field: re-reading finds what no rule book predicts. The received date goes last and alone: going
to Received stamps NOW(), an update of only the date does not.
"""

from __future__ import annotations

from psycopg import sql

from coa.compare import changed_fields, comparisons
from coa.extract.bulk import ExtractSpec, query_into
from coa.fieldmap import CarriedField
from coa.load.exact import send_exact
from coa.load.jobs import Loader
from coa.load.payload import bulk_cannot_carry
from coa.load.work import UPDATE, Step, forget_work
from coa.model import ORDER, RECEIVED_AT, STATUS
from coa.salesforce.session import Org
from coa.staging.runs import Run

IDS_PER_QUERY = 4000
"""4,000 ids of 18 characters with quotes and commas stay below SOQL's 100,000 characters."""


def correct(run: Run, org: Org, sobject: str, chunk_no: int, fields: list[CarriedField]) -> None:
    """One round of corrections for what the plan writes of an sObject in a chunk."""
    loader = Loader(run, org, fields)
    by_bulk = Step("corrections", sobject, UPDATE, chunk_no)
    by_rest = Step("corrections_exact", sobject, UPDATE, chunk_no)
    dates = Step("received_dates", sobject, UPDATE, chunk_no)
    for step in (by_bulk, by_rest, dates):
        # What an interrupted try left is brought to its end; then everything is found anew.
        loader.settle_open_jobs(step)
        forget_work(run, step)
    reread(run, org, sobject, chunk_no, fields)
    _plan_corrections(run, sobject, chunk_no, fields)
    loader.send(by_bulk)
    send_exact(run, org, by_rest, fields)
    if sobject == ORDER and run.params.received_dates == "restore":
        _plan_dates(run, chunk_no)
        loader.send(dates)
    run.db.execute(sql.SQL("DROP TABLE {}").format(reread_table(run, sobject, chunk_no)))


def reread_table(run: Run, sobject: str, chunk_no: int) -> sql.Identifier:
    """A table of its own for each chunk: lanes work side by side."""
    return run.table(f"reread_{chunk_no}" if chunk_no >= 0 else "reread", sobject)


def reread(run: Run, org: Org, sobject: str, chunk_no: int, fields: list[CarriedField]) -> None:
    """Fills the chunk's reread table with what the target holds now of the records written."""
    names = ["Id", *(f.name for f in fields)]
    table = reread_table(run, sobject, chunk_no)
    columns = sql.SQL(", ").join(sql.SQL("{} text").format(sql.Identifier(n)) for n in names)
    with run.db.transaction() as connection:
        connection.execute(sql.SQL("DROP TABLE IF EXISTS {}").format(table))
        connection.execute(sql.SQL('CREATE TABLE {} ({}, PRIMARY KEY ("Id"))').format(table, columns))
    ids = [
        str(r["target_id"])
        for r in run.db.rows(
            sql.SQL(
                """SELECT l.target_id FROM {plan} p JOIN coa.ledger l
                     ON l.pair_id = %s AND l.sobject = p.sobject AND l.source_id = p.source_id
                   WHERE p.sobject = %s AND COALESCE(p.chunk_no, -1) = %s AND p.action IN ('insert', 'update')
                     AND l.target_id IS NOT NULL AND {not_held} ORDER BY 1"""
            ).format(plan=run.table("plan"), not_held=not_held_back(run)),
            [run.pair_id, sobject, chunk_no],
        )
    ]
    for start in range(0, len(ids), IDS_PER_QUERY):
        quoted = ", ".join(f"'{i}'" for i in ids[start : start + IDS_PER_QUERY])
        query_into(run, org, ExtractSpec("reread", sobject, names, f"Id IN ({quoted})"), table)
    run.renew_lease()


def not_held_back(run: Run) -> sql.Composed:
    """SQL on the plan (alias `p`): the record did not change in the source since the plan."""
    return sql.SQL(
        "NOT EXISTS (SELECT FROM {} h WHERE h.sobject = p.sobject AND h.source_id = p.source_id)"
    ).format(run.table("holdback"))


def _plan_corrections(run: Run, sobject: str, chunk_no: int, fields: list[CarriedField]) -> None:
    """One row a record with the fields that differ; by REST where Bulk could not carry one of them."""
    compared, joins = comparisons(run, sobject, fields)
    wanted = [
        c for c in compared if c.field.updateable and not c.field.deferred and c.field.name != RECEIVED_AT
    ]
    uncarriable = [
        sql.SQL("({} = ANY (c.changed) AND {})").format(
            sql.Literal(f.field.name),
            bulk_cannot_carry(f.field, sql.SQL("d.{}").format(sql.Identifier(f.field.name)), run.settings),
        )
        for f in wanted
    ]
    run.db.execute(
        sql.SQL(
            """INSERT INTO {work} (step, sobject, chunk_no, source_id, parent_id, target_id, changed)
               SELECT CASE WHEN {uncarriable} THEN 'corrections_exact' ELSE 'corrections' END,
                      p.sobject, {chunk}, p.source_id, p.parent_id, t."Id", c.changed
               FROM {reread} t JOIN coa.ledger l ON l.pair_id = {pair} AND l.sobject = {sobject}
                 AND l.target_id = t."Id"
               JOIN {plan} p ON p.sobject = {sobject} AND p.source_id = l.source_id
               JOIN {desired} d ON d.source_id = p.source_id {joins},
                    LATERAL (SELECT {changed} AS changed) c
               WHERE p.action IN ('insert', 'update') AND c.changed <> '{{}}'
               ON CONFLICT DO NOTHING"""
        ).format(
            work=run.table("work"),
            uncarriable=sql.SQL(" OR ").join(uncarriable) if uncarriable else sql.SQL("false"),
            chunk=sql.Literal(chunk_no),
            reread=reread_table(run, sobject, chunk_no),
            pair=sql.Literal(run.pair_id),
            sobject=sql.Literal(sobject),
            plan=run.table("plan"),
            desired=run.table("desired", sobject),
            joins=joins,
            changed=changed_fields(wanted),
        )
    )


def _plan_dates(run: Run, chunk_no: int) -> None:
    """Orders whose received date is another now, or will be because their status was just rewritten."""
    run.db.execute(
        sql.SQL(
            """INSERT INTO {work} (step, sobject, chunk_no, source_id, parent_id, target_id, changed)
               SELECT 'received_dates', p.sobject, {chunk}, p.source_id, p.parent_id, t."Id", ARRAY[{date_name}]
               FROM {reread} t JOIN coa.ledger l ON l.pair_id = {pair} AND l.sobject = {order}
                 AND l.target_id = t."Id"
               JOIN {plan} p ON p.sobject = {order} AND p.source_id = l.source_id
               JOIN {desired} d ON d.source_id = p.source_id
               LEFT JOIN {work} w ON w.step IN ('corrections', 'corrections_exact') AND w.sobject = {order}
                 AND w.source_id = p.source_id
               WHERE p.action IN ('insert', 'update')
                 AND (coa.to_second(coa.canon_datetime(t.{date})) IS DISTINCT FROM coa.to_second(d.{date})
                      OR {status} = ANY (w.changed))
               ON CONFLICT DO NOTHING"""
        ).format(
            work=run.table("work"),
            chunk=sql.Literal(chunk_no),
            date_name=sql.Literal(RECEIVED_AT),
            reread=reread_table(run, ORDER, chunk_no),
            pair=sql.Literal(run.pair_id),
            order=sql.Literal(ORDER),
            plan=run.table("plan"),
            desired=run.table("desired", ORDER),
            date=sql.Identifier(RECEIVED_AT),
            status=sql.Literal(STATUS),
        )
    )
