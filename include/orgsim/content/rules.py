"""What the org does around a write of files and activities: documents, version numbers, links, bytes, storage.

Sources: Object Reference, "ContentVersion", "ContentDocumentLink", "EmailMessage"; what they leave open is marked
*inferred*.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from orgsim.content.schema import BODY, DATA, DOCUMENT, LINK, VERSION
from orgsim.errors import RowError
from orgsim.rows import Row
from orgsim.schema.model import SObject

if TYPE_CHECKING:
    from orgsim.org import Org

MB = 1024 * 1024


class Content:
    """The rules of one org; nothing happens in an org without the setting `attachments`."""

    def __init__(self, org: Org) -> None:
        self._org = org
        self._store = org.store
        self._data: dict[int, bytes] = {}

    @property
    def on(self) -> bool:
        return self._org.settings.attachments

    # bytes -------------------------------------------------------------------------------------------------

    def body(self, record_id: str) -> bytes:
        """The bytes of a version or an attachment."""
        found = self._store.one(f'SELECT "Base64" FROM "{BODY}" WHERE "RecordId" = ?', [record_id])
        return base64.b64decode(found or "")

    def keep_body(self, record_id: str, data: bytes) -> None:
        self._store.add(BODY, RecordId=record_id, Base64=base64.b64encode(data).decode())

    def storage_used(self) -> int:
        """Bytes of file storage: every version counts, and so does every attachment (inferred)."""
        if not self.on:
            return 0
        return sum(
            int(self._store.one(f'SELECT COALESCE(SUM("{size}"), 0) FROM "{name}" WHERE "IsDeleted" = 0'))
            for name, size in ((VERSION, "ContentSize"), ("Attachment", "BodyLength"))
        )

    # writes ------------------------------------------------------------------------------------------------

    def before_insert(self, sobject: SObject, rows: Sequence[Row]) -> None:
        """Marks rows that are refused and fills in what the org itself decides."""
        if not self.on:
            return
        good = [row for row in rows if row.error is None]
        if sobject.name in DATA:
            self._take_bytes(sobject, good)
        if sobject.name == LINK:
            self._refuse_second_links(good)

    def after_insert(self, sobject: SObject, rows: Sequence[Row], user_id: str) -> None:
        """Called in the transaction of the insert."""
        if not self.on:
            return
        for row in rows:
            if sobject.name in DATA:
                self.keep_body(row.id, self._data.pop(id(row)))
            if sobject.name == VERSION:
                self._publish(row)
            if sobject.name == "EmailMessage":
                self._add_task(row, user_id)

    def _take_bytes(self, sobject: SObject, rows: Sequence[Row]) -> None:
        name = DATA[sobject.name]
        used, room = self.storage_used(), self._org.settings.file_storage_mb * MB
        for row in rows:
            given = row.values.pop(name, None)
            if given is None or (sobject.name == VERSION and not row.values.get("PathOnClient")):
                missing = name if given is None else "PathOnClient"
                row.error = RowError(
                    "REQUIRED_FIELD_MISSING", f"Required fields are missing: [{missing}]", (missing,)
                )
                continue
            data = given if isinstance(given, bytes) else base64.b64decode(given)
            used += len(data)
            if used > room:
                row.error = RowError("STORAGE_LIMIT_EXCEEDED", "storage limit exceeded")
                continue
            self._data[id(row)] = data
            if sobject.name == VERSION:
                self._describe_version(row, data)
            else:
                row.values["BodyLength"] = len(data)

    def _describe_version(self, row: Row, data: bytes) -> None:
        values = row.values
        path = PurePosixPath(str(values["PathOnClient"]).replace("\\", "/"))
        extension = path.suffix.lstrip(".").lower()
        values["Title"] = values.get("Title") or path.stem
        values |= {
            "ContentSize": len(data),
            "Checksum": hashlib.md5(data, usedforsecurity=False).hexdigest(),
            "FileExtension": extension or None,
            "FileType": extension.upper() or "UNKNOWN",
            "IsLatest": 1,
        }
        document = values.get("ContentDocumentId")
        if document is None:
            values["ContentDocumentId"] = self._store.add(
                DOCUMENT, OwnerId=values["OwnerId"], **self._stamps(values)
            )
            values["VersionNumber"] = "1"
            return
        latest = self._store.one(
            f'SELECT MAX(CAST("VersionNumber" AS INTEGER)) FROM "{VERSION}" WHERE "ContentDocumentId" = ?',
            [document],
        )
        values["VersionNumber"] = str(int(latest or 0) + 1)

    @staticmethod
    def _stamps(values: dict[str, Any]) -> dict[str, Any]:
        names = ("CreatedDate", "CreatedById", "LastModifiedDate", "LastModifiedById", "SystemModstamp")
        return {name: values[name] for name in names}

    def _publish(self, row: Row) -> None:
        """The document shows its newest version; with the first one come its links."""
        values = row.values
        document = values["ContentDocumentId"]
        self._store.execute(
            f'UPDATE "{VERSION}" SET "IsLatest" = 0 WHERE "ContentDocumentId" = ? AND "Id" <> ?',
            [document, row.id],
        )
        shown = ("Title", "ContentSize", "FileType", "FileExtension", "SystemModstamp")
        self._store.execute(
            f'UPDATE "{DOCUMENT}" SET {", ".join(f"{chr(34)}{name}{chr(34)} = ?" for name in shown)}, '
            '"LatestPublishedVersionId" = ? WHERE "Id" = ?',
            [*(values[name] for name in shown), row.id, document],
        )
        if values["VersionNumber"] == "1":
            self._link(document, values["OwnerId"], "I", values["SystemModstamp"])
            if values.get("FirstPublishLocationId"):
                self._link(document, values["FirstPublishLocationId"], "V", values["SystemModstamp"])

    def _link(self, document: str, entity: str, share_type: str, stamp: str) -> None:
        self._store.add(
            LINK,
            ContentDocumentId=document,
            LinkedEntityId=entity,
            ShareType=share_type,
            SystemModstamp=stamp,
        )

    def _refuse_second_links(self, rows: Sequence[Row]) -> None:
        """A document is linked to a record once."""
        for row in rows:
            document, entity = row.values["ContentDocumentId"], row.values["LinkedEntityId"]
            there = self._store.one(
                f'SELECT "Id" FROM "{LINK}" WHERE "ContentDocumentId" = ? AND "LinkedEntityId" = ? AND "IsDeleted" = 0',
                [document, entity],
            )
            if there is not None:
                message = f"{entity} is already linked with the document with ID {document}"
                row.error = RowError("DUPLICATE_VALUE", message)

    def _add_task(self, row: Row, user_id: str) -> None:
        """An e-mail that is related to a record shows in its activities by a task that the org makes (inferred)."""
        values = row.values
        if not values.get("RelatedToId"):
            return
        task = self._store.add(
            "Task",
            Subject=f"Email: {values.get('Subject') or ''}",
            WhatId=values["RelatedToId"],
            Status="Completed",
            TaskSubtype="Email",
            OwnerId=values.get("CreatedById") or user_id,
            **self._stamps(values),
        )
        self._store.execute('UPDATE "EmailMessage" SET "ActivityId" = ? WHERE "Id" = ?', [task, row.id])
