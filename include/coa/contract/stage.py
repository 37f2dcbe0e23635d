"""Records that probes share: contract terms, products and a customer of this run's own.

Our own, so that no roll-up of a live record moves. They are made when a probe first needs them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

from coa.contract.fact import NotAskable
from coa.contract.probe_org import ProbeOrg
from coa.model import (
    CONTRACT,
    CUSTOMER,
    DETAIL,
    DETAIL_CONTRACT,
    DETAIL_ORDER,
    DETAIL_PRODUCT,
    NS,
    ORDER,
    ORDER_CONTRACT,
    ORDER_CUSTOMER,
    ORDER_TYPE,
    PRODUCT,
    PRODUCT_CONTRACT,
    PRODUCT_ID,
    QUANTITY,
)

STAGE = {CONTRACT: 2, PRODUCT: 3, CUSTOMER: 1}
"""The most records that are made here, by sObject."""
CATALOG_PRICE = 123.45
FIXED_PRICE = NS + "pc_Fixed_Price__c"
PRICING_TYPE = NS + "pc_Pricing_Type__c"


class Stage:
    """Makes each record once; a refusal is kept as well, and told to every probe that needs the record."""

    def __init__(self, org: ProbeOrg) -> None:
        self.org = org
        self._kept: dict[str, str | NotAskable] = {}

    # ---- shared ---------------------------------------------------------------------------------
    def contract(self) -> str:
        """Id of contract terms. Raises `NotAskable`, as every record of the stage, when the org refused it once."""
        return self._once("contract", self._contract)

    def other_contract(self) -> str:
        """Id of a second record of contract terms, other than `contract`."""
        return self._once("other contract", self._contract)

    def fixed_product(self) -> str:
        """Of `contract`, at `CATALOG_PRICE`."""
        return self._once("fixed product", lambda: self._product(self.contract()))

    def share_product(self) -> str:
        """Of `contract`, priced by a percentage: no rule copies its price."""
        return self._once("share product", lambda: self._product(self.contract(), fixed=False))

    def product_of_other_contract(self) -> str:
        """Id of a product that belongs to `other_contract`."""
        return self._once("other product", lambda: self._product(self.other_contract()))

    def customer(self) -> str:
        """Id of a customer."""
        return self._once("customer", lambda: self.org.new(CUSTOMER, self.customer_values()))

    # ---- what a record of each kind has -----------------------------------------------------------
    def customer_values(self) -> dict[str, Any]:
        """Values of a new customer, without the fields that the user may not set."""
        return self._settable(
            CUSTOMER,
            {NS + "Customer_Company_Name__c": "COA contract probe", NS + "Customer_Country__c": "US"},
        )

    def order_values(self) -> dict[str, Any]:
        """A Draft that the app would not submit: not certified, not of the new app, without a start date."""
        values = self._settable(
            ORDER,
            {
                ORDER_CUSTOMER: "",
                NS + "I_certify__c": "No",
                NS + "Created_with_new_COA__c": False,
                ORDER_TYPE: self._order_type(),
            },
        )
        if ORDER_CUSTOMER in values:
            values[ORDER_CUSTOMER] = self.customer()
        return {ORDER_CONTRACT: self.contract(), **values}

    def detail_values(self, order: str, product: str) -> dict[str, Any]:
        """With all terms that a rule may ask for."""
        return {
            DETAIL_ORDER: order,
            DETAIL_PRODUCT: product,
            DETAIL_CONTRACT: self.contract(),
            QUANTITY: 2,
            **self._settable(
                DETAIL,
                {
                    NS + "pc_Cancellation_Terms__c": 30,
                    NS + "pc_Contract_Length__c": 12,
                    NS + "pc_Renewal_Terms__c": 12,
                },
            ),
        }

    def order(self, **values: Any) -> str:
        """The id of a new order of these and the usual values."""
        return self.org.new(ORDER, {**self.order_values(), **values})

    def detail(self, order: str, product: str, **values: Any) -> str:
        """The id of a new detail of these and the usual values."""
        return self.org.new(DETAIL, {**self.detail_values(order, product), **values})

    # ---- inside ---------------------------------------------------------------------------------
    def _once(self, name: str, make: Callable[[], str]) -> str:
        if name not in self._kept:
            announced = self.org.announced
            try:
                # What the stage makes was announced as a whole, beside what each probe does.
                self.org.announced = Counter(dict.fromkeys(STAGE, 1))
                self._kept[name] = make()
            except NotAskable as refused:
                self._kept[name] = refused
            finally:
                self.org.announced = announced
        kept = self._kept[name]
        if isinstance(kept, NotAskable):
            raise kept
        return kept

    def _contract(self) -> str:
        values = self._settable(
            CONTRACT,
            {
                # The picklist's spelling, which the quantity rule does not exempt.
                NS + "Type__c": self._first(CONTRACT, NS + "Type__c", "ISVforce"),
                NS + "Status__c": self._first(CONTRACT, NS + "Status__c", "Active"),
            },
        )
        return self.org.new(CONTRACT, values)

    def _product(self, contract: str, *, fixed: bool = True) -> str:
        price: dict[str, Any] = (
            {NS + "Pricing_Type__c": "FIXED", NS + "Fixed_Price__c": CATALOG_PRICE}
            if fixed
            else {NS + "Pricing_Type__c": "PNR", NS + "Floor_Price__c": 1, NS + "PNR__c": 10}
        )
        values = self._settable(
            PRODUCT,
            {PRODUCT_ID: "COAPRB", NS + "Status__c": self._first(PRODUCT, NS + "Status__c", "Active")},
        )
        return self.org.new(PRODUCT, {PRODUCT_CONTRACT: contract, **price, **values})

    def _order_type(self) -> str | None:
        return self._first(ORDER, ORDER_TYPE, "Initial")

    def _first(self, sobject: str, name: str, wanted: str) -> str | None:
        """`wanted`, or the first value that the picklist has."""
        found = self.org.describe(sobject).field(name)
        values = found.picklist_values if found else []
        if wanted in values or not values:
            return wanted if values else None
        self.org.foreign.add(values[0])
        return values[0]

    def _settable(self, sobject: str, values: dict[str, Any]) -> dict[str, Any]:
        """Those of the values whose field is there and can be written: an older app has fewer."""
        fields = self.org.describe(sobject).fields
        return {
            name: value
            for name, value in values.items()
            if value is not None and name in fields and fields[name].createable
        }
