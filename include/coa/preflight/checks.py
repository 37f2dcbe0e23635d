"""The checks that need no data: pure functions of describes, limits and params. Each gives findings."""

from __future__ import annotations

from typing import Any

from coa.config import RunParams
from coa.fields.field_map import FieldMapping, type_conflict
from coa.findings.finding import Finding, finding
from coa.model import (
    COA_OBJECTS,
    CUSTOMER,
    CUSTOMER_ORG_ID,
    DETAIL,
    DETAIL_CONTRACT,
    DETAIL_ORDER,
    DETAIL_PRODUCT,
    LOADED,
    MIGRATION_FIELDS,
    ORDER,
    ORDER_CONTRACT,
    ORDER_CUSTOMER,
    ORDER_TYPE,
    ORIGINAL_RECEIVED_AT,
    QUANTITY,
    RECEIVED_AT,
    SOURCE_ID,
    SOURCE_NUMBER,
    STATUS,
)
from coa.policies import Policies
from coa.salesforce.auth import OrgConnection
from coa.salesforce.describe import Describe


def check_same_org(source: dict[str, Any], target: dict[str, Any]) -> list[Finding]:
    """A blocker when both identities (`orgs.identify`) are those of one org."""
    if source["id"] != target["id"]:
        return []
    return [finding("blocker", "same_org", org_id=source["id"], name=source["name"])]


def check_extras(role: str, connection: OrgConnection) -> list[Finding]:
    """A warning for extras of the connection that nobody reads: a misspelt one has no effect, without a word."""
    if not connection.unknown_extras:
        return []
    return [
        finding(
            "warning",
            f"connection_extra_unknown_{role}",
            count=len(connection.unknown_extras),
            connection=connection.name,
            extras=", ".join(connection.unknown_extras),
        )
    ]


def check_swapped(source: dict[str, Describe], target: dict[str, Describe]) -> list[Finding]:
    """A blocker when the fields of our metadata are in the source and not in the target: the wrong way round."""

    def deployed(describes: dict[str, Describe]) -> set[str]:
        return {n for n in LOADED if n in describes and SOURCE_ID in describes[n].fields}

    if deployed(target) or not deployed(source):
        return []
    return [finding("blocker", "orgs_swapped", key=SOURCE_ID)]


def check_objects(role: str, describes: dict[str, Describe]) -> list[Finding]:
    """The app is there, and the user sees its objects."""
    missing = [name for name in COA_OBJECTS if name not in describes]
    if not missing:
        return []
    return [finding("blocker", f"coa_missing_{role}", count=len(missing), role=role, objects=missing)]


def check_migration_fields(target: dict[str, Describe]) -> list[Finding]:
    """A blocker an sObject of the target that lacks fields of our metadata, or where the user cannot set them."""
    findings = []
    for sobject in LOADED:
        if sobject not in target:
            continue
        fields = target[sobject].fields
        missing = [n for n in MIGRATION_FIELDS if n not in fields or not fields[n].createable]
        if missing:
            findings.append(
                finding(
                    "blocker", "migration_fields_missing", sobject=sobject, count=len(missing), fields=missing
                )
            )
        elif not (fields[SOURCE_ID].flag("externalId") and fields[SOURCE_ID].flag("unique")):
            findings.append(finding("blocker", "migration_key_not_unique", sobject=sobject, field=SOURCE_ID))
        findings += _migration_field_types(sobject, target[sobject])
    return findings


MIGRATION_TYPES = {
    SOURCE_ID: ("string", 18),
    SOURCE_NUMBER: ("string", 80),
    ORIGINAL_RECEIVED_AT: ("datetime", 0),
}
"""Describe type and least length of each, as our metadata deploys them."""


def _migration_field_types(sobject: str, target: Describe) -> list[Finding]:
    findings = []
    for name, (wanted, length) in MIGRATION_TYPES.items():
        field = target.field(name)
        if field is None or (field.type == wanted and field.length >= length):
            continue
        said = f"{field.type}({field.length})" if field.length else field.type
        meant = f"{wanted}({length})" if length else wanted
        findings.append(
            finding("blocker", "migration_field_type", sobject=sobject, field=name, found=said, needed=meant)
        )
    return findings


CREATED_WITH = {
    CUSTOMER: (CUSTOMER_ORG_ID,),
    ORDER: (ORDER_CUSTOMER, ORDER_CONTRACT, ORDER_TYPE),
    DETAIL: (DETAIL_ORDER, DETAIL_CONTRACT, DETAIL_PRODUCT, QUANTITY),
}
"""Fields without which a record would stand alone or be refused: the load has to set them when it creates one."""


def check_structure_writeable(target: dict[str, Describe]) -> list[Finding]:
    """What holds the records together may be written: else nothing that is planned could be carried out."""
    return [
        finding("blocker", "field_not_writeable", sobject=sobject, field=name)
        for sobject, names in CREATED_WITH.items()
        for name in names
        if sobject in target and (field := target[sobject].field(name)) is not None and not field.createable
    ]


BULK_QUERIES_FROM = 47.0
"""The first API version with Bulk API 2.0 queries (Bulk API 2.0 guide, "Query Jobs")."""


def check_api_version(role: str, version: str) -> list[Finding]:
    """Whether the org's API has Bulk queries at all: a finding where `version` (`58.0`) is older."""
    if float(version) >= BULK_QUERIES_FROM:
        return []
    return [
        finding("blocker", f"connection_{role}:old_api", role=role, version=version, needed=BULK_QUERIES_FROM)
    ]


def check_rights(target: dict[str, Describe], params: RunParams) -> list[Finding]:
    """What the target's user may do, as its describes tell."""
    findings = []
    for sobject in LOADED:
        if sobject not in target:
            continue
        there = target[sobject]
        if not (there.createable and there.updateable):
            findings.append(finding("blocker", "no_right_to_write", sobject=sobject))
        created = there.field("CreatedDate")
        if not (created and created.createable):
            severity = Policies(params).created_dates_refused
            if severity:
                findings.append(
                    finding(severity, "audit_fields_not_writeable", sobject=sobject, field="CreatedDate")
                )
        needed = [STATUS] if STATUS in there.fields else []
        if Policies(params).restores_received_dates and RECEIVED_AT in there.fields:
            needed.append(RECEIVED_AT)
        for name in needed:
            if not there.fields[name].updateable:
                findings.append(finding("blocker", "field_not_updateable", sobject=sobject, field=name))
    return findings


def check_fields(
    carried: dict[str, list[FieldMapping]], source: dict[str, Describe], target: dict[str, Describe]
) -> list[Finding]:
    """Types that do not fit, and required fields of the target that nothing fills."""
    findings = []
    for sobject, fields in carried.items():
        filled = {f.name for f in fields}
        for one in fields:
            conflict = type_conflict(one)
            if conflict:
                findings.append(
                    finding("blocker", "type_differs", sobject=sobject, field=one.name, conflict=conflict)
                )
        for field in target[sobject].fields.values():
            if field.required and field.name not in filled and field.type != "boolean":
                findings.append(
                    finding("blocker", "required_without_source", sobject=sobject, field=field.name)
                )
    return findings


def check_allowance(role: str, limits: dict[str, Any], expected_calls: int, reserve: int) -> list[Finding]:
    """Whether the day's API calls last for the run with something left for others."""
    daily = limits.get("DailyApiRequests") or {}
    if "Remaining" not in daily:
        return []
    remaining, allowed = int(daily["Remaining"]), int(daily.get("Max") or 0)
    kept = min(reserve, allowed // 10)
    if remaining - kept >= expected_calls:
        return []
    return [
        finding(
            "blocker",
            f"api_allowance_{role}",
            count=remaining,
            role=role,
            allowed=allowed,
            needed=expected_calls,
            kept=kept,
        )
    ]
