"""Two orgs without a problem, and the means to plant some: values are set past every rule of the orgs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from coa.model import CUSTOMER, DETAIL, NS, ORDER
from orgsim.launch import RunningOrg, running_pair

SETTLED = "Provisioned"


class Pair:
    """`take` hands out records of the source that no other problem uses."""

    def __init__(self, source: RunningOrg, target: RunningOrg) -> None:
        self.source = source
        self.target = target
        self._free: dict[str, Iterator[dict[str, Any]]] = {}

    def table(self, org: RunningOrg, sobject: str) -> list[dict[str, Any]]:
        """All live records with every stored field."""
        return [r for r in org.control("GET", f"table/{sobject}") if not r.get("IsDeleted")]

    def set(self, org: RunningOrg, sobject: str, record_id: str, **values: Any) -> None:
        org.control("PATCH", f"records/{sobject}/{record_id}", values, raw="true")

    def add(self, org: RunningOrg, sobject: str, **values: Any) -> str:
        return str(org.control("POST", f"records/{sobject}", values, raw="true")["id"])

    def field(self, org: RunningOrg, field: str, **changes: Any) -> None:
        org.control("POST", "fields", {"field": field, **changes})

    def take(self, sobject: str, count: int = 1) -> list[dict[str, Any]]:
        if sobject not in self._free:
            rows = self.table(self.source, sobject)
            if sobject == DETAIL:
                # One an order, so that what blocks a detail's order does not hide another problem.
                rows = list({r[NS + "Partner_Order__c"]: r for r in rows}.values())[::-1]
            self._free[sobject] = iter(rows)
        return [next(self._free[sobject]) for _ in range(count)]

    def change(self, sobject: str, count: int = 1, **values: Any) -> int:
        """Sets values in that many fresh records of the source; the number."""
        for row in self.take(sobject, count):
            self.set(self.source, sobject, row["Id"], **values)
        return count


@contextmanager
def clean_pair(orders: int = 60, **switches: Any) -> Iterator[Pair]:
    """Everyone known and active in both orgs, every order settled, every lookup there, no job scheduled."""
    target = {"hard_delete": True, **switches.pop("target", {})}
    with running_pair(orders=orders, seed=7, planted=False, target=target, **switches) as (source, other):
        pair = Pair(source, other)
        known = {u["Email"]: u for u in pair.table(other, "User")}
        for user in pair.table(source, "User"):
            there = known.get(user["Email"])
            if there is None and not user["Email"].startswith("integration"):
                copy = {k: user[k] for k in ("FirstName", "LastName", "Name", "Email", "Alias")}
                pair.add(other, "User", **copy, Username=f"{user['Email']}.target",
                         FederationIdentifier=user["FederationIdentifier"], IsActive=1)  # fmt: skip
            elif there is not None and not there["IsActive"]:
                pair.set(other, "User", there["Id"], IsActive=1)
        for order in pair.table(source, ORDER):
            pair.set(source, ORDER, order["Id"], Service_Order_Status__c=SETTLED)
        names = {a["Name"] for a in pair.table(other, "Account")}
        accounts = {a["Id"]: a for a in pair.table(source, "Account")}
        for customer in pair.table(source, CUSTOMER):
            account = accounts.get(customer[NS + "Account__c"])
            if account is not None and account["Name"] not in names:
                pair.set(source, CUSTOMER, customer["Id"], Account__c=None)
        for job in pair.table(other, "AsyncApexJob"):
            pair.set(other, "AsyncApexJob", job["Id"], Status="Completed")
        yield pair
