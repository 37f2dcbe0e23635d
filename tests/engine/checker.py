"""An independent check of a migration's end state, from dumps of both orgs: none of our SQL is used.

Lookups are followed to what a person would recognise (names, org ids), records of the target to the
source record that their migration key names.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from coa.model import (
    CLONED_FROM,
    CONTRACT,
    CUSTOMER,
    CUSTOMER_ORG_ID,
    DETAIL,
    DETAIL_ORDER,
    LOADED,
    MIGRATION_FIELDS,
    NS,
    ORDER,
    ORDER_CUSTOMER,
    PRODUCT,
    PRODUCT_CONTRACT,
    PRODUCT_ID,
    RECEIVED_AT,
    SOURCE_ID,
)
from orgsim.launch import RunningOrg

Record = dict[str, Any]
NOT_COMPARED = {
    "Id",
    "Name",
    "IsDeleted",
    "CreatedById",
    "LastModifiedDate",
    "LastModifiedById",
    "SystemModstamp",
    "LastActivityDate",
    "LastViewedDate",
    "LastReferencedDate",
    "OwnerId",
    "ConnectionReceivedId",
    "ConnectionSentId",
    *MIGRATION_FIELDS,
    # Never written: the one could send an order again, the others are the target's own.
    NS + "Send_Order__c",
    NS + "Version__c",
}
LICENSE_LOOKUPS = {"License__c", "Related_License__c"}
"""Licenses belong to the License Management App of their org: they are not moved, so nothing can point at them."""
ROLLUPS = {NS + n for n in ("Order_Total_Value__c", "Total_Quantity__c", "Product_Lines__c")}


@dataclass
class Verdict:
    """What is wrong with the target; empty when nothing is."""

    missing: list[tuple[str, str]] = field(default_factory=list)
    duplicated: list[tuple[str, str]] = field(default_factory=list)
    different: list[tuple[str, str, str, Any, Any]] = field(default_factory=list)
    unexpected: list[tuple[str, str]] = field(default_factory=list)

    @property
    def clean(self) -> bool:
        return not (self.missing or self.duplicated or self.different or self.unexpected)

    def __str__(self) -> str:
        return (
            f"missing {self.missing[:5]} ({len(self.missing)}), duplicated {self.duplicated[:5]} "
            f"({len(self.duplicated)}), unexpected {self.unexpected[:5]} ({len(self.unexpected)}), "
            f"different {Counter(d[2] for d in self.different)} {self.different[:8]}"
        )


class Dump:
    """All live records of one org, by sObject and id."""

    def __init__(self, org: RunningOrg) -> None:
        self.records: dict[str, dict[str, Record]] = {}
        for name in (*LOADED, CONTRACT, PRODUCT, "Account", "Opportunity"):
            rows = org.control("GET", f"table/{name}")
            self.records[name] = {r["Id"]: r for r in rows if not r.get("IsDeleted")}

    def by_source_id(self, name: str) -> dict[str, list[Record]]:
        found: dict[str, list[Record]] = {}
        for record in self.records[name].values():
            if record.get(SOURCE_ID):
                found.setdefault(record[SOURCE_ID], []).append(record)
        return found

    def meaning(self, name: str, record_id: str | None) -> Any:
        """What a lookup means to a person, in terms that both orgs share."""
        if not record_id or record_id not in self.records[name]:
            return None
        record = self.records[name][record_id]
        if name == PRODUCT:
            return (self.meaning(CONTRACT, record[PRODUCT_CONTRACT]), record[PRODUCT_ID], record["Name"])
        return record["Name"]


def check(
    source: RunningOrg, target: RunningOrg, left_out: Iterable[str] = (), dates: bool = True
) -> Verdict:
    """Compares everything but `left_out` (source ids that the plan lists as blocked or held)."""
    ours, theirs = Dump(source), Dump(target)
    skipped = set(left_out)
    verdict = Verdict()
    for name in LOADED:
        keyed = theirs.by_source_id(name)
        for source_id, records in keyed.items():
            if len(records) > 1:
                verdict.duplicated.append((name, source_id))
            if source_id not in ours.records[name]:
                verdict.unexpected.append((name, records[0]["Id"]))
        for source_id, record in ours.records[name].items():
            if source_id in skipped or (name == CUSTOMER and _existed(theirs, record, keyed)):
                continue
            if source_id not in keyed:
                verdict.missing.append((name, source_id))
                continue
            _compare(verdict, name, record, keyed[source_id][0], ours, theirs, dates)
    our_orders = {r["Id"] for rs in theirs.by_source_id(ORDER).values() for r in rs}
    for record in theirs.records[DETAIL].values():
        if record[DETAIL_ORDER] in our_orders and not record.get(SOURCE_ID):
            verdict.unexpected.append((DETAIL, record["Id"]))
    return verdict


def _existed(theirs: Dump, customer: Record, keyed: dict[str, list[Record]]) -> bool:
    """Whether the target had this customer of its own before, in either form of the org id."""
    if customer["Id"] in keyed:
        return False
    return any(not r.get(SOURCE_ID) and _org(r) == _org(customer) for r in theirs.records[CUSTOMER].values())


def _org(record: Record) -> str:
    value = record[CUSTOMER_ORG_ID]
    return str(value[:15] if len(value) == 18 else value)


def _compare(
    verdict: Verdict, name: str, record: Record, copy: Record, ours: Dump, theirs: Dump, dates: bool
) -> None:
    for one in record:
        if one in NOT_COMPARED or one not in copy or (one == RECEIVED_AT and not dates):
            continue
        have, want = copy[one], record[one]
        if one == ORDER_CUSTOMER and name == ORDER:
            have = have and _org(theirs.records[CUSTOMER][have])
            want = want and _org(ours.records[CUSTOMER][want])
        elif one in LICENSE_LOOKUPS:
            want = None
        elif one in (CLONED_FROM, DETAIL_ORDER):
            have = have and theirs.records[ORDER][have].get(SOURCE_ID)
            # An original that was not moved leaves the link empty.
            if one == CLONED_FROM and want not in theirs.by_source_id(ORDER):
                want = None
        else:
            referred = _refers_to(one) or ("Account" if want in ours.records["Account"] else "")
            if referred:
                have, want = theirs.meaning(referred, have), ours.meaning(referred, want)
                if (
                    have is None
                    and referred in ("Account", "Opportunity")
                    and not _findable(ours, theirs, referred, want)
                ):
                    continue
        unticked = have in (None, 0) and want in (None, 0) and one == "Active__c"
        if have != want and not unticked:
            verdict.different.append((name, record["Id"], one, want, have))


def _findable(ours: Dump, theirs: Dump, referred: str, wanted: str) -> bool:
    """Whether exactly one record of each org bears this name."""
    return all(
        sum(r["Name"] == wanted for r in dump.records[referred].values()) == 1 for dump in (ours, theirs)
    )


def _refers_to(field_name: str) -> str:
    return {
        NS + "Partner_Contract_Rules__c": CONTRACT,
        NS + "pc_Partner_Contract_Term__c": CONTRACT,
        NS + "Product_Name__c": PRODUCT,
        NS + "Account__c": "Account",
        NS + "Related_Opportunity__c": "Opportunity",
    }.get(field_name, "")
