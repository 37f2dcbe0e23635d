"""Deletes records of the target, children first, with the same resumable Bulk jobs as an insert.

Used for deletions that are carried over and by a roll-back. Which records are deleted was decided in a plan
that a person approved; this module only sends.
"""

from __future__ import annotations

from psycopg import sql

from coa.load.jobs import Loader
from coa.load.work import create_work_tables
from coa.load_steps import DELETIONS
from coa.model import CUSTOMER, DETAIL, ORDER
from coa.salesforce.session import Org
from coa.staging.runs import Run
from coa.staging.tables import Table

CHILDREN_FIRST = (DETAIL, ORDER, CUSTOMER)


def remove(run: Run, org: Org, table: sql.Identifier) -> None:
    """Deletes the rows of `table` (sobject, source_id, target_id, parent_id, action) whose action is `delete`.

    A record whose child the org refused to delete stays: deleting it would take the child along.
    """
    create_work_tables(run)
    for sobject in CHILDREN_FIRST:
        step = DELETIONS.on(sobject)
        planned = run.db.execute(
            sql.SQL(
                """INSERT INTO {work} (step, sobject, chunk_no, source_id, parent_id, target_id)
                   SELECT {step}, sobject, {chunk}, source_id, parent_id, target_id FROM {plan} p
                   WHERE sobject = {sobject} AND action = 'delete' AND NOT EXISTS (
                     SELECT FROM {work} w WHERE w.step = {step} AND w.state = 'rejected'
                       AND w.parent_id = p.target_id)
                   ON CONFLICT DO NOTHING"""
            ).format(
                work=run.table(Table.WORK),
                step=sql.Literal(step.name),
                chunk=sql.Literal(step.chunk_no),
                plan=table,
                sobject=sql.Literal(sobject),
            )
        )
        if planned:
            run.progress.add(step.name, sobject, total=planned)
        Loader(run, org, []).send(step)
