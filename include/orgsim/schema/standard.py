"""Standard objects that a migration meets, and the few metadata objects that its checks read."""

from __future__ import annotations

from orgsim.schema.currencies import currency_code
from orgsim.schema.model import Field, SObject
from orgsim.schema.system import audit, flag, head, owner, picklist, read_only, reference, text
from orgsim.settings import Settings


def _address(prefix: str) -> list[Field]:
    return [
        text(f"{prefix}Street", f"{prefix} Street"),
        text(f"{prefix}City", f"{prefix} City", 40),
        text(f"{prefix}State", f"{prefix} State/Province", 80),
        text(f"{prefix}PostalCode", f"{prefix} Zip/Postal Code", 20),
        text(f"{prefix}Country", f"{prefix} Country", 80),
    ]


def _record_type() -> Field:
    return reference("RecordTypeId", "Record Type ID", "RecordType", relationship="RecordType")


def build(settings: Settings) -> list[SObject]:
    """Standard objects; ``settings`` decides the audit fields' rights and the currency."""
    may = bool(settings.audit_fields)

    def record(
        name: str, label: str, plural: str, prefix: str, fields: list[Field], *, record_types: bool = False
    ) -> SObject:
        extra = [currency_code(settings)] if settings.multi_currency else []
        own = [*head(), owner(), *fields, *extra, *audit(may)]
        return SObject(name, label, plural, own, prefix, record_types=record_types)

    objects = [
        record(
            "Account",
            "Account",
            "Accounts",
            "001",
            [
                _record_type(),
                reference(
                    "ParentId",
                    "Parent Account ID",
                    "Account",
                    relationship="Parent",
                    children="ChildAccounts",
                ),
                text("AccountNumber", "Account Number", 40),
                text("Website", "Website"),
                text("Phone", "Account Phone", 40),
                picklist(
                    "Type", "Account Type", ("Prospect", "Customer - Direct", "Customer - Channel", "Partner")
                ),
                picklist("Industry", "Industry", ("Banking", "Energy", "Retail", "Technology")),
                Field("AnnualRevenue", "Annual Revenue", "currency", precision=18, scale=0),
                Field("NumberOfEmployees", "Employees", "int"),
                Field("Description", "Account Description", "textarea", length=32000, long_text=True),
                *_address("Billing"),
                read_only(Field("BillingAddress", "Billing Address", "address", sql=lambda _scope: "NULL")),
            ],
            record_types=True,
        ),
        record(
            "Opportunity",
            "Opportunity",
            "Opportunities",
            "006",
            [
                reference(
                    "AccountId", "Account ID", "Account", relationship="Account", children="Opportunities"
                ),
                picklist(
                    "StageName",
                    "Stage",
                    ("Prospecting", "Negotiation/Review", "Closed Won", "Closed Lost"),
                    nillable=False,
                ),
                Field("Amount", "Amount", "currency", precision=18, scale=2),
                Field("CloseDate", "Close Date", "date", nillable=False),
            ],
        ),
        SObject("Contact", "Contact", "Contacts", _contact(settings), "003"),
        record(
            "Product2",
            "Product",
            "Products",
            "01t",
            [
                text("ProductCode", "Product Code"),
                flag("IsActive", "Active"),
                text("Description", "Description", 4000),
            ],
        ),
        *_people(settings),
        *_setup(),
    ]
    return objects


def _contact(settings: Settings) -> list[Field]:
    record_id, deleted, _name = head()
    # A person's Name is compound: not writable, made of first and last name (contract E2).
    name = read_only(
        text(
            "Name",
            "Full Name",
            121,
            sql=lambda s: f"TRIM(COALESCE({s.column('FirstName')}, '') || ' ' || {s.column('LastName')})",
        )
    )
    name.name_field = True
    return [
        record_id,
        deleted,
        reference("AccountId", "Account ID", "Account", relationship="Account", children="Contacts"),
        text("LastName", "Last Name", 80, nillable=False),
        text("FirstName", "First Name", 40),
        name,
        Field("Email", "Email", "email", length=80, id_lookup=True),
        text("Phone", "Business Phone", 40),
        owner(),
        *audit(bool(settings.audit_fields)),
    ]


def _people(settings: Settings) -> list[SObject]:
    may = bool(settings.audit_fields)
    user = SObject(
        "User",
        "User",
        "Users",
        [
            read_only(Field("Id", "User ID", "id", length=18, nillable=False, id_lookup=True)),
            text("Username", "Username", 80, nillable=False, unique=True, id_lookup=True),
            text("LastName", "Last Name", 80, nillable=False),
            text("FirstName", "First Name", 40),
            read_only(text("Name", "Full Name", 121, name_field=True)),
            Field("Email", "Email", "email", length=128, nillable=False, id_lookup=True),
            text("Alias", "Alias", 8, nillable=False),
            text("FederationIdentifier", "SAML Federation ID", 512, unique=True, case_sensitive=True),
            flag("IsActive", "Active", True),
            picklist(
                "UserType", "User Type", ("Standard", "PowerPartner", "AutomatedProcess"), default="Standard"
            ),
            text("TimeZoneSidKey", "Time Zone", 40, default="Etc/UTC"),
            text("LanguageLocaleKey", "Language", 40, default="en_US"),
            text("LocaleSidKey", "Locale", 40, default="en_US"),
            text("EmailEncodingKey", "Email Encoding", 40, default="UTF-8"),
            reference("ProfileId", "Profile ID", "Profile", relationship="Profile", required=True),
            *audit(may),
        ],
        "005",
        deletable=False,
    )
    group = SObject(
        "Group",
        "Group",
        "Groups",
        [
            *head(),
            text("DeveloperName", "Developer Name", 80),
            picklist("Type", "Type", ("Regular", "Queue", "Role", "Organization"), default="Regular"),
            *audit(False),
        ],
        "00G",
    )
    return [user, group]


def _setup() -> list[SObject]:
    def setup(
        name: str, prefix: str, fields: list[Field], *, tooling: bool = False, named: bool = True
    ) -> SObject:
        start = head() if named else head()[:1]
        return SObject(
            name,
            name,
            name + "s",
            [*start, *map(read_only, fields), *audit(False)],
            prefix,
            createable=False,
            updateable=False,
            deletable=False,
            bulk=False,
            tooling=tooling,
        )

    return [
        setup(
            "Organization",
            "00D",
            [
                flag("IsSandbox", "Is Sandbox"),
                text("InstanceName", "Instance Name", 5),
                picklist(
                    "OrganizationType",
                    "Edition",
                    ("Enterprise Edition", "Developer Edition", "Unlimited Edition"),
                ),
                Field("TrialExpirationDate", "Trial Expiration Date", "datetime"),
                text("NamespacePrefix", "Namespace Prefix", 15),
                text("DefaultLocaleSidKey", "Locale", 40),
                text("TimeZoneSidKey", "Time Zone", 40),
                text("LanguageLocaleKey", "Language", 40),
                text("Country", "Country", 80),
            ],
        ),
        setup("Profile", "00e", [flag("PermissionsModifyAllData", "Modify All Data"), *_permissions()]),
        setup(
            "PermissionSet",
            "0PS",
            [
                text("Label", "Label", 80),
                text("Description", "Description", 255),
                flag("IsOwnedByProfile", "Is Owned By Profile"),
                text("NamespacePrefix", "Namespace Prefix", 15),
                reference("ProfileId", "Profile ID", "Profile", relationship="Profile"),
                flag("PermissionsModifyAllData", "Modify All Data"),
                *_permissions(),
            ],
        ),
        _assignments(),
        setup(
            "FieldPermissions",
            "01k",
            [
                reference("ParentId", "Parent ID", "PermissionSet", relationship="Parent"),
                text("SobjectType", "Object Type", 80),
                text("Field", "Field", 255),
                flag("PermissionsRead", "Read Access"),
                flag("PermissionsEdit", "Edit Access"),
            ],
            named=False,
        ),
        setup(
            "ObjectPermissions",
            "110",
            [
                reference("ParentId", "Parent ID", "PermissionSet", relationship="Parent"),
                text("SobjectType", "Object Type", 80),
                flag("PermissionsRead", "Read Records"),
                flag("PermissionsViewAllRecords", "View All Records"),
                flag("PermissionsModifyAllRecords", "Modify All Records"),
            ],
            named=False,
        ),
        setup(
            "RecordType",
            "012",
            [
                text("DeveloperName", "Record Type Name", 80),
                text("NamespacePrefix", "Namespace Prefix", 15),
                text("SobjectType", "SObject Type Name", 40),
                flag("IsActive", "Active", True),
            ],
        ),
        setup(
            "CronJobDetail",
            "08a",
            [text("JobType", "Job Type", 3)],
        ),
        setup(
            "CronTrigger",
            "08e",
            [
                reference("CronJobDetailId", "Job ID", "CronJobDetail", relationship="CronJobDetail"),
                text("CronExpression", "Cron Expression"),
                text("State", "State", 64),
                Field("NextFireTime", "Next Run Time", "datetime"),
                reference("OwnerId", "Owner ID", "User", relationship="Owner"),
            ],
            named=False,
        ),
        setup(
            "AsyncApexJob",
            "707",
            [
                picklist("JobType", "Job Type", ("ScheduledApex", "BatchApex", "Queueable")),
                picklist("Status", "Status", ("Queued", "Processing", "Completed", "Aborted")),
                reference("ApexClassId", "Class ID", "ApexClass", relationship="ApexClass"),
                text("MethodName", "Apex Method"),
                Field("CompletedDate", "Completion Date", "datetime"),
            ],
            named=False,
        ),
        setup(
            "ApexClass",
            "01p",
            [
                text("NamespacePrefix", "Namespace Prefix", 15),
                text("Status", "Status", 40),
                Field("Body", "Body", "textarea", length=1000000, long_text=True),
            ],
        ),
        setup(
            "ApexTrigger",
            "01q",
            [
                text("NamespacePrefix", "Namespace Prefix", 15),
                text("TableEnumOrId", "sObject", 80),
                text("Status", "Status", 40),
                Field("ApiVersion", "Api Version", "double", precision=18, scale=1),
                Field("Body", "Body", "textarea", length=1000000, long_text=True),
            ],
        ),
        setup(
            "FlowDefinitionView",
            "3dd",
            [
                text("ApiName", "API Name", 80),
                text("Label", "Label"),
                text("ProcessType", "Process Type", 40),
                text("TriggerType", "Trigger Type", 40),
                flag("IsActive", "Active"),
                text("NamespacePrefix", "Namespace Prefix", 15),
            ],
            named=False,
        ),
        setup(
            "SubscriberPackage",
            "033",
            [text("NamespacePrefix", "Namespace Prefix", 15)],
            tooling=True,
        ),
        setup(
            "SubscriberPackageVersion",
            "04t",
            [
                Field("MajorVersion", "Major Version", "int"),
                Field("MinorVersion", "Minor Version", "int"),
                Field("PatchVersion", "Patch Version", "int"),
                Field("BuildNumber", "Build Number", "int"),
                flag("IsBeta", "Beta"),
            ],
            tooling=True,
        ),
        setup(
            "InstalledSubscriberPackage",
            "0A3",
            [
                reference(
                    "SubscriberPackageId", "Package", "SubscriberPackage", relationship="SubscriberPackage"
                ),
                reference(
                    "SubscriberPackageVersionId",
                    "Version",
                    "SubscriberPackageVersion",
                    relationship="SubscriberPackageVersion",
                ),
            ],
            tooling=True,
            named=False,
        ),
        setup(
            "WorkflowRule",
            "01Q",
            [
                text("TableEnumOrId", "sObject", 80),
                text("NamespacePrefix", "Namespace Prefix", 15),
                Field("Metadata", "Metadata", "complexvalue", length=32_000),
            ],
            tooling=True,
        ),
        setup(
            "ValidationRule",
            "03d",
            [
                text("ValidationName", "Rule Name", 80),
                text("EntityDefinitionId", "Entity", 80),
                flag("Active", "Active"),
                text("ErrorMessage", "Error Message"),
                text("NamespacePrefix", "Namespace Prefix", 15),
            ],
            tooling=True,
            named=False,
        ),
    ]


def _assignments() -> SObject:
    """Who has which permission set: the one set-up object that a client may write here."""
    permission_set = reference(
        "PermissionSetId",
        "PermissionSet ID",
        "PermissionSet",
        relationship="PermissionSet",
        children="Assignments",
        required=True,
        updateable=False,
    )
    assignee = reference(
        "AssigneeId",
        "Assignee ID",
        "User",
        relationship="Assignee",
        children="PermissionSetAssignments",
        required=True,
        updateable=False,
    )
    return SObject(
        "PermissionSetAssignment",
        "PermissionSetAssignment",
        "PermissionSetAssignments",
        [head()[0], permission_set, assignee, *audit(False)],
        "0Pa",
        updateable=False,
        bulk=False,
    )


def _permissions() -> list[Field]:
    return [
        flag("PermissionsViewAllData", "View All Data"),
        flag("PermissionsApiEnabled", "API Enabled"),
        flag("PermissionsCreateAuditFields", "Set Audit Fields upon Record Creation"),
        flag("PermissionsUpdateWithInactiveOwner", "Update Records with Inactive Owners"),
        flag("PermissionsBulkApiHardDelete", "Bulk API Hard Delete"),
        flag("PermissionsViewEncryptedData", "View Encrypted Data"),
        flag("PermissionsViewSetup", "View Setup and Configuration"),
        flag("PermissionsModifyMetadata", "Modify Metadata Through Metadata API Functions"),
        flag("PermissionsAssignPermissionSets", "Assign Permission Sets"),
    ]
