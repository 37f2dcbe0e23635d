"""The COA object graph: sObjects, keys, what is loaded and what is matched, what the package does.

Sources: the object graph and the package's workflow and validation rules as retrieved from orgs
with package versions 1.39 to 3.66; a live describe always wins over what stands here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from hashlib import sha1

from coa.codes import DifferenceKind

NAMESPACE = "CHANNEL_ORDERS"
NS = NAMESPACE + "__"

CUSTOMER = NS + "Customer__c"
CONTRACT = NS + "Partner_Contract_Terms__c"
PRICEBOOK_ENTRY = NS + "Partner_Pricebook_Entry__c"
PRODUCT = NS + "Partner_Product_Catalog__c"
ORDER = NS + "Service_Order__c"
DETAIL = NS + "Service_Order_Detail__c"

# Migration key and its companions: fields of the target that our metadata package deploys.
SOURCE_ID = "COA_Source_Id__c"
SOURCE_NUMBER = "COA_Source_Number__c"
ORIGINAL_RECEIVED_AT = "COA_Original_Received_At__c"
MIGRATION_FIELDS = (SOURCE_ID, SOURCE_NUMBER, ORIGINAL_RECEIVED_AT)

STATUS = NS + "Service_Order_Status__c"
ORDER_TYPE = NS + "Order_Type__c"
RECEIVED_AT = NS + "Date_Service_Order_Received_by_SFDC__c"
CLONED_FROM = NS + "Cloned_Service_Order__c"
ORDER_CONTRACT = NS + "Partner_Contract_Rules__c"
ORDER_CUSTOMER = NS + "Customer__c"
DETAIL_ORDER = NS + "Partner_Order__c"
DETAIL_CONTRACT = NS + "pc_Partner_Contract_Term__c"
DETAIL_PRODUCT = NS + "Product_Name__c"
QUANTITY = NS + "Quantity__c"
CURRENCY = "CurrencyIsoCode"
"""Of every record where an org has several currencies: what its amounts are in."""
CUSTOMER_ORG_ID = NS + "Customer_Org_ID__c"
PRODUCT_ID = NS + "Product_ID__c"
ORDER_DATES = (NS + "Service_Start_Date__c", NS + "Date_Partner_Received_Customer_Order__c")
"""What makes two orders look like one, beside customer, contract, type and lines."""
PRODUCT_CONTRACT = NS + "Partner_Contract_Terms__c"
PRICEBOOK_ENTRY_ID = NS + "Pricebook_Entry_Id__c"

# Managed workflow rules, by their names in an org's Setup.
WORKFLOW_DRAFT = "New Service Order - Must be Draft Status"
WORKFLOW_RECEIVED = "Service Order Date Received"
WORKFLOW_PRICING = "Populate Pricing fields"
WORKFLOW_CONTRACT_KEY = "Partner Contract Term External ID"
PACKAGE_WORKFLOWS = (WORKFLOW_DRAFT, WORKFLOW_RECEIVED, WORKFLOW_PRICING, WORKFLOW_CONTRACT_KEY)

DRAFT = "Draft"
IN_FLIGHT = ("Submitted", "Received", "In Process")

# Never written. Partner_API_Key__c is a credential of one org; Send_Order__c has a hidden effect
# (an inactive rule of the package forbids it on insert) and could send an order again.
NEVER_WRITTEN = frozenset({NS + "Partner_API_Key__c", NS + "Send_Order__c"})

# Of these, what may not be true on a record of ours, whoever has set it: it could send a historical order.
HAZARDS = {ORDER: (NS + "Send_Order__c",)}

# Written by the platform, or never a partner's data.
SYSTEM_FIELDS = frozenset(
    {
        "Id",
        "IsDeleted",
        "LastModifiedDate",
        "LastModifiedById",
        "SystemModstamp",
        "LastActivityDate",
        "LastViewedDate",
        "LastReferencedDate",
        "UserRecordAccessId",
        "MayEdit",
        "IsLocked",
        "SetupOwnerId",
        "ConnectionReceivedId",
        "ConnectionSentId",
    }
)
AUDIT_FIELDS = ("CreatedDate", "CreatedById")

# Frozen once the parent order is neither Draft nor Error (validation rule Special_Fields).
FROZEN_DETAIL_FIELDS = frozenset({NS + "Product_Special_Terms__c", NS + "Special_Instructions__c"})

# Kinds of a difference, for the fields that people ask about by name.
PRICE_FIELDS = frozenset(
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
ORDER_VALUE = NS + "Order_Total_Value__c"
ROLLUPS = (ORDER_VALUE, NS + "Total_Quantity__c", NS + "Product_Lines__c")


@dataclass(frozen=True)
class LoadedObject:
    """An sObject whose records we create in the target."""

    name: str
    parents: dict[str, str] = field(default_factory=dict)
    """Lookup field -> loaded sObject it points at; resolved through the ledger, not by matching."""


LOADED: dict[str, LoadedObject] = {
    CUSTOMER: LoadedObject(CUSTOMER),
    ORDER: LoadedObject(ORDER, {ORDER_CUSTOMER: CUSTOMER, CLONED_FROM: ORDER}),
    DETAIL: LoadedObject(DETAIL, {DETAIL_ORDER: ORDER}),
}

COA_OBJECTS = (CONTRACT, PRICEBOOK_ENTRY, PRODUCT, CUSTOMER, ORDER, DETAIL)

# Default keys by which records of other sObjects are found again in the target, best first; a key
# matches only where it is unique on both sides. The mapping file can replace them (`lookups:`).
DEFAULT_LOOKUP_KEYS: dict[str, tuple[str, ...]] = {
    "User": ("FederationIdentifier", "Email"),
    "Group": ("DeveloperName",),
    "RecordType": ("SobjectType+DeveloperName",),
    "Account": ("Name",),
    "Opportunity": ("Name",),
    "Contact": ("Email",),
    "Contract": ("ContractNumber",),
    "Product2": ("ProductCode", "Name"),
    "sfLma__License__c": ("sfLma__Package_License_ID__c",),
    "sfLma__Package__c": ("sfLma__Package_ID__c",),
    "sfLma__Package_Version__c": ("sfLma__Version_ID__c",),
}


def table_slug(sobject: str) -> str:
    """Name of an sObject inside a table name: lower case, at most 48 characters, unique.

    >>> table_slug("CHANNEL_ORDERS__Service_Order__c")
    'channel_orders__service_order__c'
    """
    slug = re.sub(r"[^a-z0-9_]", "_", sobject.lower())
    if len(slug) <= 48:
        return slug
    return slug[:39] + "_" + sha1(sobject.encode()).hexdigest()[:8]


def difference_kind(sobject: str, field_name: str) -> DifferenceKind:
    """The `kind` of a difference in this field, as `differences.csv` names it."""
    if field_name == STATUS:
        return DifferenceKind.STATUS
    if field_name in PRICE_FIELDS:
        return DifferenceKind.PRICE
    if field_name in (RECEIVED_AT, ORIGINAL_RECEIVED_AT):
        return DifferenceKind.RECEIVED_DATE
    if field_name == "CreatedDate":
        return DifferenceKind.CREATED_DATE
    if field_name == CLONED_FROM:
        return DifferenceKind.CLONE_LINK
    if field_name in ("OwnerId", "CreatedById"):
        return DifferenceKind.OWNER
    if field_name in ROLLUPS:
        return DifferenceKind.ROLLUP
    return DifferenceKind.FIELD
