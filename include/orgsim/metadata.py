"""Deployments of the Metadata API, as far as a migration needs them: custom fields and permission sets.

A deployment is one transaction (`rollbackOnError`): everything is looked at first, and only a package without an error
is applied. Fields of type Text and DateTime can be made; what else a package holds is refused by name.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

from orgsim import field_rights
from orgsim.schema.coa import ORDER
from orgsim.schema.model import Field, SObject

if TYPE_CHECKING:
    from orgsim.org import Org

_XML = "{http://soap.sforce.com/2006/04/metadata}"
_TYPES = {"Text": "string", "DateTime": "datetime"}
_DESCRIBED = {kind: name for name, kind in _TYPES.items()}


@dataclass
class Component:
    """What became of one component, as `DeployMessage` tells it."""

    kind: str
    name: str
    file: str
    created: bool = False
    changed: bool = False
    deleted: bool = False
    problem: str = ""
    warning: bool = False

    @property
    def failed(self) -> bool:
        return bool(self.problem) and not self.warning

    def as_json(self) -> dict[str, Any]:
        told: dict[str, Any] = {
            "componentType": self.kind,
            "fullName": self.name,
            "fileName": self.file,
            "created": self.created,
            "changed": self.changed,
            "deleted": self.deleted,
            "success": not self.failed,
        }
        if self.problem:
            told |= {"problem": self.problem, "problemType": "Warning" if self.warning else "Error"}
        return told


@dataclass
class Deployment:
    """A deployment and its outcome; `started`: the org's seconds."""

    id: str
    options: dict[str, Any]
    user_id: str
    started: float
    components: list[Component] = field(default_factory=list)
    canceled: bool = False

    @property
    def succeeded(self) -> bool:
        return not any(one.failed for one in self.components)


class Package:
    """The files of a deployed ZIP, read once."""

    def __init__(self, archive: bytes) -> None:
        self.faults: list[Component] = []
        self._files: dict[str, ElementTree.Element] = {}
        try:
            with zipfile.ZipFile(io.BytesIO(archive)) as packed:
                for name in packed.namelist():
                    if not name.endswith("/"):
                        self._read(name, packed.read(name))
        except zipfile.BadZipFile:
            self.faults.append(Component("", "package.xml", "package.xml", problem="the file is not a ZIP"))
            return
        if "package.xml" not in self._files and not self.faults:
            self.faults.append(Component("", "package.xml", "package.xml", problem="No package.xml found"))

    def _read(self, name: str, content: bytes) -> None:
        try:
            self._files[name] = ElementTree.fromstring(content)
        except ElementTree.ParseError as problem:
            self.faults.append(Component("", name, name, problem=f"Error parsing file: {problem}"))

    def members(self, manifest: str) -> Iterator[tuple[str, str]]:
        """(type, member) of a manifest; nothing when it is not there."""
        root = self._files.get(manifest)
        for types in () if root is None else root.iter(_XML + "types"):
            kind = types.findtext(_XML + "name") or ""
            for member in types.iter(_XML + "members"):
                yield kind, member.text or ""

    def field(self, sobject: str, name: str) -> ElementTree.Element | None:
        root = self._files.get(f"objects/{sobject}.object")
        found = () if root is None else root.findall(_XML + "fields")
        return next((one for one in found if one.findtext(_XML + "fullName") == name), None)

    def permission_set(self, name: str) -> ElementTree.Element | None:
        return self._files.get(f"permissionsets/{name}.permissionset")


def deploy(org: Org, archive: bytes, deployment: Deployment) -> None:
    """Carries the deployment out, all of it or, when a component fails, nothing."""
    package = Package(archive)
    with org.store.transaction():
        work = _Work(org, package, deployment)
        deployment.components = [*package.faults, *work.looked_at()]
        if deployment.succeeded and not deployment.options.get("checkOnly"):
            work.apply()


class _Work:
    def __init__(self, org: Org, package: Package, deployment: Deployment) -> None:
        self._org, self._package, self._deployment = org, package, deployment
        self._deleted = list(package.members("destructiveChanges.xml"))
        self._added = list(package.members("package.xml"))

    # looking -----------------------------------------------------------------------------------------------

    def looked_at(self) -> list[Component]:
        return [
            *(self._look_at_deletion(kind, name) for kind, name in self._deleted),
            *(self._look_at_addition(kind, name) for kind, name in self._added),
        ]

    def _look_at_deletion(self, kind: str, name: str) -> Component:
        told = Component(kind, name, "destructiveChanges.xml")
        if kind == "CustomField":
            sobject, one = self._field(name)
            there = one is not None
            if sobject is not None and one is not None and name.partition(".")[2].count("__") > 1:
                told.problem = "Cannot delete a component of an installed package"
                return told
        elif kind == "PermissionSet":
            there = self._permission_set(name) is not None
            if there and self._assigned(name):
                told.problem = "This permission set is assigned to users: remove its assignments first"
                return told
        else:
            told.problem = f"orgsim deletes no {kind}"
            return told
        if not there:
            told.problem = f"No {kind} named: {name} found"
            told.warning = bool(self._deployment.options.get("ignoreWarnings"))
        told.deleted = told.changed = there
        return told

    def _look_at_addition(self, kind: str, name: str) -> Component:
        if kind == "CustomField":
            return self._look_at_field(name)
        if kind == "PermissionSet":
            return self._look_at_permission_set(name)
        return Component(kind, name, "package.xml", problem=f"orgsim deploys no {kind}")

    def _look_at_field(self, path: str) -> Component:
        object_name, _, field_name = path.partition(".")
        told = Component("CustomField", path, f"objects/{object_name}.object")
        given = self._package.field(object_name, field_name)
        sobject, one = self._field(path)
        if sobject is None:
            told.problem = f"no CustomObject named {object_name} found"
        elif given is None:
            told.problem = _not_in_zip(path, "CustomField")
        elif (given.findtext(_XML + "type") or "") not in _TYPES:
            told.problem = f"orgsim makes no field of type {given.findtext(_XML + 'type')}"
        elif one is not None and one.type != _TYPES[str(given.findtext(_XML + "type"))]:
            told.problem = (
                f"Cannot change type of field from {_DESCRIBED.get(one.type, one.type)} to "
                f"{given.findtext(_XML + 'type')}"
            )
        else:
            told.created = one is None
            told.changed = one is None or _shape(one) != _shape(_made(given))
        return told

    def _look_at_permission_set(self, name: str) -> Component:
        told = Component("PermissionSet", name, f"permissionsets/{name}.permissionset")
        given = self._package.permission_set(name)
        if given is None:
            told.problem = _not_in_zip(name, "PermissionSet")
            return told
        new = {member for kind, member in self._added if kind == "CustomField"}
        for path, _, _ in _grants(given):
            if path not in new and self._field(path)[1] is None:
                told.problem = f"In field: field - no CustomField named {path} found"
                return told
        there = self._permission_set(name)
        told.created = there is None
        told.changed = there is None or self._granted(there) != set(_grants(given))
        return told

    # applying ----------------------------------------------------------------------------------------------

    def apply(self) -> None:
        for kind, name in self._deleted:
            if kind == "CustomField":
                self._drop_field(name)
            else:
                self._drop_permission_set(name)
        for kind, name in self._added:
            if kind == "CustomField":
                self._put_field(name)
        for kind, name in self._added:
            if kind == "PermissionSet":
                self._put_permission_set(name)
        field_rights.apply(self._org)
        # What a snapshot of this org has to be restored into.
        self._org.settings.migration_fields = self._field(f"{ORDER}.COA_Source_Id__c")[1] is not None

    def _put_field(self, path: str) -> None:
        sobject, one = self._field(path)
        object_name, _, field_name = path.partition(".")
        given = self._package.field(object_name, field_name)
        assert sobject is not None
        assert given is not None
        made = _made(given)
        made.utf16 = self._org.settings.utf16_lengths
        if one is None:
            self._org.store.add_column(sobject, made)
            sobject.add(made)
        else:
            for name in ("label", "length", "unique", "external_id", "case_sensitive", "id_lookup"):
                setattr(one, name, getattr(made, name))

    def _drop_field(self, path: str) -> None:
        sobject, one = self._field(path)
        if sobject is None or one is None:
            return
        self._org.store.execute(
            'DELETE FROM "FieldPermissions" WHERE "Field" = ?', [f"{sobject.name}.{one.name}"]
        )
        self._org.schema.hidden.discard((sobject.name.lower(), one.name.lower()))
        sobject.remove(one)
        self._org.store.drop_column(sobject, one)

    def _put_permission_set(self, name: str) -> None:
        store, given = self._org.store, self._package.permission_set(name)
        assert given is not None
        texts = {
            "Label": given.findtext(_XML + "label"),
            "Description": given.findtext(_XML + "description"),
        }
        record_id = self._permission_set(name)
        if record_id is None:
            record_id = store.add("PermissionSet", Name=name, **texts, **self._org.stamps())
        else:
            store.execute(
                'UPDATE "PermissionSet" SET "Label" = ?, "Description" = ? WHERE "Id" = ?',
                [texts["Label"], texts["Description"], record_id],
            )
        store.execute('DELETE FROM "FieldPermissions" WHERE "ParentId" = ?', [record_id])
        for path, read, edit in _grants(given):
            store.add(
                "FieldPermissions",
                ParentId=record_id,
                SobjectType=path.partition(".")[0],
                Field=path,
                PermissionsRead=read,
                PermissionsEdit=edit,
                **self._org.stamps(),
            )

    def _drop_permission_set(self, name: str) -> None:
        record_id = self._permission_set(name)
        if record_id is not None:
            self._org.store.execute('DELETE FROM "FieldPermissions" WHERE "ParentId" = ?', [record_id])
            self._org.store.execute('DELETE FROM "PermissionSet" WHERE "Id" = ?', [record_id])

    # what is there -----------------------------------------------------------------------------------------

    def _field(self, path: str) -> tuple[SObject | None, Field | None]:
        object_name, _, field_name = path.partition(".")
        sobject = self._org.schema.get(object_name)
        return sobject, None if sobject is None else sobject.get(field_name)

    def _permission_set(self, name: str) -> str | None:
        found = self._org.store.one(
            'SELECT "Id" FROM "PermissionSet" WHERE "Name" = ? COLLATE NOCASE', [name]
        )
        return None if found is None else str(found)

    def _assigned(self, name: str) -> bool:
        sql = 'SELECT COUNT(*) FROM "PermissionSetAssignment" WHERE "PermissionSetId" = ?'
        return bool(self._org.store.one(sql, [self._permission_set(name)]))

    def _granted(self, record_id: str) -> set[tuple[str, int, int]]:
        sql = 'SELECT "Field", "PermissionsRead", "PermissionsEdit" FROM "FieldPermissions" WHERE "ParentId" = ?'
        return {
            (str(path), int(read), int(edit)) for path, read, edit in self._org.store.all(sql, [record_id])
        }


def _not_in_zip(name: str, kind: str) -> str:
    return (
        f"An object '{name}' of type {kind} was named in package.xml, but was not found in zipped directory"
    )


def _made(given: ElementTree.Element) -> Field:
    """The field that a <fields> element describes; nobody sees it yet."""

    def is_true(name: str) -> bool:
        return given.findtext(_XML + name) == "true"

    return Field(
        str(given.findtext(_XML + "fullName")),
        given.findtext(_XML + "label") or "",
        _TYPES[str(given.findtext(_XML + "type"))],
        length=int(given.findtext(_XML + "length") or 0),
        external_id=is_true("externalId"),
        unique=is_true("unique"),
        case_sensitive=is_true("caseSensitive"),
        id_lookup=is_true("externalId"),
        governed=True,
    )


def _shape(one: Field) -> tuple[object, ...]:
    return one.label, one.length, one.external_id, one.unique, one.case_sensitive


def _grants(given: ElementTree.Element) -> Iterator[tuple[str, int, int]]:
    """(Object.Field, readable, editable)."""
    for one in given.findall(_XML + "fieldPermissions"):
        yield (
            one.findtext(_XML + "field") or "",
            int(one.findtext(_XML + "readable") == "true"),
            int(one.findtext(_XML + "editable") == "true"),
        )
