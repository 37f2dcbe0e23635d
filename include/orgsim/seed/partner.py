"""Data of a partner's own fields: licenses know their customer, orders know their license (facts, section 9)."""

from __future__ import annotations

from orgsim.ids import to_18
from orgsim.org import Org
from orgsim.schema.coa import CUSTOMER, DETAIL, NS, ORDER
from orgsim.schema.partner import LICENSE, PACKAGE

_EVERY = 3


def seed(org: Org) -> None:
    """A license for every third customer, in both orgs found by the subscriber's org id; lookups in both directions."""
    store = org.store
    sql = f'SELECT "Id", "{NS}Customer_Org_ID__c" FROM "{CUSTOMER}" ORDER BY "{NS}Customer_Org_ID__c"'
    stamp = "2018-01-01T00:00:00.000Z"
    stamps = {"CreatedDate": stamp, "LastModifiedDate": stamp, "SystemModstamp": stamp}
    users = {"OwnerId": org.user_id, "CreatedById": org.user_id, "LastModifiedById": org.user_id}
    package = store.add(
        PACKAGE, Name="Acme Inspector", sfLma__Package_ID__c="033000000000AcmAAA", **users, **stamps
    )
    for customer, org_id in store.all(sql)[::_EVERY]:
        license_id = store.add(
            LICENSE,
            sfLma__Package__c=package,
            sfLma__Subscriber_Org_ID__c=to_18(org_id),
            sfLma__Package_License_ID__c="050" + to_18(org_id)[3:],
            sfLma__Status__c="Active",
            sfLma__Seats__c=25.0,
            COA_Customer__c=customer,
            **users,
            **stamps,
        )
        store.execute(
            f'UPDATE "{CUSTOMER}" SET "Related_License__c" = ? WHERE "Id" = ?', [license_id, customer]
        )
        store.execute(
            f'UPDATE "{ORDER}" SET "License__c" = ?, "LOD_Salesforce_Id__c" = ? WHERE "{NS}Customer__c" = ?',
            [license_id, customer, customer],
        )
    store.execute(
        f'UPDATE "{ORDER}" SET "Reporting_Status__c" = \'Reported\', "Products_Added__c" = 1.0 WHERE _n % 4 = 0'
    )
    # An id of another object as plain text, unique (facts, section 9).
    store.execute(
        f'UPDATE "{DETAIL}" SET "Related_Opportunity_Line_Item__c" = SUBSTR("Id", 1, 15) || \'LIN\' WHERE _n % 5 = 0'
    )
