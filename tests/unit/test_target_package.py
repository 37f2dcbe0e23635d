"""What is sent to the Metadata API: the files of include/salesforce_metadata as a deployment takes them."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from xml.etree import ElementTree

import pytest

from coa.errors import ConfigurationError
from coa.model import LOADED, MIGRATION_FIELDS
from coa.preflight.fields_removed import mark_of
from coa.salesforce.metadata import Component, Deployed, component, form_body
from coa.target_fields.package import FIELDS, NAMESPACE, removal_archive, setup_archive
from coa.target_fields.setup import told

X = f"{{{NAMESPACE}}}"
FOLDER = Path(__file__).parents[2] / "include" / "salesforce_metadata"


def unpacked(archive: bytes) -> dict[str, ElementTree.Element]:
    with zipfile.ZipFile(io.BytesIO(archive)) as packed:
        return {name: ElementTree.fromstring(packed.read(name)) for name in packed.namelist()}


def members(root: ElementTree.Element) -> dict[str, list[str]]:
    return {
        str(types.findtext(X + "name")): [str(one.text) for one in types.iter(X + "members")]
        for types in root.iter(X + "types")
    }


def test_each_member_of_the_manifest_is_in_the_zip_where_the_api_looks_for_it() -> None:
    files = unpacked(setup_archive(FOLDER))

    listed = members(files["package.xml"])
    assert set(listed["CustomField"]) == set(FIELDS)
    assert set(files) == {
        "package.xml",
        *(f"objects/{name}.object" for name in LOADED),
        "permissionsets/COA_Migration.permissionset",
    }
    for name in LOADED:
        root = files[f"objects/{name}.object"]
        assert root.tag == X + "CustomObject"
        assert [one.findtext(X + "fullName") for one in root.iter(X + "fields")] == list(MIGRATION_FIELDS)


def test_a_removal_lists_what_goes_and_leaves_marks_that_grant_nothing() -> None:
    name = mark_of("00D000000000001EAA")
    files = unpacked(
        removal_archive(FIELDS, permission_set=True, marks={name: "5 records & more"}, version="67.0")
    )

    assert members(files["destructiveChanges.xml"]) == {
        "CustomField": sorted(FIELDS),
        "PermissionSet": ["COA_Migration"],
    }
    assert members(files["package.xml"]) == {"PermissionSet": [name]}
    assert files["package.xml"].findtext(X + "version") == "67.0"
    mark = files[f"permissionsets/{name}.permissionset"]
    assert mark.findtext(X + "description") == "5 records & more"
    assert mark.find(X + "fieldPermissions") is None


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"package\.xml is missing or damaged"):
        setup_archive(tmp_path)


def test_the_form_carries_the_zip_byte_for_byte() -> None:
    body = form_body("b0", b"PK\r\n\x00--\n")

    head, _, rest = body.partition(b"Content-Type: application/zip\r\n\r\n")
    assert b'name="json"' in head
    assert b'"rollbackOnError": true' in head
    assert rest == b"PK\r\n\x00--\n\r\n--b0--\r\n"


def test_what_a_deployment_did_is_told_in_one_line() -> None:
    made = component({"componentType": "CustomField", "fullName": "A.b", "created": "true", "changed": True})
    warned = Component("CustomField", "A.c", problem="No CustomField named: A.c found")

    assert told(Deployed("0Af1", [made, warned])) == (
        "Deployment 0Af1: 1 component made, 0 changed. The org warns: CustomField A.c: No CustomField named: A.c found."
    )
