"""The Channel Order App's objects, from the schema facts (``coa_schema.json``), as one org has them."""

from __future__ import annotations

import json
from functools import cache
from importlib import resources
from typing import Any

from orgsim.schema import formulas
from orgsim.schema.currencies import currency_code
from orgsim.schema.model import Field, SObject
from orgsim.schema.system import audit, flag, head, owner, read_only, reference, text
from orgsim.settings import Settings

NS = "CHANNEL_ORDERS__"
CUSTOMER = NS + "Customer__c"
ORDER = NS + "Service_Order__c"
DETAIL = NS + "Service_Order_Detail__c"
TERMS = NS + "Partner_Contract_Terms__c"
CATALOG = NS + "Partner_Product_Catalog__c"
PRICEBOOK = NS + "Partner_Pricebook_Entry__c"
HISTORY = NS + "Customer_Order_Product_History__c"
LOG = NS + "Service_Order_Log__c"

_TYPES = {
    "Checkbox": "boolean",
    "Currency": "currency",
    "Date": "date",
    "DateTime": "datetime",
    "Email": "email",
    "LongTextArea": "textarea",
    "Lookup": "reference",
    "MasterDetail": "reference",
    "Number": "double",
    "Percent": "percent",
    "Picklist": "picklist",
    "Text": "string",
    "TextArea": "textarea",
}
#: Roll-ups are stored and kept up to date with each write of a detail, as Salesforce does.
_ROLLUPS = {
    "Order_Total_Value__c": ("currency", 18, 2),
    "Total_Quantity__c": ("double", 18, 2),
    "Product_Lines__c": ("double", 18, 0),
}
#: Not in either permission set, yet an administrator's profile sees them; nobody may write the version stamp.
_UNKNOWN_RIGHTS = {"Version__c": (True, True), "Send_Order__c": (True, True)}


@cache
def facts() -> dict[str, Any]:
    """The schema facts as retrieved from real orgs."""
    loaded: dict[str, Any] = json.loads(
        resources.files(__package__).joinpath("coa_schema.json").read_text("utf-8")
    )
    return loaded


def build(settings: Settings) -> list[SObject]:
    """Every object of the package for this org."""
    return [_sobject(name, raw, settings) for name, raw in facts()["objects"].items()]


def _sobject(name: str, raw: dict[str, Any], settings: Settings) -> SObject:
    naming = raw.get("nameField") or {"type": "Text", "label": "Label", "length": 40}
    fields = head(
        naming["displayFormat"] if naming["type"] == "AutoNumber" else "",
        naming["label"],
        naming.get("length", 80),
    )
    if not any(one["type"] == "MasterDetail" for one in raw["fields"].values()):
        fields.insert(1, owner())
    if settings.multi_currency:
        fields.append(currency_code(settings))
    fields += audit(bool(settings.audit_fields))
    fields += [_field(name, key, one, settings) for key, one in raw["fields"].items()]
    if settings.migration_fields and name in (CUSTOMER, ORDER, DETAIL):
        fields += migration_fields()
    return SObject(
        name,
        raw["label"],
        raw["label"] + ("" if raw["label"].endswith("s") else "s"),
        fields,
        record_types=True,
    )


def migration_fields() -> list[Field]:
    """The three fields that a migration needs in its target, visible by the permission set that seeding assigns."""
    made = [
        text(
            "COA_Source_Id__c",
            "COA Source Id",
            18,
            external_id=True,
            unique=True,
            case_sensitive=True,
            id_lookup=True,
        ),
        text("COA_Source_Number__c", "COA Source Number", 80),
        Field("COA_Original_Received_At__c", "COA Original Received At", "datetime"),
    ]
    for one in made:
        one.governed = True
    return made


def _field(object_name: str, name: str, raw: dict[str, Any], settings: Settings) -> Field:
    short = name.removeprefix(NS)
    if raw["type"] == "Summary":
        kind, precision, scale = _ROLLUPS[short]
        return read_only(
            Field(name, raw["label"], kind, precision=precision, scale=scale, calculated=True, default=0.0)
        )
    writable = _UNKNOWN_RIGHTS.get(short, (True, True))
    createable = raw["createable"] if raw["createable"] is not None else writable[0]
    updateable = raw["updateable"] if raw["updateable"] is not None else writable[1]
    if raw["type"] in ("Lookup", "MasterDetail"):
        return reference(
            name,
            raw["label"],
            raw["referenceTo"],
            relationship=name.removesuffix("__c") + "__r",
            children=NS + raw["relationshipName"] + "__r",
            master=raw["type"] == "MasterDetail",
            required=bool(raw.get("required")),
            createable=createable,
            updateable=updateable,
        )
    if raw["type"] == "Checkbox":
        one = flag(name, raw["label"], bool(raw.get("default", False)))
    else:
        kind = _TYPES[raw["type"]]
        length = raw.get("length") or {"picklist": 255, "email": 80, "textarea": 255, "string": 255}.get(
            kind, 0
        )
        if raw.get("formula") and kind == "string":
            length = 1300
        one = Field(
            name,
            raw["label"],
            kind,
            length=length,
            precision=raw.get("precision", 0),
            scale=raw.get("scale", 0),
        )
        one.long_text = raw["type"] == "LongTextArea"
        one.nillable = not raw.get("required")
        one.default = raw.get("default")
    one.createable, one.updateable = createable, updateable
    one.external_id = bool(raw.get("externalId"))
    one.unique = bool(raw.get("unique"))
    one.case_sensitive = bool(raw.get("caseSensitive"))
    one.id_lookup = one.external_id or one.unique
    if one.type == "picklist":
        one.picklist = _values(object_name, name, tuple(raw["picklistValues"]), settings)
        one.restricted = settings.restricted_picklists
    if raw.get("formula"):
        one.calculated, one.formula = True, raw["formulaSummary"]
        one.sql = formulas.for_field(object_name.removeprefix(NS), short)
        one.nillable = one.type != "boolean"
        one.default = None
    return one


def _values(object_name: str, name: str, values: tuple[str, ...], settings: Settings) -> tuple[str, ...]:
    kept = list(values)
    path = f"{object_name}.{name}".lower()
    for change in settings.drop_picklist_value:
        where, _, value = change.partition("=")
        if _same_field(where, path) and value in kept:
            kept.remove(value)
    for change in settings.add_picklist_value:
        where, _, value = change.partition("=")
        if _same_field(where, path):
            kept.append(value)
    return tuple(kept)


def _same_field(given: str, path: str) -> bool:
    """``Service_Order__c.Order_Type__c`` and the full name with namespaces mean the same field."""
    return given.lower().replace(NS.lower(), "") == path.replace(NS.lower(), "")
