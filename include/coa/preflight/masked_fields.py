"""Encrypted fields that the org shows to our user as a mask.

A user without the permission View Encrypted Data gets asterisks in a field under classic encryption (describe:
type `encryptedstring`, `maskType`). The mask must never be written, and a value that is read back as a mask is
not proved. If an org does not say what its user may do, it counts as no permission.

Other values are shown as they are stored. Formulas and roll-ups are never carried; of compound fields
(addresses, locations) only the parts are; the API gives amounts in the record's currency and picklists by
value, unless a query asks for `convertCurrency` or `toLabel`, which ours never does. Shield encryption masks
nothing.
"""

from __future__ import annotations

from coa.fields.field_map import FieldMapping
from coa.findings.finding import Finding, finding
from coa.preflight.probe import Probe
from coa.preflight.rights import has_permission
from coa.staging.runs import SOURCE

VIEW_ENCRYPTED = "ViewEncryptedData"
CODE = "value_masked"


def masked_fields(probe: Probe, user_id: str, carried: dict[str, list[FieldMapping]]) -> dict[str, list[str]]:
    """sObject -> target names of the carried fields that this org shows masked; asks nothing where none could be."""
    found = maskable_fields(probe.role, carried)
    if not found or (user_id and has_permission(probe, user_id, VIEW_ENCRYPTED)):
        return {}
    return found


def maskable_fields(role: str, carried: dict[str, list[FieldMapping]]) -> dict[str, list[str]]:
    """sObject -> target names of the carried fields that the org in this role may show masked."""
    return {
        sobject: names
        for sobject, fields in carried.items()
        if (names := [one.name for one in fields if _maskable(one, role)])
    }


def _maskable(one: FieldMapping, role: str) -> bool:
    read = (one.source, one.fallback) if role == SOURCE else (one.target,)
    return any(field is not None and field.maskable for field in read)


def check_masked_fields(masked: dict[str, dict[str, list[str]]], policy: str) -> list[Finding]:
    """A line for each field, because records are blocked for it."""
    findings = []
    for role, by_object in masked.items():
        for sobject, names in by_object.items():
            for name in names:
                findings.append(
                    finding(
                        "warning", f"field_masked_{role}:{policy}", sobject=sobject, field=name, role=role
                    )
                )
    return findings
