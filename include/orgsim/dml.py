"""Writing records: what Salesforce does to each row of an insert, update, upsert, delete or undelete.

A call handles one transaction of at most 200 rows (contract B3); errors stay with their row.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from orgsim import field_rights
from orgsim.checks import Checks
from orgsim.errors import RowError
from orgsim.rows import Row
from orgsim.schema.model import Field, SObject
from orgsim.store import quote

if TYPE_CHECKING:
    from orgsim.org import Org

CHUNK = 200
_NO_ID = "\x00"
"""Begins the key of a row that has no id: no id begins so."""


@dataclass(frozen=True, slots=True)
class WriteOptions:
    """How a write came: ``user_id`` writes it, ``audit`` says whether audit fields count on insert."""

    user_id: str
    audit: bool = True


class Dml:
    """The write operations of one org."""

    def __init__(self, org: Org) -> None:
        self._org = org
        self._store = org.store
        self._checks = Checks(org)

    def write(
        self,
        operation: str,
        sobject: SObject,
        rows: Sequence[Row],
        options: WriteOptions,
        key: Field | None = None,
    ) -> None:
        """Any operation by its Bulk name, in chunks of 200, each a transaction."""
        for start in range(0, len(rows), CHUNK):
            chunk = rows[start : start + CHUNK]
            with self._store.transaction():
                self.chunk(operation, sobject, chunk, options, key)

    def chunk(
        self, operation: str, sobject: SObject, rows: Sequence[Row], options: WriteOptions, key: Field | None
    ) -> None:
        if operation == "insert":
            self.insert(sobject, rows, options)
        elif operation == "update":
            self.update(sobject, rows, options)
        elif operation == "upsert":
            assert key is not None
            self.upsert(sobject, rows, key, options)
        elif operation == "undelete":
            self.undelete(sobject, rows)
        else:
            self.delete(sobject, rows, hard=operation == "hardDelete")
        if sobject.name == field_rights.ASSIGNMENT:
            field_rights.apply(self._org)

    # insert ------------------------------------------------------------------------------------------------

    def insert(self, sobject: SObject, rows: Sequence[Row], options: WriteOptions) -> None:
        now = self._org.clock.stamp()
        self._checks.links(rows)
        writable = {one.name for one in sobject.fields if one.createable and (options.audit or not one.audit)}
        self._checks.writable(rows, writable)
        required = [one for one in sobject.fields if self._required(one)]
        defaults = {
            one.name: int(one.default) if isinstance(one.default, bool) else one.default
            for one in sobject.stored()
            if one.default is not None
        }
        defaults.pop("OwnerId", None)
        # Links to files only know when they changed.
        stamped = "createddate" in sobject.by_name
        for row in rows:
            if row.error is not None:
                continue
            row.values.pop("Id", None)
            missing = [one.name for one in required if row.values.get(one.name) is None]
            if missing:
                row.error = RowError(
                    "REQUIRED_FIELD_MISSING",
                    f"Required fields are missing: [{', '.join(missing)}]",
                    tuple(missing),
                )
                continue
            values = row.values = {**defaults, **row.values}
            if "ownerid" in sobject.by_name and not values.get("OwnerId"):
                values["OwnerId"] = options.user_id
            if stamped:
                self._stamp_new(values, now, options.user_id)
            else:
                values["SystemModstamp"] = now
        self._checks.references(sobject, rows)
        self._checks.unique(sobject, rows)
        self._org.content.before_insert(sobject, rows)
        if sobject.name == field_rights.ASSIGNMENT:
            field_rights.refuse_second_assignments(self._org, rows)
        self._org.package.before_save(sobject, [row for row in rows if row.error is None], None)
        good = [row for row in rows if row.error is None]
        if not good:
            return
        self._org.package.after_save(sobject, good, None)
        serials, ids = self._store.new_ids(sobject, len(good))
        name = sobject.get("Name")
        if name is not None and name.auto_number:
            for row, number in zip(good, self._store.auto_numbers(sobject, len(good)), strict=True):
                row.values["Name"] = number
        for row, record_id in zip(good, ids, strict=True):
            row.id = row.values["Id"] = record_id
            row.created = True
            if "isdeleted" in sobject.by_name:
                row.values["IsDeleted"] = 0
        shapes = {tuple(row.values) for row in good}
        names = list(dict.fromkeys(column for shape in shapes for column in shape))
        self._store.insert(
            sobject,
            names,
            [(serial, *map(row.values.get, names)) for serial, row in zip(serials, good, strict=True)],
        )
        self._org.content.after_insert(sobject, good, options.user_id)
        self._org.rollups.after_write(sobject, good)

    def _required(self, one: Field) -> bool:
        """Must be given on create (contract E2): createable, not nillable, nothing fills it."""
        filled = one.audit or one.default is not None or one.type == "boolean" or one.name == "OwnerId"
        return one.createable and not one.nillable and not filled

    def _stamp_new(self, values: dict[str, Any], now: str, user_id: str) -> None:
        values["CreatedDate"] = values.get("CreatedDate") or now
        values["CreatedById"] = values.get("CreatedById") or user_id
        values["LastModifiedDate"] = values.get("LastModifiedDate") or now
        values["LastModifiedById"] = values.get("LastModifiedById") or user_id
        values["SystemModstamp"] = now

    # update ------------------------------------------------------------------------------------------------

    def update(self, sobject: SObject, rows: Sequence[Row], options: WriteOptions) -> None:
        self._checks.links(rows)
        writable = {one.name for one in sobject.fields if one.updateable} | {"Id"}
        self._checks.writable(rows, writable)
        current = self._checks.existing(sobject, rows)
        self._apply(sobject, [row for row in rows if row.error is None], current, options)

    def _apply(
        self, sobject: SObject, rows: Sequence[Row], current: dict[str, dict[str, Any]], options: WriteOptions
    ) -> None:
        now = self._org.clock.stamp()
        required = [
            one for one in sobject.fields if not one.nillable and one.updateable and one.type != "boolean"
        ]
        for row in rows:
            nulled = [one.name for one in required if one.name in row.values and row.values[one.name] is None]
            if nulled:
                row.error = RowError(
                    "REQUIRED_FIELD_MISSING",
                    f"Required fields are missing: [{', '.join(nulled)}]",
                    tuple(nulled),
                )
        self._checks.references(sobject, rows)
        self._checks.unique(sobject, rows)
        good = [row for row in rows if row.error is None]
        given = {id(row): set(row.values) for row in good}
        for row in good:
            row.values = {**current[row.id], **row.values}
        stamped = self._org.package.before_save(sobject, good, current)
        good = [row for row in good if row.error is None]
        if not good:
            return
        stamps = {
            name: value
            for name, value in (
                ("LastModifiedDate", now),
                ("LastModifiedById", options.user_id),
                ("SystemModstamp", now),
            )
            if name.lower() in sobject.by_name
        }
        for row in good:
            row.values |= stamps
        touched = self._org.package.after_save(sobject, good, current)
        names = set().union(*(given[id(row)] for row in good)) | touched | stamped
        names |= set(stamps)
        ordered = sorted(name for name in names if name != "Id" and sobject[name].stored)
        assignments = ", ".join(f"{quote(name)} = ?" for name in ordered)
        self._store.many(
            f'UPDATE {quote(sobject.name)} SET {assignments} WHERE "Id" = ?',
            [(*(row.values[name] for name in ordered), row.id) for row in good],
        )
        self._org.rollups.after_write(sobject, good)

    # upsert ------------------------------------------------------------------------------------------------

    def upsert(self, sobject: SObject, rows: Sequence[Row], key: Field, options: WriteOptions) -> None:
        """Each row: no match inserts, one updates, several are an error; a key twice refuses all its rows."""
        fold = (lambda text: text) if key.case_sensitive or key.type in ("id", "reference") else str.lower
        by_key = self._by_key(rows, key, fold)
        found: dict[str, list[str]] = {}
        values = [
            same[0].values[key.name] for same in by_key.values() if same[0].values.get(key.name) is not None
        ]
        for record in self._store.records(sobject, key.name, values):
            found.setdefault(fold(str(record[key.name])), []).append(record["Id"])
        fresh, matched = [], []
        for folded, (row,) in by_key.items():
            ids = found.get(folded, [])
            if len(ids) > 1:
                message = f"{key.name}: more than one record found for external id field: {ids}"
                row.error = RowError("DUPLICATE_EXTERNAL_ID", message, (key.name,))
            elif ids:
                row.id = ids[0]
                row.values["Id"] = ids[0]
                matched.append(row)
            elif key.name == "Id" and not folded.startswith(_NO_ID):
                row.error = RowError("INVALID_CROSS_REFERENCE_KEY", "invalid cross reference id")
            else:
                fresh.append(row)
        for row in matched:
            # The key itself may stand in an update although nobody may change it.
            if not key.updateable and key.name != "Id":
                row.values.pop(key.name, None)
        audit = self._org.settings.audit_on_upsert
        self.insert(sobject, fresh, WriteOptions(options.user_id, audit))
        self.update(sobject, matched, options)

    @staticmethod
    def _by_key(rows: Sequence[Row], key: Field, fold: Callable[[str], str]) -> dict[str, list[Row]]:
        """One row a folded key, in a list; rows without a key, and all rows of a key that comes twice, are refused."""
        by_key: dict[str, list[Row]] = {}
        for row in rows:
            if row.error is not None:
                continue
            value = row.values.get(key.name)
            if value is not None:
                by_key.setdefault(fold(str(value)), []).append(row)
            elif key.name == "Id":
                by_key[f"{_NO_ID}{id(row)}"] = [row]
            else:
                row.error = RowError("MISSING_ARGUMENT", f"{key.name} not specified", (key.name,))
        for same in by_key.values():
            for row in same if len(same) > 1 else ():
                message = f"Duplicate external id specified: {row.values[key.name]}"
                row.error = RowError("DUPLICATE_VALUE", message, (key.name,))
        return {folded: same for folded, same in by_key.items() if len(same) == 1}

    # delete ------------------------------------------------------------------------------------------------

    def delete(self, sobject: SObject, rows: Sequence[Row], *, hard: bool = False) -> None:
        self._checks.existing(sobject, rows)
        ids = [row.id for row in rows if row.error is None]
        if ids:
            self._remove(sobject, ids, hard)

    def _remove(self, sobject: SObject, ids: list[str], hard: bool) -> None:
        """Details go with their master; other lookups to the deleted become null (facts, section 1)."""
        marks = ",".join("?" * len(ids))
        for child, link in self._org.schema.children(sobject.name):
            if not child.createable:
                continue
            where = f"{quote(link.name)} IN ({marks})"
            if link.master_detail:
                alive = "" if hard else ' AND "IsDeleted" = 0'
                children = [
                    row[0]
                    for row in self._store.all(
                        f'SELECT "Id" FROM {quote(child.name)} WHERE {where}{alive}', ids
                    )
                ]
                for start in range(0, len(children), 500):
                    self._remove(child, children[start : start + 500], hard)
            elif link.stored and not link.audit and link.name != "OwnerId":
                self._store.execute(
                    f"UPDATE {quote(child.name)} SET {quote(link.name)} = NULL WHERE {where}", ids
                )
        parents = self._org.rollups.parents_of(sobject, ids)
        now = self._org.clock.stamp()
        if hard or "isdeleted" not in sobject.by_name:
            self._store.execute(f'DELETE FROM {quote(sobject.name)} WHERE "Id" IN ({marks})', ids)
        else:
            sql = f'UPDATE {quote(sobject.name)} SET "IsDeleted" = 1, "SystemModstamp" = ? WHERE "Id" IN ({marks})'
            self._store.execute(sql, [now, *ids])
        self._org.rollups.refresh(parents)

    def undelete(self, sobject: SObject, rows: Sequence[Row]) -> None:
        """Out of the recycle bin, details with their master."""
        for row in rows:
            if row.error is not None:
                continue
            record = self._store.record(sobject, str(row.values.get("Id")), deleted=True)
            if record is None or not record["IsDeleted"]:
                row.error = RowError("UNDELETE_FAILED", "Entity is not in the recycle bin")
                continue
            row.id = record["Id"]
            self._restore(sobject, [row.id], record["SystemModstamp"])

    def _restore(self, sobject: SObject, ids: list[str], deleted_at: str) -> None:
        marks = ",".join("?" * len(ids))
        self._store.execute(f'UPDATE {quote(sobject.name)} SET "IsDeleted" = 0 WHERE "Id" IN ({marks})', ids)
        for child, link in self._org.schema.children(sobject.name):
            if link.master_detail:
                sql = (
                    f'SELECT "Id" FROM {quote(child.name)} WHERE {quote(link.name)} IN ({marks})'
                    ' AND "IsDeleted" = 1 AND "SystemModstamp" >= ?'
                )
                children = [row[0] for row in self._store.all(sql, [*ids, deleted_at])]
                if children:
                    self._restore(child, children, deleted_at)
        self._org.rollups.refresh(self._org.rollups.parents_of(sobject, ids))
