"""By which key customers of the two orgs are the same: the org id, for plan and proof alike."""

from __future__ import annotations

from psycopg import sql

from coa.model import CUSTOMER, CUSTOMER_ORG_ID, NS
from coa.staging.runs import SOURCE, Run

COMPANY = NS + "Customer_Company_Name__c"


def customer_called(run: Run, alias: str) -> sql.Composed:
    """SQL: what people call a customer of the source (`alias`): its company, else its number, which is its Name."""
    names = ["Name"] if COMPANY not in run.columns(SOURCE, CUSTOMER) else [COMPANY, "Name"]
    return sql.SQL("COALESCE({})").format(
        sql.SQL(", ").join(sql.SQL("NULLIF({}, '')").format(sql.Identifier(alias, name)) for name in names)
    )


def customers_alike(run: Run, targets: sql.Identifier) -> sql.Composed:
    """SELECT source_id, target_id: the target's customer that has the org id of each source customer now.

    15 and 18 characters name the same org, and case matters. If several target records have one org id, the
    one that is matched already is taken, else the one with the identical text, else the oldest. `targets`:
    a table of the target's customers.
    """
    return sql.SQL(
        """SELECT DISTINCT ON (s."Id") s."Id" AS source_id, t."Id" AS target_id
           FROM {source} s JOIN {targets} t ON coa.org_key(t.{org}) = coa.org_key(s.{org})
           LEFT JOIN {ledgers} m ON m.pair_id = {pair} AND m.sobject = {customer} AND m.source_id = s."Id"
             AND m.origin = 'matched' AND m.target_id = t."Id"
           ORDER BY s."Id", (m.target_id IS NOT NULL) DESC, (t.{org} = s.{org}) DESC, t."CreatedDate", t."Id"
        """
    ).format(
        ledgers=run.ledger,
        source=run.table(SOURCE, CUSTOMER),
        targets=targets,
        org=sql.Identifier(CUSTOMER_ORG_ID),
        pair=sql.Literal(run.pair_id),
        customer=sql.Literal(CUSTOMER),
    )
