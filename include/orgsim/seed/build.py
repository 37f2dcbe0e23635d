"""Fills a new org: organization, users and permissions, package, catalog, customers, orders."""

from __future__ import annotations

import json
import math
import random
from dataclasses import dataclass, field

from orgsim.content import seed as content
from orgsim.org import Org
from orgsim.package import VALIDATIONS, WORKFLOWS
from orgsim.schema.coa import CATALOG, CUSTOMER, DETAIL, NS, ORDER, PRICEBOOK, TERMS
from orgsim.seed import currency, customers, orders, own, partner
from orgsim.seed.world import World, make
from orgsim.store import quote


@dataclass
class Seeded:
    """Ids of this org for the things of the world, by their number there."""

    users: list[str | None] = field(default_factory=list)
    contracts: list[str] = field(default_factory=list)
    products: list[str | None] = field(default_factory=list)
    accounts: list[str | None] = field(default_factory=list)
    customers: list[str] = field(default_factory=list)
    opportunities: list[str | None] = field(default_factory=list)


def company_count(number_of_orders: int) -> int:
    return max(12, math.ceil(number_of_orders / 6))


def seed(org: Org) -> None:
    """Everything, in one transaction."""
    world = make(org.settings.seed, company_count(org.settings.orders))
    with org.store.transaction():
        seeded = Seeded()
        _organization(org)
        currency.seed(org)
        _users(org, world, seeded)
        if org.settings.package_version:
            _package(org)
        if org.settings.empty:
            return
        _record_types(org)
        customers.accounts(org, world, seeded)
        if org.settings.package_version:
            _catalog(org, world, seeded)
            customers.seed(org, world, seeded)
            orders.seed(org, world, seeded)
            if org.settings.partner_fields:
                partner.seed(org)
            if org.settings.own_fields:
                own.seed(org)
            if org.settings.legacy_ids:
                for name in (CUSTOMER, ORDER, DETAIL):
                    org.store.execute(f'UPDATE {quote(name)} SET "COA_Source_Id__c" = "Id"')
            if org.settings.attachments:
                content.seed(org)
            currency.put_on_records(org)
            org.rollups.refresh_all()


def _organization(org: Org) -> None:
    stamp = "2012-01-02T08:00:00.000Z"
    org.store.add(
        "Organization",
        Id=org.id,
        Name=f"Acme {org.settings.role.capitalize()} PBO",
        IsSandbox=int(org.settings.sandbox),
        InstanceName="CS77" if org.settings.sandbox else f"NA{org.settings.seed % 90 + 10}",
        OrganizationType="Enterprise Edition",
        DefaultLocaleSidKey="en_US",
        TimeZoneSidKey="Etc/UTC",
        LanguageLocaleKey="en_US",
        Country="US",
        CreatedDate=stamp,
        LastModifiedDate=stamp,
        SystemModstamp=stamp,
    )


def _users(org: Org, world: World, seeded: Seeded) -> None:
    store, settings = org.store, org.settings
    stamp = "2012-01-02T08:00:00.000Z"
    stamps = {"CreatedDate": stamp, "LastModifiedDate": stamp, "SystemModstamp": stamp}
    profile = store.add(
        "Profile",
        Name="System Administrator",
        PermissionsModifyAllData=1,
        PermissionsViewAllData=1,
        PermissionsApiEnabled=1,
        PermissionsViewSetup=1,
        **stamps,
    )

    def user(first: str, last: str, **values: object) -> str:
        alias = (first[:1] + last).lower()[:8]
        return store.add(
            "User",
            FirstName=first,
            LastName=last,
            Name=f"{first} {last}".strip(),
            Alias=alias,
            ProfileId=profile,
            **stamps,
            **values,
        )

    org.user_id = user(
        "Integration", "User", Username=settings.username, Email=f"integration@{settings.role}.example"
    )
    for number, person in enumerate(world.people):
        if settings.role == "target" and not person.in_target:
            seeded.users.append(None)
            continue
        active = person.active_in_target if settings.role == "target" else number != 7
        seeded.users.append(
            user(
                person.first,
                person.last,
                Username=f"{person.email}.{settings.role}",
                Email=person.email,
                FederationIdentifier=person.federation,
                IsActive=int(active),
            )
        )
    own = store.add(
        "PermissionSet",
        Name="X00ex00000018ozT",
        Label="System Administrator",
        IsOwnedByProfile=1,
        ProfileId=profile,
        PermissionsModifyAllData=1,
        PermissionsViewAllData=1,
        PermissionsApiEnabled=1,
        PermissionsAssignPermissionSets=1,
        **stamps,
    )
    rights = store.add(
        "PermissionSet",
        Name="Integration_Rights",
        Label="Integration Rights",
        PermissionsCreateAuditFields=int(bool(settings.audit_fields)),
        PermissionsUpdateWithInactiveOwner=int(bool(settings.inactive_owner)),
        PermissionsBulkApiHardDelete=int(settings.hard_delete),
        PermissionsModifyMetadata=int(settings.metadata_api),
        PermissionsViewEncryptedData=int(settings.view_encrypted),
        **stamps,
    )
    sets = [own, rights]
    if settings.migration_fields:
        sets.append(_migration_set(org, stamps))
    for one in sets:
        store.add("PermissionSetAssignment", PermissionSetId=one, AssigneeId=org.user_id, **stamps)
    store.add("Group", Name="COA Queue", DeveloperName="COA_Queue", Type="Queue", **stamps)


def _package(org: Org) -> None:
    """What checks read about the package: version, triggers, rules, scheduled jobs."""
    store = org.store
    major, _, minor = org.settings.package_version.partition(".")
    package = store.add("SubscriberPackage", Name="Channel Order App", NamespacePrefix="CHANNEL_ORDERS")
    version = store.add(
        "SubscriberPackageVersion",
        Name=org.settings.package_version,
        MajorVersion=int(major),
        MinorVersion=int(minor or 0),
        PatchVersion=0,
        BuildNumber=1,
    )
    store.add("InstalledSubscriberPackage", SubscriberPackageId=package, SubscriberPackageVersionId=version)
    admin = store.add(
        "PermissionSet", Name="COA_Admin_User", Label="COA Admin User", NamespacePrefix="CHANNEL_ORDERS"
    )
    store.add("PermissionSetAssignment", PermissionSetId=admin, AssigneeId=org.user_id)
    for sobject in (CUSTOMER, ORDER, DETAIL):
        store.add(
            "ObjectPermissions",
            ParentId=admin,
            SobjectType=sobject,
            PermissionsRead=1,
            PermissionsViewAllRecords=1,
            PermissionsModifyAllRecords=1,
        )
    for name, where in (
        ("COA_ServiceOrderTrigger", NS + "Service_Order__c"),
        ("ServiceOrderDetailTrigger", NS + "Service_Order_Detail__c"),
        ("UsersTrigger", "User"),
    ):
        store.add(
            "ApexTrigger",
            Name=name,
            NamespacePrefix="CHANNEL_ORDERS",
            TableEnumOrId=where,
            Status="Active",
            ApiVersion=53.0,
        )
    for key, name in WORKFLOWS.items():
        on_orders = key in ("draft", "received")
        table = ORDER if on_orders else DETAIL if key == "pricing" else TERMS
        store.add(
            "WorkflowRule",
            Name=name,
            TableEnumOrId=table,
            NamespacePrefix="CHANNEL_ORDERS",
            Metadata=json.dumps(
                {
                    "active": org.facts.rule_is_listed_active(key, org.package.listed_active[key]),
                    "fullName": name,
                }
            ),
        )
    if org.settings.partner_trigger:
        store.add(
            "ApexTrigger", Name="PartnerOrderStamp", TableEnumOrId=ORDER, Status="Active", ApiVersion=60.0
        )
    for name, where_name in VALIDATIONS.items():
        store.add(
            "ValidationRule",
            ValidationName=name,
            EntityDefinitionId=where_name,
            Active=int(org.package.validations[name]),
            NamespacePrefix="CHANNEL_ORDERS",
            ErrorMessage=name.replace("_", " "),
        )
    _jobs(org)


def _record_types(org: Org) -> None:
    """Two for accounts, under another id in each org."""
    for name in ("Customer", "Partner"):
        org.store.add(
            "RecordType",
            Name=f"{name} Account",
            DeveloperName=f"{name}_Account",
            SobjectType="Account",
            IsActive=1,
        )


def _migration_set(org: Org, stamps: dict[str, str]) -> str:
    """What a deployment of the migration's metadata leaves: a permission set that grants its fields."""
    made = org.store.add("PermissionSet", Name="COA_Migration", Label="COA Migration", **stamps)
    for sobject in org.schema:
        for one in (one for one in sobject.fields if one.governed):
            org.store.add(
                "FieldPermissions",
                ParentId=made,
                SobjectType=sobject.name,
                Field=f"{sobject.name}.{one.name}",
                PermissionsRead=1,
                PermissionsEdit=1,
                **stamps,
            )
    return made


def _jobs(org: Org) -> None:
    """Scheduled Apex: the package's own auto-renew batch, and with ``draft_job`` one that submits drafts."""
    names: list[tuple[str, str, str | None]] = [
        ("COA Process Details Auto Renew", "COA_ProcessDetailsAutoRenewBatch", "CHANNEL_ORDERS")
    ]
    if org.settings.draft_job:
        names.append(("Submit Draft Service Orders", "SubmitDraftServiceOrders", None))
    for name, class_name, namespace in names:
        detail = org.store.add("CronJobDetail", Name=name, JobType="7")
        apex = org.store.add("ApexClass", Name=class_name, NamespacePrefix=namespace, Status="Active")
        org.store.add(
            "CronTrigger",
            CronJobDetailId=detail,
            CronExpression="0 0 * * * ?",
            State="WAITING",
            OwnerId=org.user_id,
            NextFireTime=org.clock.stamp(),
        )
        org.store.add(
            "AsyncApexJob", JobType="ScheduledApex", Status="Queued", ApexClassId=apex, MethodName="execute"
        )


def _catalog(org: Org, world: World, seeded: Seeded) -> None:
    """Contract terms, pricebook entries and products as Salesforce provisions them: same content, own ids."""
    store = org.store
    shuffled = random.Random(f"catalog {org.settings.seed} {org.settings.role}")
    stamp = "2023-02-01T09:00:00.000Z"
    common = {
        "OwnerId": org.user_id,
        "CreatedById": org.user_id,
        "LastModifiedById": org.user_id,
        "CreatedDate": stamp,
        "LastModifiedDate": stamp,
        "SystemModstamp": stamp,
    }

    def add(object_name: str, values: dict[str, object]) -> str:
        named = {key if key in ("Name",) else NS + key: value for key, value in values.items()}
        return store.add(object_name, **common, **named)

    seeded.contracts = [""] * len(world.contracts)
    for number in shuffled.sample(range(len(world.contracts)), len(world.contracts)):
        one = world.contracts[number]
        seeded.contracts[number] = add(
            TERMS,
            {
                "Name": one.name,
                "Type__c": one.kind,
                "Status__c": one.status,
                "Default_Contract_Currency__c": one.currency,
                "Allow_Cancellation_Terms_Override__c": int(one.cancellation),
                "Allow_Contract_Length_Override__c": int(one.length),
                "Allow_Renewal_Length_Override__c": int(one.renewal),
                "Default_Auto_Renew_Policy__c": "Partner Selection",
                "Default_Contract_Length_Months__c": "12",
                "Override_Level__c": "Order Item",
                "Partner_API_Key__c": f"key-{org.settings.role}-{number}",
                "Partner_Contract_Term_External_ID__c": one.name,
            },
        )
    entries = [
        add(PRICEBOOK, {"Pricebook_Entry_Id__c": key, "Product_Name__c": name, "Type__c": kind})
        for key, name, kind in world.entries
    ]
    for product in world.products:
        if org.settings.role == "target" and org.settings.planted and not product.in_target:
            seeded.products.append(None)
            continue
        seeded.products.append(
            add(
                CATALOG,
                {
                    "Name": product.name,
                    "Product_ID__c": product.code,
                    "Partner_Contract_Terms__c": seeded.contracts[product.contract],
                    "Standard_Partner_Pricebook_Entry__c": entries[product.entry],
                    "Pricing_Type__c": product.pricing,
                    "Fixed_Price__c": product.fixed,
                    "Floor_Price__c": product.floor,
                    "PNR__c": product.rate,
                    "Pricing_Unit__c": product.unit,
                    "Status__c": "Active",
                    "Contract_Length__c": 12.0,
                    "Billing_Frequency__c": 12.0,
                    "Application__c": "Order Suite",
                },
            )
        )
