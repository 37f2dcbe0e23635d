"""Objects around a record as the Object Reference has them: ContentDocument and its like, Attachment, Note, activities.

`VersionData` and `Body` are printed as the address that they are read from (REST API guide, "sObject Blob Get"); the
bytes lie in a table of the org's own, which no client sees.
"""

from __future__ import annotations

from orgsim.schema.attached import CARRIERS
from orgsim.schema.coa import CUSTOMER, DETAIL, ORDER
from orgsim.schema.model import Field, SObject
from orgsim.schema.system import audit, flag, head, owner, picklist, read_only, reference, text

BODY = "ContentBody"
"""The org's own table of bytes, in base64."""
VERSION, DOCUMENT, LINK = "ContentVersion", "ContentDocument", "ContentDocumentLink"
DATA = {VERSION: "VersionData", "Attachment": "Body"}
"""Objects with bytes, and the field that these go into."""
HANGING = {"Attachment": "ParentId", "Note": "ParentId", "Task": "WhatId", "Event": "WhatId",
           "EmailMessage": "RelatedToId", LINK: "LinkedEntityId"}  # fmt: skip


def build(with_package: bool, may_set_audit_fields: bool) -> list[SObject]:
    """The objects; with the package the history of its objects too."""
    on = CARRIERS if with_package else CARRIERS[:2]
    objects = [
        *_files(on, may_set_audit_fields),
        _record("Note", "002", False, text("Title", "Title", 80, nillable=False), _long("Body", 32000),
                flag("IsPrivate", "Private"), _parent("ParentId", on)),
        _record("Attachment", "00P", may_set_audit_fields, text("Name", "File Name", nillable=False),
                _data("Attachment"), text("ContentType", "Content Type", 120), read_only(_number("BodyLength")),
                text("Description", "Description", 500), flag("IsPrivate", "Private"), _parent("ParentId", on)),
        *_activities(on, may_set_audit_fields),
        SObject(BODY, BODY, BODY, [*_keys(), text("RecordId", "Record", 18), _long("Base64", 0)], "000",
                createable=False, updateable=False, deletable=False, bulk=False, tooling=True),
    ]  # fmt: skip
    return objects + ([_history(name) for name in (CUSTOMER, ORDER, DETAIL)] if with_package else [])


def _files(on: tuple[str, ...], may_set_audit_fields: bool) -> list[SObject]:
    document = _record(
        DOCUMENT,
        "069",
        False,
        text("Title", "Title"),
        text("FileType", "File Type", 20),
        text("FileExtension", "File Extension", 40),
        _number("ContentSize"),
        reference("LatestPublishedVersionId", "Latest Published Version ID", VERSION),
    )
    document.createable = document.updateable = False
    of_document = reference("ContentDocumentId", "ContentDocument ID", DOCUMENT, master=True)
    # Given for a further version, made by the org for the first one.
    of_document.nillable = True
    version = _record(
        VERSION,
        "068",
        may_set_audit_fields,
        of_document,
        text("Title", "Title"),
        text("PathOnClient", "Path On Client", 500, updateable=False),
        _data(VERSION),
        text("Description", "Description", 1000),
        text("ReasonForChange", "Reason For Change", 1000),
        reference("FirstPublishLocationId", "First Publish Location ID", *on, "User", updateable=False),
        *(
            read_only(one)
            for one in (
                text("VersionNumber", "Version Number", 20),
                flag("IsLatest", "Is Latest"),
                _number("ContentSize"),
                text("Checksum", "Checksum", 50),
                text("FileType", "File Type", 20),
                text("FileExtension", "File Extension", 40),
            )
        ),
    )
    version.deletable = False
    link = SObject(
        LINK,
        "Content Document Link",
        "Content Document Links",
        [
            *_keys(),
            reference("ContentDocumentId", "ContentDocument ID", DOCUMENT, master=True),
            reference(
                "LinkedEntityId", "Linked Entity", *on, "User", relationship="LinkedEntity", master=True
            ),
            picklist("ShareType", "Share Type", ("V", "C", "I"), restricted=True, default="V"),
            picklist(
                "Visibility",
                "Visibility",
                ("AllUsers", "InternalUsers", "SharedUsers"),
                restricted=True,
                default="AllUsers",
            ),
            read_only(Field("SystemModstamp", "System Modstamp", "datetime")),
        ],
        "06A",
    )
    return [document, version, link]


def _activities(on: tuple[str, ...], may_set_audit_fields: bool) -> list[SObject]:
    return [
        _record(
            "Task",
            "00T",
            may_set_audit_fields,
            text("Subject", "Subject"),
            _long("Description", 32000),
            picklist("Status", "Status", ("Not Started", "In Progress", "Completed"), default="Not Started"),
            picklist("Priority", "Priority", ("High", "Normal", "Low"), default="Normal"),
            Field("ActivityDate", "Due Date", "date"),
            picklist("TaskSubtype", "Task Subtype", ("Task", "Call", "Email"), default="Task"),
            _parent("WhatId", on, required=False),
        ),
        _record(
            "Event",
            "00U",
            may_set_audit_fields,
            text("Subject", "Subject"),
            _long("Description", 32000),
            text("Location", "Location"),
            Field("StartDateTime", "Start", "datetime"),
            Field("EndDateTime", "End", "datetime"),
            flag("IsAllDayEvent", "All-Day Event"),
            _parent("WhatId", on, required=False),
        ),
        _record(
            "EmailMessage",
            "02s",
            may_set_audit_fields,
            text("Subject", "Subject", 3000),
            _long("TextBody", 32000),
            _long("HtmlBody", 131072),
            text("FromAddress", "From Address"),
            text("ToAddress", "To Address", 4000),
            Field("MessageDate", "Message Date", "datetime"),
            flag("Incoming", "Is Incoming"),
            picklist("Status", "Status", ("0", "1", "2", "3", "4", "5"), default="3"),
            read_only(reference("ActivityId", "Activity ID", "Task")),
            _parent("RelatedToId", on, required=False),
        ),
    ]


def _record(name: str, prefix: str, may_set_audit_fields: bool, *fields: Field) -> SObject:
    return SObject(name, name, name + "s", [*_keys(), *fields, owner(), *audit(may_set_audit_fields)], prefix)


def _keys() -> list[Field]:
    record_id, deleted, _name = head()
    return [record_id, deleted]


def _parent(name: str, on: tuple[str, ...], *, required: bool = True) -> Field:
    """What hangs on a record goes with it, files excepted, of which only the link does."""
    one = reference(name, name, *on, relationship=name.removesuffix("Id"), required=required)
    one.master_detail = True
    return one


def _number(name: str) -> Field:
    return Field(name, name, "int")


def _long(name: str, length: int) -> Field:
    return Field(name, name, "textarea", length=length, long_text=True)


def _data(object_name: str) -> Field:
    """Bytes: what a query prints is where they are read from."""
    name = DATA[object_name]
    address = f"'/services/data/v67.0/sobjects/{object_name}/' || {{}}.\"Id\" || '/{name}'"
    return Field(name, name, "base64", sql=lambda scope: address.format(scope.alias))


def _history(name: str) -> SObject:
    """Rows that the platform writes and nobody can insert."""
    history = name.removesuffix("__c") + "__History"
    fields = [
        *_keys(),
        reference("ParentId", "Parent", name, relationship="Parent", required=True),
        text("Field", "Changed Field"),
        text("OldValue", "Old Value"),
        text("NewValue", "New Value"),
        reference("CreatedById", "Created By ID", "User", relationship="CreatedBy"),
        Field("CreatedDate", "Created Date", "datetime"),
    ]
    return SObject(
        history, history, history, [read_only(one) for one in fields], "017",
        createable=False, updateable=False, deletable=False, bulk=False,
    )  # fmt: skip
