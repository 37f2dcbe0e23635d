"""What an org says about an sObject: the parts of a describe that the migration uses."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from coa.errors import OrgRefused
from coa.salesforce.session import Org

NUMBER_TYPES = frozenset({"double", "currency", "percent", "int", "long"})
PICKLIST_TYPES = frozenset({"picklist", "multipicklist", "combobox"})


@dataclass(frozen=True)
class Field:
    """One field of a describe, under the describe's own words."""

    raw: dict[str, Any]

    @property
    def name(self) -> str:
        """API name."""
        return str(self.raw["name"])

    @property
    def type(self) -> str:
        """`type` of the describe, such as `picklist`."""
        return str(self.raw.get("type", "string"))

    @property
    def length(self) -> int:
        """Characters a text field holds; 0 for what is not text."""
        return int(self.raw.get("length") or 0)

    def flag(self, name: str) -> bool:
        """A flag of the describe, such as `nillable`; false where it is missing."""
        return bool(self.raw.get(name, False))

    @property
    def createable(self) -> bool:
        """Whether this user may set the field on insert."""
        return self.flag("createable")

    @property
    def updateable(self) -> bool:
        """Whether this user may set the field on update."""
        return self.flag("updateable")

    @property
    def computed(self) -> bool:
        """Formula, roll-up or auto-number: the org makes the value."""
        return self.flag("calculated") or self.flag("autoNumber")

    @property
    def required(self) -> bool:
        """Needs a value on create: createable, not nillable, without a default."""
        return self.createable and not self.flag("nillable") and not self.flag("defaultedOnCreate")

    @property
    def maskable(self) -> bool:
        """Classic encryption: who lacks the permission View Encrypted Data is shown a mask in the value's place."""
        return self.type == "encryptedstring" or bool(self.raw.get("maskType"))

    @property
    def reference_to(self) -> list[str]:
        """API names of the sObjects that a lookup may point at."""
        return [str(r) for r in self.raw.get("referenceTo") or []]

    @property
    def restricted_picklist(self) -> bool:
        """Whether the org refuses values that are not in the list."""
        return self.type in PICKLIST_TYPES and self.flag("restrictedPicklist")

    @cached_property
    def picklist_values(self) -> list[str]:
        """Active values."""
        return [str(v["value"]) for v in self.raw.get("picklistValues") or [] if v.get("active", True)]

    @property
    def default_picklist_value(self) -> str | None:
        """The value that the org fills in on insert; None where the list has no default."""
        for v in self.raw.get("picklistValues") or []:
            if v.get("defaultValue"):
                return str(v["value"])
        return None

    @property
    def selectable(self) -> bool:
        """Whether Bulk query can return it: no compound (address, location) and no binary fields."""
        return not str(self.raw.get("soapType", "")).startswith("urn:") and self.type not in (
            "address",
            "location",
            "base64",
            "complexvalue",
            "json",
        )

    @property
    def canonical_function(self) -> str:
        """The SQL function of the schema (`coa.canon_*`) that makes two equal values equal texts."""
        if self.type in NUMBER_TYPES:
            return "canon_number"
        return {
            "boolean": "canon_boolean",
            "date": "canon_date",
            "datetime": "canon_datetime",
            "multipicklist": "canon_multipicklist",
        }.get(self.type, "canon_text")


@dataclass(frozen=True)
class Describe:
    """One sObject of one org."""

    raw: dict[str, Any]

    @property
    def name(self) -> str:
        """API name of the sObject."""
        return str(self.raw["name"])

    @property
    def createable(self) -> bool:
        """Whether this user may insert records."""
        return bool(self.raw.get("createable", False))

    @property
    def updateable(self) -> bool:
        """Whether this user may update records."""
        return bool(self.raw.get("updateable", False))

    @cached_property
    def fields(self) -> dict[str, Field]:
        """Fields that this user sees, by API name. A describe leaves out those hidden by field-level security."""
        return {str(f["name"]): Field(f) for f in self.raw.get("fields", [])}

    def field(self, name: str) -> Field | None:
        """The field of this name; None where the user does not see it or it does not exist."""
        return self.fields.get(name)

    @cached_property
    def selectable_fields(self) -> list[str]:
        """API names of the fields that a Bulk query can select."""
        return [f.name for f in self.fields.values() if f.selectable]


def describe(org: Org, sobject: str) -> Describe | None:
    """The describe of an sObject; None when the org has no such object, or hides it from us."""
    try:
        return Describe(org.data_json(f"/sobjects/{sobject}/describe", kind="describe"))
    except OrgRefused as refused:
        return described(refused)


def described(answer: Any | OrgRefused) -> Describe | None:
    """The same of an answer that is there already; raises any other refusal."""
    if not isinstance(answer, OrgRefused):
        return Describe(answer)
    if answer.status == 404 or answer.code in ("NOT_FOUND", "INVALID_TYPE"):
        return None
    raise answer
