"""Which org a contract may be run in, and whether an order of it could be sent."""

from __future__ import annotations

from typing import Any

from coa.contract.marks import MARK_FIELDS, PREFIX
from coa.errors import OrgRefused
from coa.model import CONTRACT, NAMESPACE, NS, ORDER
from coa.preflight.jobs import SUBMIT_CODE, SUBMIT_NAME, check_submit_jobs
from coa.preflight.probe import Probe, related
from coa.salesforce.session import Org
from coa.staging.journal import Finding

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
        Finding(
            "warning" if allowed else "blocker",
            "contract_in_production",
            f"The org {identity['id']} of the connection {identity['connection']} is no sandbox"
            + ("; the contract is run in it because allow_production is true." if allowed else "."),
            "point the connection at a sandbox; set allow_production to true only if there is none.",
        )
    ]


def ways_to_submit(probe: Probe) -> list[Finding]:
    """Why an order that is no Draft could be sent, or acted on: jobs, flows and triggers that submit, a live connection."""
    return [
        *check_submit_jobs(probe, accepted=True),
        *_triggers(probe),
        *_record_flows(probe),
        *_connection(probe),
    ]


def _warning(code: str, message: str, count: int, examples: list[str]) -> Finding:
    return Finding(
        "warning",
        code,
        message,
        "leave status_probes off; or look at them, and confirm by accept_submit_jobs or in the approval form.",
        sobject=ORDER,
        count=count,
        examples=examples,
    )


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
    return [
        _warning("submit_triggers", f"{len(names)} triggers on orders could submit them.", len(names), names)
    ]


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
    return [
        _warning("submit_flows", f"{len(names)} flows of records could submit orders.", len(names), names)
    ]


def _connection(probe: Probe) -> list[Finding]:
    """The app writes the time of each exchange with Salesforce into the contract terms."""
    synced = probe.quiet().count("", CONTRACT, f"{SYNCED_AT} = LAST_N_DAYS:{LIVE_DAYS}")
    if not synced:
        return []
    return [
        _warning(
            "connection_live",
            f"The app of this org exchanged data with Salesforce in the last {LIVE_DAYS} days: its connection is live.",
            synced,
            [],
        )
    ]


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
        Finding(
            "warning",
            "strange_marks",
            f"{total} records look like those of a contract that was run with another staging database: "
            + ", ".join(f"{n} of {name}" for name, n in found.items() if n)
            + ".",
            f"run the contract with that database, or delete by hand the records whose mark begins with {PREFIX}.",
            count=total,
        )
    ]
