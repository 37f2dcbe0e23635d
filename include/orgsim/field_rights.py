"""Field-level security of deployed fields: nobody sees one before a permission set of theirs grants it.

Fields of the package and of partners are visible as the settings say; those that a deployment makes (`governed`) follow
the records of FieldPermissions and PermissionSetAssignment, as in a real org.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from orgsim.errors import RowError
from orgsim.rows import Row

if TYPE_CHECKING:
    from orgsim.org import Org

ASSIGNMENT = "PermissionSetAssignment"

_GRANTED = """
    SELECT f."Field", MAX(f."PermissionsRead"), MAX(f."PermissionsEdit") FROM "FieldPermissions" f
    JOIN "PermissionSetAssignment" a ON a."PermissionSetId" = f."ParentId" WHERE a."AssigneeId" = ? GROUP BY 1
"""


def apply(org: Org) -> None:
    """What the integration user sees of governed fields, from the records as they are now."""
    granted = {str(name).lower(): (read, edit) for name, read, edit in org.store.all(_GRANTED, [org.user_id])}
    for sobject in org.schema:
        for one in sobject.fields:
            if not one.governed:
                continue
            read, edit = granted.get(f"{sobject.name}.{one.name}".lower(), (0, 0))
            one.createable = one.updateable = bool(edit)
            entry = (sobject.name.lower(), one.name.lower())
            org.schema.hidden.discard(entry) if read else org.schema.hidden.add(entry)


def refuse_second_assignments(org: Org, rows: Sequence[Row]) -> None:
    """A permission set is assigned to a user once."""
    taken = set(org.store.all('SELECT "AssigneeId", "PermissionSetId" FROM "PermissionSetAssignment"'))
    for row in rows:
        key = (row.values.get("AssigneeId"), row.values.get("PermissionSetId"))
        if row.error is None and key in taken:
            row.error = RowError(
                "DUPLICATE_VALUE",
                "duplicate value found: duplicates value on record with id: <unknown>",
            )
        taken.add(key)
