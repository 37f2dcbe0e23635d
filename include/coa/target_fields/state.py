"""What of the migration's fields and permission set is in an org, as its user sees it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from coa.errors import ConfigurationError
from coa.findings.finding import Finding
from coa.model import LOADED, MIGRATION_FIELDS
from coa.preflight.checks import check_migration_fields
from coa.preflight.orgs import identify
from coa.salesforce.composite import Read, granted, read_together, records_of
from coa.salesforce.describe import Describe, described
from coa.salesforce.session import Org
from coa.target_fields.package import PERMISSION_SET


@dataclass(frozen=True)
class State:
    """`identity`: as `identify` gives it. `findings`: what preflight would say of the fields."""

    identity: dict[str, Any]
    describes: dict[str, Describe]
    findings: list[Finding]
    permission_set: str
    """Id of the permission set; empty when there is none."""
    assignments: dict[str, str]
    """Id of the user -> id of the assignment."""

    @property
    def org_id(self) -> str:
        """Id of the org, 18 characters."""
        return str(self.identity["id"])

    @property
    def user_id(self) -> str:
        """Id of the user of the connection."""
        return str(self.identity["user_id"])

    @property
    def assigned(self) -> bool:
        """Whether the user has the permission set."""
        return self.user_id in self.assignments

    @property
    def seen(self) -> list[str]:
        """Full names of the fields that the user sees."""
        return [f"{s}.{n}" for s in LOADED for n in MIGRATION_FIELDS if n in self.describes[s].fields]


def look(org: Org) -> State:
    """Asks the org. Raises `ConfigurationError` when the app is not there, or the org does not tell who we are."""
    identity = identify(org)
    answers = read_together(
        org,
        [
            *(Read(path=f"/sobjects/{name}/describe", kind="describe") for name in LOADED),
            Read(soql=f"SELECT Id FROM PermissionSet WHERE Name = '{PERMISSION_SET}'"),
            Read(
                soql="SELECT Id, AssigneeId FROM PermissionSetAssignment "
                f"WHERE PermissionSet.Name = '{PERMISSION_SET}'"
            ),
        ],
    )
    describes = {one.name: one for one in map(described, answers[: len(LOADED)]) if one is not None}
    missing = [name for name in LOADED if name not in describes]
    if missing:
        raise ConfigurationError(
            f"The org {identity['id']} (connection {org.name}) shows no {', '.join(missing)}.",
            next_step="install the Channel Order App there first, or assign the permission set COA Admin User to the "
            "user.",
        )
    if not identity["user_id"]:
        raise ConfigurationError(
            f"The org {identity['id']} does not tell which user the connection {org.name} is.",
            next_step="give that user's OAuth session the scopes api and openid, then run the command again.",
        )
    sets = list(records_of(org, granted(answers[-2])))
    assignments = {str(r["AssigneeId"]): str(r["Id"]) for r in records_of(org, granted(answers[-1]))}
    return State(
        identity,
        describes,
        check_migration_fields(describes),
        str(sets[0]["Id"]) if sets else "",
        assignments,
    )
