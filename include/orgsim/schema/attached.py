"""What hangs on records without being part of them: notes, files, activities, field history (contract F3)."""

from __future__ import annotations

from orgsim.schema.coa import CUSTOMER, DETAIL, ORDER
from orgsim.schema.model import Field, SObject
from orgsim.schema.system import audit, flag, head, owner, read_only, reference, text

CARRIERS = ("Account", "Opportunity", CUSTOMER, ORDER, DETAIL)


def build(with_package: bool) -> list[SObject]:
    """Notes, attachments, tasks, events, links to files; with the package the history of its objects."""
    on = CARRIERS if with_package else CARRIERS[:2]

    def record(name: str, prefix: str, *fields: Field) -> SObject:
        record_id, deleted, _name = head()
        return SObject(name, name, name + "s", [record_id, deleted, *fields, owner(), *audit(False)], prefix)

    def parent() -> Field:
        return reference("ParentId", "Parent", *on, relationship="Parent", required=True)

    objects = [
        record("Note", "002", text("Title", "Title", 80), parent()),
        record("Attachment", "00P", text("Name", "Name"), parent()),
        record(
            "Task", "00T", text("Subject", "Subject"), reference("WhatId", "What", *on, relationship="What")
        ),
        record(
            "Event", "00U", text("Subject", "Subject"), reference("WhatId", "What", *on, relationship="What")
        ),
        record(
            "EmailMessage",
            "02s",
            text("Subject", "Subject"),
            reference("RelatedToId", "Related To", *on, relationship="RelatedTo"),
        ),
        SObject(
            "ContentDocumentLink",
            "Content Document Link",
            "Content Document Links",
            [
                head()[0],
                flag("IsDeleted", "Deleted"),
                text("ContentDocumentId", "Content Document", 18),
                reference("LinkedEntityId", "Linked Entity", *on, relationship="LinkedEntity", required=True),
                read_only(Field("SystemModstamp", "System Modstamp", "datetime")),
            ],
            "06A",
        ),
    ]
    return objects + ([_history(name) for name in (CUSTOMER, ORDER, DETAIL)] if with_package else [])


def _history(name: str) -> SObject:
    """Rows that the platform writes and nobody can insert."""
    history = name.removesuffix("__c") + "__History"
    fields = [
        head()[0],
        flag("IsDeleted", "Deleted"),
        reference("ParentId", "Parent", name, relationship="Parent", required=True),
        text("Field", "Changed Field"),
        text("OldValue", "Old Value"),
        text("NewValue", "New Value"),
        Field("CreatedDate", "Created Date", "datetime"),
    ]
    return SObject(
        history,
        history,
        history,
        [read_only(one) for one in fields],
        "017",
        createable=False,
        updateable=False,
        deletable=False,
        bulk=False,
    )
