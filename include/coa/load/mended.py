"""What had to be mended before the proof, by field and by what was known of it."""

from __future__ import annotations

from psycopg import sql

from coa.staging.database import Row
from coa.staging.fragments import same_record
from coa.staging.runs import Run
from coa.staging.tables import Table

UNFORESEEN = "unforeseen"
"""The cause where the plan expected no correction of the field; otherwise it is the effect that was expected."""


def mended(run: Run) -> list[Row]:
    """sobject, field, cause, records; empty where nothing was mended."""
    if not run.has_table(Table.MEND):
        return []
    return run.db.rows(
        sql.SQL(
            """SELECT m.sobject, f AS field, COALESCE(x.effect, %s) AS cause, count(*) AS records
               FROM {} m CROSS JOIN LATERAL unnest(m.fields) f
               LEFT JOIN {} x ON {x_is_m} AND x.field = f
               GROUP BY 1, 2, 3 ORDER BY 1, 2, 3"""
        ).format(run.table(Table.MEND), run.table(Table.EXPECTED_CORRECTIONS), x_is_m=same_record("x", "m")),
        [UNFORESEEN],
    )
