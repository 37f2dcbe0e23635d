"""The org's records in an in-memory SQLite database: one connection, one lock, one table an object."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from orgsim.ids import IdSpace
from orgsim.schema.coa import CUSTOMER, DETAIL, HISTORY, ORDER
from orgsim.schema.model import Field, Schema, SObject
from orgsim.values import java_double

#: Lookups that are searched often (cascades, set-null on delete, roll-ups); others are scanned.
_INDEXED = {
    CUSTOMER: ["CHANNEL_ORDERS__Account__c"],
    ORDER: ["CHANNEL_ORDERS__Customer__c", "CHANNEL_ORDERS__Cloned_Service_Order__c"],
    DETAIL: ["CHANNEL_ORDERS__Partner_Order__c"],
    HISTORY: ["CHANNEL_ORDERS__Customer__c"],
}


def quote(name: str) -> str:
    return '"' + name + '"'


class Store:
    """Tables, ids and auto-numbers. Every use of the connection happens under :attr:`lock`."""

    def __init__(self, schema: Schema, pod: str) -> None:
        self.schema = schema
        self.lock = threading.RLock()
        self._db = sqlite3.connect(
            ":memory:", check_same_thread=False, isolation_level=None, cached_statements=512
        )
        self._db.execute("PRAGMA synchronous = OFF")
        self._db.execute("PRAGMA journal_mode = MEMORY")
        self._db.execute("PRAGMA cache_size = -200000")
        self._db.create_function("java_double", 1, java_double, deterministic=True)
        self.ids: dict[str, IdSpace] = {}
        self._serial: dict[str, int] = {}
        self._auto: dict[str, int] = {}
        self._depth = 0
        for sobject in schema:
            self.ids[sobject.name] = IdSpace(sobject.prefix or "000", pod)
            self._create(sobject)

    def _create(self, sobject: SObject) -> None:
        table = quote(sobject.name)
        columns = ["_n INTEGER PRIMARY KEY"]
        columns += [f"{quote(one.name)} {one.affinity} COLLATE {one.collation}" for one in sobject.stored()]
        self._db.execute(f"CREATE TABLE {table} ({', '.join(columns)})")
        self._db.execute(f'CREATE UNIQUE INDEX "ix {sobject.name} Id" ON {table} ("Id")')
        for name in _INDEXED.get(sobject.name, []):
            self._db.execute(f'CREATE INDEX "ix {sobject.name} {name}" ON {table} ({quote(name)})')
        for one in sobject.stored():
            self._index(sobject, one)

    def _index(self, sobject: SObject, one: Field) -> None:
        if one.external_id or one.unique:
            column = quote(one.name)
            self._db.execute(
                f'CREATE INDEX "ix {sobject.name} {one.name}" ON {quote(sobject.name)} ({column}) '
                f"WHERE {column} IS NOT NULL"
            )

    def add_column(self, sobject: SObject, one: Field) -> None:
        """Room for a new field; the caller adds it to the object."""
        table, column = quote(sobject.name), quote(one.name)
        self.execute(f"ALTER TABLE {table} ADD COLUMN {column} {one.affinity} COLLATE {one.collation}")
        self._index(sobject, one)

    def drop_column(self, sobject: SObject, one: Field) -> None:
        """Forgets a field and its values; the caller has taken it out of the object."""
        self.execute(f'DROP INDEX IF EXISTS "ix {sobject.name} {one.name}"')
        self.execute(f"ALTER TABLE {quote(sobject.name)} DROP COLUMN {quote(one.name)}")

    # whole -------------------------------------------------------------------------------------------------

    @property
    def serials_used(self) -> dict[str, int]:
        return dict(self._serial)

    @property
    def auto_numbers_used(self) -> dict[str, int]:
        return dict(self._auto)

    def dump(self) -> bytes:
        """All tables as an SQLite database file."""
        with self.lock:
            return self._db.serialize()

    def load(self, database: bytes, serials: dict[str, int], auto_numbers: dict[str, int]) -> None:
        """The inverse of :meth:`dump`. Tables of an object that the dump lacks stay as they are."""
        with self.lock:
            kept = sqlite3.connect(":memory:")
            kept.deserialize(database)
            there = {
                str(row[0]) for row in kept.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
            }
            with self.transaction():
                for sobject in self.schema:
                    if sobject.name in there:
                        self._fill(sobject, kept)
            kept.close()
            self._serial, self._auto = dict(serials), dict(auto_numbers)

    def _fill(self, sobject: SObject, kept: sqlite3.Connection) -> None:
        table = quote(sobject.name)
        known = {str(row[1]) for row in kept.execute(f"PRAGMA table_info({table})")}
        names = [one.name for one in sobject.stored() if one.name in known]
        listed = ", ".join(["_n", *map(quote, names)])
        self._db.execute(f"DELETE FROM {table}")
        self.insert(sobject, names, kept.execute(f"SELECT {listed} FROM {table}"))

    # reading -----------------------------------------------------------------------------------------------

    def execute(self, sql: str, parameters: Sequence[Any] = ()) -> sqlite3.Cursor:
        return self._db.execute(sql, parameters)

    def all(self, sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        with self.lock:
            return self._db.execute(sql, parameters).fetchall()

    def one(self, sql: str, parameters: Sequence[Any] = ()) -> Any:
        """First column of the first row, or None."""
        with self.lock:
            row = self._db.execute(sql, parameters).fetchone()
        return None if row is None else row[0]

    def records(
        self, sobject: SObject, column: str, keys: Sequence[object], *, deleted: bool = False
    ) -> list[dict[str, Any]]:
        """Whole records whose ``column`` is among ``keys``."""
        names = [one.name for one in sobject.stored()]
        found: list[dict[str, Any]] = []
        where = "" if deleted else ' AND "IsDeleted" = 0' if sobject.get("IsDeleted") else ""
        listed = ", ".join(map(quote, names))
        for start in range(0, len(keys), 500):
            part = keys[start : start + 500]
            marks = ",".join("?" * len(part))
            sql = f"SELECT {listed} FROM {quote(sobject.name)} WHERE {quote(column)} IN ({marks}){where}"
            found += [dict(zip(names, row, strict=True)) for row in self.all(sql, part)]
        return found

    def record(self, sobject: SObject, record_id: str, *, deleted: bool = False) -> dict[str, Any] | None:
        found = self.records(sobject, "Id", [record_id], deleted=deleted)
        return found[0] if found else None

    def count(self, sobject: SObject, where: str = "1") -> int:
        return int(self.one(f"SELECT COUNT(*) FROM {quote(sobject.name)} WHERE {where}"))

    # writing -----------------------------------------------------------------------------------------------

    def many(self, sql: str, rows: Iterable[Sequence[Any]]) -> None:
        with self.lock:
            self._db.executemany(sql, rows)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing; nests by savepoints."""
        with self.lock:
            self._depth += 1
            name = f"s{self._depth}"
            self._db.execute(f"SAVEPOINT {name}")
            try:
                yield
            except BaseException:
                self._db.execute(f"ROLLBACK TO {name}")
                raise
            finally:
                self._db.execute(f"RELEASE {name}")
                self._depth -= 1

    def serials(self, sobject: SObject, count: int) -> range:
        """Counters for ``count`` new records."""
        with self.lock:
            start = self._serial.get(sobject.name, 0) + 1
            self._serial[sobject.name] = start + count - 1
        return range(start, start + count)

    def new_ids(self, sobject: SObject, count: int) -> tuple[range, list[str]]:
        serials = self.serials(sobject, count)
        return serials, list(self.ids[sobject.name].many(serials))

    def auto_numbers(self, sobject: SObject, count: int) -> list[str]:
        """The next auto-numbers: ``SO-{00000000}`` with the counter in place of the braces."""
        name = sobject["Name"]
        prefix, _, rest = name.auto_number.partition("{")
        width = len(rest.partition("}")[0])
        with self.lock:
            start = self._auto.get(sobject.name, 0) + 1
            self._auto[sobject.name] = start + count - 1
        return [f"{prefix}{number:0{width}d}" for number in range(start, start + count)]

    def insert(self, sobject: SObject, names: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
        """Rows as (serial, *values of ``names``)."""
        listed = ", ".join(["_n", *map(quote, names)])
        marks = ",".join("?" * (len(names) + 1))
        self.many(f"INSERT INTO {quote(sobject.name)} ({listed}) VALUES ({marks})", rows)

    def add(self, object_name: str, **values: Any) -> str:
        """One record as the org's own set-up makes it, past every rule; returns its id."""
        sobject = self.schema[object_name]
        serials, ids = self.new_ids(sobject, 1)
        record: dict[str, Any] = {
            one.name: one.default for one in sobject.stored() if isinstance(one.default, (bool, str, float))
        }
        record.pop("OwnerId", None)
        record |= {"Id": ids[0], "IsDeleted": 0} | values
        if sobject.get("Name") and sobject["Name"].auto_number and "Name" not in values:
            record["Name"] = self.auto_numbers(sobject, 1)[0]
        names = [name for name in record if sobject.get(name) is not None]
        self.insert(sobject, names, [(serials[0], *(record[name] for name in names))])
        return str(record["Id"])
