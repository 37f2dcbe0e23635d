"""Which fields are carried, and where the value of each target field comes from.

Pure functions of two describes, the mapping and the params. A live describe decides what can be
written; a custom field or lookup of the partner is carried as soon as both sides have it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from coa.mapping.model import FieldRule, Mapping
from coa.model import (
    AUDIT_FIELDS,
    DETAIL_ORDER,
    LOADED,
    MIGRATION_FIELDS,
    NEVER_WRITTEN,
    NS,
    ORDER,
    ORDER_CUSTOMER,
    ORIGINAL_RECEIVED_AT,
    RECEIVED_AT,
    SOURCE_ID,
    SOURCE_NUMBER,
    SYSTEM_FIELDS,
)
from coa.salesforce.describe import NUMBER_TYPES, Describe, Field

TEXT_TYPES = frozenset(
    {
        "string",
        "textarea",
        "email",
        "phone",
        "url",
        "picklist",
        "combobox",
        "multipicklist",
        "encryptedstring",
    }
)

# Successor -> field that version 2 of the package retired (its field mapping table). The retired field is
# read where the source has nothing else to give, and where the target has no place for it.
RETIRED = {
    NS + "Customer_Price_Per_Month__c": NS + "Customer_Price__c",
    NS + "pc_Fixed_Price__c": NS + "Fixed_Price__c",
    NS + "SFDC_Price__c": NS + "Estimated_SFDC_Price_Per_Month__c",
    NS + "pc_Pricing_Type__c": NS + "Pricing_Type__c",
}


@dataclass(frozen=True)
class FieldMapping:
    """One target field that we write.

    `kind`: `key` (migration fields), `value`, `audit` (CreatedDate), `parent` (points at a record that we
    load ourselves, resolved through the ledger) or `lookup` (points at a record found by its keys).
    """

    target: Field
    source: Field | None
    kind: str
    rule: FieldRule
    refers_to: tuple[str, ...] = ()
    fallback: Field | None = None
    """Another source field, read where `source` is empty."""

    @property
    def name(self) -> str:
        """API name of the target's field."""
        return self.target.name

    @property
    def deferred(self) -> bool:
        """Points at a record that may be created later than this one: set after all lanes (clone links)."""
        return self.kind == "parent" and self.name not in (ORDER_CUSTOMER, DETAIL_ORDER)

    @property
    def createable(self) -> bool:
        """Whether an insert may set the field."""
        return self.target.createable

    @property
    def updateable(self) -> bool:
        """Whether an update may set the field; audit fields can only be set by an insert."""
        return self.target.updateable and self.name not in AUDIT_FIELDS


@dataclass(frozen=True)
class NotCarried:
    """A source field with data that finds no place in the target, and why."""

    field: str
    reason: str


def carried_fields(
    sobject: str, source: Describe, target: Describe, mapping: Mapping, created_dates: str
) -> list[FieldMapping]:
    """The fields of `sobject` that are written to the target, in the order of its describe."""
    carried = []
    for field in target.fields.values():
        one = _carry(sobject, field, source, mapping, created_dates)
        if one is not None:
            carried.append(_with_retired(one, source, target))
    return carried


def _retired_source(name: str, source: Describe) -> Field | None:
    """The retired field of the source that a successor's value can be read from; formulas only display."""
    old = source.field(RETIRED.get(name, ""))
    return old if old is not None and old.selectable and not old.computed else None


def _with_retired(one: FieldMapping, source: Describe, target: Describe) -> FieldMapping:
    """Where the target lacks the retired field, its values would be lost: they follow to the successor."""
    if one.rule.source or one.rule.constant is not None or one.source is None or one.kind != "value":
        return one
    if RETIRED.get(one.name) == one.source.name or target.field(RETIRED.get(one.name, "")) is not None:
        return one
    old = _retired_source(one.name, source)
    return replace(one, fallback=old) if old is not None and old.type == one.source.type else one


def _carry(
    sobject: str, field: Field, source: Describe, mapping: Mapping, created_dates: str
) -> FieldMapping | None:
    rule = mapping.rule(sobject, field.name)
    if field.name in SYSTEM_FIELDS or field.name in NEVER_WRITTEN or field.computed or not field.selectable:
        return None
    if field.name in MIGRATION_FIELDS:
        return _migration_field(sobject, field, source, rule)
    if rule.drop or not (field.createable or field.updateable):
        return None
    if field.name in AUDIT_FIELDS and (created_dates == "off" or not field.createable):
        return None
    origin = source.field(rule.source or field.name)
    if rule.constant is not None:
        return FieldMapping(field, None, "value", rule)
    if origin is None and not rule.source:
        origin = _retired_source(field.name, source)
    if origin is None and rule.default is not None:
        return FieldMapping(field, None, "value", rule)
    if origin is None or not origin.selectable:
        return None
    if field.name == "CreatedDate":
        return FieldMapping(field, origin, "audit", rule)
    if field.type == "reference" and origin.type == "reference":
        refers_to = tuple(field.reference_to or origin.reference_to)
        parents = LOADED[sobject].parents if sobject in LOADED else {}
        kind = "parent" if field.name in parents or set(refers_to) & set(LOADED) else "lookup"
        return FieldMapping(field, origin, kind, rule, refers_to)
    if field.name in mapping.id_fields.get(sobject, {}):
        points_at = mapping.id_fields[sobject][field.name]
        return FieldMapping(field, origin, "parent" if points_at in LOADED else "lookup", rule, (points_at,))
    return FieldMapping(field, origin, "value", rule)


def _migration_field(sobject: str, field: Field, source: Describe, rule: FieldRule) -> FieldMapping:
    """Id, number and received date as the source has them.

    A source that was filled by an earlier migration may know the original date better than the package's
    field, which an accepted reset overwrote.
    """
    if field.name == ORIGINAL_RECEIVED_AT and sobject == ORDER:
        kept, shown = source.field(ORIGINAL_RECEIVED_AT), source.field(RECEIVED_AT)
        return FieldMapping(field, kept or shown, "key", rule, fallback=shown if kept else None)
    origin = {SOURCE_ID: "Id", SOURCE_NUMBER: "Name"}.get(field.name, "")
    return FieldMapping(field, source.field(origin), "key", rule)


def not_carried_fields(
    sobject: str, source: Describe, target: Describe, mapping: Mapping
) -> list[NotCarried]:
    """Source fields that hold a partner's data and that the target does not take."""
    used_elsewhere = {rule.source for rule in mapping.fields.get(sobject, {}).values() if rule.source}
    used_elsewhere |= {
        old for new, old in RETIRED.items() if new in target.fields and old not in target.fields
    }
    lost = []
    for field in source.fields.values():
        if (
            field.computed
            or not field.selectable
            or field.name in SYSTEM_FIELDS | NEVER_WRITTEN
            or field.name in (*AUDIT_FIELDS, *MIGRATION_FIELDS, "Name", "OwnerId", "RecordTypeId")
            or field.name in used_elsewhere
        ):
            continue
        there = target.field(field.name)
        rule = mapping.rule(sobject, field.name)
        if rule.drop:
            lost.append(NotCarried(field.name, "dropped by the mapping file"))
        elif there is None:
            lost.append(NotCarried(field.name, "the target has no such field, or hides it from us"))
        elif there.computed:
            lost.append(NotCarried(field.name, "the target computes it"))
        elif not (there.createable or there.updateable):
            lost.append(NotCarried(field.name, "the target does not let us write it"))
    return lost


def type_conflict(one: FieldMapping) -> str:
    """Why a source type cannot be written to the target's type; empty when it can."""
    if one.source is None or one.kind == "key":
        return ""
    have, want = one.source.type, one.target.type
    if have == want or one.kind in ("parent", "lookup"):
        return ""
    if want in TEXT_TYPES or want == "anyType":
        return ""
    if have in NUMBER_TYPES and want in NUMBER_TYPES:
        return ""
    if have in ("date", "datetime") and want == have:
        return ""
    return f"{have} in the source, {want} in the target"


def lookup_objects(carried: list[FieldMapping]) -> set[str]:
    """The sObjects whose records have to be found again in the target."""
    return {name for one in carried if one.kind == "lookup" for name in one.refers_to}
