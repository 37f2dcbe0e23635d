"""Who the two orgs are: identity, versions, describes."""

from __future__ import annotations

from typing import Any

from coa.errors import OrgRefused
from coa.salesforce.composite import Read, read_together
from coa.salesforce.describe import Describe, described
from coa.salesforce.session import Org
from coa.staging.database import json_value
from coa.staging.runs import Run

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


def id18(value: str) -> str:
    """A 15-character id with its three check characters; anything else as it is.

    >>> id18("0018c00002FInbo")
    '0018c00002FInboAAD'
    """
    if len(value) != 15:
        return value
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZ012345"
    groups = (value[start : start + 5] for start in (0, 5, 10))
    return value + "".join(alphabet[sum(1 << i for i, c in enumerate(g) if "A" <= c <= "Z")] for g in groups)


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
    return found
