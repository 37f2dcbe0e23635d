"""The plan in numbers, kept beside it, so that pages need not count a million rows each time."""

from __future__ import annotations

from psycopg import sql

from coa.staging.runs import Run
from coa.staging.tables import Table

EXAMPLES = 3


def count_plan(run: Run) -> None:
    """Fills `coa.plan_count` anew: records by sObject, action and reason, with a few examples."""
    with run.db.transaction() as connection:
        connection.execute("DELETE FROM coa.plan_count WHERE run_id = %s", [run.run_id])
        connection.execute(
            sql.SQL(
                """INSERT INTO coa.plan_count
                     (run_id, sobject, action, reason_code, records, reason, next_step, examples)
                   SELECT %s, sobject, action, reason_code, count(*),
                          COALESCE(min(reason) FILTER (WHERE reason_code <> ''), ''),
                          COALESCE(min(next_step) FILTER (WHERE reason_code <> ''), ''),
                          COALESCE((array_agg(source_id ORDER BY source_id)
                                    FILTER (WHERE reason_code <> ''))[1:%s], '{{}}')
                   FROM {} GROUP BY 2, 3, 4"""
            ).format(run.table(Table.PLAN)),
            [run.run_id, EXAMPLES],
        )
