"""What the users of the two connections may do beyond what describes tell."""

from __future__ import annotations

from coa.findings.finding import Finding, finding
from coa.model import LOADED
from coa.preflight.probe import Probe
from coa.salesforce.soql import text_list
from coa.staging.runs import SOURCE

INACTIVE_OWNERS = "UpdateWithInactiveOwner"
HARD_DELETE = "BulkApiHardDelete"
PERMISSIONS = ("ViewAllData", "ModifyAllData", INACTIVE_OWNERS, HARD_DELETE)


def check_user(probe: Probe, user_id: str) -> list[Finding]:
    """Whether the user sees all records (otherwise the extract would silently miss some), may set owners,
    and may hard-delete.
    """
    if not user_id:
        return []
    has = {name: has_permission(probe, user_id, name) for name in PERMISSIONS}
    findings = []
    if has["ViewAllData"] is False and has["ModifyAllData"] is False:
        findings += _objects_not_seen_whole(probe, user_id)
    if probe.role == SOURCE:
        return findings
    if has[INACTIVE_OWNERS] is False:
        findings.append(finding("note", "inactive_owner_permission"))
    if has[HARD_DELETE] is False:
        findings.append(finding("note", "hard_delete_permission"))
    return findings


def permission_sets(probe: Probe, user_id: str) -> list[str] | None:
    """Ids of the user's permission sets, the profile's own among them; None when the org does not tell."""
    rows = probe.rows(
        "permission sets of the user",
        f"SELECT PermissionSetId FROM PermissionSetAssignment WHERE AssigneeId = '{user_id}'",
    )
    return None if rows is None else sorted(str(r.get("PermissionSetId")) for r in rows)


def has_permission(probe: Probe, user_id: str, permission: str) -> bool | None:
    """None when the org does not tell."""
    # Not noted: where the org has not switched a permission on, the field does not exist.
    quiet = probe.quiet()
    found = quiet.count(
        "",
        "PermissionSetAssignment",
        f"AssigneeId = '{user_id}' AND PermissionSet.Permissions{permission} = true",
    )
    if found is None and "INVALID_FIELD" in quiet.refused.values():
        return False
    if found is None:
        probe.refused["permissions of the user"] = next(iter(quiet.refused.values()), "")
        return None
    return found > 0


def _objects_not_seen_whole(probe: Probe, user_id: str) -> list[Finding]:
    rows = probe.rows(
        "object permissions of the user",
        "SELECT SobjectType, PermissionsViewAllRecords FROM ObjectPermissions WHERE PermissionsViewAllRecords = true "
        f"AND SobjectType IN ({text_list(tuple(LOADED))}) AND ParentId IN "
        f"(SELECT PermissionSetId FROM PermissionSetAssignment WHERE AssigneeId = '{user_id}')",
    )
    if rows is None:
        return []
    seen = {str(r.get("SobjectType")) for r in rows}
    return [
        finding("warning", f"not_all_records_visible_{probe.role}", sobject=name, role=probe.role)
        for name in LOADED
        if name not in seen
    ]
