"""Row checks that need the org: writable fields, parents by external id, lookups, owners, unique values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from orgsim.errors import RowError
from orgsim.rows import Row
from orgsim.schema.model import Field, SObject
from orgsim.store import quote

if TYPE_CHECKING:
    from orgsim.org import Org


class Checks:
    """Each method looks at a whole chunk, asks the store once a field, and marks the rows that fail."""

    def __init__(self, org: Org) -> None:
        self._org = org
        self._store = org.store

    def writable(self, rows: Sequence[Row], writable: set[str]) -> None:
        for row in rows:
            if row.error is not None:
                continue
            refused = [name for name in row.values if name not in writable and name != "Id"]
            if refused:
                row.error = RowError(
                    "INVALID_FIELD_FOR_INSERT_UPDATE",
                    f"Unable to create/update fields: {', '.join(refused)}. Please check the security settings of this"
                    " field and verify that it is read/write for your profile or permission set.",
                    tuple(refused),
                )

    def links(self, rows: Sequence[Row]) -> None:
        """Parents given by external id become ids."""
        wanted: dict[tuple[str, str], set[str]] = {}
        for row in rows:
            for link in row.links:
                wanted.setdefault((link.parent.name, link.key.name), set()).add(link.value)
        found: dict[tuple[str, str, str], list[str]] = {}
        for (parent, key), values in wanted.items():
            sobject = self._org.schema[parent]
            fold = sobject[key].case_sensitive
            for record in self._store.records(sobject, key, sorted(values)):
                text = str(record[key])
                found.setdefault((parent, key, text if fold else text.lower()), []).append(record["Id"])
        for row in rows:
            for link in row.links:
                text = link.value if link.key.case_sensitive else link.value.lower()
                ids = found.get((link.parent.name, link.key.name, text), [])
                if len(ids) == 1:
                    row.values[link.field.name] = ids[0]
                elif row.error is None and ids:
                    message = f"{link.key.name}: more than one record found for external id field: {ids}"
                    row.error = RowError("DUPLICATE_EXTERNAL_ID", message, (link.key.name,))
                elif row.error is None:
                    message = (
                        f"Foreign key external ID: {link.value} not found for field {link.key.name} "
                        f"in entity {link.parent.name}"
                    )
                    row.error = RowError("INVALID_FIELD", message)
            row.links = []

    def existing(self, sobject: SObject, rows: Sequence[Row]) -> dict[str, dict[str, Any]]:
        """The current records of the rows' ids; rows without one are marked."""
        ids = [row.values["Id"] for row in rows if row.error is None and row.values.get("Id")]
        current = {record["Id"]: record for record in self._store.records(sobject, "Id", ids, deleted=True)}
        for row in rows:
            if row.error is not None:
                continue
            record_id = row.values.pop("Id", None)
            if not record_id:
                row.error = RowError("MISSING_ARGUMENT", "Id not specified in an update call", ("Id",))
                continue
            row.id = record_id
            record = current.get(record_id)
            if record is not None and record.get("IsDeleted"):
                row.error = RowError("ENTITY_IS_DELETED", "entity is deleted")
            elif record is None and record_id[:3] != sobject.prefix:
                row.error = RowError(
                    "MALFORMED_ID", f"Record ID: id value of incorrect type: {record_id}", ("Id",)
                )
            elif record is None:
                row.error = RowError("INVALID_CROSS_REFERENCE_KEY", "invalid cross reference id")
        return current

    def references(self, sobject: SObject, rows: Sequence[Row]) -> None:
        """Lookups must point at living records of this org; owners must be active (contract E3, F2)."""
        for field in sobject.fields:
            if not field.reference_to:
                continue
            name = field.name
            ids = {row.values[name] for row in rows if row.error is None and row.values.get(name)}
            if ids:
                self._reference(sobject, field, rows, ids)

    def _reference(self, sobject: SObject, field: Field, rows: Sequence[Row], ids: set[str]) -> None:
        state: dict[str, int] = {}
        for target_name in field.reference_to:
            target = self._org.schema[target_name]
            mine = [one for one in ids if one[:3] == target.prefix]
            status = (
                '"IsDeleted" * 2'
                if target.get("IsDeleted")
                else ('1 - "IsActive"' if target_name == "User" else "0")
            )
            for start in range(0, len(mine), 500):
                part = mine[start : start + 500]
                marks = ",".join("?" * len(part))
                state.update(
                    self._store.all(
                        f'SELECT "Id", {status} FROM {quote(target_name)} WHERE "Id" IN ({marks})', part
                    )
                )
        bad: dict[str, RowError] = {}
        for one in ids:
            error = self._reference_error(sobject, field, one, state.get(one))
            if error is not None:
                bad[one] = error
        if bad:
            for row in rows:
                if row.error is None:
                    row.error = bad.get(row.values.get(field.name) or "")

    def _reference_error(
        self, sobject: SObject, field: Field, record_id: str, state: int | None
    ) -> RowError | None:
        if state is None:
            prefixes = {self._org.schema[name].prefix for name in field.reference_to}
            if record_id[:3] not in prefixes:
                message = f"{field.label}: id value of incorrect type: {record_id}"
                return RowError("MALFORMED_ID", message, (field.name,))
            if record_id[3:5] != self._org.pod:
                message = f"insufficient access rights on cross-reference id: {record_id}"
                return RowError("INSUFFICIENT_ACCESS_ON_CROSS_REFERENCE_ENTITY", message, (field.name,))
            return RowError("INVALID_CROSS_REFERENCE_KEY", "invalid cross reference id", (field.name,))
        if state == 2:
            return RowError("ENTITY_IS_DELETED", "entity is deleted", (field.name,))
        if state == 1 and field.name == "OwnerId" and not self._org.settings.inactive_owner:
            message = (
                f"operation performed with inactive user [{record_id}] as owner of {sobject.label.lower()}"
            )
            return RowError("INACTIVE_OWNER_OR_USER", message, (field.name,))
        if field.name == "RecordTypeId":
            kind = self._store.one('SELECT "SobjectType" FROM "RecordType" WHERE "Id" = ?', [record_id])
            if kind != sobject.name:
                message = f"Record Type ID: this ID value isn't valid for the user: {record_id}"
                return RowError("INVALID_CROSS_REFERENCE_KEY", message, (field.name,))
        return None

    def unique(self, sobject: SObject, rows: Sequence[Row]) -> None:
        """Values of unique fields, against the org and within the chunk (first row wins)."""
        for field in sobject.fields:
            if not field.unique:
                continue
            name = field.name
            values = [
                row.values[name] for row in rows if row.error is None and row.values.get(name) is not None
            ]
            if not values:
                continue
            taken: dict[str, str] = {}
            for start in range(0, len(values), 500):
                part = values[start : start + 500]
                marks = ",".join("?" * len(part))
                alive = ' AND "IsDeleted" = 0' if sobject.get("IsDeleted") else ""
                sql = f'SELECT {quote(name)}, "Id" FROM {quote(sobject.name)} WHERE {quote(name)} IN ({marks}){alive}'
                taken.update(
                    (self._fold(field, value), record_id) for value, record_id in self._store.all(sql, part)
                )
            for row in rows:
                if row.error is not None or row.values.get(name) is None:
                    continue
                folded = self._fold(field, row.values[name])
                holder = taken.setdefault(folded, row.id)
                if holder != row.id or (not row.id and taken.get("\x00" + folded)):
                    known = holder or "<unknown>"
                    message = f"duplicate value found: {name} duplicates value on record with id: {known}"
                    row.error = RowError("DUPLICATE_VALUE", message)
                taken["\x00" + folded] = "seen"

    @staticmethod
    def _fold(field: Field, value: object) -> str:
        return str(value) if field.case_sensitive else str(value).lower()
