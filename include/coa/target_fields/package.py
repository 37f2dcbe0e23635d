"""What is deployed: `include/salesforce_metadata` in the form that the Metadata API takes, and its opposite.

The files are in source format, one a field; a deployment wants one file an object (Metadata API Developer Guide,
"Sample package.xml Manifest Files" and "CustomObject").
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from xml.etree import ElementTree
from xml.sax.saxutils import escape

from coa.errors import ConfigurationError
from coa.model import LOADED, MIGRATION_FIELDS

NAMESPACE = "http://soap.sforce.com/2006/04/metadata"
PERMISSION_SET = "COA_Migration"
FIELDS = tuple(f"{sobject}.{name}" for sobject in LOADED for name in MIGRATION_FIELDS)
"""Full names of the fields, `Object.Field`."""


def setup_archive(folder: Path) -> bytes:
    """The ZIP that makes the fields and the permission set. `folder`: `include/salesforce_metadata`."""
    source = folder / "force-app" / "main" / "default"
    files = {"package.xml": _read(folder / "package.xml")}
    for sobject in LOADED:
        root = ElementTree.Element(f"{{{NAMESPACE}}}CustomObject")
        for name in MIGRATION_FIELDS:
            root.append(_field(source / "objects" / sobject / "fields" / f"{name}.field-meta.xml"))
        files[f"objects/{sobject}.object"] = _as_text(root)
    permissions = source / "permissionsets" / f"{PERMISSION_SET}.permissionset-meta.xml"
    files[f"permissionsets/{PERMISSION_SET}.permissionset"] = _read(permissions)
    return _packed(files)


def removal_archive(
    fields: Iterable[str], *, permission_set: bool, marks: Mapping[str, str], version: str
) -> bytes:
    """The ZIP that deletes these fields, and the permission set, and leaves `marks`: name and description of a
    permission set without any right."""
    gone = {"CustomField": sorted(fields), "PermissionSet": [PERMISSION_SET] if permission_set else []}
    files = {
        "package.xml": _manifest({"PermissionSet": sorted(marks)}, version),
        "destructiveChanges.xml": _manifest(gone),
    }
    for name, description in marks.items():
        files[f"permissionsets/{name}.permissionset"] = _mark(name, description)
    return _packed(files)


def _field(file: Path) -> ElementTree.Element:
    """A file of source format as the member `fields` of its object."""
    try:
        root = ElementTree.fromstring(_read(file))
    except ElementTree.ParseError as error:
        raise _damaged(file) from error
    root.tag = f"{{{NAMESPACE}}}fields"
    return root


def _manifest(members: Mapping[str, list[str]], version: str = "") -> str:
    root = ElementTree.Element(f"{{{NAMESPACE}}}Package")
    for kind, names in members.items():
        if names:
            types = ElementTree.SubElement(root, f"{{{NAMESPACE}}}types")
            for name in names:
                ElementTree.SubElement(types, f"{{{NAMESPACE}}}members").text = name
            ElementTree.SubElement(types, f"{{{NAMESPACE}}}name").text = kind
    if version:
        ElementTree.SubElement(root, f"{{{NAMESPACE}}}version").text = version
    return _as_text(root)


def _mark(name: str, description: str) -> str:
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<PermissionSet xmlns="{NAMESPACE}">'
        f"<description>{escape(description)}</description><hasActivationRequired>false</hasActivationRequired>"
        f"<label>{escape(name.replace('_', ' '))}</label></PermissionSet>"
    )


def _as_text(root: ElementTree.Element) -> str:
    ElementTree.register_namespace("", NAMESPACE)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(root, encoding="unicode")


def _read(file: Path) -> str:
    try:
        return file.read_text("utf-8")
    except OSError as error:
        raise _damaged(file) from error


def _damaged(file: Path) -> ConfigurationError:
    return ConfigurationError(
        f"The metadata file {file} is missing or damaged.",
        next_step="install the package, or check it out, anew.",
    )


def _packed(files: Mapping[str, str]) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return packed.getvalue()
