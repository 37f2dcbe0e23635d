"""The kinds of things that belong to a record without being part of it (files, notes, activities): how each is
found, moved and recognised.

Of each kind the standard fields below and a partner's own fields are carried, if both orgs have them and the
target lets us set them. References to other records are not carried (a contact of a task, a series of events).

None of these objects has our migration key. A copy in the target is recognised

- for a version of a file, by `PathOnClient`: it can be set only on create, can be filtered by, and shows only
  as the file's type (Object Reference, "ContentVersion"). We write a path with the source's org id and version
  id.
- for a link, by its document and record, which the platform links only once (Object Reference,
  "ContentDocumentLink").
- for everything else, by being equal: the same parent, the same carried values, and for an attachment the same
  bytes. Before the first one is sent, it is compared with what the same records already have. After a lost
  answer, an equal record that is the copy of nothing else is the one that was sent. Two equal ones in the
  source have two copies.
"""

from __future__ import annotations

from dataclasses import dataclass

DOCUMENT = "ContentDocument"
VERSION = "ContentVersion"
LINK = "ContentDocumentLink"
ATTACHMENT = "Attachment"
EMAIL = "EmailMessage"
TASK = "Task"

MB = 1024 * 1024
MOST_BASE64 = 37_500_000
"""Bytes of a file that may come in a JSON record (REST API guide, "Insert or Update Blob Data")."""


@dataclass(frozen=True)
class Hanging:
    """One kind.

    `param`: the param that asks for it. `parent`: its lookup to the record. `body`, `size`: for a kind with
    bytes, the fields that hold them and their number. `most`: the most bytes that the API accepts as
    multipart.
    """

    sobject: str
    param: str
    parent: str
    fields: tuple[str, ...]
    what: str
    body: str = ""
    size: str = ""
    most: int = 0

    @property
    def relationship(self) -> str:
        """Name of the relationship to the parent, for SOQL: `Parent` of `ParentId`."""
        return self.parent.removesuffix("Id")


KINDS: tuple[Hanging, ...] = (
    Hanging(
        VERSION,
        "attachments",
        "ContentDocumentId",
        ("Title", "Description", "ReasonForChange", "SharingPrivacy"),
        "versions of files",
        "VersionData",
        "ContentSize",
        2 * 1024 * MB,
    ),
    Hanging(LINK, "attachments", "LinkedEntityId", ("ShareType", "Visibility"), "links to files"),
    Hanging(
        ATTACHMENT,
        "attachments",
        "ParentId",
        ("Name", "ContentType", "Description", "IsPrivate"),
        "attachments",
        "Body",
        "BodyLength",
        500 * MB,
    ),
    Hanging("Note", "attachments", "ParentId", ("Title", "Body", "IsPrivate"), "notes"),
    Hanging(
        TASK,
        "activities",
        "WhatId",
        (
            *("Subject", "Description", "Status", "Priority", "ActivityDate", "TaskSubtype", "Type"),
            *("CallType", "CallDisposition", "CallDurationInSeconds", "CallObject"),
        ),
        "tasks",
    ),
    Hanging(
        "Event",
        "activities",
        "WhatId",
        (
            *("Subject", "Description", "Location", "StartDateTime", "EndDateTime", "IsAllDayEvent"),
            *("ShowAs", "IsPrivate", "Type", "EventSubtype"),
        ),
        "events",
    ),
    Hanging(
        EMAIL,
        "activities",
        "RelatedToId",
        (
            *(
                "Subject",
                "TextBody",
                "HtmlBody",
                "FromAddress",
                "FromName",
                "ToAddress",
                "CcAddress",
                "BccAddress",
            ),
            *("MessageDate", "Incoming", "Status", "Headers", "MessageIdentifier"),
        ),
        "e-mails",
    ),
)
"""In the order in which they are moved: a document before its links."""
KIND = {kind.sobject: kind for kind in KINDS}
OWNERSHIP = ("OwnerId", "CreatedById", "CreatedDate")
"""Written where the user may: the two last are audit fields, which Note does not have (Set Audit Fields,
KB 000176484)."""
