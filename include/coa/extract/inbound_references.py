"""Records of the source that point at COA records: licenses, opportunity lines, a partner's own objects.

They are not moved, but the records that they point at are. Whoever sets such records up in the target needs the
new ids: `relink.csv`. The effort does not depend on the size: one count a lookup, and one query where there is
something.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from itertools import islice

from psycopg import sql

from coa.errors import CoaError
from coa.extract.bulk import ExtractSpec, query_into
from coa.model import COA_OBJECTS, NS
from coa.salesforce.describe import Describe
from coa.salesforce.session import Org
from coa.staging import tables
from coa.staging.runs import Run
from coa.staging.tables import Table

log = logging.getLogger(__name__)

MOST_LOOKUPS = 25
"""Lookups that are followed: more than any partner has been seen with; the rest is named in the run log."""
REST_ROWS = 2000
"""Up to one page of a REST query; more comes by Bulk query."""


def lookups_to(describes: dict[str, Describe]) -> list[tuple[str, str, str]]:
    """(child sObject, lookup field, COA sObject) of every custom lookup from outside the package."""
    found = {
        (str(child["childSObject"]), str(child["field"]), parent)
        for parent in COA_OBJECTS
        if parent in describes
        for child in describes[parent].raw.get("childRelationships") or []
        # Custom fields only: activities, feeds, shares and histories point by standard fields.
        if str(child.get("field") or "").endswith("__c")
        and not str(child.get("childSObject") or NS).startswith(NS)
    }
    return sorted(found)


def extract_pointing(run: Run, org: Org, describes: dict[str, Describe]) -> None:
    """Fills `pointing` (sobject, field, id, parent, points_at). No part of the migration: never fails it."""
    with run.db.transaction() as connection:
        tables.create(connection, run, Table.POINTING)
    lookups = lookups_to(describes)
    if len(lookups) > MOST_LOOKUPS:
        run.events.add(
            "lookups_not_followed",
            level="warning",
            org="source",
            lookups=[f"{c}.{f}" for c, f, _ in lookups[MOST_LOOKUPS:]],
        )
    for child, field, parent in lookups[:MOST_LOOKUPS]:
        try:
            _extract_one(run, org, child, field, parent)
        except CoaError as error:
            run.events.add(
                "lookup_not_followed",
                level="warning",
                org="source",
                lookup=f"{child}.{field}",
                message=str(error),
            )


def _extract_one(run: Run, org: Org, child: str, field: str, parent: str) -> None:
    where = f"{field} != null"
    rows = org.count(child, where)
    if not rows:
        return
    if rows <= REST_ROWS:
        soql = f"SELECT Id, {field} FROM {child} WHERE {where}"
        pairs = [(str(r["Id"]), str(r[field])) for r in islice(org.query(soql), REST_ROWS)]
        _keep(run, child, field, parent, pairs)
        return
    with run.db.transaction() as connection:
        raw = tables.create(connection, run, Table.POINTING_RAW, fields=["Id", field])
    query_into(run, org, ExtractSpec(Table.POINTING, child, ["Id", field], where), raw)
    with run.db.transaction() as connection:
        connection.execute(
            sql.SQL('INSERT INTO {} SELECT %s, %s, "Id", %s, {} FROM {}').format(
                run.table(Table.POINTING), sql.Identifier(field), raw
            ),
            [child, field, parent],
        )
        tables.drop(connection, run, Table.POINTING_RAW)


def _keep(run: Run, child: str, field: str, parent: str, pairs: Iterable[tuple[str, str]]) -> None:
    ids, points_at = zip(*pairs, strict=True) if pairs else ((), ())
    run.db.execute(
        sql.SQL(
            "INSERT INTO {} SELECT %s, %s, i, %s, coa.id18(p) FROM unnest(%s::text[], %s::text[]) AS n (i, p)"
        ).format(run.table(Table.POINTING)),
        [child, field, parent, list(ids), list(points_at)],
    )
