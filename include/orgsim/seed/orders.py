"""Service orders and their details, as columns of numpy arrays, so that a million rows take seconds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from orgsim.org import Org
from orgsim.schema.coa import DETAIL, NS, ORDER
from orgsim.seed.columns import Array, blank, days, pick, stamps
from orgsim.seed.customers import org_ids
from orgsim.seed.details import details
from orgsim.seed.nasty import NASTY
from orgsim.seed.world import World

if TYPE_CHECKING:
    from orgsim.seed.build import Seeded


STATUSES = ("Draft", "Submitted", "Received", "In Process", "Error", "Activated", "Provisioned")
_SHARES = (0.03, 0.02, 0.09, 0.05, 0.05, 0.46, 0.30)
TYPES = (
    "Initial",
    "Add-On",
    "Reduction",
    "Cancellation Order",
    "Upgrade - Partner App",
    "Upgrade - Org Edition",
)
_TYPE_SHARES = (0.35, 0.3, 0.08, 0.05, 0.17, 0.05)
_FIRST_DAY = 15341  # 2012-01-02, in days since 1970
_LAST_DAY = 20665  # 2026-07-31
#: Orders that carry a planted difficulty; never originals of a clone, so that nothing else hangs on them.
PRODUCT_MISSING = 2
QUANTITY_MISSING = 2


def seed(org: Org, world: World, seeded: Seeded) -> None:
    settings = org.settings
    source = settings.role == "source"
    count = settings.orders if source else max(3, settings.orders // 50) if settings.orders else 0
    if not count:
        return
    rng = np.random.default_rng([settings.seed, 1 if source else 2])
    columns, contracts, seconds = _orders(org, world, seeded, count, rng)
    planted = plan_difficulties(count, rng) if source and settings.planted and count >= 20 else {}
    if planted:
        _apply(columns, contracts, planted, world, seeded)
    serials, ids = org.store.new_ids(org.schema[ORDER], count)
    columns["Id"] = ids
    columns[NS + "Cloned_Service_Order__c"] = _clones(ids, rng, count, planted)
    columns["Name"] = org.store.auto_numbers(org.schema[ORDER], count)
    org.store.insert(org.schema[ORDER], list(columns), zip(serials, *columns.values(), strict=True))
    rows = details(org, world, seeded, np.array(contracts), seconds, planted, rng)
    rows["columns"][NS + "Partner_Order__c"] = pick(ids, rows["order"])
    _insert_details(org, rows["columns"])
    if source:
        _describe(org, columns, rows, planted)


def _insert_details(org: Org, columns: dict[str, list[Any]]) -> None:
    sobject = org.schema[DETAIL]
    count = len(next(iter(columns.values())))
    serials, ids = org.store.new_ids(sobject, count)
    columns["Id"] = ids
    columns["Name"] = org.store.auto_numbers(sobject, count)
    org.store.insert(sobject, list(columns), zip(serials, *columns.values(), strict=True))


def _orders(
    org: Org, world: World, seeded: Seeded, count: int, rng: np.random.Generator
) -> tuple[dict[str, list[Any]], Array, Array]:
    companies = len(seeded.customers)
    customer = rng.integers(0, companies, count)
    contract = rng.integers(0, len(world.contracts), count)
    status = rng.choice(len(STATUSES), count, p=_SHARES)
    if org.settings.role == "target":
        status = np.maximum(status, 5)
    # Orders are numbered in the order of their creation.
    created = np.sort(rng.integers(_FIRST_DAY * 86400, _LAST_DAY * 86400, count))
    received = created + rng.integers(600, 9 * 86400, count)
    order_type = rng.choice(len(TYPES), count, p=_TYPE_SHARES)
    start = received // 86400 + rng.integers(0, 60, count)
    users = [one for one in seeded.users if one]
    owner = rng.integers(0, len(users), count)
    created_text, received_text = stamps(created), stamps(received)
    got = status >= 2
    source_ids = org_ids(org.settings.seed, len(world.companies))
    org_id = source_ids if org.settings.role == "source" else [f"00DT{n:011d}" for n in range(companies)]
    names = [world.companies[n].name for n in range(min(len(world.companies), companies))] + [
        None
    ] * companies
    months = rng.choice((12, 24, 36), count)
    columns: dict[str, list[Any]] = {
        "OwnerId": pick(users, owner),
        "IsDeleted": [0] * count,
        "CreatedDate": created_text,
        "CreatedById": pick(users, rng.integers(0, len(users), count)),
        "LastModifiedDate": received_text,
        "LastModifiedById": [org.user_id] * count,
        "SystemModstamp": received_text,
    }
    own = {
        "Customer__c": pick(seeded.customers, customer),
        "Customer_Org_ID__c": pick(org_id, customer),
        "Partner_Contract_Rules__c": pick(seeded.contracts, contract),
        "Service_Order_Status__c": pick(list(STATUSES), status),
        "Order_Type__c": pick(list(TYPES), order_type),
        "Date_Service_Order_Received_by_SFDC__c": blank(received_text, got),
        "Date_Partner_Received_Customer_Order__c": days(created // 86400),
        "Order_Submitted__c": blank(stamps(created + 300), status >= 1),
        "Date_Customer_Accepted_SFDC_Svc_Agrmnt__c": blank(days(created // 86400), contract % 3 == 1),
        "Service_Start_Date__c": days(start),
        "I_certify__c": ["Yes"] * count,
        "Created_with_new_COA__c": (created > 16500 * 86400).astype(int).tolist(),
        "Auto_Renew__c": (rng.random(count) < 0.8).astype(int).tolist(),
        "Is_Contract_Switch__c": [0] * count,
        "Processed_By_AutoRenew__c": (rng.random(count) < 0.3).astype(int).tolist(),
        "Send_Order__c": [0] * count,
        "Submitted_From_UI__c": (rng.random(count) < 0.6).astype(int).tolist(),
        "Contract_Length__c": months.astype(float).tolist(),
        "Cancellation_Terms_Days__c": rng.choice((30.0, 60.0, 90.0), count).tolist(),
        "Renewal_Terms__c": rng.choice((12.0, 24.0), count).tolist(),
        "Billing_Frequency__c": rng.choice((1.0, 3.0, 12.0), count).tolist(),
        "Customer_Name__c": [None if one is None else one[:50] for one in pick(names, customer)],
        "Error_Comment__c": blank(["Missing signature, please correct and resubmit."] * count, status == 4),
        "Invoice_Description__c": _texts(rng, count, org.settings.planted),
        "Related_Opportunity__c": blank(
            pick([*seeded.opportunities, *[None] * companies], customer), rng.random(count) < 0.2
        ),
        "Org_Edition_Type__c": pick(["EE", "UE", "PE", None], rng.integers(0, 4, count)),
        "Override_Level__c": ["Order Item"] * count,
        "Submitted_By_Email__c": ["orders@partner.example"] * count,
        "Version__c": [None if old else "3.66" for old in (created < 16500 * 86400).tolist()],
    }
    columns |= {NS + name: values for name, values in own.items()}
    return columns, contract, created


def _texts(rng: np.random.Generator, count: int, planted: bool) -> list[Any]:
    """Mostly empty or plain; every fortieth order has text of the difficult kind."""
    plain = [None, None, "Annual subscription", "Monthly, see contract", "Renewal as agreed"]
    texts = pick(plain, rng.integers(0, len(plain), count))
    if planted:
        for position in range(0, count, 40):
            texts[position] = NASTY[(position // 40) % len(NASTY)]
    return texts


def plan_difficulties(count: int, rng: np.random.Generator) -> dict[str, list[int]]:
    """Positions of the orders that get a planted difficulty: spread, and in the second half."""
    chosen = (
        count // 2 + rng.choice(count - count // 2, PRODUCT_MISSING + QUANTITY_MISSING, replace=False)
    ).tolist()
    return {
        "product_unmatched": sorted(chosen[:PRODUCT_MISSING]),
        "quantity_missing": sorted(chosen[PRODUCT_MISSING:]),
    }


def _apply(
    columns: dict[str, list[Any]],
    contracts: Array,
    planted: dict[str, list[int]],
    world: World,
    seeded: Seeded,
) -> None:
    """Planted orders are neither drafts nor in flight; those without product use the contract of the missing one."""
    for positions in planted.values():
        for position in positions:
            columns[NS + "Service_Order_Status__c"][position] = "Activated"
            columns[NS + "Date_Service_Order_Received_by_SFDC__c"][position] = columns["LastModifiedDate"][
                position
            ]
    missing = next(one for one in world.products if not one.in_target)
    for position in planted["product_unmatched"]:
        contracts[position] = missing.contract
        columns[NS + "Partner_Contract_Rules__c"][position] = seeded.contracts[missing.contract]


def _clones(
    ids: list[str], rng: np.random.Generator, count: int, planted: dict[str, list[int]]
) -> list[str | None]:
    """One order in eight is a clone of an earlier one, which may be a clone itself."""
    avoid = {position for positions in planted.values() for position in positions}
    is_clone = rng.random(count) < 0.125
    original = (rng.random(count) * np.arange(count)).astype(int).tolist()
    return [
        ids[where] if clone and position and where not in avoid and position not in avoid else None
        for position, (clone, where) in enumerate(zip(is_clone.tolist(), original, strict=True))
    ]


def _describe(
    org: Org, columns: dict[str, list[Any]], rows: dict[str, Any], planted: dict[str, list[int]]
) -> None:
    """What a migration must come upon: for /control/planted."""
    by_order: dict[str, list[str]] = {}
    ids = columns["Id"]
    wanted = {ids[position] for positions in planted.values() for position in positions}
    for parent, detail in zip(rows["columns"][NS + "Partner_Order__c"], rows["columns"]["Id"], strict=True):
        if parent in wanted:
            by_order.setdefault(parent, []).append(detail)
    cause = rows["cause"]
    blocked_orders = sorted(wanted)
    org.planted |= {
        "orders": len(ids),
        "details": len(rows["columns"]["Id"]),
        "draft_orders": [
            one
            for one, status in zip(ids, columns[NS + "Service_Order_Status__c"], strict=True)
            if status == "Draft"
        ],
        "blocked": {
            reason: {
                "orders": [ids[position] for position in positions],
                "details": [rows["columns"]["Id"][row] for row in cause[reason]],
            }
            for reason, positions in planted.items()
        },
        "blocked_orders": blocked_orders,
        "blocked_details": sorted(one for parent in blocked_orders for one in by_order[parent]),
    }
