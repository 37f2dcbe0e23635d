"""A value as REST gives it, in the text that a Bulk query gives for the same value: by the field's type,
never by its looks.

Both readers fill the same tables, so that nothing after them knows by which way a record came. Differences of the
two, from Salesforce's guides: JSON knows booleans and numbers where CSV has text; a date-time ends in `+0000` in
JSON and in `Z` in CSV; an empty value is null in JSON and no text at all in CSV.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import psycopg
from psycopg import sql

from coa.extract.bulk import ExtractSpec
from coa.fields.saved import saved_describes
from coa.masking.of_run import masked_record, masks_of
from coa.salesforce.composite import Read, granted, read_together, records_of
from coa.salesforce.describe import Field
from coa.salesforce.session import Number, Org
from coa.salesforce.soql import text_list
from coa.staging.database import Row
from coa.staging.runs import SOURCE, TARGET, Run

IDS_A_QUERY = 200
"""Ids of 18 characters, with the names of all fields of a COA object, stay below a request line of 16,384 bytes."""
LONGEST_QUERY = 12_000
"""Salesforce takes a request line of 16,384 bytes; field names and ids need no escapes to speak of."""
UTC_OF_REST, UTC_OF_BULK = "+0000", "Z"


def as_bulk_text(field: Field | None, value: Any) -> str | None:
    """`field`: what the describe of the org that was asked says; None for a column that it does not know.

    >>> datetime, text = Field({"name": "At", "type": "datetime"}), Field({"name": "Note", "type": "string"})
    >>> as_bulk_text(datetime, "2024-01-01T00:00:00.000+0000"), as_bulk_text(text, "2024-01-01T00:00:00.000+0000")
    ('2024-01-01T00:00:00.000Z', '2024-01-01T00:00:00.000+0000')
    >>> as_bulk_text(text, True), as_bulk_text(text, ""), as_bulk_text(text, Number("1.50E7"))
    ('true', None, '1.50E7')

    A checkbox is never empty: where JSON says null, CSV says false.

    >>> as_bulk_text(Field({"name": "Ticked", "type": "boolean"}), None)
    'false'
    """
    if value is None or value == "":
        return "false" if field is not None and field.type == "boolean" else None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Number):
        return value.text
    # PostgreSQL's text holds no NUL, and UTF-8 no half of a surrogate pair; a Bulk result is rid of both as well.
    text = str(value).replace("\x00", "").encode("utf-8", "replace").decode()
    if field is not None and field.type == "datetime" and text.endswith(UTC_OF_REST):
        text = text.removesuffix(UTC_OF_REST) + UTC_OF_BULK
    return text or None


def by_ids(spec: ExtractSpec, ids: list[str], key: str = "Id") -> list[ExtractSpec]:
    """The queries for the records whose field `key` holds one of these ids, each short enough for REST."""
    return [
        replace(spec, where=f"{key} IN ({text_list(ids[start : start + IDS_A_QUERY])})")
        for start in range(0, len(ids), IDS_A_QUERY)
    ]


def read_few(org: Org, queries: list[ExtractSpec]) -> dict[str, list[Row]]:
    """sObject -> the records of its queries, by REST, five queries a call. Raises `OrgRefused`."""
    found: dict[str, list[Row]] = {query.sobject: [] for query in queries}
    answers = read_together(org, [Read(soql=query.soql, all_rows=query.all_rows) for query in queries])
    for query, answer in zip(queries, answers, strict=True):
        found[query.sobject] += records_of(org, granted(answer))
    return found


def keep_records(
    run: Run,
    connection: psycopg.Connection[Row],
    query: ExtractSpec,
    table: sql.Identifier,
    records: list[dict[str, Any]],
) -> None:
    """Puts records that a query gave by REST into a table that has its fields."""
    copy = sql.SQL("COPY {} ({}) FROM STDIN").format(
        table, sql.SQL(", ").join(map(sql.Identifier, query.fields))
    )
    described = saved_describes(run, SOURCE if query.kind == SOURCE else TARGET).get(query.sobject)
    columns = [(name, described.field(name) if described else None) for name in query.fields]
    masks = masks_of(run, query.kind, query.sobject)
    with connection.cursor().copy(copy) as rows:
        for record in (masked_record(one, masks) for one in records):
            rows.write_row([as_bulk_text(one, record.get(name)) for name, one in columns])
