"""Field history of the moved records as files: who changed what, when, from which value to which.

No API can insert history, so it is archived outside of the target. Salesforce itself deletes it after 18 to 24
months (Field History Tracking guide); what the source still has is archived.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from psycopg import sql

from coa.batches import in_batches
from coa.errors import OrgRefused
from coa.fields.saved import saved_describes
from coa.findings.finding import finding
from coa.model import CUSTOMER, DETAIL, DETAIL_ORDER, LOADED, ORDER, ORDER_CUSTOMER
from coa.policies import Policies
from coa.salesforce.session import Org
from coa.staging import tables
from coa.staging.database import Row
from coa.staging.runs import SOURCE, Run
from coa.staging.tables import Table
from coa.tabular import Kind

STAGE = "history"
FOLDER = "history"
FILE = "field_history"
COLUMNS = {
    "order_number": Kind.TEXT,
    "customer": Kind.TEXT,
    "sobject": Kind.TEXT,
    "record_number": Kind.TEXT,
    "source_id": Kind.TEXT,
    "target_id": Kind.TEXT,
    "field": Kind.TEXT,
    "label": Kind.TEXT,
    "old_value": Kind.TEXT,
    "new_value": Kind.TEXT,
    "changed_at": Kind.MOMENT,
    "changed_by": Kind.TEXT,
}
ROWS_A_WRITE = 2000


def history_object(sobject: str) -> str:
    """The object that holds the history of a custom object.

    >>> history_object("CHANNEL_ORDERS__Service_Order__c")
    'CHANNEL_ORDERS__Service_Order__History'
    """
    return sobject.removesuffix("__c") + "__History"


def read_history(run: Run, source: Org) -> int:
    """The history of the objects that are moved into the run's table `history`; rows. Asks nothing where it is off.

    An object whose history is not tracked has none; a user who may not read it is told so in a finding.
    """
    if not Policies(run.params).archives_history:
        return 0
    with run.db.transaction() as connection:
        tables.create(connection, run, Table.HISTORY)
    findings = []
    for sobject in LOADED:
        try:
            _keep(run, _records(source, sobject))
        except OrgRefused as refused:
            said = refused.code or str(refused.status)
            findings.append(finding("warning", "history_not_read", sobject=sobject, said=said))
    run.findings.replace(STAGE, findings)
    with run.db.transaction() as connection:
        tables.add_index(connection, run, Table.HISTORY, "history_by_record")
        tables.analyze(connection, run, Table.HISTORY)
    return int(run.db.value(sql.SQL("SELECT count(*) FROM {}").format(run.table(Table.HISTORY))))


def _records(source: Org, sobject: str) -> Iterator[Row]:
    for record in source.query(
        "SELECT Id, ParentId, Field, OldValue, NewValue, CreatedDate, CreatedById, CreatedBy.Name "
        f"FROM {history_object(sobject)}"
    ):
        author = record.get("CreatedBy") or {}
        yield {
            "sobject": sobject,
            "id": record["Id"],
            "record_id": record["ParentId"],
            "field": str(record["Field"]),
            "old_value": _text(record.get("OldValue")),
            "new_value": _text(record.get("NewValue")),
            "changed_at": str(record["CreatedDate"]),
            "changed_by": str(author.get("Name") or record.get("CreatedById") or ""),
        }


def _text(value: Any) -> str | None:
    if isinstance(value, bool):
        return str(value).lower()
    return None if value is None else str(getattr(value, "text", value))


def _keep(run: Run, rows: Iterable[Row]) -> None:
    insert = sql.SQL(
        """INSERT INTO {} VALUES (%(sobject)s, %(id)s, %(record_id)s, %(field)s, %(old_value)s, %(new_value)s,
                                  %(changed_at)s, %(changed_by)s) ON CONFLICT DO NOTHING"""
    ).format(run.table(Table.HISTORY))
    for part in in_batches(rows, ROWS_A_WRITE):
        with run.db.transaction() as connection, connection.cursor() as cursor:
            cursor.executemany(insert, list(part))


def history_rows(run: Run) -> Iterator[Row]:
    """Order by order, customers without an order first; within a record in the order of time."""
    labels = {
        name: {field: one.raw.get("label") or field for field, one in described.fields.items()}
        for name, described in saved_describes(run, SOURCE).items()
        if name in LOADED
    }
    for row in run.db.stream(
        sql.SQL(
            """SELECT o."Name" AS order_number, c."Name" AS customer, h.sobject,
                      COALESCE(x."Name", o."Name", c."Name") AS record_number, h.record_id AS source_id, l.target_id,
                      h.field, h.old_value, h.new_value, h.changed_at, h.changed_by
               FROM {history} h
               LEFT JOIN {details} x ON h.sobject = {detail} AND x."Id" = h.record_id
               LEFT JOIN {orders} o ON o."Id" = CASE h.sobject WHEN {order} THEN h.record_id
                                                     WHEN {detail} THEN x.{of_order} END
               LEFT JOIN {customers} c ON c."Id" = CASE h.sobject WHEN {customer} THEN h.record_id
                                                        ELSE o.{of_customer} END
               LEFT JOIN coa.ledger l ON l.pair_id = {pair} AND l.sobject = h.sobject AND l.source_id = h.record_id
               WHERE COALESCE(x."Id", o."Id", c."Id") IS NOT NULL
               ORDER BY order_number NULLS FIRST, customer, record_number, h.changed_at, h.id"""
        ).format(
            history=run.table(Table.HISTORY),
            details=run.table(SOURCE, DETAIL),
            orders=run.table(SOURCE, ORDER),
            customers=run.table(SOURCE, CUSTOMER),
            detail=sql.Literal(DETAIL),
            order=sql.Literal(ORDER),
            customer=sql.Literal(CUSTOMER),
            of_order=sql.Identifier(DETAIL_ORDER),
            of_customer=sql.Identifier(ORDER_CUSTOMER),
            pair=sql.Literal(run.record.pair_id),
        )
    ):
        yield row | {"label": labels.get(row["sobject"], {}).get(row["field"], row["field"])}


def has_history(run: Run) -> bool:
    """Whether there is an archive to write."""
    return run.has_table(Table.HISTORY) and all(
        run.has_table(SOURCE, name) for name in (CUSTOMER, ORDER, DETAIL)
    )
