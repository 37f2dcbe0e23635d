"""What is in the source around COA records and does not come along: notes, files, activities, history,
and records of other objects that point at them. Counted, so that nobody misses it later.

History cannot be inserted by any API; files and activities belong to records, whose new ids `id_map.csv`
holds, so they can be moved afterwards with any tool.
"""

from __future__ import annotations

from coa.config import RunParams
from coa.findings.finding import Finding, finding
from coa.model import COA_OBJECTS, LOADED, NS
from coa.policies import Policies
from coa.preflight.probe import Probe
from coa.salesforce.describe import Describe
from coa.salesforce.soql import text_list

NOT_OURS = frozenset(NS + n for n in ("Customer_Order_Product_History__c", "Service_Order_Log__c"))
"""Rebuilt by Salesforce after a refresh of the app, and the package's log: not a partner's data."""
MOST_LOOKUPS = 60


def check_elsewhere(probe: Probe, source: dict[str, Describe], params: RunParams) -> list[Finding]:
    """Notes on what hangs on the source's orders and stays there: files, activities, history, lookups from elsewhere.

    What a param asks to be carried or archived is counted where it is read.
    """
    policies = Policies(params)
    return [
        *([] if policies.carries_attachments else _files(probe)),
        *([] if policies.carries_activities else _activities(probe)),
        *([] if policies.archives_history else _history(probe)),
        *_pointing_here(probe, source),
    ]


def _activities(probe: Probe) -> list[Finding]:
    return [
        *_by_parent(probe, "tasks", "Task", "What", "tasks_not_carried"),
        *_by_parent(probe, "events", "Event", "What", "events_not_carried"),
        # An org without Email-to-Case or Enhanced Email may not have them: that is noted among what could not be asked.
        *_by_parent(probe, "e-mails", "EmailMessage", "RelatedTo", "emails_not_carried"),
    ]


def _files(probe: Probe) -> list[Finding]:
    """Counts over all three objects at once, by the type of the record that they hang on."""
    findings = [
        *_by_parent(probe, "notes", "Note", "Parent", "notes_not_carried"),
        *_by_parent(probe, "attachments", "Attachment", "Parent", "attachments_not_carried"),
    ]
    files = [
        # Links to files can be filtered by the linked record only (F3).
        probe.count("files", "ContentDocumentLink", f"LinkedEntityId IN (SELECT Id FROM {name})")
        for name in LOADED
    ]
    if any(files):
        total = sum(n for n in files if n)
        findings.append(finding("warning", "files_not_carried", sobject="ContentDocumentLink", count=total))
    return findings


def _by_parent(probe: Probe, topic: str, sobject: str, lookup: str, code: str) -> list[Finding]:
    count = probe.count(topic, sobject, f"{lookup}.Type IN ({text_list(tuple(LOADED))})")
    return [finding("warning", code, sobject=sobject, count=count)] if count else []


def _history(probe: Probe) -> list[Finding]:
    findings = []
    for name in LOADED:
        history = name.removesuffix("__c") + "__History"
        count = probe.count("field history", history)
        if count:
            findings.append(finding("note", "history_not_carried", sobject=name, count=count))
    return findings


def _pointing_here(probe: Probe, source: dict[str, Describe]) -> list[Finding]:
    """Lookups of other objects at what we move, from the describes' childRelationships."""
    lookups = {
        (str(child["childSObject"]), str(child["field"]))
        for name in LOADED
        for child in source[name].raw.get("childRelationships") or []
        if str(child.get("field") or "").endswith("__c") and child.get("childSObject")
    }
    findings = []
    for sobject, field in sorted(lookups)[:MOST_LOOKUPS]:
        if sobject in COA_OBJECTS or sobject in NOT_OURS:
            continue
        count = probe.count(f"{sobject}.{field}", sobject, f"{field} != null")
        if count:
            findings.append(
                finding("warning", "records_pointing_here", sobject=sobject, field=field, count=count)
            )
    return findings
