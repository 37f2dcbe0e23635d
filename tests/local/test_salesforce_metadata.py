"""The metadata that users deploy: well-formed, complete, and what preflight looks for."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from coa.model import LOADED, MIGRATION_FIELDS

NAMESPACE = "{http://soap.sforce.com/2006/04/metadata}"


@pytest.fixture
def metadata(project: Path) -> Path:
    return project / "include" / "salesforce_metadata"


def text(element: ET.Element, name: str) -> str | None:
    return element.findtext(NAMESPACE + name)


@pytest.mark.parametrize("sobject", LOADED)
@pytest.mark.parametrize("field", MIGRATION_FIELDS)
def test_each_loaded_object_gets_each_migration_field(metadata: Path, sobject: str, field: str) -> None:
    file = metadata / "force-app/main/default/objects" / sobject / "fields" / f"{field}.field-meta.xml"
    root = ET.parse(file).getroot()

    shape = {name: text(root, name) for name in ("type", "length", "externalId", "unique", "caseSensitive")}

    assert text(root, "fullName") == field
    assert (
        shape
        == {
            "COA_Source_Id__c": {
                "type": "Text",
                "length": "18",
                "externalId": "true",
                "unique": "true",
                "caseSensitive": "true",
            },
            "COA_Source_Number__c": {
                "type": "Text",
                "length": "80",
                "externalId": "false",
                "unique": "false",
                "caseSensitive": None,
            },
            "COA_Original_Received_At__c": {
                "type": "DateTime",
                "length": None,
                "externalId": "false",
                "unique": None,
                "caseSensitive": None,
            },
        }[field]
    )


def test_the_permission_set_lets_its_user_write_every_field(metadata: Path) -> None:
    root = ET.parse(
        metadata / "force-app/main/default/permissionsets/COA_Migration.permissionset-meta.xml"
    ).getroot()
    granted = {
        text(p, "field"): (text(p, "readable"), text(p, "editable"))
        for p in root.findall(NAMESPACE + "fieldPermissions")
    }

    assert granted == {f"{o}.{f}": ("true", "true") for o in LOADED for f in MIGRATION_FIELDS}


def test_the_manifest_lists_all_there_is(metadata: Path) -> None:
    root = ET.parse(metadata / "package.xml").getroot()
    listed = {
        (text(kind, "name"), member.text)
        for kind in root.findall(NAMESPACE + "types")
        for member in kind.findall(NAMESPACE + "members")
    }
    fields = {("CustomField", f"{o}.{f}") for o in LOADED for f in MIGRATION_FIELDS}

    assert listed == {*fields, ("PermissionSet", "COA_Migration")}
