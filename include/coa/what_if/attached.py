"""Files and activities as they were when the run's plan was made: what was carried since was not there then."""

from __future__ import annotations

from psycopg import sql

from coa.attachments import planned
from coa.codes import Carriage
from coa.staging.fragments import list_of, same_record
from coa.staging.runs import Run
from coa.staging.tables import Table


def as_planned_then(run: Run, base: Run) -> None:
    """To be called after `coa.attachments.planned.decide`, which goes by what the target holds today."""
    if not run.has_table(Table.ATTACHED):
        return
    run.db.execute(
        sql.SQL(
            """UPDATE {} a SET action = CASE WHEN b.action = 'there' THEN 'there' ELSE 'carry' END
               FROM {} b WHERE {b_is_a} AND a.action IN {in_target}"""
        ).format(
            run.table(Table.ATTACHED),
            base.table(Table.ATTACHED),
            in_target=list_of({Carriage.CARRY, Carriage.THERE}),
            b_is_a=same_record("b", "a"),
        )
    )
    run.findings.replace(planned.STAGE, planned.findings(run))
