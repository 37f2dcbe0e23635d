"""`license_coverage.csv`: each customer org with or without a license in the target's LMA."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from psycopg import sql

from coa.model import CUSTOMER, CUSTOMER_ORG_ID
from coa.staging.runs import SOURCE, Run
from coa.staging.tables import Table
from coa.verify.licenses import STATUS, SUBSCRIBER

COVERAGE_COLUMNS = ("customer_org_id", "licensed", "licenses", "statuses", "source_id", "target_id")


def coverage_rows(run: Run) -> Iterable[dict[str, Any]]:
    """One row a customer of the source, without a license first; nothing where the target has no LMA."""
    if not run.has_table(Table.LICENSES) or not run.has_table(SOURCE, CUSTOMER):
        return []
    statuses = (
        sql.SQL("string_agg(DISTINCT {}, ';')").format(sql.Identifier(STATUS))
        if STATUS in run.columns(Table.LICENSES)
        else sql.SQL("''")
    )
    return run.db.stream(
        sql.SQL(
            """WITH l AS (SELECT left({subscriber}, 15) AS org, count(*) AS n, {statuses} AS statuses
                          FROM {licenses} GROUP BY 1)
               SELECT s.{org} AS customer_org_id, CASE WHEN l.n IS NULL THEN 'no' ELSE 'yes' END AS licensed,
                      COALESCE(l.n, 0) AS licenses, l.statuses, s."Id" AS source_id, g.target_id
               FROM {source} s LEFT JOIN l ON l.org = left(s.{org}, 15)
               LEFT JOIN coa.ledger g ON g.pair_id = %s AND g.sobject = %s AND g.source_id = s."Id"
               ORDER BY l.n IS NOT NULL, 1"""
        ).format(
            subscriber=sql.Identifier(SUBSCRIBER),
            statuses=statuses,
            licenses=run.table(Table.LICENSES),
            org=sql.Identifier(CUSTOMER_ORG_ID),
            source=run.table(SOURCE, CUSTOMER),
        ),
        [run.record.pair_id, CUSTOMER],
    )
