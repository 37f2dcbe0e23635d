"""The licenses of both orgs' License Management Apps (LMA), for the case work: what the target lacks.

There is no managed link between COA and LMA: both name the subscriber's org by its id, of which the LMA
keeps 18 or 15 characters.
"""

from __future__ import annotations

import logging

from psycopg import sql

from coa.errors import CoaError
from coa.extract.bulk import ExtractSpec, query_into
from coa.model import CUSTOMER, CUSTOMER_ORG_ID
from coa.salesforce.describe import describe
from coa.salesforce.session import Org
from coa.staging import tables
from coa.staging.runs import TARGET, Run
from coa.staging.tables import Table

log = logging.getLogger(__name__)

LICENSE = "sfLma__License__c"
SUBSCRIBER = "sfLma__Subscriber_Org_ID__c"
STATUS = "sfLma__Status__c"


PACKAGE = "sfLma__Package__c"
PACKAGE_LICENSE = "sfLma__Package_License_ID__c"
FIELDS = ("Id", "Name", SUBSCRIBER, STATUS, PACKAGE, PACKAGE_LICENSE)


def table_of(role: str) -> Table:
    """Where the licenses of the `source` or `target` are."""
    return Table.LICENSES if role == TARGET else Table.SOURCE_LICENSES


def lma_is_seen(run: Run, role: str) -> bool:
    """Whether preflight could count the org's licenses; it spares asking again for what is not there."""
    facts = run.record.org(role).get("casework") or {}
    return (facts.get("counts") or {}).get("licenses") is not None


def extract_licenses(run: Run, org: Org, role: str) -> None:
    """Fills the table of the org's licenses when it has an LMA that we see: one describe and one Bulk query.

    The case work is no part of the proof: an org that refuses the query does not fail it.
    """
    _forget(run, role)
    try:
        described = describe(org, LICENSE)
        if described is None or described.field(SUBSCRIBER) is None:
            run.events.add("lma_absent", org=role)
            return
        fields = [n for n in FIELDS if described.field(n) is not None]
        with run.db.transaction() as connection:
            tables.create(connection, run, table_of(role), fields=fields)
        rows = query_into(run, org, ExtractSpec("lma", LICENSE, fields), run.table(table_of(role)))
        run.events.add("licenses_read", org=role, licenses=rows)
    except CoaError as error:
        _forget(run, role)
        run.events.add("licenses_not_read", level="warning", org=role, message=str(error))


def _forget(run: Run, role: str) -> None:
    with run.db.transaction() as connection:
        tables.drop(connection, run, table_of(role))


def coverage(run: Run) -> dict[str, int] | None:
    """Of the moved and matched customers: how many have a license in the target's LMA; None without an LMA."""
    if not run.has_table(Table.LICENSES) or not run.has_table(Table.SOURCE, CUSTOMER):
        return None
    found = run.db.row(
        sql.SQL(
            """SELECT count(*) AS customers, count(*) FILTER (WHERE c.licensed) AS licensed
               FROM (SELECT EXISTS (SELECT FROM {licenses} l WHERE left(l.{subscriber}, 15) = left(s.{org}, 15))
                            AS licensed
                     FROM {source} s) c"""
        ).format(
            licenses=run.table(Table.LICENSES),
            subscriber=sql.Identifier(SUBSCRIBER),
            org=sql.Identifier(CUSTOMER_ORG_ID),
            source=run.table(Table.SOURCE, CUSTOMER),
        )
    )
    assert found is not None
    return {"customers": int(found["customers"]), "licensed": int(found["licensed"])}
