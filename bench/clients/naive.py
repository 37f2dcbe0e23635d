"""A script as a consultant would write it with simple-salesforce and its bulk2, in an afternoon.

    python -m bench.clients.naive SOURCE_URL TARGET_URL POLL_SECONDS FOLDER

Reads everything by Bulk API 2.0, finds contracts, products and customers by their keys, writes customers,
orders, details, and then, because the app makes each new order a Draft, sets status, received date and the
link to the original in a second pass. The old id goes along in `COA_Source_Id__c`. It trusts what the jobs
say of themselves, and it knows nothing of what the app changes behind its back.
"""

from __future__ import annotations

import csv
import io
import sys
from pathlib import Path
from typing import Any

import requests
from simple_salesforce.api import Salesforce

from bench.phases import Phases

NS = "CHANNEL_ORDERS__"
KEY = "COA_Source_Id__c"
STATUS, RECEIVED = NS + "Service_Order_Status__c", NS + "Date_Service_Order_Received_by_SFDC__c"
CLONED = NS + "Cloned_Service_Order__c"
# Users are others in the target; sending an order again is the last thing one wants.
LEFT_OUT = {KEY, "COA_Source_Number__c", "COA_Original_Received_At__c", NS + "Send_Order__c"}
LEFT_OUT |= {"OwnerId", "CreatedById", "LastModifiedById", "LastModifiedDate"}

Record = dict[str, str]


def connect(url: str) -> Salesforce:
    form = {"grant_type": "client_credentials", "client_id": "coa", "client_secret": "secret"}
    token = requests.post(f"{url}/services/oauth2/token", form, timeout=60).json()["access_token"]
    return Salesforce(instance_url=url, session_id=token, version="64.0")


class Move:
    """From one org to the other."""

    def __init__(self, source_url: str, target_url: str, poll_seconds: float) -> None:
        self.source, self.target = connect(source_url), connect(target_url)
        self.poll = poll_seconds
        self.phases = Phases()

    def read(self, org: Salesforce, name: str, fields: list[str]) -> list[Record]:
        self.phases.end("other")
        found: list[Record] = []
        query = f"SELECT {', '.join(fields)} FROM {name}"
        for page in getattr(org.bulk2, name).query(query, wait=self.poll):
            found += csv.DictReader(io.StringIO(page, newline=""))
        self.phases.end("read")
        return found

    def write(self, name: str, operation: str, records: list[Record]) -> dict[str, str]:
        """Source id -> new id of what arrived."""
        self.phases.end("other")
        handler = getattr(self.target.bulk2, name)
        done: dict[str, str] = {}
        for job in getattr(handler, operation)(records=records, wait=self.poll):
            print(name, operation, job)
            if operation == "insert":
                results = csv.DictReader(
                    io.StringIO(handler.get_successful_records(job["job_id"]), newline="")
                )
                done |= {one[KEY]: one["sf__Id"] for one in results}
        self.phases.end("load")
        return done

    def fields(self, name: str) -> list[str]:
        """What can be created in the target and exists in the source."""
        mine = {one["name"] for one in getattr(self.source, name).describe()["fields"]}
        theirs = getattr(self.target, name).describe()["fields"]
        return [one["name"] for one in theirs if one["createable"] and one["name"] in mine - LEFT_OUT]

    def by_key(self, org: Salesforce, name: str, key: str) -> dict[str, str]:
        """Key -> id, and of the source the other way round where it is asked."""
        return {one[key]: one["Id"] for one in self.read(org, name, ["Id", key])}

    def matched(self, name: str, key: str) -> dict[str, str]:
        """Source id -> target id of records that both orgs have under the same key."""
        theirs = self.by_key(self.target, name, key)
        return {i: theirs[k] for k, i in self.by_key(self.source, name, key).items() if k in theirs}

    def run(self) -> None:
        contracts = self.matched(NS + "Partner_Contract_Terms__c", "Name")
        products = self.matched(NS + "Partner_Product_Catalog__c", NS + "Product_ID__c")
        accounts = self.matched("Account", "Name")
        opportunities = self.matched("Opportunity", "Name")
        customers = self.matched(NS + "Customer__c", NS + "Customer_Org_ID__c")
        customers |= self.move(NS + "Customer__c", {NS + "Account__c": accounts}, set(customers))
        self.orders(contracts, customers, opportunities)
        self.details(contracts, products)

    def move(self, name: str, lookups: dict[str, dict[str, str]], known: set[str]) -> dict[str, str]:
        records = self.read(self.source, name, ["Id", *self.fields(name)])
        return self.write(
            name, "insert", [self.translate(one, lookups) for one in records if one["Id"] not in known]
        )

    def translate(self, record: Record, lookups: dict[str, dict[str, str]], *without: str) -> Record:
        made = {name: value for name, value in record.items() if name != "Id" and name not in without}
        for name, ids in lookups.items():
            made[name] = ids.get(made[name], "")
        return {**made, KEY: record["Id"]}

    def orders(
        self, contracts: dict[str, str], customers: dict[str, str], opportunities: dict[str, str]
    ) -> None:
        name = NS + "Service_Order__c"
        lookups = {
            NS + "Partner_Contract_Rules__c": contracts,
            NS + "Customer__c": customers,
            NS + "Related_Opportunity__c": opportunities,
        }
        records = self.read(self.source, name, ["Id", *self.fields(name)])
        self.order_ids = self.write(name, "insert", [self.translate(one, lookups, CLONED) for one in records])
        self.order_records = records

    def details(self, contracts: dict[str, str], products: dict[str, str]) -> None:
        lookups = {
            NS + "Partner_Order__c": self.order_ids,
            NS + "Product_Name__c": products,
            NS + "pc_Partner_Contract_Term__c": contracts,
        }
        self.move(NS + "Service_Order_Detail__c", lookups, set())
        ids = self.order_ids
        second: list[Record] = [
            {
                "Id": ids[one["Id"]],
                STATUS: one[STATUS],
                RECEIVED: one[RECEIVED],
                CLONED: ids.get(one[CLONED], ""),
            }
            for one in self.order_records
            if one["Id"] in ids
        ]
        self.write(NS + "Service_Order__c", "update", second)


def main(source_url: str, target_url: str, poll_seconds: str, folder: str) -> None:
    move = Move(source_url, target_url, float(poll_seconds))
    move.run()
    move.phases.write(Path(folder))


if __name__ == "__main__":
    arguments: Any = sys.argv[1:]
    main(*arguments)
