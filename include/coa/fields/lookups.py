"""By which fields records of other sObjects are found again in the target."""

from __future__ import annotations

from coa.mapping.model import Mapping
from coa.model import DEFAULT_LOOKUP_KEYS
from coa.salesforce.describe import Describe

# A developer name is unique for one object (record types) or one type of group only.
SETUP_KEYS = {"RecordType": ("SobjectType+DeveloperName",), "Group": ("Type+DeveloperName", "DeveloperName")}


def lookup_keys(sobject: str, source: Describe, target: Describe, mapping: Mapping) -> tuple[str, ...]:
    """Keys of an sObject, best first; each a field, or fields joined by `+`, that both orgs have.

    From the mapping file, else the documented defaults, else shared external ids, else a Name that
    people give (an auto-numbered Name means something else in each org).
    """
    configured = mapping.lookups.get(sobject) or SETUP_KEYS.get(sobject) or DEFAULT_LOOKUP_KEYS.get(sobject)
    if configured is None:
        configured = tuple(
            f.name
            for f in source.fields.values()
            if f.flag("externalId") and f.name in target.fields and not f.name.startswith("COA_")
        )
        name = source.field("Name")
        if name and not name.flag("autoNumber") and not name.flag("calculated"):
            configured = (*configured, "Name")
    return tuple(key for key in configured if _both_have(key.split("+"), source, target))


def _both_have(names: list[str], source: Describe, target: Describe) -> bool:
    return all(n in source.fields and n in target.fields for n in names)


def lookup_fields(sobject: str, source: Describe, target: Describe, mapping: Mapping) -> list[str]:
    """The fields that have to be extracted of a lookup object, in either org."""
    # The stamp lets a delta read only what changed.
    wanted = {"Id", "SystemModstamp"}
    for key in lookup_keys(sobject, source, target, mapping):
        wanted.update(key.split("+"))
    if sobject == "User":
        wanted.update(("Username", "Email", "FederationIdentifier", "IsActive", "Name"))
    if sobject == "RecordType":
        wanted.update(("SobjectType", "DeveloperName"))
    return [n for n in source.fields if n in wanted and n in target.fields]
