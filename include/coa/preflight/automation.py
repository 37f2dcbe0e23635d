"""The partner's own automation on the COA objects of the target: triggers, flows, rules.

It runs for every record that the load writes. What it changes in the record is corrected (the corrections
step), but what it does elsewhere, to opportunities, licences or mailboxes, nobody can undo. So a person has to
decide.
"""

from __future__ import annotations

from typing import Any

from coa.findings.finding import Finding, finding
from coa.model import LOADED, NAMESPACE
from coa.preflight.probe import Probe, related
from coa.salesforce.soql import text_list

RECORD_TRIGGERS = ("RecordBeforeSave", "RecordAfterSave")


def check_automation(probe: Probe) -> list[Finding]:
    """Triggers, flows and rules of the target that act on the objects of the load, as findings."""
    names = entity_names(probe)
    return [
        *_triggers(probe, names),
        *_flows(probe, names),
        *_validation_rules(probe, names),
        *_workflow_rules(probe, names),
    ]


def entries_of(found: list[Finding]) -> list[str]:
    """Each entry of its own, for comparing with another day: kind, object and name."""
    kinds = {one.code: one.code.removeprefix("partner_").removesuffix("s").replace("_", " ") for one in found}
    return sorted(
        f"{kinds[one.code]} {entry}" + (f" on {one.sobject}" if one.sobject else "")
        for one in found
        for entry in one.examples
    )


def entity_names(probe: Probe) -> dict[str, str]:
    """What setup records may call our objects -> API name: the name itself, or the id of its definition."""
    names = {name: name for name in LOADED}
    rows = probe.org and _entity_rows(probe)
    for row in rows or []:
        names[str(row["DurableId"])] = str(row["QualifiedApiName"])
    return names


def _entity_rows(probe: Probe) -> list[dict[str, Any]] | None:
    # Not noted when refused: most orgs name the object itself.
    quiet = probe.quiet()
    return quiet.rows(
        "",
        "SELECT DurableId, QualifiedApiName FROM EntityDefinition WHERE QualifiedApiName IN "
        f"({text_list(tuple(LOADED))})",
    )


def _by_object(
    rows: list[dict[str, Any]], key: str, name_key: str, names: dict[str, str]
) -> dict[str, list[str]]:
    """API name -> names of the partner's own entries; those of the package are left out."""
    found: dict[str, list[str]] = {}
    for row in rows:
        sobject = names.get(str(related(row, key) or ""))
        if sobject and (row.get("NamespacePrefix") or "") != NAMESPACE:
            found.setdefault(sobject, []).append(str(row.get(name_key) or ""))
    return found


def _warnings(found: dict[str, list[str]], code: str) -> list[Finding]:
    return [
        finding(
            "warning",
            code,
            sobject=sobject,
            count=len(entries),
            examples=sorted(entries),
            names=sorted(entries)[:10],
        )
        for sobject, entries in sorted(found.items())
    ]


def _triggers(probe: Probe, names: dict[str, str]) -> list[Finding]:
    rows = probe.rows(
        "Apex triggers",
        "SELECT Name, TableEnumOrId, NamespacePrefix FROM ApexTrigger WHERE Status = 'Active'",
    )
    return _warnings(_by_object(rows or [], "TableEnumOrId", "Name", names), "partner_triggers")


def _flows(probe: Probe, names: dict[str, str]) -> list[Finding]:
    """Active record-triggered flows; those whose object the org does not tell are counted on the order."""
    quiet = probe.quiet()
    where = f"FROM FlowDefinitionView WHERE IsActive = true AND TriggerType IN ({text_list(RECORD_TRIGGERS)})"
    rows = quiet.rows("", f"SELECT ApiName, NamespacePrefix, TriggerObjectOrEvent.QualifiedApiName {where}")
    if rows is not None:
        return _warnings(
            _by_object(rows, "TriggerObjectOrEvent.QualifiedApiName", "ApiName", names), "partner_flows"
        )
    rows = probe.rows("record-triggered flows", f"SELECT ApiName, NamespacePrefix {where}")
    flows = sorted(str(r.get("ApiName")) for r in rows or [] if (r.get("NamespacePrefix") or "") != NAMESPACE)
    if not flows:
        return []
    return [
        finding("warning", "partner_flows:object_unknown", count=len(flows), examples=flows, names=flows[:10])
    ]


def _validation_rules(probe: Probe, names: dict[str, str]) -> list[Finding]:
    rows = probe.rows(
        "validation rules of the partner",
        "SELECT ValidationName, EntityDefinitionId, NamespacePrefix FROM ValidationRule "
        "WHERE Active = true AND NamespacePrefix = null",
        tooling=True,
    )
    return _warnings(
        _by_object(rows or [], "EntityDefinitionId", "ValidationName", names),
        "partner_validation_rules",
    )


def _workflow_rules(probe: Probe, names: dict[str, str]) -> list[Finding]:
    rows = probe.rows(
        "workflow rules of the partner",
        "SELECT Name, TableEnumOrId, NamespacePrefix FROM WorkflowRule WHERE NamespacePrefix = null",
        tooling=True,
    )
    return _warnings(_by_object(rows or [], "TableEnumOrId", "Name", names), "partner_workflow_rules")
