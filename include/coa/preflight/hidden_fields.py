"""Fields that an org has and its user does not see. That they are missing does not mean that they are empty.

A describe shows only what field-level security grants. The package's fields are known (`package_fields.json`);
a partner's own fields are known from the other org's describe. Each one that is missing is a finding: without
it the records would arrive without its values, and the proof, which reads as the same user, would not notice.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

from coa.findings.finding import Finding, finding
from coa.mapping.model import Mapping
from coa.model import (
    COA_OBJECTS,
    CUSTOMER_ORG_ID,
    DETAIL_CONTRACT,
    DETAIL_ORDER,
    DETAIL_PRODUCT,
    LOADED,
    NEVER_WRITTEN,
    ORDER_CONTRACT,
    ORDER_CUSTOMER,
    ORDER_TYPE,
    PRICE_FIELDS,
    PRICEBOOK_ENTRY_ID,
    PRODUCT_CONTRACT,
    PRODUCT_ID,
    QUANTITY,
    STATUS,
)
from coa.preflight.package import version_text
from coa.salesforce.describe import Describe

Version = tuple[int, int, int]

STRUCTURE = frozenset(
    {
        STATUS,
        ORDER_TYPE,
        ORDER_CUSTOMER,
        ORDER_CONTRACT,
        DETAIL_ORDER,
        DETAIL_CONTRACT,
        DETAIL_PRODUCT,
        QUANTITY,
        CUSTOMER_ORG_ID,
        PRODUCT_ID,
        PRODUCT_CONTRACT,
        PRICEBOOK_ENTRY_ID,
    }
)
"""What holds the records together, and the keys of what is matched: nothing can be planned without them."""
MONEY_AND_DATES = frozenset({"currency", "date", "datetime"})
KNOWN_FROM = (3, 4, 0)
"""From this version of the package on `package_fields.json` is complete: older ones lack some of its fields."""
OWN_FIELD = re.compile(r"(?!COA_)[A-Za-z](?:(?!__)\w)*__c")
"""A custom field of the partner's own: no namespace, and none of our migration fields."""
CODE = "field_hidden"


@dataclass(frozen=True)
class Expected:
    """A field that an org should show: `type` in the words of a describe, `because` for the message."""

    sobject: str
    name: str
    type: str
    required: bool
    granted: bool
    because: str

    def severity(self, policy: str) -> str:
        """Of the finding that the field is hidden, under the policy `hidden_fields`."""
        if not self.granted:
            return "warning"
        critical = (
            self.required
            or self.type in MONEY_AND_DATES
            or self.name in PRICE_FIELDS
            or self.name in STRUCTURE
        )
        return "blocker" if critical or policy == "stop" else "warning"


@cache
def package_fields() -> dict[str, dict[str, dict[str, Any]]]:
    """sObject -> field -> `type`, `required`, `createable`, `since`, `granted` of the newest package version."""
    text = resources.files(__package__).joinpath("package_fields.json").read_text("utf-8")
    found: dict[str, dict[str, dict[str, Any]]] = json.loads(text)["objects"]
    return found


def check_hidden_fields(
    describes: dict[str, dict[str, Describe]],
    versions: dict[str, Version | None],
    mapping: Mapping,
    policy: str,
) -> list[Finding]:
    """One finding a field, naming the orgs whose user does not see it; `policy` is the param `hidden_fields`."""
    hidden: dict[tuple[str, str], dict[str, Expected]] = {}
    for role, other in (("source", "target"), ("target", "source")):
        shown, elsewhere = describes[role], describes[other]
        expected = [*_of_package(versions[role], elsewhere)]
        if role == "source":
            # What the target lacks of the source's own fields is counted with its data: `field_not_carried`.
            expected += _of_partner(elsewhere, mapping)
        for one in expected:
            if one.sobject in shown and shown[one.sobject].field(one.name) is None:
                hidden.setdefault((one.sobject, one.name), {})[role] = one
    return [_finding(by_role, mapping, policy) for _, by_role in sorted(hidden.items())]


def _of_package(version: Version | None, elsewhere: dict[str, Describe]) -> Iterator[Expected]:
    """What the package has in this version: all that it stores of what is loaded, and the keys of what is matched."""
    if version is None:
        return
    for sobject in COA_OBJECTS:
        for name, fact in package_fields()[sobject].items():
            stored = fact.get("createable", True) is True
            if name in NEVER_WRITTEN or not stored or not (sobject in LOADED or name in STRUCTURE):
                continue
            since = tuple(int(n) for n in str(fact.get("since", "0.0")).split("."))
            seen_elsewhere = sobject in elsewhere and elsewhere[sobject].field(name) is not None
            if version[:2] < since or (version < KNOWN_FROM and not seen_elsewhere):
                continue
            yield Expected(
                sobject,
                name,
                str(fact["type"]).lower(),
                bool(fact.get("required")),
                bool(fact.get("granted", True)),
                f"the Channel Order App {version_text(version)} has it",
            )


def _of_partner(elsewhere: dict[str, Describe], mapping: Mapping) -> Iterator[Expected]:
    """A partner's own fields that the other org shows, and that the mapping file does not fill or drop."""
    for sobject in LOADED:
        there = elsewhere.get(sobject)
        for field in there.fields.values() if there else ():
            rule = mapping.rule(sobject, field.name)
            given = rule.drop or rule.constant is not None or rule.default is not None or rule.source
            if given or field.computed or not field.createable or not OWN_FIELD.fullmatch(field.name):
                continue
            yield Expected(sobject, field.name, field.type, field.required, True, "the other org shows it")


def _finding(by_role: dict[str, Expected], mapping: Mapping, policy: str) -> Finding:
    one = next(iter(by_role.values()))
    dropped = mapping.rule(one.sobject, one.name).drop
    return finding(
        "note" if dropped else one.severity(policy),
        "field_hidden:needed" if one.severity("report") == "blocker" else "field_hidden",
        sobject=one.sobject,
        field=one.name,
        count=len(by_role),
        roles=" and ".join(by_role),
        connections=" and ".join("coa_" + role for role in by_role),
        because=one.because,
    )


def is_structural(finding: Finding) -> bool:
    """Whether a hidden field makes it impossible to examine the data at all."""
    return finding.code == CODE and finding.severity == "blocker" and finding.field in STRUCTURE
