"""Tables of records that no single row of PostgreSQL could hold."""

from __future__ import annotations

import psycopg
import pytest
from psycopg import sql

from coa.model import ORDER
from coa.staging import tables
from coa.staging.database import Database, copy_into
from coa.staging.tables import Table, identifier, index_name, schema_of

RUN = "20261128T060000Z-a1b2c3"
FIELDS = ["Id", *(f"Field_{n:03d}__c" for n in range(900))]
NEVER_MOVED_OUT = "x" * 23
"""With its header 24 bytes, which PostgreSQL always keeps in the row."""


class OneRun:
    def table(self, kind: str, sobject: str = "", part: str = "") -> sql.Identifier:
        return identifier(RUN, kind, sobject, part)


@pytest.fixture
def filled(database: Database) -> sql.Identifier:
    """Three records of 900 fields, landed by COPY as the extract does."""
    database.execute(f"CREATE SCHEMA {schema_of(RUN)}")
    with database.transaction() as connection:
        name = tables.create(connection, OneRun(), Table.SOURCE, ORDER, fields=FIELDS, keyed=False)
    names = sql.SQL(", ").join(map(sql.Identifier, FIELDS))
    rows = "".join(f"{key},{','.join([NEVER_MOVED_OUT] * 900)}\n" for key in ("a", "b", "c"))
    copy = sql.SQL("COPY {} ({}) FROM STDIN (FORMAT csv)").format(name, names)
    with database.transaction() as connection:
        assert copy_into(connection, copy, [rows.encode()]) == 3
        tables.add_key(connection, OneRun(), Table.SOURCE, ORDER)
        tables.analyze(connection, OneRun(), Table.SOURCE, ORDER)
    return name


def test_every_value_of_900_fields_is_kept(database: Database, filled: sql.Identifier) -> None:
    rows = database.rows(sql.SQL("SELECT * FROM {} ORDER BY {}").format(filled, sql.Identifier("Id")))
    assert [list(row) for row in rows] == [FIELDS] * 3
    assert [row["Id"] for row in rows] == ["a", "b", "c"]
    assert {value for row in rows for name, value in row.items() if name != "Id"} == {NEVER_MOVED_OUT}


def test_it_is_changed_as_one_table(database: Database, filled: sql.Identifier) -> None:
    first, last = sql.Identifier(FIELDS[1]), sql.Identifier(FIELDS[-1])
    changed = database.execute(
        sql.SQL("""UPDATE {} SET {} = 'new', {} = NULL WHERE "Id" = 'b'""").format(filled, first, last)
    )
    gone = database.execute(sql.SQL("""DELETE FROM {} WHERE "Id" = 'c'""").format(filled))
    assert (changed, gone) == (1, 1)
    found = database.rows(
        sql.SQL('SELECT "Id", {} AS first, {} AS last FROM {} ORDER BY 1').format(first, last, filled)
    )
    assert [tuple(row.values()) for row in found] == [
        ("a", NEVER_MOVED_OUT, NEVER_MOVED_OUT),
        ("b", "new", None),
    ]


def test_a_record_that_is_there_twice_is_refused(database: Database, filled: sql.Identifier) -> None:
    with pytest.raises(psycopg.errors.UniqueViolation):
        database.execute(sql.SQL("""INSERT INTO {} ("Id") VALUES ('a')""").format(filled))


def test_a_copy_a_further_field_and_an_index(database: Database, filled: sql.Identifier) -> None:
    with database.transaction() as connection:
        rows = tables.create_as(
            connection, OneRun(), Table.TARGET, sql.SQL("SELECT * FROM {}").format(filled), ORDER
        )
        tables.add_field(connection, OneRun(), Table.TARGET, ORDER, "One_more__c")
        tables.add_field(connection, OneRun(), Table.SOURCE, ORDER, "CHANNEL_ORDERS__Partner_Order__c")
        tables.add_index(connection, OneRun(), Table.SOURCE, "source_by_order", ORDER)
    assert rows == 3
    copied = database.rows(sql.SQL("SELECT * FROM {}").format(OneRun().table(Table.TARGET, ORDER)))
    assert [list(row) for row in copied] == [[*FIELDS, "One_more__c"]] * 3
    assert database.value(
        "SELECT to_regclass(%s) IS NOT NULL",
        [sql.Identifier(schema_of(RUN), index_name("source_by_order", ORDER)).as_string()],
    )


def test_nothing_of_it_is_left_when_it_is_dropped(database: Database, filled: sql.Identifier) -> None:
    with database.transaction() as connection:
        tables.drop(connection, OneRun(), Table.SOURCE, ORDER)
    left = (
        "SELECT (SELECT count(*) FROM pg_class c WHERE c.relnamespace = n.oid) AS tables, "
        "(SELECT count(*) FROM pg_proc p WHERE p.pronamespace = n.oid) AS functions FROM pg_namespace n "
        "WHERE n.nspname = %s"
    )
    assert database.row(left, [schema_of(RUN)]) == {"tables": 0, "functions": 0}


def test_names_of_indexes_that_would_be_cut_stay_different() -> None:
    longest = "averylongprefix__" + "A_custom_object_with_a_name_of_forty_ch"
    names = {index_name("expected_by_target", f"{longest}{n}__c") for n in range(10)}
    assert len(names) == 10
    assert max(len(name.encode()) for name in names) <= tables.LONGEST_NAME
