"""Details of the seeded orders: products of the order's contract, prices of their day rather than today's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from orgsim.org import Org
from orgsim.schema.coa import NS
from orgsim.seed.columns import Array, blank, pick, stamps
from orgsim.seed.nasty import NASTY
from orgsim.seed.world import World

if TYPE_CHECKING:
    from orgsim.seed.build import Seeded


def details(
    org: Org,
    world: World,
    seeded: Seeded,
    contracts: Array,
    created: Array,
    planted: dict[str, list[int]],
    rng: np.random.Generator,
) -> dict[str, Any]:
    """``columns`` of all details but parent, id, number; ``order``: position of the parent; ``cause``: planted rows."""
    average = org.settings.details_per_order
    spread = rng.random(len(contracts)) * 2 * (average - 1) + 1
    per_order = np.maximum(1, np.floor(spread + 0.5).astype(int))
    order = np.repeat(np.arange(len(contracts)), per_order)
    count = len(order)
    contract = contracts[order]
    products = world.products
    per_contract = len(products) // len(world.contracts)
    # The retired product is used by the planted orders only.
    retired = next((n for n, one in enumerate(products) if not one.in_target), -1)
    line = rng.integers(0, per_contract, count)
    product = contract * per_contract + line
    product = np.where(product == retired, product - 1, product)
    firsts = np.concatenate(([0], np.cumsum(per_order)[:-1]))
    cause: dict[str, list[int]] = {}
    for reason, positions in planted.items():
        cause[reason] = [int(firsts[position]) for position in positions]
    for row in cause.get("product_unmatched", []):
        product[row] = retired
    fixed = np.array([one.pricing == "FIXED" for one in products])[product]
    today = np.array([one.fixed or 0.0 for one in products])[product]
    # Four of five prices have changed since.
    factor = np.where(rng.random(count) < 0.2, 1.0, rng.uniform(0.6, 0.98, count))
    quantity = np.floor(rng.gamma(1.2, 40, count)) + 1
    per_month = np.round(rng.uniform(3, 400, count), 2)
    terms = [(one.cancellation, one.length, one.renewal) for one in world.contracts]
    cancellation, length, renewal = (np.array([one[n] for one in terms])[contract] for n in range(3))
    created_text = pick(stamps(created), order)
    users = [one for one in seeded.users if one]
    author = pick(users, rng.integers(0, len(users), len(contracts))[order])
    quantities: list[Any] = quantity.tolist()
    for row in cause.get("quantity_missing", []):
        quantities[row] = None
    own: dict[str, list[Any]] = {
        "Product_Name__c": pick(seeded.products, product),
        "pc_Partner_Contract_Term__c": pick(seeded.contracts, contract),
        "Quantity__c": quantities,
        "Customer_Price_Per_Month__c": blank(per_month.tolist(), ~fixed),
        "pc_Fixed_Price__c": blank(np.round(today * factor, 2).tolist(), fixed),
        "pc_Pricing_Type__c": pick(["PNR", "FIXED"], fixed.astype(int)),
        "pc_PNR__c": blank(pick([one.rate or 20.0 for one in products], product), ~fixed),
        "pc_Product_ID__c": pick([one.code for one in products], product),
        "pc_Contract_Length__c": blank(rng.choice((12.0, 24.0, 36.0), count).tolist(), length),
        "pc_Cancellation_Terms__c": blank(rng.choice((30.0, 60.0, 90.0), count).tolist(), cancellation),
        "pc_Renewal_Terms__c": blank(rng.choice((12.0, 24.0), count).tolist(), renewal),
        "pc_Billing_Frequency__c": rng.choice((1.0, 3.0, 12.0), count).tolist(),
        "pc_Contract_Auto_Renew__c": pick(["Yes", "No"], rng.integers(0, 2, count)),
        "pc_Pricing_Unit__c": pick([one.unit for one in products], product),
        "pct_Currency__c": pick([one.currency for one in world.contracts], contract),
        "SFDC_Price__c": np.round(per_month * quantity * 0.2, 2).tolist(),
        "Current_Total_Price__c": blank(
            np.round(per_month * quantity * 90000, 2).tolist(), rng.random(count) < 0.05
        ),
        "Current_Licenses__c": blank(quantity.tolist(), rng.random(count) < 0.3),
        "Product_Line_Desc_Overridden__c": [0] * count,
        "Product_Line_Description__c": pick(["Licences", "Add-on", None, None], rng.integers(0, 4, count)),
        "Product_Special_Terms__c": _special(count, org.settings.planted),
        "Application__c": pick([None, "Order Suite"], rng.integers(0, 2, count)),
    }
    columns: dict[str, list[Any]] = {
        "IsDeleted": [0] * count,
        "CreatedDate": created_text,
        "CreatedById": author,
        "LastModifiedDate": created_text,
        "LastModifiedById": author,
        "SystemModstamp": created_text,
    }
    columns |= {NS + name: values for name, values in own.items()}
    return {"columns": columns, "order": order, "cause": cause}


def _special(count: int, planted: bool) -> list[Any]:
    texts: list[Any] = [None] * count
    for position in range(0, count, 9):
        texts[position] = "Price held for the first term."
    if planted:
        for position in range(4, count, 60):
            texts[position] = NASTY[(position // 60) % len(NASTY)]
    return texts
