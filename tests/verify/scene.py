"""A target after a good migration, and hands to damage it with behind the tool's back."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any
from urllib.error import HTTPError

from coa.model import CUSTOMER, DETAIL, DETAIL_ORDER, NS, ORDER, ROLLUPS, SOURCE_ID, STATUS
from orgsim.launch import RunningOrg

Record = dict[str, Any]
Found = tuple[str, str, str, str]
"""(sObject, target id, field, kind)"""


def has(name: str) -> Callable[[Record], bool]:
    return lambda record: record.get(name) not in (None, "")


def equals(name: str, value: Any) -> Callable[[Record], bool]:
    return lambda record: record.get(name) == value


@dataclass
class Scene:
    """Records of the target that we moved; each is damaged once at most, and so is each order as a whole."""

    target: RunningOrg
    records: dict[str, dict[str, Record]] = field(default_factory=dict)
    used: set[str] = field(default_factory=set)
    expected: dict[str, set[Found]] = field(default_factory=dict)
    """Name of a damage -> differences that it must show."""
    consequences: set[Found] = field(default_factory=set)
    """Differences that follow from a damage, such as totals of the order."""

    @classmethod
    def of(cls, target: RunningOrg) -> Scene:
        scene = cls(target)
        for sobject in (CUSTOMER, ORDER, DETAIL):
            # By source id, so that the same records are taken whatever order they were created in.
            rows = sorted(target.control("GET", f"table/{sobject}"), key=lambda r: r[SOURCE_ID] or "")
            scene.records[sobject] = {r["Id"]: r for r in rows if r[SOURCE_ID] and not r["IsDeleted"]}
        return scene

    def details_of(self, order_id: str) -> list[Record]:
        return [r for r in self.records[DETAIL].values() if r[DETAIL_ORDER] == order_id]

    def take(self, sobject: str, *conditions: Callable[[Record], bool]) -> Record:
        """A record that no other damage has touched; its order counts as touched too."""
        for record in self.records[sobject].values():
            owner = record[DETAIL_ORDER] if sobject == DETAIL else record["Id"]
            if not {record["Id"], owner} & self.used and all(c(record) for c in conditions):
                self.used |= {record["Id"], owner}
                return record
        raise AssertionError(f"no {sobject} left for this damage")

    def edit(self, sobject: str, record: Record, **values: Any) -> None:
        """Past every rule and stamp."""
        self.target.control("PATCH", f"records/{sobject}/{record['Id']}", values, raw="true")

    def delete(self, sobject: str, record: Record) -> None:
        self.target.control("DELETE", f"records/{sobject}/{record['Id']}")

    def create(self, sobject: str, values: Record) -> str:
        try:
            return str(self.target.control("POST", f"records/{sobject}", values)["id"])
        except HTTPError as error:
            raise AssertionError(error.read().decode()) from error

    def copy(self, sobject: str, record: Record, **values: Any) -> str:
        """A record with the same values, without migration key; status and stamps as the org makes them."""
        kept = {
            # Stored as 0 and 1; all numbers are stored with a fraction.
            name: bool(value) if isinstance(value, int) else value
            for name, value in record.items()
            if name.startswith(NS)
            and value is not None
            and name not in {STATUS, NS + "Send_Order__c", *ROLLUPS}
        }
        return self.create(sobject, {**kept, **values})

    def totals_follow(self, order_ids: Iterable[str]) -> None:
        for order_id in order_ids:
            for name in ROLLUPS:
                self.consequences.add((ORDER, order_id, name, "rollup"))
