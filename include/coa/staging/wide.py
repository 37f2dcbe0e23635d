"""Tables of records with more fields than a row of PostgreSQL can be sure to hold: parts under one view.

A row has to fit into a page, 8,160 bytes. PostgreSQL moves long values out of it (TOAST), but none of 24 bytes or
less, and a table has 1,600 columns at most. Salesforce allows some 900 fields an object. So a table of more than
`WIDEST` fields is made of parts that repeat the key, and of a view in the table's name: it reads as one table, and
its triggers write as one (COPY, INSERT, UPDATE, DELETE).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from hashlib import sha1
from typing import Any

import psycopg
from psycopg import sql

Connection = psycopg.Connection[dict[str, Any]]

WIDEST = 300
"""Fields of a part: 300 values of 24 bytes, a header and a key fit into a page whatever they hold."""


def create(
    connection: Connection, name: sql.Identifier, key: str, fields: Sequence[str], storage: str = ""
) -> None:
    """Makes the parts, empty and without the key's index, and the view over them. `key` is one of `fields`.

    `storage`: storage parameters of the parts, as SQL.
    """
    others = [field for field in fields if field != key]
    for number, start in enumerate(range(0, len(others), WIDEST)):
        columns = [key, *others[start : start + WIDEST]]
        connection.execute(
            sql.SQL("CREATE TABLE {} ({}){}").format(
                _part(name, number),
                sql.SQL(", ").join(sql.SQL("{} text").format(sql.Identifier(column)) for column in columns),
                with_storage(storage),
            )
        )
    _define(connection, name, key, fields)


def with_storage(storage: str) -> sql.Composable:
    """The clause of CREATE TABLE for storage parameters; nothing where there are none."""
    return sql.SQL(" WITH ({})").format(sql.SQL(storage)) if storage else sql.SQL("")


def parts(connection: Connection, name: sql.Identifier) -> list[sql.Identifier]:
    """The parts of a view, in order; none for anything else."""
    schema, table = _names(name)
    found = connection.execute(
        """SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
           WHERE n.nspname = %s AND starts_with(c.relname, %s) AND c.relkind = 'r' ORDER BY c.relname""",
        [schema, _prefix(table)],
    ).fetchall()
    return [sql.Identifier(schema, row["relname"]) for row in found]


def part_with(connection: Connection, name: sql.Identifier, column: str) -> sql.Identifier | None:
    """The first part that has a column; None where no part has it, or where there are no parts."""
    for part in parts(connection, name):
        if column in _columns(connection, part):
            return part
    return None


def add_column(connection: Connection, name: sql.Identifier, key: str, column: str) -> None:
    """An empty text column more: in the last part, or in a new one where that is full."""
    fields = [*_columns(connection, name), column]
    last = parts(connection, name)[-1]
    if len(_columns(connection, last)) <= WIDEST:
        connection.execute(sql.SQL("ALTER TABLE {} ADD COLUMN {} text").format(last, sql.Identifier(column)))
    else:
        new = _part(name, len(parts(connection, name)))
        connection.execute(
            sql.SQL("CREATE TABLE {} AS SELECT {key}, NULL::text AS {column} FROM {last}").format(
                new, key=sql.Identifier(key), column=sql.Identifier(column), last=last
            )
        )
        connection.execute(sql.SQL("ALTER TABLE {} ADD PRIMARY KEY ({})").format(new, sql.Identifier(key)))
    _define(connection, name, key, fields)


def drop(connection: Connection, name: sql.Identifier) -> None:
    """The view, its triggers and its parts, as far as they are there."""
    connection.execute(sql.SQL("DROP VIEW IF EXISTS {}").format(name))
    connection.execute(sql.SQL("DROP FUNCTION IF EXISTS {}()").format(_writer(name)))
    for part in parts(connection, name):
        connection.execute(sql.SQL("DROP TABLE {}").format(part))


# ---- names -------------------------------------------------------------------------------------
def _names(name: sql.Identifier) -> tuple[str, str]:
    schema, table = name._obj
    return schema, table


def _prefix(table: str) -> str:
    """Not the table's own name: that may be as long as PostgreSQL lets a name be."""
    return f"wide_{sha1(table.encode()).hexdigest()[:20]}_"


def _part(name: sql.Identifier, number: int) -> sql.Identifier:
    schema, table = _names(name)
    return sql.Identifier(schema, f"{_prefix(table)}{number:02d}")


def _writer(name: sql.Identifier) -> sql.Identifier:
    schema, table = _names(name)
    return sql.Identifier(schema, f"{_prefix(table)}write")


def _columns(connection: Connection, name: sql.Identifier) -> list[str]:
    found = connection.execute(
        """SELECT attname FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped
           ORDER BY attnum""",
        [name.as_string()],
    ).fetchall()
    return [row["attname"] for row in found]


# ---- view and triggers -------------------------------------------------------------------------
def _define(connection: Connection, name: sql.Identifier, key: str, fields: Sequence[str]) -> None:
    """The view in the order of `fields`, and the function by which it is written."""
    own = parts(connection, name)
    columns = {number: _columns(connection, part) for number, part in enumerate(own)}
    home = {column: number for number, held in reversed(columns.items()) for column in held}
    connection.execute(
        sql.SQL("CREATE OR REPLACE VIEW {} AS SELECT {} FROM {}").format(
            name,
            sql.SQL(", ").join(
                sql.SQL("{}.{}").format(sql.Identifier(f"w{home[field]}"), sql.Identifier(field))
                for field in fields
            ),
            # An outer join, for PostgreSQL leaves out the parts that a query does not read.
            sql.SQL(" LEFT JOIN ").join(_joined(own, key)),
        )
    )
    connection.execute(
        sql.SQL("CREATE OR REPLACE FUNCTION {}() RETURNS trigger LANGUAGE plpgsql AS {}").format(
            _writer(name), sql.Literal(_body(own, columns, key).as_string())
        )
    )
    connection.execute(
        sql.SQL(
            """CREATE OR REPLACE TRIGGER write INSTEAD OF INSERT OR UPDATE OR DELETE ON {}
               FOR EACH ROW EXECUTE FUNCTION {}()"""
        ).format(name, _writer(name))
    )


def _joined(own: Sequence[sql.Identifier], key: str) -> Iterator[sql.Composed]:
    for number, part in enumerate(own):
        alias = sql.Identifier(f"w{number}")
        if number == 0:
            yield sql.SQL("{} {}").format(part, alias)
        else:
            yield sql.SQL("{} {a} ON {a}.{k} = w0.{k}").format(part, a=alias, k=sql.Identifier(key))


def _body(own: Sequence[sql.Identifier], columns: dict[int, list[str]], key: str) -> sql.Composed:
    def each(template: str) -> sql.Composed:
        return sql.SQL("\n").join(
            sql.SQL(template).format(
                part=part,
                key=sql.Identifier(key),
                names=sql.SQL(", ").join(map(sql.Identifier, columns[number])),
                new=sql.SQL(", ").join(sql.SQL("NEW.{}").format(sql.Identifier(c)) for c in columns[number]),
            )
            for number, part in enumerate(own)
        )

    return sql.SQL(
        """BEGIN
           IF TG_OP = 'INSERT' THEN {insert} RETURN NEW;
           ELSIF TG_OP = 'UPDATE' THEN {update} RETURN NEW;
           ELSE {delete} RETURN OLD;
           END IF; END"""
    ).format(
        insert=each("INSERT INTO {part} ({names}) VALUES ({new});"),
        update=each("UPDATE {part} SET ({names}) = ROW({new}) WHERE {key} = OLD.{key};"),
        delete=each("DELETE FROM {part} WHERE {key} = OLD.{key};"),
    )
