"""Is the target right? An independent check of what any tool left there, by counts.

Both orgs are dumped through the simulator's back door into a scratch SQLite file, lookups are followed to
what a person would recognise (names, org ids, source ids), and records are compared by the source id that
each tool was given to carry along. None of the migration's code or SQL is used. What the target cannot take
(the planted orders whose product or quantity is missing) is left out for everybody.
"""

from __future__ import annotations

import csv
import io
import sqlite3
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from orgsim.launch import RunningOrg

NS = "CHANNEL_ORDERS__"
CUSTOMER, ORDER, DETAIL = NS + "Customer__c", NS + "Service_Order__c", NS + "Service_Order_Detail__c"
CONTRACT, PRODUCT = NS + "Partner_Contract_Terms__c", NS + "Partner_Product_Catalog__c"
KEY = "COA_Source_Id__c"
ORG_ID = NS + "Customer_Org_ID__c"
PARENT = NS + "Partner_Order__c"
STATUS = (NS + "Service_Order_Status__c",)
RECEIVED = (NS + "Date_Service_Order_Received_by_SFDC__c",)
TOTALS = tuple(NS + name for name in ("Order_Total_Value__c", "Total_Quantity__c", "Product_Lines__c"))
ORDER_LINKS = tuple(
    NS + name for name in ("Customer__c", "Partner_Contract_Rules__c", "Cloned_Service_Order__c")
)
DETAIL_LINKS = (PARENT, NS + "Product_Name__c", NS + "pc_Partner_Contract_Term__c")
PRICES = tuple(
    NS + name
    for name in (
        "pc_Fixed_Price__c",
        "pc_Floor_Price__c",
        "pc_Pricing_Type__c",
        "pc_PNR__c",
        "Customer_Price_Per_Month__c",
        "Customer_Price__c",
        "SFDC_Price__c",
        "Current_Total_Price__c",
        "New_Total_Price__c",
    )
)
LOOKUPS = {
    ORDER: {NS + "Customer__c": CUSTOMER, NS + "Cloned_Service_Order__c": ORDER,
            NS + "Partner_Contract_Rules__c": CONTRACT, NS + "Related_Opportunity__c": "Opportunity"},
    DETAIL: {PARENT: ORDER, NS + "Product_Name__c": PRODUCT, NS + "pc_Partner_Contract_Term__c": CONTRACT},
    CUSTOMER: {NS + "Account__c": "Account"},
}  # fmt: skip
# Of the org itself, or never carried by anybody: the one could send an order again, the other is the app's version.
NOT_COMPARED = {
    "Id", "Name", "IsDeleted", "OwnerId", "CreatedById", "LastModifiedDate", "LastModifiedById", "SystemModstamp",
    KEY, "COA_Source_Number__c", "COA_Original_Received_At__c", NS + "Send_Order__c", NS + "Version__c",
}  # fmt: skip
AUDIT = ("CreatedDate",)


@dataclass
class Verdict:
    """Counts; `orders` and `details` are those that the target can take."""

    orders: int = 0
    orders_arrived: int = 0
    orders_missing: int = 0
    orders_doubled: int = 0
    status_right: int = 0
    received_right: int = 0
    totals_right: int = 0
    order_links_right: int = 0
    order_fields_right: int = 0
    """All carried fields but the created date."""
    created_right: int = 0
    orders_whole: int = 0
    """All of it right but the created date, and every detail of it there and right."""
    details: int = 0
    details_arrived: int = 0
    details_missing: int = 0
    details_doubled: int = 0
    prices_right: int = 0
    detail_links_right: int = 0
    details_right: int = 0
    customers_doubled: int = 0
    """Customers of the target that stand there twice under both forms of their org id, since the run."""

    @property
    def clean(self) -> bool:
        return (
            self.orders == self.orders_whole
            and self.details == self.details_right
            and not self.orders_doubled + self.details_doubled + self.customers_doubled
        )

    @property
    def damaged_orders(self) -> int:
        return self.orders - self.orders_whole

    def as_dict(self) -> dict[str, int]:
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Verdict:
        known = {one.name for one in fields(cls)}
        return cls(**{name: value for name, value in values.items() if name in known})


def check(source: RunningOrg, target: RunningOrg, scratch: Path) -> Verdict:
    """Compares both orgs; `scratch` is a file that this makes and removes."""
    scratch.unlink(missing_ok=True)
    db = sqlite3.connect(scratch)
    try:
        db.executescript("PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF; PRAGMA temp_store=FILE;")
        planted = source.control("GET", "planted")
        left_out = set(planted.get("blocked_orders", ()))
        meanings = _Meanings(source, target)
        columns = {name: _load(db, name, source, target, meanings, left_out) for name in (ORDER, DETAIL)}
        verdict = Verdict(customers_doubled=_doubled_customers(target))
        _count_orders(db, verdict, columns[ORDER])
        _count_details(db, verdict, columns[DETAIL])
        _count_whole(db, verdict)
        return verdict
    finally:
        db.close()
        scratch.unlink(missing_ok=True)


class _Meanings:
    """What an id of either org means to a person, in terms that both orgs share."""

    def __init__(self, source: RunningOrg, target: RunningOrg) -> None:
        self._of: dict[tuple[str, str], dict[str, str]] = {}
        for role, org in (("source", source), ("target", target)):
            contracts = {r["Id"]: r["Name"] for r in rows(org, CONTRACT)}
            self._of[role, CONTRACT] = contracts
            self._of[role, PRODUCT] = {
                r["Id"]: f"{contracts.get(r[CONTRACT_OF_PRODUCT])}|{r[NS + 'Product_ID__c']}|{r['Name']}"
                for r in rows(org, PRODUCT)
            }
            self._of[role, CUSTOMER] = {r["Id"]: short(r[ORG_ID]) for r in rows(org, CUSTOMER)}
            for name in ("Account", "Opportunity"):
                self._of[role, name] = {r["Id"]: r["Name"] for r in rows(org, name)}
            if role == "target":
                self._of[role, ORDER] = {r["Id"]: r[KEY] for r in rows(org, ORDER)}
        for name in ("Account", "Opportunity"):
            # A name that the target lacks, or has twice, cannot be found again there: the link stays empty.
            known = Counter(self._of["target", name].values())
            mine = Counter(self._of["source", name].values())
            self._of["source", name] = {
                i: one for i, one in self._of["source", name].items() if known[one] == mine[one] == 1
            }

    def follow(self, role: str, name: str, record_id: str) -> str:
        if role == "source" and name == ORDER:
            return record_id
        return self._of[role, name].get(record_id, "")


CONTRACT_OF_PRODUCT = NS + "Partner_Contract_Terms__c"


def rows(org: RunningOrg, name: str) -> Iterator[dict[str, str]]:
    """Live records of an object, as text; streamed."""
    with _open(org, name) as answer:
        for record in csv.DictReader(io.TextIOWrapper(answer, "utf-8", "surrogatepass", newline="")):
            if record["IsDeleted"] in ("", "0"):
                yield record


def _open(org: RunningOrg, name: str) -> Any:
    address = f"{org.url}/control/table/{name}?format=csv"
    return urllib.request.urlopen(address, timeout=1800, context=org._trust())


def short(org_id: str) -> str:
    """Org ids come with 15 or 18 characters and mean the same."""
    return org_id[:15] if len(org_id) == 18 else org_id


def _load(
    db: sqlite3.Connection,
    name: str,
    source: RunningOrg,
    target: RunningOrg,
    meanings: _Meanings,
    left_out: set[str],
) -> list[str]:
    """Tables `s_...` (by id) and `t_...` (by source id, may repeat) of the fields that both orgs have."""
    slug = "o" if name == ORDER else "d"
    theirs = _fields(target, name)
    compared = [one for one in _fields(source, name) if one in theirs and one not in NOT_COMPARED]
    listed = ", ".join(f'"{one}"' for one in compared)
    for table in (f"s_{slug}", f"t_{slug}"):
        db.execute(f"CREATE TABLE {table} (key, {listed})")
    marks = ", ".join("?" * (len(compared) + 1))
    db.executemany(
        f"INSERT INTO s_{slug} VALUES ({marks})",
        (
            [record["Id"], *values]
            for record, values in _values(source, "source", name, compared, meanings)
            if (record["Id"] if name == ORDER else record[PARENT]) not in left_out
        ),
    )
    db.executemany(
        f"INSERT INTO t_{slug} VALUES ({marks})",
        (
            [record[KEY], *values]
            for record, values in _values(target, "target", name, compared, meanings)
            if record[KEY]
        ),
    )
    db.execute(f"CREATE UNIQUE INDEX s_{slug}_key ON s_{slug} (key)")
    db.execute(f"CREATE INDEX t_{slug}_key ON t_{slug} (key)")
    return compared


def _fields(org: RunningOrg, name: str) -> list[str]:
    with _open(org, name) as answer:
        return next(csv.reader([answer.readline().decode()]))


def _values(
    org: RunningOrg, role: str, name: str, compared: list[str], meanings: _Meanings
) -> Iterator[tuple[dict[str, str], list[str]]]:
    lookups = LOOKUPS[name]
    followed: list[tuple[str, Callable[[str], str] | None]] = [
        (one, (lambda i, to=lookups[one]: meanings.follow(role, to, i)) if one in lookups else None)  # type: ignore[misc]
        for one in compared
    ]
    for record in rows(org, name):
        yield record, [follow(record[one]) if follow else record[one] for one, follow in followed]


def _doubled_customers(target: RunningOrg) -> int:
    keys = Counter(short(record[ORG_ID]) for record in rows(target, CUSTOMER))
    return sum(number - 1 for number in keys.values() if number > 1)


def _same(columns: tuple[str, ...] | list[str]) -> str:
    return " AND ".join(f's."{one}" = t."{one}"' for one in columns) or "1"


def _pairs(slug: str) -> str:
    """Each source record with its first counterpart."""
    return (
        f"FROM s_{slug} s JOIN (SELECT min(rowid) AS first, key FROM t_{slug} GROUP BY key) f ON f.key = s.key "
        f"JOIN t_{slug} t ON t.rowid = f.first"
    )


def _doubled(db: sqlite3.Connection, slug: str) -> int:
    return int(db.execute(f"SELECT count(*) - count(DISTINCT key) FROM t_{slug}").fetchone()[0])


def _count_orders(db: sqlite3.Connection, verdict: Verdict, columns: list[str]) -> None:
    own = [one for one in columns if one not in AUDIT]
    groups = (STATUS, RECEIVED, TOTALS, ORDER_LINKS, own, AUDIT)
    sums = ", ".join(f"COALESCE(sum({_same(one)}), 0)" for one in groups)
    found = db.execute(f"SELECT count(*), {sums} {_pairs('o')}").fetchone()
    verdict.orders = db.execute("SELECT count(*) FROM s_o").fetchone()[0]
    (
        verdict.orders_arrived,
        verdict.status_right,
        verdict.received_right,
        verdict.totals_right,
        verdict.order_links_right,
        verdict.order_fields_right,
        verdict.created_right,
    ) = found
    verdict.orders_missing = verdict.orders - verdict.orders_arrived
    verdict.orders_doubled = _doubled(db, "o")
    db.execute(f"CREATE TABLE good_o AS SELECT s.key {_pairs('o')} WHERE {_same(own)}")


def _count_details(db: sqlite3.Connection, verdict: Verdict, columns: list[str]) -> None:
    own = [one for one in columns if one not in AUDIT]
    groups = (tuple(one for one in PRICES if one in columns), DETAIL_LINKS, own)
    sums = ", ".join(f"COALESCE(sum({_same(one)}), 0)" for one in groups)
    found = db.execute(f"SELECT count(*), {sums} {_pairs('d')}").fetchone()
    verdict.details = db.execute("SELECT count(*) FROM s_d").fetchone()[0]
    verdict.details_arrived, verdict.prices_right, verdict.detail_links_right, verdict.details_right = found
    verdict.details_missing = verdict.details - verdict.details_arrived
    verdict.details_doubled = _doubled(db, "d")
    db.execute(f"CREATE TABLE good_d AS SELECT s.key {_pairs('d')} WHERE {_same(own)}")
    db.execute("CREATE UNIQUE INDEX good_d_key ON good_d (key)")


def _count_whole(db: sqlite3.Connection, verdict: Verdict) -> None:
    verdict.orders_whole = db.execute(
        f"""SELECT count(*) FROM good_o WHERE key NOT IN (
              SELECT "{PARENT}" FROM s_d WHERE key NOT IN (SELECT key FROM good_d))"""
    ).fetchone()[0]
