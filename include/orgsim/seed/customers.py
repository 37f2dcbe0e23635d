"""Accounts, opportunities and customers; some customers exist in the target, under the other form of their org id."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

from orgsim.ids import DIGITS, to_18
from orgsim.org import Org
from orgsim.schema.coa import CUSTOMER, NS
from orgsim.seed.nasty import NASTY
from orgsim.seed.world import World

if TYPE_CHECKING:
    from orgsim.seed.build import Seeded

#: Every so many companies: customer known in the target, account missing there.
EXISTING_EVERY = 11
ACCOUNT_MISSING_EVERY = 17


def _bulk_add(org: Org, object_name: str, columns: list[str], rows: list[list[Any]]) -> list[str]:
    sobject = org.schema[object_name]
    serials, ids = org.store.new_ids(sobject, len(rows))
    names = ["Id", "IsDeleted", *columns]
    if sobject["Name"].auto_number:
        numbers = org.store.auto_numbers(sobject, len(rows))
        names.append("Name")
        rows = [[*row, number] for row, number in zip(rows, numbers, strict=True)]
    org.store.insert(
        sobject, names, ((serial, one, 0, *row) for serial, one, row in zip(serials, ids, rows, strict=True))
    )
    return ids


def accounts(org: Org, world: World, seeded: Seeded) -> None:
    """An account and an opportunity for each company; in the target some are missing."""
    target = org.settings.role == "target"
    stamp = "2012-03-01T00:00:00.000Z"
    common = [
        "OwnerId",
        "CreatedById",
        "LastModifiedById",
        "CreatedDate",
        "LastModifiedDate",
        "SystemModstamp",
    ]
    values = [org.user_id, org.user_id, org.user_id, stamp, stamp, stamp]
    kept = [n for n in range(len(world.companies)) if not (target and n % ACCOUNT_MISSING_EVERY == 3)]
    rows: list[list[Any]] = [
        [world.companies[n].name, world.companies[n].city, world.companies[n].country, *values] for n in kept
    ]
    ids = dict(
        zip(
            kept,
            _bulk_add(org, "Account", ["Name", "BillingCity", "BillingCountry", *common], rows),
            strict=True,
        )
    )
    seeded.accounts = [ids.get(n) for n in range(len(world.companies))]
    rows = [
        [f"{world.companies[n].name} - subscription", ids[n], "Closed Won", "2024-06-30", 1000.0 + n, *values]
        for n in kept
    ]
    columns = ["Name", "AccountId", "StageName", "CloseDate", "Amount", *common]
    opportunities = dict(zip(kept, _bulk_add(org, "Opportunity", columns, rows), strict=True))
    seeded.opportunities = [opportunities.get(n) for n in range(len(world.companies))]


def org_ids(seed: int, count: int) -> list[str]:
    """Subscriber org ids of the companies: 15 characters for a third, 18 for the rest."""
    chance = random.Random(f"org ids {seed}")
    made = []
    for number in range(count):
        short = "00D" + "".join(chance.choices(DIGITS, k=12))
        made.append(short if number % 3 == 0 else to_18(short))
    return made


def exists_in_target(number: int) -> bool:
    return number % EXISTING_EVERY == 5


def seed(org: Org, world: World, seeded: Seeded) -> None:
    settings = org.settings
    ids = org_ids(settings.seed, len(world.companies))
    target = settings.role == "target"
    numbers = [
        n for n in range(len(world.companies)) if not target or (settings.planted and exists_in_target(n))
    ]
    common = [
        "OwnerId",
        "CreatedById",
        "LastModifiedById",
        "CreatedDate",
        "LastModifiedDate",
        "SystemModstamp",
    ]
    names = [
        "Account__c",
        "Customer_Company_Name__c",
        "Customer_Org_ID__c",
        "Customer_Street__c",
        "Customer_City__c",
    ]
    names += ["Customer_State__c", "Customer_ZIP_Postal_Code__c", "Customer_Country__c", "ISV_Contract__c"]
    users = [one for one in seeded.users if one]
    chance = random.Random(f"customers {settings.seed} {settings.role}")
    rows = []
    for n in numbers:
        company, org_id = world.companies[n], ids[n]
        name = company.name
        if settings.planted and not target and n % 7 == 2:
            name = f"{NASTY[(n // 7) % len(NASTY)]} {n}"[:80]
        if target:
            # The same subscriber, entered by hand: the other form of the id, another spelling of the name.
            org_id = to_18(org_id) if len(org_id) == 15 else org_id[:15]
            name = name.upper()
        day = f"20{12 + n % 13}-{1 + n % 12:02d}-{1 + n % 28:02d}T10:{n % 60:02d}:00.000Z"
        user = chance.choice(users)
        rows.append(
            [
                seeded.accounts[n], name, org_id, company.street, company.city, company.state, company.postal,
                company.country, None if n % 4 else f"ISV-{n}", user, user, user, day, day, day,
            ]
        )  # fmt: skip
    found = _bulk_add(org, CUSTOMER, [NS + one for one in names] + common, rows)
    if target:
        own = [
            [
                None,
                f"Target Only {n}",
                to_18("00DT" + f"{n:011d}"),
                "1 Main St",
                "Munich",
                "BY",
                "80331",
                "DE",
                None,
            ]
            + [users[0]] * 3
            + ["2020-05-05T10:00:00.000Z"] * 3
            for n in range(5)
        ]
        seeded.customers = _bulk_add(org, CUSTOMER, [NS + one for one in names] + common, own)
        org.planted["existing_customers"] = [
            {"target_id": one, "source_org_id": ids[n]} for one, n in zip(found, numbers, strict=True)
        ]
    else:
        seeded.customers = found
