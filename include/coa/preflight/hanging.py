"""Whether both orgs let what hangs on the records be carried, where a param asks for it: object and field rights."""

from __future__ import annotations

from coa.codes import Severity
from coa.config import RunParams
from coa.findings.finding import Finding, finding
from coa.hanging import EMAIL, LINK, VERSION, Hanging
from coa.policies import Policies
from coa.salesforce.describe import Describe
from coa.staging.runs import SOURCE, TARGET


def needed_fields(kind: Hanging) -> tuple[str, ...]:
    """What a new record of the kind cannot do without."""
    if kind.sobject == VERSION:
        return ("ContentDocumentId", "PathOnClient", "Title", kind.body)
    if kind.sobject == LINK:
        return ("ContentDocumentId", kind.parent)
    return (kind.parent, *([kind.body] if kind.body else []))


def check_hanging(params: RunParams, describes: dict[str, dict[str, Describe]]) -> list[Finding]:
    """A blocker for each kind that the source has and the target does not take.

    A kind that the source does not show is a warning, for its user may lack the right; e-mails are a note, for not
    every org has them.
    """
    findings = []
    for kind in Policies(params).hanging:
        if kind.sobject not in describes[SOURCE]:
            severity = Severity.NOTE if kind.sobject == EMAIL else Severity.WARNING
            findings.append(finding(severity, "attached_not_seen", sobject=kind.sobject, what=kind.what))
            continue
        there = describes[TARGET].get(kind.sobject)
        if there is None or not there.createable:
            findings.append(_refused(kind, "", "create it"))
            continue
        for name in needed_fields(kind):
            field = there.field(name)
            if field is None or not field.createable:
                findings.append(_refused(kind, name, f"set its field {name}"))
    return findings


def _refused(kind: Hanging, field: str, right: str) -> Finding:
    return finding(
        "blocker", "attached_not_writeable", sobject=kind.sobject, field=field, right=right, param=kind.param
    )
