"""What is in the source around COA records and does not come along: notes, files, activities, history,
and records of other objects that point at them. Counted, so that nobody misses it later.

History cannot be inserted by any API; files and activities belong to records, whose new ids `id_map.csv`
holds, so they can be moved afterwards with any tool.
"""

from __future__ import annotations

from coa.model import COA_OBJECTS, LOADED, NS
from coa.preflight.probe import Probe
from coa.salesforce.describe import Describe
from coa.salesforce.soql import text_list
from coa.staging.journal import Finding
from coa.wording import counted, verb

MOVE_LATER = "move them afterwards with id_map.csv, or accept that they stay behind."
NOT_OURS = frozenset(NS + n for n in ("Customer_Order_Product_History__c", "Service_Order_Log__c"))
"""Rebuilt by Salesforce after a refresh of the app, and the package's log: not a partner's data."""
MOST_LOOKUPS = 60


def check_elsewhere(probe: Probe, source: dict[str, Describe]) -> list[Finding]:
    """Notes on what hangs on the source's orders and stays there: files, activities, history, lookups from elsewhere."""
    return [*_attached(probe), *_history(probe), *_pointing_here(probe, source)]


def _attached(probe: Probe) -> list[Finding]:
    """Counts over all three objects at once, by the type of the record that they hang on."""
    findings = []
    for sobject, lookup, what in (
        ("Note", "Parent", "notes"),
        ("Attachment", "Parent", "attachments"),
        ("Task", "What", "tasks"),
        ("Event", "What", "events"),
    ):
        count = probe.count(what, sobject, f"{lookup}.Type IN ({text_list(tuple(LOADED))})")
        findings += _left_behind(f"{what}_not_carried", sobject, count, what)
    files = [
        # Links to files can be filtered by the linked record only (F3).
        probe.count("files", "ContentDocumentLink", f"LinkedEntityId IN (SELECT Id FROM {name})")
        for name in LOADED
    ]
    total = sum(n for n in files if n) if any(n is not None for n in files) else None
    return [*findings, *_left_behind("files_not_carried", "ContentDocumentLink", total, "links to files")]


def _history(probe: Probe) -> list[Finding]:
    findings = []
    for name in LOADED:
        history = name.removesuffix("__c") + "__History"
        count = probe.count("field history", history)
        if count:
            findings.append(
                Finding(
                    "note",
                    "history_not_carried",
                    f"{count} entries of field history of {name} stay in the source: no API can insert them.",
                    "export them for the archive if they are needed.",
                    sobject=name,
                    count=count,
                )
            )
    return findings


def _left_behind(code: str, sobject: str, count: int | None, what: str) -> list[Finding]:
    if not count:
        return []
    return [
        Finding(
            "warning",
            code,
            f"{count} {what} hang on COA records of the source and are not carried.",
            MOVE_LATER,
            sobject=sobject,
            count=count,
        )
    ]


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
                Finding(
                    "warning",
                    "records_pointing_here",
                    f"{counted(count, 'record')} of {sobject} {verb(count, 'points', 'point')} at COA records by {field}, and "
                    f"{verb(count, 'is', 'are')} not moved.",
                    "set the lookup in the target's records by relink.csv and id_map.csv after the load.",
                    sobject=sobject,
                    field=field,
                    count=count,
                )
            )
    return findings
