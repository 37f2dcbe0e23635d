"""Files, attachments, notes, activities and history around a few orders, each difficulty of them planted once.

`org.planted["attachments"]` says what is where; only a source has them.
"""

from __future__ import annotations

import hashlib
import random
from typing import TYPE_CHECKING, Any

from orgsim.content.schema import DOCUMENT, LINK, VERSION
from orgsim.schema.coa import DETAIL, NS, ORDER

if TYPE_CHECKING:
    from orgsim.org import Org

LARGE_BYTES = 300_000
"""The largest file: a test sets `base64_limit` below it."""
ORDERS = 4
"""So many orders have something: whatever is planted is on the first of them that are no Drafts."""
_STAMP = "2019-05-{:02d}T08:15:30.000Z"


def seed(org: Org) -> None:
    """Everything, on the first orders that are no Drafts; nothing where there are too few."""
    if org.settings.role != "source":
        return
    found = org.store.all(
        f'SELECT "Id", "{NS}Customer__c" FROM "{ORDER}" WHERE "{NS}Service_Order_Status__c" '
        "IN ('Activated', 'Provisioned') ORDER BY _n LIMIT ?",
        [ORDERS],
    )
    if len(found) == ORDERS:
        _Seeder(org, [str(row[0]) for row in found], str(found[0][1])).all()


class _Seeder:
    def __init__(self, org: Org, orders: list[str], customer: str) -> None:
        self.org, self.orders, self.customer = org, orders, customer
        self.draw = random.Random(f"attachments {org.settings.seed}")
        self.day = 0
        users = [
            str(row[0]) for row in org.store.all('SELECT "Id" FROM "User" WHERE "IsActive" = 1 ORDER BY _n')
        ]
        gone = [
            str(row[0]) for row in org.store.all('SELECT "Id" FROM "User" WHERE "IsActive" = 0 ORDER BY _n')
        ]
        self.user, self.gone = users[1], (gone or users)[0]

    def all(self) -> None:
        first, second, third, fourth = self.orders
        detail = self.org.store.one(
            f'SELECT "Id" FROM "{DETAIL}" WHERE "{NS}Partner_Order__c" = ? ORDER BY _n LIMIT 1', [first]
        )
        planted: dict[str, Any] = {
            "orders": self.orders,
            "customer": self.customer,
            "shared": self.file("Master agreement.pdf", [first, second, third, self.customer]),
            "versions": self.file("Offer.docx", [first], versions=3),
            "empty": self.file("empty.txt", [second], size=0),
            "large": self.file("scan.tiff", [second], size=LARGE_BYTES),
            "same_name": [self.file("Contract.pdf", [third]), self.file("Contract.pdf", [third])],
            "identical": [self.file("Terms.pdf", [fourth], same=True) for _ in range(2)],
            "owner_gone": self.file("Purchase order.pdf", [fourth], owner=self.gone),
            "odd_name": self.file('Übersicht "Q1" – 50% \U0001f4c4.xlsx', [fourth], share_type="I"),
            "attachments": [
                self.attachment("signed.pdf", first, "Signed by both"),
                self.attachment("signed.pdf", first, None),
                self.attachment("nothing.txt", second, None, size=0),
            ],
            "notes": [
                self.note("Call back", "Asked for 10% off.\r\nSays \u201cno\u201d to the rest.", second),
                self.note("Internal", "Not for the customer", second, private=True),
            ],
            "tasks": [self.task(f"Renew {n}", first) for n in range(2)] + [self.task("Renew 1", first)],
            "events": [self.event("Visit", third), self.event("Fair", third, all_day=True)],
            "emails": [self.email("Your order", fourth)],
            "history": [self.history(ORDER, one) for one in self.orders],
        }
        if detail:
            planted["detail_note"] = self.note("On a line", "See above", str(detail))
        planted["customer_task"] = self.task("Introduce", self.customer)
        self.org.planted["attachments"] = planted

    def stamps(self, owner: str) -> dict[str, Any]:
        self.day = self.day % 28 + 1
        at = _STAMP.format(self.day)
        return {
            "OwnerId": owner,
            "CreatedById": owner,
            "LastModifiedById": owner,
            "CreatedDate": at,
            "LastModifiedDate": at,
            "SystemModstamp": at,
        }

    def bytes_of(self, size: int, same: bool) -> bytes:
        return b"The same for all.\n" * 20 if same else self.draw.randbytes(size)

    def file(
        self,
        name: str,
        on: list[str],
        *,
        versions: int = 1,
        size: int = 2000,
        same: bool = False,
        owner: str = "",
        share_type: str = "V",
    ) -> str:
        """One document; its id."""
        stamps = self.stamps(owner or self.user)
        stem, _, extension = name.rpartition(".")
        kind = {"FileType": extension.upper(), "FileExtension": extension}
        document = self.org.store.add(DOCUMENT, Title=stem, **kind, **stamps)
        for number in range(1, versions + 1):
            data = self.bytes_of(size + number * (size > 0), same)
            version = self.org.store.add(
                VERSION,
                ContentDocumentId=document,
                Title=stem if number == 1 else f"{stem} {number}",
                PathOnClient=name,
                Description="As sent" if number == 2 else None,
                VersionNumber=str(number),
                IsLatest=int(number == versions),
                ContentSize=len(data),
                Checksum=hashlib.md5(data, usedforsecurity=False).hexdigest(),
                **kind,
                **self.stamps(owner or self.user),
            )
            self.org.content.keep_body(version, data)
        self.org.store.execute(
            f'UPDATE "{DOCUMENT}" SET "LatestPublishedVersionId" = ?, "ContentSize" = ? WHERE "Id" = ?',
            [version, len(data), document],
        )
        self.link(document, stamps["OwnerId"], "I", stamps["SystemModstamp"])
        for record in on:
            self.link(document, record, share_type, stamps["SystemModstamp"])
        return document

    def link(self, document: str, record: str, share_type: str, stamp: str) -> None:
        self.org.store.add(
            LINK,
            ContentDocumentId=document,
            LinkedEntityId=record,
            ShareType=share_type,
            SystemModstamp=stamp,
        )

    def attachment(self, name: str, on: str, description: str | None, size: int = 700) -> str:
        data = self.bytes_of(size, False)
        made = self.org.store.add(
            "Attachment",
            ParentId=on,
            Name=name,
            ContentType="application/pdf",
            Description=description,
            BodyLength=len(data),
            **self.stamps(self.user),
        )
        self.org.content.keep_body(made, data)
        return made

    def note(self, title: str, body: str, on: str, *, private: bool = False) -> str:
        return self.org.store.add(
            "Note", ParentId=on, Title=title, Body=body, IsPrivate=int(private), **self.stamps(self.user)
        )

    def task(self, subject: str, on: str) -> str:
        return self.org.store.add(
            "Task",
            WhatId=on,
            Subject=subject,
            Description="First line\nsecond line",
            Status="Completed",
            ActivityDate="2019-06-01",
            **self.stamps(self.user),
        )

    def event(self, subject: str, on: str, *, all_day: bool = False) -> str:
        start, end = ("00:00:00", "00:00:00") if all_day else ("09:30:00", "11:00:00")
        return self.org.store.add(
            "Event",
            WhatId=on,
            Subject=subject,
            Location="Munich",
            StartDateTime=f"2019-07-01T{start}.000Z",
            EndDateTime=f"2019-07-01T{end}.000Z",
            IsAllDayEvent=int(all_day),
            **self.stamps(self.user),
        )

    def email(self, subject: str, on: str) -> str:
        """With the task that the org makes for it."""
        stamps = self.stamps(self.user)
        task = self.org.store.add(
            "Task", WhatId=on, Subject=f"Email: {subject}", Status="Completed", TaskSubtype="Email", **stamps
        )
        return self.org.store.add(
            "EmailMessage",
            RelatedToId=on,
            ActivityId=task,
            Subject=subject,
            TextBody="Thank you.",
            FromAddress="sales@acme.example",
            ToAddress="buyer@customer.example",
            MessageDate=stamps["CreatedDate"],
            Status="3",
            **stamps,
        )

    def history(self, sobject: str, on: str) -> str:
        return self.org.store.add(
            sobject.removesuffix("__c") + "__History",
            ParentId=on,
            Field=NS + "Service_Order_Status__c",
            OldValue="Received",
            NewValue="Activated",
            CreatedById=self.user,
            CreatedDate=_STAMP.format(1),
        )
