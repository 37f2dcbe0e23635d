"""The smallest correct load: all that has to be done so that every order arrives as it was, and nothing else.

    python -m bench.clients.reference SOURCE_URL TARGET_URL POLL_SECONDS FOLDER

Everything is in memory. Nothing is staged, asked for approval, proved or reported, and a kill leaves half of it: what
a migration needs beyond that is the difference to ours. It knows what the app changes and puts it right in as few
passes as there can be:

    customers    those that the target lacks, found again by either form of their org id
    orders       as Drafts, without their link
    details      then what Bulk does not carry exactly (carriage returns, `#N/A`), by REST, while their order is a Draft
    details      the prices that the app took from today's catalog, and what the target filled in
    orders       status, link, and what the target filled in, in one update
    orders       the received date of those that went to Received, which stamped it
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import Any

from bench.check import short
from bench.clients.naive import CLONED, KEY, NS, RECEIVED, STATUS, Move, Record

CUSTOMER, ORDER, DETAIL = NS + "Customer__c", NS + "Service_Order__c", NS + "Service_Order_Detail__c"
CONTRACT, PRODUCT = NS + "Partner_Contract_Terms__c", NS + "Partner_Product_Catalog__c"
ORG_ID, PARENT = NS + "Customer_Org_ID__c", NS + "Partner_Order__c"
CUSTOMER_OF, CONTRACT_OF = NS + "Customer__c", NS + "Partner_Contract_Rules__c"
PRODUCT_OF, CONTRACT_OF_DETAIL = NS + "Product_Name__c", NS + "pc_Partner_Contract_Term__c"
PRICE, PRICING = NS + "pc_Fixed_Price__c", NS + "pc_Pricing_Type__c"
NULL = "#N/A"
"""In an update it empties a field; as a value a text cannot be it."""
REST_ROWS = 200
"""Records of one `PATCH /composite/sobjects` (REST API guide, "sObject Collections")."""

Lookups = dict[str, dict[str, str]]


class Load(Move):
    """From one org to the other, right."""

    def run(self) -> None:
        contracts, products, customers = self.prepare()
        self.orders(contracts, customers, self.unique("Opportunity"))
        self.details(contracts, products)
        self.finish_orders()

    def prepare(self) -> tuple[dict[str, str], dict[str, str], dict[str, str]]:
        """Source id -> target id of contracts, products and customers; everything that is written is read."""
        wanted = {name: ["Id", *self.fields(name)] for name in (CUSTOMER, ORDER, DETAIL)}
        with ThreadPoolExecutor(3) as pool:
            reads = {name: pool.submit(self.read, self.source, name, wanted[name]) for name in wanted}
            self.records = {name: one.result() for name, one in reads.items()}
        contracts = self.matched(CONTRACT, "Name")
        theirs = {short(i): record for i, record in self.by_key(self.target, CUSTOMER, ORG_ID).items()}
        customers = {
            one["Id"]: theirs[short(one[ORG_ID])]
            for one in self.records[CUSTOMER]
            if short(one[ORG_ID]) in theirs
        }
        new = [one for one in self.records[CUSTOMER] if one["Id"] not in customers]
        customers |= self.create(CUSTOMER, new, {NS + "Account__c": self.unique("Account")})
        return contracts, self.products(contracts), customers

    def products(self, contracts: dict[str, str]) -> dict[str, str]:
        """A product is known by its contract, its product id and its name: one alone may stand there twice."""
        key = ["Name", NS + "Product_ID__c", CONTRACT]
        price = [NS + "Pricing_Type__c", NS + "Fixed_Price__c"]
        theirs = {}
        self.catalog: dict[str, str] = {}
        for one in self.read(self.target, PRODUCT, ["Id", *key, *price]):
            theirs[tuple(one[name] for name in key)] = one["Id"]
            if one[price[0]] == "FIXED":
                self.catalog[one["Id"]] = one[price[1]]
        found = {}
        for one in self.read(self.source, PRODUCT, ["Id", *key]):
            target = theirs.get((one["Name"], one[key[1]], contracts.get(one[CONTRACT], "")))
            if target:
                found[one["Id"]] = target
        return found

    def unique(self, name: str) -> dict[str, str]:
        """Source id -> target id of records whose name neither org has twice."""
        mine, theirs = (self.read(org, name, ["Id", "Name"]) for org in (self.source, self.target))
        seen = [Counter(one["Name"] for one in side) for side in (mine, theirs)]
        by_name = {one["Name"]: one["Id"] for one in theirs}
        return {
            one["Id"]: by_name[one["Name"]]
            for one in mine
            if seen[0][one["Name"]] == seen[1][one["Name"]] == 1
        }

    def create(self, name: str, records: list[Record], lookups: Lookups, *without: str) -> dict[str, str]:
        """Inserts; what Bulk may change of a text follows by REST. Source id -> target id."""
        made = [self.translate(one, lookups, *without) for one in records]
        ids = self.write(name, "insert", [{k: carriable(v) for k, v in one.items()} for one in made])
        exact = [
            {"attributes": {"type": name}, "id": ids[one[KEY]]} | inexact
            for one in made
            if one[KEY] in ids and (inexact := {k: v for k, v in one.items() if carriable(v) != v})
        ]
        rows: Iterator[dict[str, Any]] = iter(exact)
        while part := list(islice(rows, REST_ROWS)):
            self.target.restful("composite/sobjects", method="PATCH", json={"records": part})
        return ids

    def filled(self, name: str, fields: Iterable[str]) -> set[str]:
        """Fields that the target fills in where they are empty."""
        described = getattr(self.target, name).describe()["fields"]
        return {
            one["name"]
            for one in described
            if one["name"] in fields and one["updateable"] and one["type"] != "boolean" and _default(one)
        }

    def orders(
        self, contracts: dict[str, str], customers: dict[str, str], opportunities: dict[str, str]
    ) -> None:
        lookups = {
            CONTRACT_OF: contracts,
            CUSTOMER_OF: customers,
            NS + "Related_Opportunity__c": opportunities,
        }
        self.order_ids = self.create(ORDER, self.records[ORDER], lookups, CLONED, STATUS)

    def details(self, contracts: dict[str, str], products: dict[str, str]) -> None:
        """Sorted by their order: two jobs, or two batches, must not want the same one at once."""
        records = sorted(self.records[DETAIL], key=lambda one: one[PARENT])
        lookups = {PARENT: self.order_ids, PRODUCT_OF: products, CONTRACT_OF_DETAIL: contracts}
        there = self.create(DETAIL, [one for one in records if one[PARENT] in self.order_ids], lookups)
        empty = self.filled(DETAIL, records[0]) if records else set()
        changed = []
        for one in records:
            wrong = {name for name in empty if not one[name]}
            price = self.catalog.get(products.get(one[PRODUCT_OF], ""))
            if price is not None and (one[PRICING] != "FIXED" or not same_number(one[PRICE], price)):
                wrong |= {PRICE, PRICING}
            if one["Id"] in there and wrong:
                changed.append((there[one["Id"]], {name: one[name] or NULL for name in wrong}))
        self.update(DETAIL, changed)

    def finish_orders(self) -> None:
        records = [one for one in self.records[ORDER] if one["Id"] in self.order_ids]
        empty = self.filled(ORDER, records[0]) - {STATUS, CLONED} if records else set()
        changed = []
        for one in records:
            values = {name: NULL for name in empty if not one[name]} | {STATUS: one[STATUS]}
            if one[CLONED] in self.order_ids:
                values[CLONED] = self.order_ids[one[CLONED]]
            changed.append((self.order_ids[one["Id"]], values))
        self.update(ORDER, changed)
        self.update(
            ORDER,
            [
                (self.order_ids[one["Id"]], {RECEIVED: one[RECEIVED] or NULL})
                for one in records
                if one[STATUS] == "Received"
            ],
        )

    def update(self, name: str, changed: list[tuple[str, Record]]) -> None:
        """One job; an empty cell leaves a field as it is."""
        columns = sorted({column for _, values in changed for column in values})
        rows = [{"Id": i} | {column: values.get(column, "") for column in columns} for i, values in changed]
        if rows:
            self.write(name, "update", rows)


def carriable(text: str) -> str:
    """What Bulk carries in the place of a text: line feeds for carriage returns, nothing for the null mark."""
    return "" if text == NULL else text.replace("\r\n", "\n").replace("\r", "\n")


def same_number(one: str, other: str) -> bool:
    return one == other or bool(one and other and float(one) == float(other))


def _default(described: dict[str, Any]) -> bool:
    chosen = [v for v in described.get("picklistValues") or () if v.get("defaultValue")]
    fixed = described.get("defaultValueFormula") or described.get("defaultValue")
    return bool(chosen) or fixed is not None


def main(source_url: str, target_url: str, poll_seconds: str, folder: str) -> None:
    load = Load(source_url, target_url, float(poll_seconds))
    load.run()
    load.phases.write(Path(folder))


if __name__ == "__main__":
    arguments: Any = sys.argv[1:]
    main(*arguments)
