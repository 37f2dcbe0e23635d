"""Does the mapping file name things that exist, and values that fit? Against the describes of both orgs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Decimal, InvalidOperation
from difflib import get_close_matches

from coa.fields.text_links import TEXTS
from coa.findings.finding import Finding, finding
from coa.mapping.model import FieldRule, Mapping
from coa.model import (
    AUDIT_FIELDS,
    CUSTOMER_ORG_ID,
    DETAIL,
    FROZEN_DETAIL_FIELDS,
    LOADED,
    MIGRATION_FIELDS,
    NEVER_WRITTEN,
    SYSTEM_FIELDS,
)
from coa.salesforce.describe import NUMBER_TYPES, Describe, Field

DATE = re.compile(r"\d{4}-\d\d-\d\d")
DATE_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:?\d\d)?")

Describes = dict[str, Describe]


def objects_named(mapping: Mapping) -> set[str]:
    """sObjects beyond the package's that have to be described to check and use the file."""
    return {
        *mapping.lookups,
        *mapping.records,
        *(mapping.masking.keep if mapping.masking else ()),
        *(name for pointed in mapping.id_fields.values() for name in pointed.values()),
    } - set(LOADED)


def check_sections(mapping: Mapping, org_id: str, connection: str) -> list[Finding]:
    """A file that speaks of several sources, and of this one only as of all: its key may be misspelt."""
    if not mapping.sources or mapping.sections_of(org_id, connection):
        return []
    return [
        finding(
            "warning",
            "mapping_without_source",
            line=mapping.line("sources"),
            org_id=org_id,
            connection=connection,
        )
    ]


def check_mapping(mapping: Mapping, source: Describes, target: Describes) -> list[Finding]:
    """One blocker for each entry that cannot be meant, with its line."""
    findings: dict[tuple[str, str], Finding] = {}
    for sobject, field, text, path in _faults(mapping, source, target):
        line = mapping.line(*path)
        message = f"Mapping file{f', line {line}' if line else ''}: {text}."
        known = findings.get((sobject, field))
        if known:
            message = f"{known.message} {message}"
        findings[sobject, field] = finding(
            "blocker", "mapping_wrong", sobject=sobject, field=field, count=1, said=message
        )
    return list(findings.values())


Fault = tuple[str, str, str, tuple[str, ...]]


def _faults(mapping: Mapping, source: Describes, target: Describes) -> Iterator[Fault]:
    for sobject, rules in mapping.fields.items():
        for name, rule in rules.items():
            path = ("fields", sobject, name)
            for text in _rule_faults(sobject, name, rule, source[sobject], target[sobject]):
                yield sobject, name, text, path
    for sobject, keys in mapping.lookups.items():
        for role, orgs in (("source", source), ("target", target)):
            if sobject not in orgs:
                yield sobject, "", f"the {role} has no object {sobject}", ("lookups", sobject)
                continue
            for key in keys:
                for name in key.split("+"):
                    if name not in orgs[sobject].fields:
                        text = f"the {role}'s {sobject} has no field {name}{_meant(name, orgs[sobject])}"
                        yield sobject, name, text, ("lookups", sobject)
    for sobject, kept in (mapping.masking.keep if mapping.masking else {}).items():
        for name in kept:
            if sobject not in source or name not in source[sobject].fields:
                meant = _meant(name, source[sobject]) if sobject in source else ""
                text = f"the source's {sobject} has no field {name}{meant}"
                yield sobject, name, text, ("masking", "keep", sobject)
    for sobject in mapping.records:
        if sobject not in source or sobject not in target:
            yield sobject, "", f"one of the orgs has no object {sobject}", ("records", sobject)
    for sobject, pointed in mapping.id_fields.items():
        for name, to in pointed.items():
            path = ("id_fields", sobject, name)
            if mapping.rule(sobject, name).rewrite_links:
                yield (
                    sobject,
                    name,
                    f"{name} cannot have rewrite_links: id_fields says that it is an id",
                    path,
                )
            for role, orgs in (("source", source), ("target", target)):
                field = orgs[sobject].field(name)
                if field is None:
                    yield sobject, name, f"the {role}'s {sobject} has no field {name}", path
                elif field.type == "reference":
                    yield sobject, name, f"{name} is a lookup in the {role} and needs no id_fields", path
                if to not in orgs:
                    yield sobject, name, f"the {role} has no object {to}", path


def _rule_faults(
    sobject: str, name: str, rule: FieldRule, source: Describe, target: Describe
) -> Iterator[str]:
    field = target.field(name)
    if rule.drop:
        if field is None and source.field(name) is None:
            yield f"neither org's {sobject} has a field {name}{_meant(name, source)}"
        return
    if field is None:
        yield f"the target's {sobject} has no field {name}{_meant(name, target)}"
        return
    if name in NEVER_WRITTEN or name in SYSTEM_FIELDS or name in (*MIGRATION_FIELDS, *AUDIT_FIELDS):
        yield f"{name} is not for a mapping file to set"
    elif field.computed:
        yield f"the target computes {name}; it cannot be written"
    elif not (field.createable or field.updateable):
        yield f"the user of coa_target may not write {name}"
    if rule.source and source.field(rule.source) is None:
        yield f"the source's {sobject} has no field {rule.source}{_meant(rule.source, source)}"
    if rule.rewrite_links:
        yield from _rewriting_faults(sobject, name, field)
    if not rule.source and rule.constant is None and source.field(name) is None and rule.default is None:
        yield f"the source's {sobject} has no field {name}; name its source, a constant or a default"
    for what, value in (
        ("constant", rule.constant),
        ("default", rule.default),
        *(("value", v) for v in rule.values.values()),
    ):
        if value:
            fault = _unfit(field, value)
            if fault:
                yield f"the {what} of {name} {fault}"


def _rewriting_faults(sobject: str, name: str, field: Field) -> Iterator[str]:
    """Why links in a field cannot be rewritten: that is an update, sent when all records are there."""
    if sobject == DETAIL and name in FROZEN_DETAIL_FIELDS:
        yield (
            f"links in {name} cannot be rewritten: the package refuses to change it once the order has left Draft, and "
            "the ids of the records are known only after that"
        )
    elif field.type not in TEXTS:
        yield f"links are rewritten in texts, and {name} is {field.type} in the target"
    elif name == CUSTOMER_ORG_ID or field.flag("unique") or field.flag("externalId"):
        yield f"{name} is a key, in which no link is rewritten"
    elif not field.updateable:
        yield f"links are rewritten by an update, and the user of coa_target may not update {name}"


def _unfit(field: Field, value: str) -> str:
    """Why a text cannot be a value of a field; empty when it can."""
    if field.type in NUMBER_TYPES:
        try:
            return "" if Decimal(value).is_finite() else "is no number"
        except InvalidOperation:
            return "is no number"
    if field.type == "boolean":
        return "" if value.lower() in ("true", "false") else "is neither true nor false"
    if field.type == "date":
        return "" if DATE.fullmatch(value) else "is no date (2024-12-31)"
    if field.type == "datetime":
        return "" if DATE_TIME.fullmatch(value) else "is no date-time (2024-12-31T12:00:00Z)"
    if field.restricted_picklist:
        wanted = value.split(";") if field.type == "multipicklist" else [value]
        missing = [v for v in wanted if v not in field.picklist_values]
        if missing:
            return "is missing in the target's picklist"
    if field.length and len(value) > field.length:
        return f"is longer than {field.length} characters"
    return ""


def _meant(name: str, described: Describe) -> str:
    names = list(described.fields)
    close = [n for n in names if n.endswith("__" + name)] or get_close_matches(name, names, 1)
    return f" (is {close[0]} meant?)" if close else ""
