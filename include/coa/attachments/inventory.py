"""Reads what hangs on the source's records, without a byte of the files: ids, parents, sizes and the carried values.

Links to files can be asked for by document or record only, and so by a semi-join on the records' object (Object
Reference, "ContentDocumentLink"). Activities older than a year are archived: queryAll finds them, with the deleted
ones, which are left out (Object Reference, "Task", `IsArchived`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from psycopg import sql

from coa.batches import in_batches
from coa.fields.saved import saved_describes
from coa.hanging import DOCUMENT, EMAIL, KIND, LINK, OWNERSHIP, VERSION, Hanging
from coa.model import LOADED
from coa.policies import Policies
from coa.salesforce.describe import Describe
from coa.salesforce.session import Org
from coa.salesforce.soql import text_list
from coa.staging import tables
from coa.staging.database import Row, json_value
from coa.staging.runs import SOURCE, TARGET, Run
from coa.staging.tables import Table

IDS_A_QUERY = 300
ROWS_A_WRITE = 2000


def carried_fields(kind: Hanging, source: Describe, target: Describe, *, audit: bool) -> list[str]:
    """What is carried of a kind: its standard fields and the partner's own, where both orgs have them and the target
    takes them on create. `audit`: dates and creators too."""

    def taken(name: str) -> bool:
        there = target.field(name)
        return source.field(name) is not None and there is not None and there.createable

    own = [
        name
        for name, field in target.fields.items()
        if name.endswith("__c") and not field.reference_to and not field.computed and field.type != "base64"
    ]
    ownership = [name for name in OWNERSHIP if audit or name == "OwnerId"] if kind.sobject != LINK else []
    return [name for name in (*kind.fields, *sorted(own), *ownership) if taken(name)]


def fields_of(run: Run, kind: Hanging) -> list[str]:
    """The carried fields of a run, from the describes that preflight kept; empty where an org lacks the object."""
    source, target = (saved_describes(run, role).get(kind.sobject) for role in (SOURCE, TARGET))
    if source is None or target is None:
        return []
    return carried_fields(kind, source, target, audit=Policies(run.params).carries_created_dates)


def read_source(run: Run, source: Org) -> dict[str, int]:
    """Fills the run's table `attached` anew; kind -> how many there are. Asks nothing where nothing is carried."""
    kinds = [kind for kind in Policies(run.params).hanging if fields_of(run, kind)]
    if not kinds:
        return {}
    with run.db.transaction() as connection:
        tables.create(connection, run, Table.ATTACHED)
    for kind in kinds:
        if kind.sobject != VERSION:
            _keep(run, _records(run, source, kind))
    if KIND[VERSION] in kinds:
        _keep(run, _versions(run, source))
    with run.db.transaction() as connection:
        tables.add_index(connection, run, Table.ATTACHED, "attached_by_parent")
        tables.analyze(connection, run, Table.ATTACHED)
    found = run.db.rows(
        sql.SQL("SELECT sobject, count(*) AS n FROM {} GROUP BY 1").format(run.table(Table.ATTACHED))
    )
    return {str(r["sobject"]): int(r["n"]) for r in found}


def _records(run: Run, source: Org, kind: Hanging) -> Iterator[Row]:
    fields = fields_of(run, kind)
    columns = ["Id", kind.parent, *fields, *([kind.size] if kind.size else [])]
    if kind.sobject == LINK:
        columns.append("ContentDocumentId")
    if kind.sobject == EMAIL and "ActivityId" in saved_describes(run, SOURCE)[EMAIL].fields:
        columns.append("ActivityId")
    select = f"SELECT {', '.join(columns)} FROM {kind.sobject} WHERE"
    if kind.sobject == LINK:
        # By one object after the other: no other filter is allowed.
        for name in LOADED:
            for record in source.query(f"{select} LinkedEntityId IN (SELECT Id FROM {name})"):
                yield _row(kind, fields, record, name)
        return
    for name in LOADED:
        soql = f"{select} {kind.relationship}.Type = '{name}' AND IsDeleted = false"
        for record in source.query(soql, all_rows=kind.param == "activities"):
            yield _row(kind, fields, record, name)


def _versions(run: Run, source: Org) -> Iterator[Row]:
    """All versions of the documents that the links name, oldest first."""
    kind = KIND[VERSION]
    fields = fields_of(run, kind)
    documents = [
        str(r["document_id"])
        for r in run.db.rows(
            sql.SQL("SELECT DISTINCT document_id FROM {} WHERE sobject = %s ORDER BY 1").format(
                run.table(Table.ATTACHED)
            ),
            [LINK],
        )
    ]
    known = saved_describes(run, SOURCE)[VERSION].fields
    told = [n for n in ("PathOnClient", "VersionNumber", "Checksum", "FileType", kind.size) if n in known]
    for ids in in_batches(documents, IDS_A_QUERY):
        records = list(
            source.query(
                f"SELECT Id, ContentDocumentId, {', '.join(dict.fromkeys([*told, *fields]))} FROM {VERSION} "
                f"WHERE ContentDocumentId IN ({text_list(ids)})"
            )
        )
        records.sort(key=lambda r: (r["ContentDocumentId"], int(r.get("VersionNumber") or 0)))
        seen: dict[str, int] = {}
        for record in records:
            document = str(record["ContentDocumentId"])
            seen[document] = seen.get(document, 0) + 1
            yield _row(kind, [*fields, *told], record, DOCUMENT, nth=seen[document])


def _row(
    kind: Hanging, fields: Iterable[str], record: dict[str, Any], parent_sobject: str, nth: int = 1
) -> Row:
    data = {name: record.get(name) for name in fields}
    if record.get("ActivityId"):
        data["ActivityId"] = record["ActivityId"]
    return {
        "sobject": kind.sobject,
        "source_id": record["Id"],
        "parent_sobject": parent_sobject,
        "parent_id": record[kind.parent],
        "document_id": record.get("ContentDocumentId") or "",
        "nth": nth,
        "bytes": int(record.get(kind.size) or 0) if kind.size else 0,
        "data": json_value(data),
    }


def _keep(run: Run, rows: Iterable[Row]) -> None:
    insert = sql.SQL(
        """INSERT INTO {} (sobject, source_id, parent_sobject, parent_id, document_id, nth, bytes, data)
           VALUES (%(sobject)s, %(source_id)s, %(parent_sobject)s, %(parent_id)s, %(document_id)s, %(nth)s,
                   %(bytes)s, %(data)s) ON CONFLICT DO NOTHING"""
    ).format(run.table(Table.ATTACHED))
    for part in in_batches(rows, ROWS_A_WRITE):
        with run.db.transaction() as connection, connection.cursor() as cursor:
            cursor.executemany(insert, list(part))
