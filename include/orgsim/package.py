"""The Channel Order App's automation: four workflow rules and the validation rules active since 3.4 (facts 2.1, 2.2).

Each rule has a switch, since partners run orgs with rules turned off.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from orgsim.errors import RowError
from orgsim.facts import pc_fields
from orgsim.rows import Row
from orgsim.schema.coa import CATALOG, DETAIL, NS, ORDER, TERMS
from orgsim.schema.model import SObject
from orgsim.store import quote

if TYPE_CHECKING:
    from orgsim.org import Org

STATUS = NS + "Service_Order_Status__c"
RECEIVED = NS + "Date_Service_Order_Received_by_SFDC__c"
CONTRACT = NS + "Partner_Contract_Rules__c"
ORDER_TYPE = NS + "Order_Type__c"
PARENT = NS + "Partner_Order__c"
PRODUCT = NS + "Product_Name__c"
DETAIL_CONTRACT = NS + "pc_Partner_Contract_Term__c"
SPECIAL = (NS + "Product_Special_Terms__c", NS + "Special_Instructions__c")

WORKFLOWS = {
    "draft": "New Service Order - Must be Draft Status",
    "received": "Service Order Date Received",
    "pricing": "Populate Pricing fields",
    "contract_key": "Partner Contract Term External ID",
}
VALIDATIONS: dict[str, str] = {
    "Contract_is_Required": ORDER,
    "OrderTypeRequired": ORDER,
    "CancellationTerms_is_required": DETAIL,
    "ContractLength_is_required": DETAIL,
    "Order_must_belong_to_contract_terms": DETAIL,
    "Product_must_belong_to_contract_terms": DETAIL,
    "Quantity_is_required": DETAIL,
    "RenewalTerms_is_required": DETAIL,
    "Special_Fields": DETAIL,
    "Fixed_Price_is_required": CATALOG,
    "Fixed_Price_should_be_blank": CATALOG,
    "Floor_price_is_required": CATALOG,
    "PNR_percent_is_required": CATALOG,
    "PNR_percent_should_be_blank": CATALOG,
}

#: The answer of an org in which a rule does nothing.
_DOES_NOT_ACT = {
    "draft": ("order.insert.status", "as_sent"),
    "received": ("order.update.received-stamp", "kept"),
    "pricing": ("detail.insert.fixed-price", "as_sent"),
    "contract_key": ("contract.insert.external-id", "as_sent"),
}
SUBMITTED = NS + "Order_Submitted__c"
VERSION = NS + "Version__c"

Record = dict[str, Any]


class Package:
    """Rules as they act on one chunk of rows, before and after the save."""

    def __init__(self, org: Org) -> None:
        self._org = org
        settings = org.settings
        unknown = set(settings.workflow_off) - set(WORKFLOWS) | set(settings.validation_off) - set(
            VALIDATIONS
        )
        if unknown:
            raise ValueError(f"no such rule: {', '.join(sorted(unknown))}")
        #: what the list of rules says; what they do is `workflows`, and a fact may tell otherwise
        self.listed_active = {name: name not in settings.workflow_off for name in WORKFLOWS}
        self.workflows = {
            name: active and not org.facts.says(*_DOES_NOT_ACT[name])
            for name, active in self.listed_active.items()
        }
        self.validations = {name: name not in settings.validation_off for name in VALIDATIONS}
        #: how often each rule acted, for tests and for the naive-migration story
        self.fired: dict[str, int] = {}

    # before the save: partner trigger, then validation ------------------------------------------------------

    def before_save(
        self, sobject: SObject, rows: Sequence[Row], current: dict[str, Record] | None
    ) -> set[str]:
        """Marks refused rows; returns the fields that a trigger touched."""
        touched: set[str] = set()
        if sobject.name == ORDER:
            if self._org.settings.partner_trigger:
                touched = self._partner_trigger(rows, current)
            for row in rows:
                if (
                    current is None
                    and self._org.settings.orders_as_drafts
                    and row.values.get(STATUS) != "Draft"
                ):
                    row.error = row.error or RowError(
                        "CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY", "Orders begin as Drafts.", ()
                    )
                self._check(
                    row,
                    "Contract_is_Required",
                    not row.values.get(CONTRACT),
                    "Contract is required.",
                    CONTRACT,
                )
                self._check(
                    row,
                    "OrderTypeRequired",
                    not row.values.get(ORDER_TYPE),
                    "Order Type is required.",
                    ORDER_TYPE,
                )
        elif sobject.name == DETAIL:
            self._validate_details(rows, current)
        elif sobject.name == CATALOG:
            for row in rows:
                self._validate_catalog(row)
        return touched

    def _check(self, row: Row, rule: str, refused: bool, message: str, field: str) -> None:
        if refused and row.error is None and self.validations[rule]:
            self._count(rule)
            row.error = RowError("FIELD_CUSTOM_VALIDATION_EXCEPTION", message, (field,) if field else ())

    def _validate_details(self, rows: Sequence[Row], current: dict[str, Record] | None) -> None:
        orders = self._parents(ORDER, [row.values.get(PARENT) for row in rows])
        products = self._parents(CATALOG, [row.values.get(PRODUCT) for row in rows])
        terms = [one.get(CONTRACT) for one in orders.values()] + [
            one.get(NS + "Partner_Contract_Terms__c") for one in products.values()
        ]
        contracts = self._parents(TERMS, terms)
        empty: Record = {}
        for row in rows:
            values = row.values
            order = orders.get(values.get(PARENT) or "", empty)
            if current is None and self._org.settings.details_under_drafts and order.get(STATUS) != "Draft":
                row.error = row.error or RowError(
                    "CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY", "Details belong to Drafts.", ()
                )
            contract = contracts.get(order.get(CONTRACT) or "", empty)
            product = products.get(values.get(PRODUCT) or "", empty)
            product_contract = contracts.get(product.get(NS + "Partner_Contract_Terms__c") or "", empty)
            self._check(
                row,
                "Order_must_belong_to_contract_terms",
                values.get(DETAIL_CONTRACT) != order.get(CONTRACT),
                "The service order must belong to the same contract terms as the product.",
                PARENT,
            )
            self._check(
                row,
                "Product_must_belong_to_contract_terms",
                self._foreign_product(product, product_contract, contract),
                "The product must belong to the contract terms of the service order.",
                PRODUCT,
            )
            # The rule exempts ISVForce and ISV, but the picklist spells ISVforce: the case matters.
            exempt = contract.get(NS + "Type__c") in ("ISVForce", "ISV")
            quantity = NS + "Quantity__c"
            self._check(
                row,
                "Quantity_is_required",
                values.get(quantity) is None and not exempt,
                "Quantity is required.",
                quantity,
            )
            for rule, allowed, field, label in (
                (
                    "CancellationTerms_is_required",
                    "Allow_Cancellation_Terms_Override__c",
                    "pc_Cancellation_Terms__c",
                    "Cancellation terms",
                ),
                (
                    "ContractLength_is_required",
                    "Allow_Contract_Length_Override__c",
                    "pc_Contract_Length__c",
                    "Contract length",
                ),
                (
                    "RenewalTerms_is_required",
                    "Allow_Renewal_Length_Override__c",
                    "pc_Renewal_Terms__c",
                    "Renewal terms",
                ),
            ):
                missing = bool(contract.get(NS + allowed)) and values.get(NS + field) is None
                self._check(row, rule, missing, f"{label} is required.", NS + field)
            if current is None and order.get(STATUS) != "Draft":
                self._refuse_late_detail(row)
            if current is not None and order.get(STATUS) not in ("Draft", "Error"):
                old = current[row.id]
                changed = any((values.get(name) or "") != (old.get(name) or "") for name in SPECIAL)
                self._check(
                    row,
                    "Special_Fields",
                    changed,
                    "Special terms cannot be changed on a submitted order.",
                    "",
                )

    def _refuse_late_detail(self, row: Row) -> None:
        """Where a hidden trigger takes details for Draft orders only."""
        if row.error is None and self._org.facts.says(
            "detail.insert.released-order", "refused:FIELD_CUSTOM_VALIDATION_EXCEPTION"
        ):
            message = "Details belong to Draft orders."
            row.error = RowError("FIELD_CUSTOM_VALIDATION_EXCEPTION", message, (PARENT,))

    def _foreign_product(self, product: Record, product_contract: Record, contract: Record) -> bool:
        says = self._org.facts.says
        if not product:
            return not says("detail.insert.blank-product", "accepted")
        other = (product_contract.get("Name") or "") != (contract.get("Name") or "")
        return other and not says("detail.insert.other-contract", "accepted")

    def _validate_catalog(self, row: Row) -> None:
        kind = row.values.get(NS + "Pricing_Type__c")
        fixed, floor, pnr = (
            row.values.get(NS + name) for name in ("Fixed_Price__c", "Floor_Price__c", "PNR__c")
        )
        self._check(
            row,
            "Fixed_Price_is_required",
            kind == "FIXED" and fixed is None,
            "Fixed Price is required.",
            NS + "Fixed_Price__c",
        )
        self._check(
            row,
            "Fixed_Price_should_be_blank",
            kind == "PNR" and fixed is not None,
            "Fixed Price should be blank.",
            NS + "Fixed_Price__c",
        )
        self._check(
            row,
            "Floor_price_is_required",
            kind == "PNR" and floor is None,
            "Floor Price is required.",
            NS + "Floor_Price__c",
        )
        self._check(
            row, "PNR_percent_is_required", kind == "PNR" and pnr is None, "PNR % is required.", NS + "PNR__c"
        )
        self._check(
            row,
            "PNR_percent_should_be_blank",
            kind == "FIXED" and pnr is not None,
            "PNR % should be blank.",
            NS + "PNR__c",
        )

    def _parents(self, object_name: str, ids: Sequence[Any]) -> dict[str, Record]:
        """Only the fields that the rules read, for the distinct ids."""
        names = _READ[object_name]
        wanted = sorted({one for one in ids if one})
        found: dict[str, Record] = {}
        for start in range(0, len(wanted), 500):
            part = wanted[start : start + 500]
            marks = ",".join("?" * len(part))
            sql = f'SELECT {", ".join(map(quote, names))} FROM {quote(object_name)} WHERE "Id" IN ({marks})'
            found.update(
                (row[0], dict(zip(names, row, strict=True))) for row in self._org.store.all(sql, part)
            )
        return found

    # after the save: workflow field updates ------------------------------------------------------------------

    def after_save(
        self, sobject: SObject, rows: Sequence[Row], current: dict[str, Record] | None
    ) -> set[str]:
        """Field updates of the workflow rules, made on the rows; returns the fields touched. None re-evaluates."""
        act: Callable[[Sequence[Row], dict[str, Record] | None], set[str]] | None = {
            ORDER: self._order_rules,
            DETAIL: self._detail_rules,
            TERMS: self._contract_rules,
        }.get(sobject.name)
        touched = act(rows, current) if act is not None else set()
        return touched | self._overwrite(sobject, rows, on_insert=current is None)

    def _overwrite(self, sobject: SObject, rows: Sequence[Row], *, on_insert: bool) -> set[str]:
        """A partner's automation that cares for nobody's values, and runs after all others."""
        settings = self._org.settings
        touched: set[str] = set()
        for rule in settings.overwrite_on_insert if on_insert else settings.overwrite_on_update:
            path, _, text = rule.partition("=")
            object_name, _, name = path.partition(".")
            if object_name != sobject.name:
                continue
            number = sobject[name].type in ("double", "currency", "percent")
            for row in rows:
                row.values[name] = (float(text) if number else text) if text else None
                self._count("overwrite")
            touched.add(name)
        return touched

    def _order_rules(self, rows: Sequence[Row], current: dict[str, Record] | None) -> set[str]:
        touched = self._hidden_stamps(rows, current)
        for row in rows:
            status = row.values.get(STATUS)
            if current is None:
                if status != "Draft" and self.workflows["draft"]:
                    row.values[STATUS] = "Draft"
                    self._count("draft")
                    touched.add(STATUS)
            # ISCHANGED is false on a new record: only an update stamps the received date.
            elif (
                status == "Received" and current[row.id].get(STATUS) != status and self.workflows["received"]
            ):
                row.values[RECEIVED] = self._org.clock.stamp()
                self._count("received")
                touched.add(RECEIVED)
        return touched

    def _hidden_stamps(self, rows: Sequence[Row], current: dict[str, Record] | None) -> set[str]:
        """What the package may do to dates and version of an order where a fact says so."""
        says, now = self._org.facts.says, self._org.clock.stamp()
        changes: dict[str, Any] = {}
        if current is None:
            for fact_id, name in (("received-date", RECEIVED), ("submitted-date", SUBMITTED)):
                for answer, value in (("emptied", None), ("stamped_over", now)):
                    if says(f"order.insert.{fact_id}", answer):
                        changes[name] = value
            if says("order.insert.version-stamp", "stamped"):
                changes[VERSION] = self._org.settings.package_version
        touched = set()
        for row in rows:
            for name, value in changes.items():
                # A date that nobody sent is not put there.
                if name == VERSION or row.values.get(name) is not None:
                    row.values[name] = value
                    touched.add(name)
            if self._stamps_received(row, current[row.id] if current else None):
                row.values[RECEIVED] = now
                touched.add(RECEIVED)
        return touched

    def _stamps_received(self, row: Row, before: Record | None) -> bool:
        says, status = self._org.facts.says, row.values.get(STATUS)
        if before is None:
            return status == "Received" and says("order.insert.received-stamp", "stamped")
        if before.get(STATUS) != status:
            return status not in ("Draft", "Received") and says("order.update.other-status", "stamped_over")
        return (
            status == "Received"
            and before.get(RECEIVED) != row.values.get(RECEIVED)
            and says("order.update.date-only", "stamped_over")
        )

    def _detail_rules(self, rows: Sequence[Row], current: dict[str, Record] | None) -> set[str]:
        touched = set()
        if current is None:
            touched = set().union(*(pc_fields(row.values, self._org.facts) for row in rows))
        act = (
            self.workflows["pricing"]
            if current is None
            else self._org.facts.says("detail.update.fixed-price", "catalog_price")
        )
        return touched | self._copy_prices(rows) if act else touched

    def _copy_prices(self, rows: Sequence[Row]) -> set[str]:
        products = self._parents(CATALOG, [row.values.get(PRODUCT) for row in rows])
        price, kind = NS + "pc_Fixed_Price__c", NS + "pc_Pricing_Type__c"
        for row in rows:
            product = products.get(row.values.get(PRODUCT) or "")
            if product is not None and product[NS + "Pricing_Type__c"] == "FIXED":
                row.values[price] = product[NS + "Fixed_Price__c"]
                row.values[kind] = "FIXED"
                self._count("pricing")
        return {price, kind}

    def _contract_rules(self, rows: Sequence[Row], current: dict[str, Record] | None) -> set[str]:
        key = NS + "Partner_Contract_Term_External_ID__c"
        if not self.workflows["contract_key"]:
            return set()
        for row in rows:
            if current is None or current[row.id]["Name"] != row.values["Name"]:
                row.values[key] = row.values["Name"]
                self._count("contract_key")
        return {key}

    def _partner_trigger(self, rows: Sequence[Row], current: dict[str, Record] | None) -> set[str]:
        """A partner's before-trigger: stamps the day on which an order came in or changed its status."""
        field = NS + "Date_Partner_Received_Customer_Order__c"
        today = self._org.clock.today().isoformat()
        for row in rows:
            if current is None or current[row.id].get(STATUS) != row.values.get(STATUS):
                row.values[field] = today
                self._count("partner_trigger")
        return {field}

    def _count(self, rule: str) -> None:
        self.fired[rule] = self.fired.get(rule, 0) + 1


_READ = {
    ORDER: ["Id", STATUS, CONTRACT],
    TERMS: [
        "Id",
        "Name",
        NS + "Type__c",
        NS + "Allow_Cancellation_Terms_Override__c",
        NS + "Allow_Contract_Length_Override__c",
        NS + "Allow_Renewal_Length_Override__c",
    ],
    CATALOG: ["Id", NS + "Pricing_Type__c", NS + "Fixed_Price__c", NS + "Partner_Contract_Terms__c"],
}
