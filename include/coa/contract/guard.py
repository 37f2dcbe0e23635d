"""Which org a contract may be run in, and whether an order of it could be sent."""

from __future__ import annotations

from typing import Any

from coa.contract.marks import MARK_FIELDS, PREFIX
from coa.errors import OrgRefused
from coa.findings.finding import Finding, finding
from coa.model import CONTRACT, NAMESPACE, NS, ORDER
from coa.preflight.jobs import SUBMIT_CODE, SUBMIT_NAME, check_submit_jobs
from coa.preflight.probe import Probe, related
from coa.salesforce.session import Org

NO_PRODUCTION = frozenset({"Developer Edition"})
"""Editions of orgs that are no sandbox and yet hold nobody's business."""
SYNCED_AT = NS + "COA_Sync_timestamp__c"
LIVE_DAYS = 30


def is_production(identity: dict[str, Any]) -> bool:
    """By `coa.preflight.orgs.identify`: an org that does not tell that it is a sandbox counts as production."""
    return not identity["is_sandbox"] and identity["type"] not in NO_PRODUCTION


def check_production(identity: dict[str, Any], *, allowed: bool) -> list[Finding]:
    """A blocker for a production org, a warning where it is allowed."""
    if not is_production(identity):
        return []
    return [
        finding(
            "warning" if allowed else "blocker",
            "contract_in_production:allowed" if allowed else "contract_in_production",
            org_id=identity["id"],
            connection=identity["connection"],
        )
    ]


def ways_to_submit(probe: Probe) -> list[Finding]:
    """Why an order that is no Draft could be sent, or acted on: jobs, flows and triggers that submit,
    a live connection."""
    return [
        *check_submit_jobs(probe, accepted=True),
        *_triggers(probe),
        *_record_flows(probe),
        *_connection(probe),
    ]


def _triggers(probe: Probe) -> list[Finding]:
    """Active triggers of the partner on orders whose code, or name where it is not shown, submits."""
    where = "FROM ApexTrigger WHERE Status = 'Active'"
    rows = probe.quiet().rows("", f"SELECT Name, TableEnumOrId, NamespacePrefix, Body {where}")
    if rows is None:
        # The code is shown to authors of Apex alone.
        rows = probe.rows("Apex triggers", f"SELECT Name, TableEnumOrId, NamespacePrefix {where}")
    names = sorted(
        str(row["Name"])
        for row in rows or []
        if (row.get("NamespacePrefix") or "") != NAMESPACE
        and str(row.get("TableEnumOrId") or "") == ORDER
        and (SUBMIT_CODE.search(str(row.get("Body") or "")) or SUBMIT_NAME.search(str(row["Name"])))
    )
    if not names:
        return []
    return [finding("warning", "submit_triggers", sobject=ORDER, count=len(names), examples=names)]


def _record_flows(probe: Probe) -> list[Finding]:
    rows = probe.quiet().rows(
        "",
        "SELECT ApiName, Label, NamespacePrefix, TriggerObjectOrEvent.QualifiedApiName FROM FlowDefinitionView "
        "WHERE IsActive = true AND TriggerType IN ('RecordBeforeSave','RecordAfterSave')",
    )
    names = sorted(
        str(row.get("ApiName"))
        for row in rows or []
        if (row.get("NamespacePrefix") or "") != NAMESPACE
        and related(row, "TriggerObjectOrEvent.QualifiedApiName") in (ORDER, None)
        and SUBMIT_NAME.search(f"{row.get('ApiName')} {row.get('Label')}")
    )
    if not names:
        return []
    return [finding("warning", "submit_flows", sobject=ORDER, count=len(names), examples=names)]


def _connection(probe: Probe) -> list[Finding]:
    """The app writes the time of each exchange with Salesforce into the contract terms."""
    synced = probe.quiet().count("", CONTRACT, f"{SYNCED_AT} = LAST_N_DAYS:{LIVE_DAYS}")
    if not synced:
        return []
    return [finding("warning", "connection_live", sobject=ORDER, count=synced, days=LIVE_DAYS)]


def check_strange_marks(org: Org) -> list[Finding]:
    """Records with the mark of a probe that this staging database knows nothing of: told, never deleted."""
    found: dict[str, int] = {}
    for name, field in MARK_FIELDS.items():
        try:
            found[name] = org.count(name, f"{field} LIKE '{PREFIX}%'")
        except OrgRefused:
            # Without the object or the field there can be no such record.
            found[name] = 0
    total = sum(found.values())
    if not total:
        return []
    return [
        finding(
            "warning",
            "strange_marks",
            count=total,
            objects=", ".join(f"{n} of {name}" for name, n in found.items() if n),
            mark=PREFIX,
        )
    ]
