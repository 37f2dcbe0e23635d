"""What the users of the two connections may do beyond what describes tell."""

from __future__ import annotations

from coa.model import LOADED
from coa.preflight.probe import Probe
from coa.salesforce.soql import text_list
from coa.staging.journal import Finding
from coa.staging.runs import SOURCE

INACTIVE_OWNERS = "UpdateWithInactiveOwner"
PERMISSIONS = ("ViewAllData", "ModifyAllData", INACTIVE_OWNERS, "BulkApiHardDelete")


def check_user(probe: Probe, user_id: str) -> list[Finding]:
    """Sees all records (else the extract would silently miss some), may own for others, may hard-delete."""
    if not user_id:
        return []
    has = {name: has_permission(probe, user_id, name) for name in PERMISSIONS}
    findings = []
    if has["ViewAllData"] is False and has["ModifyAllData"] is False:
        findings += _objects_not_seen_whole(probe, user_id)
    if probe.role == SOURCE:
        return findings
    for name, code, text, next_step in (
        (
            INACTIVE_OWNERS,
            "inactive_owner_permission",
            "The user of coa_target may not update records of inactive owners: an owner who is deactivated "
            "between two runs makes the org refuse later changes.",
            "give the user 'Update Records with Inactive Owners' (Setup > User Interface switches it on).",
        ),
        (
            "BulkApiHardDelete",
            "hard_delete_permission",
            "The user of coa_target has no right to hard-delete by Bulk API: a roll-back puts records into the "
            "recycle bin, where they count against storage for 15 days.",
            "nothing, unless that storage matters.",
        ),
    ):
        if has[name] is False:
            findings.append(Finding("note", code, text, next_step))
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
        Finding(
            "warning",
            f"not_all_records_visible_{probe.role}",
            f"The user of coa_{probe.role} sees only the {name} that are shared with it.",
            "assign the permission set COA Admin User or View All Data to that user.",
            sobject=name,
        )
        for name in LOADED
        if name not in seen
    ]
