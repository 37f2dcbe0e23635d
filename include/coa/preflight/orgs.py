"""Who the two orgs are: identity, versions, describes."""

from __future__ import annotations

from typing import Any

from coa.errors import ConfigurationError, OrgRefused
from coa.fields.saved import forget_saved
from coa.salesforce.composite import Read, read_together
from coa.salesforce.describe import Describe, described
from coa.salesforce.session import Org, id18
from coa.staging.database import json_value
from coa.staging.lease import HolderEnded
from coa.staging.runs import SOURCE, WHAT_IF, Run

ORGANIZATION_FIELDS = "Id, Name, IsSandbox, OrganizationType, InstanceName"


def identify(org: Org) -> dict[str, Any]:
    """Id, name and kind of an org, its URL and API version, and the user we act as."""
    try:
        record = next(iter(org.query(f"SELECT {ORGANIZATION_FIELDS} FROM Organization")))
    except OrgRefused as refused:
        if refused.code != "INVALID_FIELD":
            raise
        # A user without "View Setup" does not see all of them.
        record = next(iter(org.query("SELECT Id, Name FROM Organization")))
    return {
        "id": id18(str(record["Id"])),
        "name": str(record.get("Name") or ""),
        "is_sandbox": bool(record.get("IsSandbox") or False),
        "type": str(record.get("OrganizationType") or ""),
        "instance": str(record.get("InstanceName") or ""),
        "instance_url": org.instance_url,
        "api_version": org.api_version,
        "user_id": id18(org.user_id()),
        "connection": org.name,
    }


def bind(run: Run, role: str, org: Org) -> Org:
    """The org, which from now on answers only if it is the one that the run was made for.

    Until a run has joined a pair there is nothing to compare with: preflight decides which orgs it is made for. The
    API version is that of preflight from then on, so that a run sees one from its first task to its last.
    Raises `ConfigurationError` for a what-if, which enters no org. `WrongOrg` comes from the first use of the
    org.
    """
    if run.record.mode == WHAT_IF:
        raise ConfigurationError(
            f"Run {run.run_id} is a what-if: it plans what another run read, and enters no org.",
            next_step="start make preflight to read the orgs anew.",
        )
    expected = run.org_id(role)
    if not expected:
        return org
    org.bind(expected, f"run {run.run_id}")
    made_for = run.record.source_org if role == SOURCE else run.record.target_org
    org.use_version(str(made_for.get("api_version") or ""))
    return org


def take_org(run: Run, identity: dict[str, Any], lease_holder_ended: HolderEnded | None) -> None:
    """The org is both sides of its pair, and so all of it is taken (`coa.staging.lease`)."""
    pair_id = run.db.value(
        """INSERT INTO coa.org_pair (source_org_id, target_org_id) VALUES (%s, %s)
           ON CONFLICT (source_org_id, target_org_id, masked) DO UPDATE SET source_org_id = EXCLUDED.source_org_id
           RETURNING pair_id""",
        [identity["id"], identity["id"]],
    )
    run.update(pair_id=pair_id, source_org=identity, target_org=identity)
    run.lease.take(lease_holder_ended)


def describe_objects(run: Run, org: Org, role: str, names: list[str]) -> dict[str, Describe]:
    """Describes of the objects that the org has; kept in `coa.describe` for the later stages."""
    answers = read_together(org, [Read(path=f"/sobjects/{n}/describe", kind="describe") for n in names])
    found = {d.name: d for d in map(described, answers) if d is not None}
    with run.db.transaction() as connection:
        for name, one in found.items():
            connection.execute(
                """INSERT INTO coa.describe (run_id, org, sobject, describe) VALUES (%s, %s, %s, %s)
                   ON CONFLICT (run_id, org, sobject) DO UPDATE SET describe = EXCLUDED.describe""",
                [run.run_id, role, name, json_value(one.raw)],
            )
    forget_saved(run)
    return found
