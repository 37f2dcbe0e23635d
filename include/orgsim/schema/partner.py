"""What partners add to the package: own fields, lookups to their own objects, the LMA's licenses (facts, section 9)."""

from __future__ import annotations

from orgsim.schema.coa import CUSTOMER, DETAIL, NS, ORDER
from orgsim.schema.currencies import currency_code
from orgsim.schema.model import Field, SObject
from orgsim.schema.system import audit, flag, head, owner, picklist, reference, text
from orgsim.settings import Settings

LICENSE = "sfLma__License__c"
PACKAGE = "sfLma__Package__c"
INVOICE = "Partner_Invoice__c"
"""A partner's own object that points at orders, and keeps the old org's id in a text field."""


def extend(custom: list[SObject], settings: Settings) -> list[SObject]:
    """Add a partner's fields to the package's objects; returns the objects that come with them."""
    by_name = {one.name: one for one in custom}
    by_name[ORDER].add(
        reference("License__c", "License", LICENSE, relationship="License__r", children="Service_Orders__r"),
        text("AutorabitExtId__c", "AutoRABIT External Id", 18, external_id=True, id_lookup=True),
        Field("Reporting_Status__c", "Reporting Status", "string", length=40),
        Field("Products_Added__c", "Products Added", "double", precision=18, scale=0),
        text("LOD_Salesforce_Id__c", "LOD Salesforce Id", 18),
        Field("Partner_Touched_At__c", "Partner Touched At", "datetime"),
    )
    by_name[CUSTOMER].add(
        reference(
            "Related_License__c",
            "Related License",
            LICENSE,
            relationship="Related_License__r",
            children="COA_Customers__r",
        ),
        flag("Active__c", "Active", True),
    )
    by_name[DETAIL].add(
        text("Related_Opportunity_Line_Item__c", "Related Opportunity Line Item", 18, unique=True),
        reference(
            "Product__c",
            "Product",
            "Product2",
            relationship="Product__r",
            children="Service_Order_Details__r",
        ),
        Field(
            "Annualized_Run_Rate__c",
            "Annualized Run Rate",
            "currency",
            precision=18,
            scale=2,
            createable=False,
            updateable=False,
            calculated=True,
            formula="CHANNEL_ORDERS__Order_Detail_Value__c * 12",
            sql=lambda scope: f"ROUND({scope.column(NS + 'Order_Detail_Value__c')} * 12, 2)",
        ),
    )
    return [_license(settings), _package(settings), _invoice(settings)]


def _license(settings: Settings) -> SObject:
    return SObject(
        LICENSE,
        "License",
        "Licenses",
        [
            *head("L-{00000}", "License Name"),
            owner(),
            *([currency_code(settings)] if settings.multi_currency else []),
            *audit(bool(settings.audit_fields)),
            text("sfLma__Subscriber_Org_ID__c", "Subscriber Org ID", 18),
            text("sfLma__Package_License_ID__c", "Package License ID", 18),
            picklist("sfLma__Status__c", "Status", ("Trial", "Active", "Suspended", "Uninstalled")),
            Field("sfLma__Expiration__c", "Expiration", "date"),
            reference(
                "sfLma__Package__c",
                "Package",
                PACKAGE,
                relationship="sfLma__Package__r",
                children="Licenses__r",
            ),
            Field("sfLma__Seats__c", "Seats", "double", precision=5, scale=0),
            reference(
                "COA_Customer__c",
                "COA Customer",
                CUSTOMER,
                relationship="COA_Customer__r",
                children="Licenses__r",
            ),
        ],
    )


def _package(settings: Settings) -> SObject:
    return SObject(
        PACKAGE,
        "Package",
        "Packages",
        [
            *_usual(settings, "Package Name"),
            text("sfLma__Package_ID__c", "Package ID", 18),
        ],
    )


def _invoice(settings: Settings) -> SObject:
    return SObject(
        INVOICE,
        "Partner Invoice",
        "Partner Invoices",
        [
            *_usual(settings, "Invoice Name"),
            text("Old_Order_Id__c", "Old Order Id", 255),
            text("Old_Customer_Id__c", "Old Customer Id", 18, external_id=True, id_lookup=True),
            reference("Order__c", "Order", ORDER, relationship="Order__r", children="Partner_Invoices__r"),
            reference(
                "Customer__c",
                "Customer",
                CUSTOMER,
                relationship="Customer__r",
                children="Partner_Invoices__r",
            ),
        ],
    )


def _usual(settings: Settings, name_label: str) -> list[Field]:
    return [
        *head(name_label=name_label),
        owner(),
        *([currency_code(settings)] if settings.multi_currency else []),
        *audit(bool(settings.audit_fields)),
    ]
