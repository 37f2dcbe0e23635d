"""`license_coverage.csv`: each customer org with or without a license in the target's LMA; `license_gaps.csv`: each
license of the source's LMA that has no counterpart there.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from psycopg import sql

from coa.model import CUSTOMER, CUSTOMER_ORG_ID
from coa.staging.runs import SOURCE, Run
from coa.staging.tables import Table
from coa.verify.licenses import PACKAGE, PACKAGE_LICENSE, STATUS, SUBSCRIBER

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


GAP_COLUMNS = ("license", "subscriber_org_id", "package", "status", "source_id", "source_url")


def gap_rows(run: Run) -> Iterable[dict[str, Any]]:
    """Licenses of the source without a counterpart in the target; all of them where the target has no LMA."""
    query = _compared(run)
    if query is None:
        return
    base = str(run.record.source_org.get("instance_url", ""))
    for row in run.db.stream(
        sql.SQL(
            "SELECT * FROM ({}) c WHERE NOT there ORDER BY package, status, subscriber_org_id, license"
        ).format(query)
    ):
        yield {**row, "source_url": f"{base}/{row['source_id']}"}


def gap_counts(run: Run) -> list[dict[str, Any]] | None:
    """By package and status: `licenses` of the source and those `missing` in the target; None without the source's."""
    query = _compared(run)
    if query is None:
        return None
    return run.db.rows(
        sql.SQL(
            """SELECT package, status, count(*) AS licenses, count(*) FILTER (WHERE NOT there) AS missing
               FROM ({}) c GROUP BY 1, 2 ORDER BY 1, 2"""
        ).format(query)
    )


def _compared(run: Run) -> sql.Composed | None:
    """SQL for the source's licenses, each with whether it is `there`, in the target's LMA.

    It is where the target has its package license id, or one of the same package for the same subscriber org. A license
    that was moved bears new record ids (facts, section 8); org and package ids are compared on 15 characters.
    """
    if not run.has_table(Table.SOURCE_LICENSES):
        return None
    source = _keys(run, "source", Table.SOURCE_LICENSES)
    if not run.has_table(Table.LICENSES):
        return sql.SQL("SELECT s.*, false AS there FROM ({}) s").format(source)
    return sql.SQL(
        """WITH t AS MATERIALIZED ({target})
           SELECT s.*, s.package_license IN (SELECT package_license FROM t WHERE package_license <> '')
                       OR (s.subscriber, s.package_id) IN (SELECT subscriber, package_id FROM t) AS there
           FROM ({source}) s"""
    ).format(source=source, target=_keys(run, "target", Table.LICENSES))


def _keys(run: Run, role: str, table: Table) -> sql.Composed:
    present = set(run.columns(table))

    def text(name: str) -> sql.Composable:
        return (
            sql.SQL("COALESCE(l.{}, '')").format(sql.Identifier(name)) if name in present else sql.SQL("''")
        )

    return sql.SQL(
        """SELECT {name} AS license, {subscriber} AS subscriber_org_id, COALESCE(p.name, '') AS package,
                  {status} AS status, l."Id" AS source_id, left({subscriber}, 15) AS subscriber,
                  left({package_license}, 15) AS package_license, left(COALESCE(p.package_id, ''), 15) AS package_id
           FROM {licenses} l LEFT JOIN (SELECT f ->> 'id' AS id, f ->> 'name' AS name, f ->> 'package_id' AS package_id
             FROM coa.run r, jsonb_array_elements(CASE WHEN jsonb_typeof({org} #> '{{casework,packages}}') = 'array'
                    THEN {org} #> '{{casework,packages}}' ELSE '[]' END) f WHERE r.run_id = {run}) p
             ON p.id = {package}"""
    ).format(
        name=text("Name"),
        subscriber=text(SUBSCRIBER),
        status=text(STATUS),
        package_license=text(PACKAGE_LICENSE),
        package=text(PACKAGE),
        licenses=run.table(table),
        org=sql.Identifier("r", f"{role}_org"),
        run=sql.Literal(run.run_id),
    )
