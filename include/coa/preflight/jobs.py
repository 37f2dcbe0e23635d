"""Scheduled work in the target that could submit the orders which are Drafts during the load.

A partner's batch that submits every Draft order is the example of Salesforce's own guide
(COA_ServiceOrderSubmit, before version 2 ServiceOrderProcessor). What a class does is read from its code and
from the classes that it names, two steps deep; if the code is not shown, its name decides.
"""

from __future__ import annotations

import re
from typing import Any

from coa.codes import Severity
from coa.findings.finding import Finding, finding
from coa.model import NAMESPACE
from coa.preflight.probe import Probe, related
from coa.salesforce.soql import text_list

SUBMIT_CODE = re.compile(r"COA_ServiceOrder(Submit|Edit)|ServiceOrderProcessor", re.IGNORECASE)
SUBMIT_NAME = re.compile(
    r"(submit|send|process|transmit)\w*[\s_-]*\w*(order|draft|coa)|(order|draft|coa)\w*[\s_-]*(submit|send)",
    re.IGNORECASE,
)
IDENTIFIER = re.compile(r"[A-Za-z]\w{2,39}")
DEPTH = 3
CLASSES_A_QUERY = 100


def check_submit_jobs(probe: Probe, accepted: bool) -> list[Finding]:
    """Scheduled jobs of the target that could submit Draft orders: a blocker, or a warning if they are `accepted`."""
    jobs = probe.rows(
        "scheduled Apex jobs",
        "SELECT ApexClass.Name, ApexClass.NamespacePrefix, JobType, Status FROM AsyncApexJob "
        "WHERE Status IN ('Holding','Queued','Preparing','Processing') "
        "AND JobType IN ('ScheduledApex','BatchApex','Queueable','Future')",
    )
    scheduled = probe.rows(
        "the schedule of Apex jobs",
        "SELECT CronJobDetail.Name, State FROM CronTrigger WHERE CronJobDetail.JobType = '7' "
        "AND State IN ('WAITING','ACQUIRED','EXECUTING','PAUSED','BLOCKED')",
    )
    findings = _unchecked() if jobs is None else []
    own = {str(related(j, "ApexClass.Name")) for j in jobs or [] if _namespace(j) != NAMESPACE} - {"None"}
    managed = {str(related(j, "ApexClass.Name")) for j in jobs or [] if _namespace(j) == NAMESPACE}
    suspects = _that_submit(probe, own)
    names = [str(related(s, "CronJobDetail.Name") or "") for s in scheduled or []]
    suspects |= {n for n in names if SUBMIT_NAME.search(n) and not n.startswith("COA ")}
    suspects |= _flows(probe)
    if suspects:
        findings.append(_suspect_finding(sorted(suspects), accepted))
    if managed:
        findings.append(
            finding(
                "note", "package_jobs", count=len(managed), examples=sorted(managed), names=sorted(managed)
            )
        )
    return findings


def _namespace(job: dict[str, Any]) -> str:
    return str(related(job, "ApexClass.NamespacePrefix") or "")


def _unchecked() -> list[Finding]:
    return [finding("warning", "submit_jobs_not_checked")]


SUBMIT_JOBS = "submit_jobs"


def submit_jobs_severity(accepted: bool) -> Severity:
    """How grave such a job is; `accepted` is the param `accept_submit_jobs`."""
    return Severity.WARNING if accepted else Severity.BLOCKER


def _suspect_finding(suspects: list[str], accepted: bool) -> Finding:
    return finding(
        submit_jobs_severity(accepted),
        SUBMIT_JOBS,
        count=len(suspects),
        examples=suspects,
        names=suspects[:10],
    )


def _that_submit(probe: Probe, classes: set[str]) -> set[str]:
    """The classes among these whose name or code, or a class named in their code, submits orders."""
    if not classes:
        return set()
    suspects = {name for name in classes if SUBMIT_NAME.search(name)}
    known: set[str] | None = None
    # class -> scheduled classes that lead to it
    asked: dict[str, set[str]] = {name: {name} for name in classes}
    seen: set[str] = set(asked)
    for depth in range(DEPTH):
        bodies = _bodies(probe, sorted(asked))
        if not bodies:
            break
        following: dict[str, set[str]] = {}
        for name, body in bodies.items():
            roots = asked.get(name, set())
            if SUBMIT_CODE.search(body):
                suspects |= roots
            if depth + 1 == DEPTH:
                continue
            if known is None:
                known = _own_classes(probe)
            for other in set(IDENTIFIER.findall(body)) & known - seen:
                following.setdefault(other, set()).update(roots)
        seen |= following.keys()
        asked = dict(sorted(following.items())[:CLASSES_A_QUERY])
        if not asked:
            break
    return suspects


def _bodies(probe: Probe, names: list[str]) -> dict[str, str]:
    rows = probe.rows(
        "the code of scheduled Apex classes",
        "SELECT Name, Body FROM ApexClass WHERE NamespacePrefix = null AND Name IN "
        f"({text_list(names[:CLASSES_A_QUERY])})",
    )
    return {str(r["Name"]): str(r.get("Body") or "") for r in rows or []}


def _own_classes(probe: Probe) -> set[str]:
    rows = probe.rows("Apex classes", "SELECT Name FROM ApexClass WHERE NamespacePrefix = null")
    return {str(r["Name"]) for r in rows or []}


def _flows(probe: Probe) -> set[str]:
    """Active scheduled flows whose name says that they send orders."""
    rows = probe.rows(
        "scheduled flows",
        "SELECT ApiName, Label, NamespacePrefix FROM FlowDefinitionView "
        "WHERE IsActive = true AND TriggerType = 'Scheduled'",
    )
    return {
        str(r.get("ApiName"))
        for r in rows or []
        if (r.get("NamespacePrefix") or "") != NAMESPACE
        and SUBMIT_NAME.search(f"{r.get('ApiName')} {r.get('Label')}")
    }
