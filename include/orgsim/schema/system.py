"""The fields that Salesforce gives every record."""

from __future__ import annotations

from orgsim.schema.model import Field


def reference(
    name: str,
    label: str,
    *targets: str,
    relationship: str | None = None,
    children: str | None = None,
    required: bool = False,
    master: bool = False,
    createable: bool = True,
    updateable: bool = True,
) -> Field:
    """A lookup; a master-detail one is required, cannot be moved to another parent and cascades."""
    return Field(
        name,
        label,
        "reference",
        length=18,
        reference_to=targets,
        relationship_name=relationship,
        child_relationship=children,
        nillable=not (required or master),
        master_detail=master,
        createable=createable,
        updateable=updateable and not master,
    )


def text(name: str, label: str, length: int = 255, **more: object) -> Field:
    return Field(name, label, "string", length=length, **more)  # type: ignore[arg-type]


def flag(name: str, label: str, default: bool = False, **more: object) -> Field:
    return Field(name, label, "boolean", nillable=False, default=default, **more)  # type: ignore[arg-type]


def read_only(one: Field) -> Field:
    one.createable = one.updateable = False
    return one


def picklist(name: str, label: str, values: tuple[str, ...], **more: object) -> Field:
    return Field(name, label, "picklist", length=255, picklist=values, **more)  # type: ignore[arg-type]


def head(auto_number: str = "", name_label: str = "Name", name_length: int = 80) -> list[Field]:
    """Id, IsDeleted and Name."""
    if auto_number:
        name = read_only(
            text("Name", name_label, 80, auto_number=auto_number, nillable=False, id_lookup=True)
        )
    else:
        name = text("Name", name_label, name_length, nillable=False, id_lookup=True)
    name.name_field = True
    record_id = read_only(Field("Id", "Record ID", "id", length=18, nillable=False, id_lookup=True))
    return [record_id, read_only(flag("IsDeleted", "Deleted")), name]


def owner() -> Field:
    one = reference("OwnerId", "Owner ID", "Group", "User", relationship="Owner", required=True)
    one.default = "running user"
    return one


def audit(may_set: bool) -> list[Field]:
    """CreatedDate and its like; createable in describe only for who may set audit fields (contract F1)."""
    fields = [
        Field("CreatedDate", "Created Date", "datetime", nillable=False),
        reference("CreatedById", "Created By ID", "User", relationship="CreatedBy", required=True),
        Field("LastModifiedDate", "Last Modified Date", "datetime", nillable=False),
        reference(
            "LastModifiedById", "Last Modified By ID", "User", relationship="LastModifiedBy", required=True
        ),
    ]
    for one in fields:
        one.audit = True
        one.createable, one.updateable = may_set, False
    return [*fields, read_only(Field("SystemModstamp", "System Modstamp", "datetime", nillable=False))]
