"""The planted problems: adding one is adding one row.

Each row: the finding that has to name it (code, sObject, field), its severity, and a function that plants it and
returns the count that the finding has to give. All are planted into one pair of orgs before one run.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from coa.model import CONTRACT, CUSTOMER, DETAIL, NS, ORDER, PRICEBOOK_ENTRY, PRODUCT, SOURCE_ID

from .pair import Pair

START = {"partner_fields": True}
SOURCE_START = {"migration_fields": True}
TARGET_START = {"package_version": "3.60", "hard_delete": False, "migration_fields": True}
PARAMS = {"draft_orders": "hold", "in_flight_orders": "load", "unmatched_contract_policy": "stop",
          "picklist_policy": "stop", "too_long_policy": "stop"}  # fmt: skip
MAPPING = "contracts: {Nobody: Nothing}\n"


@dataclass(frozen=True)
class Problem:
    """`field` without the package's namespace where it is the package's."""

    code: str
    sobject: str
    field: str
    severity: str
    plant: Callable[[Pair], int]

    @property
    def key(self) -> tuple[str, str, str]:
        return self.code, self.sobject, self.field


def _count(pair: Pair, sobject: str, field: str) -> int:
    """Records of the source in which a field holds a value."""
    return sum(1 for r in pair.table(pair.source, sobject) if r[field] not in (None, ""))


def _hide(field: str, fill: int = 0) -> Callable[[Pair], int]:
    """A field that the target lacks, filled in some records of the source."""

    def plant(pair: Pair) -> int:
        sobject, name = field.split(".")
        pair.field(pair.target, field, hidden=True)
        if fill:
            pair.change(sobject, fill, **{name: "kept"})
        return _count(pair, sobject, name)

    return plant


def _field(pair: Pair, field: str, count: int = 0, **changes: object) -> int:
    pair.field(pair.target, field, **changes)
    return count


def _read_only(pair: Pair) -> int:
    pair.field(pair.target, f"{ORDER}.Customer_Billing_City__c", createable=False, updateable=False)
    pair.change(ORDER, 2, Customer_Billing_City__c="Lund")
    return _count(pair, ORDER, NS + "Customer_Billing_City__c")


def _required(pair: Pair) -> int:
    pair.field(pair.target, f"{ORDER}.Date_Partner_Received_Customer_Order__c", nillable=False)
    pair.change(ORDER, 3, Date_Partner_Received_Customer_Order__c=None)
    return sum(
        1 for r in pair.table(pair.source, ORDER) if not r[NS + "Date_Partner_Received_Customer_Order__c"]
    )


def _without_source(pair: Pair) -> int:
    pair.field(pair.source, f"{ORDER}.Org_Edition_Type__c", hidden=True)
    pair.field(pair.target, f"{ORDER}.Org_Edition_Type__c", nillable=False)
    return 0


def _too_long(pair: Pair) -> int:
    pair.field(pair.target, f"{ORDER}.Invoice_Description__c", length=20)
    pair.change(ORDER, 3, Invoice_Description__c="more than twenty characters")
    return sum(1 for r in pair.table(pair.source, ORDER) if len(r[NS + "Invoice_Description__c"] or "") > 20)


def _too_many_digits(pair: Pair) -> int:
    pair.field(pair.target, f"{DETAIL}.Current_Licenses__c", precision=5)
    return pair.change(DETAIL, 1, Current_Licenses__c=123456.0)


def _contracts(pair: Pair) -> int:
    """One order without contract terms, one under terms that the target lacks, one under ambiguous ones."""
    unknown = pair.add(pair.source, CONTRACT, Name="Acquired Agreement", Type__c="ISVforce")
    twin = pair.add(pair.source, CONTRACT, Name="Twin Agreement", Type__c="ISVforce")
    for _ in range(2):
        pair.add(pair.target, CONTRACT, Name="Twin Agreement", Type__c="ISVforce")
    for contract in (None, unknown, twin):
        pair.change(ORDER, 1, Partner_Contract_Rules__c=contract)
    return 3


def _products(pair: Pair) -> int:
    """One detail whose product was deleted, one of an unknown product, one of an ambiguous one."""
    for code in (None, "P-NEW", "P-TWIN"):
        (detail,) = pair.take(DETAIL)
        product = None
        if code:
            old = next(
                p for p in pair.table(pair.source, PRODUCT) if p["Id"] == detail[NS + "Product_Name__c"]
            )
            contract = old[NS + "Partner_Contract_Terms__c"]
            product = pair.add(
                pair.source, PRODUCT, Name=code, Product_ID__c=code, Partner_Contract_Terms__c=contract
            )
            if code == "P-TWIN":
                for _ in range(2):
                    pair.add(pair.target, PRODUCT, Name=code, Product_ID__c=code,
                             Partner_Contract_Terms__c=_counterpart(pair, CONTRACT, contract))  # fmt: skip
        pair.set(pair.source, DETAIL, detail["Id"], Product_Name__c=product)
    return 3


def _counterpart(pair: Pair, sobject: str, source_id: str) -> str:
    """The target's record of the same name."""
    name = next(r["Name"] for r in pair.table(pair.source, sobject) if r["Id"] == source_id)
    return next(str(r["Id"]) for r in pair.table(pair.target, sobject) if r["Name"] == name)


def _used_product(pair: Pair, pricing: str) -> str:
    """A product of the target whose source counterpart is in use."""
    used = {d[NS + "Product_Name__c"] for d in pair.table(pair.source, DETAIL)}
    product = next(
        p
        for p in pair.table(pair.source, PRODUCT)
        if p["Id"] in used and p[NS + "Pricing_Type__c"] == pricing
    )
    return next(
        str(p["Id"])
        for p in pair.table(pair.target, PRODUCT)
        if p[NS + "Product_ID__c"] == product[NS + "Product_ID__c"]
    )


def _catalog(pricing: str, **values: object) -> Callable[[Pair], int]:
    def plant(pair: Pair) -> int:
        pair.set(pair.target, PRODUCT, _used_product(pair, pricing), **values)
        return 1

    return plant


def _terms(flag: str, value: object) -> Callable[[Pair], int]:
    """Changes the target's contract terms that the most orders use."""

    def plant(pair: Pair) -> int:
        used = [o[NS + "Partner_Contract_Rules__c"] for o in pair.table(pair.source, ORDER)]
        there = _counterpart(pair, CONTRACT, max(set(used) - {None}, key=used.count))
        pair.set(pair.target, CONTRACT, there, **{flag: value})
        return 1

    return plant


def _missing_terms(pair: Pair) -> int:
    """A detail without renewal terms; the contract of its order allows to override them."""
    orders = {o["Id"]: o for o in pair.table(pair.source, ORDER)}
    contracts = {c["Id"]: c for c in pair.table(pair.source, CONTRACT)}
    while True:
        (detail,) = pair.take(DETAIL)
        contract = orders[detail[NS + "Partner_Order__c"]][NS + "Partner_Contract_Rules__c"]
        if contract and contracts[contract][NS + "Allow_Contract_Length_Override__c"]:
            break
    pair.set(pair.source, DETAIL, detail["Id"], pc_Contract_Length__c=None)
    return 1


def _other_contract(pair: Pair) -> int:
    (detail,) = pair.take(DETAIL)
    other = next(
        c["Id"]
        for c in pair.table(pair.source, CONTRACT)
        if c["Id"] != detail[NS + "pc_Partner_Contract_Term__c"] and "Agreement 20" in c["Name"]
    )
    pair.set(pair.source, DETAIL, detail["Id"], pc_Partner_Contract_Term__c=other)
    return 1


def _product_of_other_contract(pair: Pair) -> int:
    (detail,) = pair.take(DETAIL)
    other = next(
        p["Id"]
        for p in pair.table(pair.source, PRODUCT)
        if p[NS + "Partner_Contract_Terms__c"] != detail[NS + "pc_Partner_Contract_Term__c"]
        and p[NS + "Product_ID__c"].startswith("P-0")
    )
    pair.set(pair.source, DETAIL, detail["Id"], Product_Name__c=other)
    return 1


def _collide(role: str) -> Callable[[Pair], int]:
    def plant(pair: Pair) -> int:
        org = pair.source if role == "source" else pair.target
        base = "00Dzz000000" + ("SRCE" if role == "source" else "TRGT")
        for text in (base, base + "EA4"):
            pair.add(
                org,
                CUSTOMER,
                Customer_Company_Name__c="Twice Ltd",
                Customer_Country__c="US",
                Customer_Org_ID__c=text,
            )
        return 2

    return plant


def _duplicate_key(pair: Pair) -> int:
    for text in ("a0X000000000001", "a0X000000000001EAA"):
        pair.add(
            pair.target,
            CUSTOMER,
            Customer_Company_Name__c="Key",
            Customer_Country__c="US",
            **{SOURCE_ID: text},
        )
    return 2


def _same_order(pair: Pair) -> int:
    """The same order in both orgs, entered by hand."""
    contract = pair.table(pair.target, CONTRACT)[0]
    for org in (pair.source, pair.target):
        terms = next(c["Id"] for c in pair.table(org, CONTRACT) if c["Name"] == contract["Name"])
        customer = pair.add(
            org,
            CUSTOMER,
            Customer_Company_Name__c="Twin Inc",
            Customer_Country__c="US",
            Customer_Org_ID__c="00Dzz000000TWINAA2",
        )
        pair.add(org, ORDER, Customer__c=customer, Customer_Org_ID__c="00Dzz000000TWINAA2", Order_Type__c="Initial",
                 Partner_Contract_Rules__c=terms, Service_Start_Date__c="2020-01-01",
                 Date_Partner_Received_Customer_Order__c="2020-01-01", Service_Order_Status__c="Provisioned",
                 CreatedDate="2020-01-01T00:00:00.000Z", OwnerId=_any_user(pair, org))  # fmt: skip
    return 1


def _any_user(pair: Pair, org: object) -> str:
    users = pair.table(org, "User")  # type: ignore[arg-type]
    return str(sorted((u["Email"], u["Id"]) for u in users if "integration" not in u["Email"])[0][1])


def _unknown_owner(pair: Pair) -> int:
    user = pair.add(pair.source, "User", LastName="Gone", Name="Gone", Email="gone@partner.example",
                    Username="gone@partner.example", Alias="gone")  # fmt: skip
    return pair.change(ORDER, 2, OwnerId=user)


def _inactive_owner(pair: Pair) -> int:
    user = pair.add(pair.source, "User", LastName="Left", Name="Left", Email="left@partner.example",
                    Username="left@partner.example", Alias="left")  # fmt: skip
    pair.add(pair.target, "User", LastName="Left", Name="Left", Email="left@partner.example", IsActive=0,
             Username="left@partner.example.t", Alias="left")  # fmt: skip
    return pair.change(ORDER, 3, OwnerId=user)


def _status(status: str, count: int) -> Callable[[Pair], int]:
    return lambda pair: pair.change(ORDER, count, Service_Order_Status__c=status)


def _text_id(pair: Pair) -> int:
    (order,) = pair.take(ORDER)
    pair.set(pair.source, ORDER, order["Id"], LOD_Salesforce_Id__c=order["Id"])
    return _count(pair, ORDER, "LOD_Salesforce_Id__c")


def _setup(sobject: str, **values: object) -> Callable[[Pair], int]:
    def plant(pair: Pair) -> int:
        pair.add(pair.target, sobject, **values)
        return 1

    return plant


def _job(pair: Pair) -> int:
    """A scheduled class that submits by way of a helper; neither name says so."""
    nightly = pair.add(pair.target, "ApexClass", Name="Nightly", Body="void execute() { Helper.run(); }")
    pair.add(pair.target, "ApexClass", Name="Helper", Body="COA_ServiceOrderSubmit.submit(drafts);")
    pair.add(pair.target, "AsyncApexJob", JobType="ScheduledApex", Status="Queued", ApexClassId=nightly)
    return 1


def _package_job(pair: Pair) -> int:
    (job,) = [j for j in pair.table(pair.target, "AsyncApexJob") if j["Status"] == "Completed"]
    pair.set(pair.target, "AsyncApexJob", job["Id"], Status="Queued")
    return 1


def _rule_off(pair: Pair) -> int:
    pair.target.control("PATCH", "package", {"validations": {"RenewalTerms_is_required": False}})
    return 1


def _workflow_off(pair: Pair) -> int:
    pair.target.control("PATCH", "package", {"workflows": {"contract_key": False}})
    return 1


def _not_seen_whole(pair: Pair) -> int:
    """The source's user sees all orders and customers, but only those details that are shared with it."""
    for one in pair.table(pair.source, "PermissionSet"):
        pair.set(
            pair.source, "PermissionSet", one["Id"], PermissionsViewAllData=0, PermissionsModifyAllData=0
        )
    for one in pair.table(pair.source, "ObjectPermissions"):
        if one["SobjectType"] == DETAIL:
            pair.set(pair.source, "ObjectPermissions", one["Id"], PermissionsViewAllRecords=0)
    return 0


def _permission_off(pair: Pair) -> int:
    for one in pair.table(pair.target, "PermissionSet"):
        pair.set(pair.target, "PermissionSet", one["Id"], PermissionsUpdateWithInactiveOwner=0)
    return 0


def _attached(sobject: str, lookup: str, parent: str, count: int) -> Callable[[Pair], int]:
    def plant(pair: Pair) -> int:
        for row in pair.table(pair.source, parent)[:count]:
            pair.add(pair.source, sobject, **{lookup: row["Id"]})
        return count

    return plant


def _licenses(pair: Pair) -> int:
    """The LMA's licenses of the seed that are linked to customers."""
    return _count(pair, "sfLma__License__c", "COA_Customer__c")


def _few_batches(pair: Pair) -> int:
    pair.target.control("PATCH", "settings", {"bulk_batch_limit": 3})
    return 3


def _migrated_before(pair: Pair) -> int:
    return pair.change(CUSTOMER, 2, **{SOURCE_ID: "a0X00000000009ZAAA"})


def _opportunity(pair: Pair) -> int:
    unknown = pair.add(
        pair.source, "Opportunity", Name="Only here", StageName="Closed Won", CloseDate="2020-01-01"
    )
    return pair.change(ORDER, 1, Related_Opportunity__c=unknown)


def _entry(pair: Pair) -> int:
    pair.add(
        pair.source, PRICEBOOK_ENTRY, Pricebook_Entry_Id__c="01uZZ0000000001AAA", Product_Name__c="Other"
    )
    return 1


B, W, N = "blocker", "warning", "note"
PROBLEMS = [
    # the shape of the target
    Problem("migration_fields_missing", CUSTOMER, "", B, lambda p: _field(p, f"{CUSTOMER}.COA_Source_Number__c", 1, hidden=True)),
    Problem("migration_key_not_unique", DETAIL, SOURCE_ID, B, lambda p: _field(p, f"{DETAIL}.{SOURCE_ID}", unique=False)),
    Problem("audit_fields_not_writeable", CUSTOMER, "CreatedDate", B, lambda p: _field(p, f"{CUSTOMER}.CreatedDate", createable=False)),
    Problem("field_not_updateable", ORDER, "Date_Service_Order_Received_by_SFDC__c", B, lambda p: _field(p, f"{ORDER}.Date_Service_Order_Received_by_SFDC__c", updateable=False)),
    Problem("type_differs", ORDER, "Customer_Billing_State__c", B, lambda p: _field(p, f"{ORDER}.Customer_Billing_State__c", type="double")),
    Problem("required_without_source", ORDER, "Org_Edition_Type__c", B, _without_source),
    Problem("field_hidden", ORDER, "Org_Edition_Type__c", B, lambda p: 1),
    Problem("field_hidden", ORDER, "Error_Comment__c", B, lambda p: 1),
    Problem("refused_by_org", ORDER, "Date_Partner_Received_Customer_Order__c", W, _required),
    Problem("field_not_carried", ORDER, "Error_Comment__c", W, _hide(f"{ORDER}.{NS}Error_Comment__c", 2)),
    Problem("field_not_carried", ORDER, "Customer_Billing_City__c", W, _read_only),
    Problem("package_older", "", "", W, lambda p: 1),
    # values
    Problem("picklist_value_missing", ORDER, "Override_Level__c", B, lambda p: p.change(ORDER, 2, Override_Level__c="Region")),
    Problem("picklist_value_missing", ORDER, "Service_Order_Status__c", B, lambda p: p.change(ORDER, 1, Service_Order_Status__c="Recalled")),
    Problem("picklist_value_missing", ORDER, "Order_Type__c", W, lambda p: p.change(ORDER, 1, Order_Type__c=None)),
    Problem("value_too_long", ORDER, "Invoice_Description__c", B, _too_long),
    Problem("value_invalid", DETAIL, "Current_Licenses__c", W, _too_many_digits),
    Problem("value_invalid", ORDER, "Submitted_By_Email__c", W, lambda p: p.change(ORDER, 2, Submitted_By_Email__c=".old@acme")),
    Problem("id_stored_as_text", ORDER, "LOD_Salesforce_Id__c", W, _text_id),
    Problem("id_stored_as_text", DETAIL, "Related_Opportunity_Line_Item__c", W, lambda p: _count(p, DETAIL, "Related_Opportunity_Line_Item__c")),
    # contract terms, products
    Problem("contract_unmatched", ORDER, "Partner_Contract_Rules__c", B, _contracts),
    Problem("contract_not_found", CONTRACT, "", W, lambda p: 1),
    Problem("contract_ambiguous", CONTRACT, "", W, lambda p: 1),
    Problem("product_unmatched", DETAIL, "Product_Name__c", W, _products),
    Problem("product_not_found", PRODUCT, "", W, lambda p: 1),
    Problem("product_ambiguous", PRODUCT, "", W, lambda p: 1),
    Problem("pricebook_entry_not_found", PRICEBOOK_ENTRY, "", W, _entry),
    Problem("catalog_price_differs", PRODUCT, "Fixed_Price__c", W, _catalog("FIXED", Fixed_Price__c=1234.5)),
    Problem("catalog_price_differs", PRODUCT, "PNR__c", W, _catalog("PNR", PNR__c=77.0)),
    Problem("catalog_price_differs", PRODUCT, "Pricing_Unit__c", W, _catalog("PNR", Pricing_Unit__c="Seat")),
    Problem("contract_terms_differ", CONTRACT, "Allow_Cancellation_Terms_Override__c", W, _terms("Allow_Cancellation_Terms_Override__c", None)),
    Problem("contract_terms_differ", CONTRACT, "Default_Contract_Currency__c", W, _terms("Default_Contract_Currency__c", "SEK")),
    Problem("contract_mismatch", DETAIL, "pc_Partner_Contract_Term__c", W, _other_contract),
    Problem("contract_mismatch", DETAIL, "Product_Name__c", W, _product_of_other_contract),
    Problem("quantity_missing", DETAIL, "Quantity__c", W, lambda p: p.change(DETAIL, 1, Quantity__c=None)),
    Problem("terms_missing", DETAIL, "pc_Contract_Length__c", W, _missing_terms),
    # customers, owners, duplicates, open orders
    Problem("customers_collide_source", CUSTOMER, "Customer_Org_ID__c", W, _collide("source")),
    Problem("customers_collide_target", CUSTOMER, "Customer_Org_ID__c", W, _collide("target")),
    Problem("migration_key_duplicate", CUSTOMER, SOURCE_ID, B, _duplicate_key),
    Problem("possible_duplicate", ORDER, "", W, _same_order),
    Problem("owners_unmatched", "User", "OwnerId", W, _unknown_owner),
    Problem("owners_inactive", "User", "OwnerId", W, _inactive_owner),
    Problem("draft_orders", ORDER, "Service_Order_Status__c", N, _status("Draft", 2)),
    Problem("orders_in_flight", ORDER, "Service_Order_Status__c", W, _status("In Process", 3)),
    Problem("value_changed_by_policy", ORDER, "Related_Opportunity__c", N, _opportunity),
    Problem("earlier_migration", CUSTOMER, SOURCE_ID, N, _migrated_before),
    Problem("mapping_unused", "", "", W, lambda p: 2),
    # automation and rights
    Problem("partner_triggers", ORDER, "", W, _setup("ApexTrigger", Name="OrderStamp", TableEnumOrId=ORDER, Status="Active")),
    Problem("partner_flows", "", "", W, _setup("FlowDefinitionView", ApiName="Order_Mail", TriggerType="RecordAfterSave", IsActive=1)),
    Problem("partner_validation_rules", DETAIL, "", W, _setup("ValidationRule", ValidationName="Need_PO", EntityDefinitionId=DETAIL, Active=1)),
    Problem("partner_workflow_rules", CUSTOMER, "", W, _setup("WorkflowRule", Name="Mail sales", TableEnumOrId=CUSTOMER)),
    Problem("submit_jobs", "", "", B, _job),
    Problem("package_jobs", "", "", N, _package_job),
    Problem("validation_rules_off", "", "", N, _rule_off),
    Problem("workflow_rules_off", "", "", N, _workflow_off),
    Problem("not_all_records_visible_source", DETAIL, "", W, _not_seen_whole),
    Problem("hard_delete_permission", "", "", N, lambda p: 0),
    Problem("inactive_owner_permission", "", "", N, _permission_off),
    Problem("bulk_allowance", "", "", B, _few_batches),
    # what stays behind
    Problem("notes_not_carried", "Note", "", W, _attached("Note", "ParentId", ORDER, 2)),
    Problem("attachments_not_carried", "Attachment", "", W, _attached("Attachment", "ParentId", CUSTOMER, 3)),
    Problem("tasks_not_carried", "Task", "", W, _attached("Task", "WhatId", DETAIL, 4)),
    Problem("events_not_carried", "Event", "", W, _attached("Event", "WhatId", ORDER, 1)),
    Problem("emails_not_carried", "EmailMessage", "", W, _attached("EmailMessage", "RelatedToId", ORDER, 3)),
    Problem("files_not_carried", "ContentDocumentLink", "", W, _attached("ContentDocumentLink", "LinkedEntityId", ORDER, 5)),
    Problem("history_not_carried", ORDER, "", N, _attached(NS + "Service_Order__History", "ParentId", ORDER, 6)),
    Problem("records_pointing_here", "sfLma__License__c", "COA_Customer__c", W, _licenses),
]  # fmt: skip
