"""Cuts up the texts whose links the mapping file wants rewritten, before anybody knows the ids of the target."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from psycopg import sql

from coa.fields.field_map import FieldMapping
from coa.fields.text_links import Orgs, cut_up, fits, orgs_of
from coa.staging import tables
from coa.staging.runs import Run
from coa.staging.tables import Table

TEXTS_AT_ONCE = 500


def cut_up_texts(run: Run, carried: dict[str, list[FieldMapping]]) -> None:
    """Fills the table `text_link` anew: one row a piece of each text with a link to a record that could be moved.

    From the desired text, so after the mapping's other rules and after custom ones. A text that would be too long with
    all its links rewritten is marked, and carried as it is: which of them can be rewritten is not known yet.
    """
    with run.db.transaction() as connection:
        tables.create(connection, run, Table.TEXT_LINK)
    asked = [(name, one) for name, fields in carried.items() for one in fields if one.rule.rewrite_links]
    if not asked:
        return
    orgs = orgs_of(run)
    for sobject, one in asked:
        pieces = _pieces(run, sobject, one, orgs)
        while some := list(islice(pieces, TEXTS_AT_ONCE)):
            _keep(run, [row for rows in some for row in rows])
    with run.db.transaction() as connection:
        tables.add_index(connection, run, Table.TEXT_LINK, "text_link_by_record")
        tables.analyze(connection, run, Table.TEXT_LINK)


def _pieces(run: Run, sobject: str, one: FieldMapping, orgs: Orgs) -> Iterator[list[tuple[object, ...]]]:
    """The rows of each text of a field that has a link."""
    texts = run.db.stream(
        sql.SQL("SELECT source_id, {f} AS text FROM {} WHERE {f} LIKE '%//%'").format(
            run.table(Table.DESIRED, sobject), f=sql.Identifier(one.name)
        )
    )
    for row in texts:
        pieces = cut_up(row["text"], orgs)
        if not pieces:
            continue
        fit = fits(pieces, one.target.length, run.settings)
        yield [
            (
                sobject,
                one.name,
                row["source_id"],
                nth,
                p.literal,
                p.sobject,
                p.record_id,
                p.before,
                p.id_length,
                fit,
            )
            for nth, p in enumerate(pieces)
        ]


def _keep(run: Run, rows: list[tuple[object, ...]]) -> None:
    with run.db.transaction() as connection, connection.cursor() as cursor:
        cursor.executemany(
            sql.SQL("INSERT INTO {} VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)").format(
                run.table(Table.TEXT_LINK)
            ),
            rows,
        )
