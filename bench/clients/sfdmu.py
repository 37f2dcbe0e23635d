"""What SFDMU is told: one `export.json` as its documentation advises, or two for those who know the app.

`pc_Partner_Contract_Term__c` is left out since SFDMU takes `__pc` anywhere in a name for a person account field.
"""

from __future__ import annotations

import json
from pathlib import Path

from bench.clients import fields as of
from bench.clients.fields import CUSTOMER, DETAIL, KEY, NS, ORDER
from orgsim.launch import RunningOrg


def write_export(
    folder: Path, source: RunningOrg, target: RunningOrg, poll_seconds: float, second_pass: bool = False
) -> None:
    """`export.json` in FOLDER. The second pass only sets what the app had reset on create."""
    carried = of.carried(source.url, target.url)
    steps: list[tuple[str, list[str], str, str]]
    if second_pass:
        status = [KEY, NS + "Service_Order_Status__c", NS + "Date_Service_Order_Received_by_SFDC__c"]
        steps = [(ORDER, status, "Update", KEY)]
    else:
        details = [one for one in carried[DETAIL] if one != of.CONTRACT_OF_DETAIL]
        steps = [
            (NS + "Partner_Contract_Terms__c", ["Name"], "Readonly", "Name"),
            (
                NS + "Partner_Product_Catalog__c",
                [NS + "Product_ID__c", "Name"],
                "Readonly",
                NS + "Product_ID__c",
            ),
            ("Account", ["Name"], "Readonly", "Name"),
            ("Opportunity", ["Name"], "Readonly", "Name"),
            (CUSTOMER, [KEY, *carried[CUSTOMER]], "Upsert", NS + "Customer_Org_ID__c"),
            (ORDER, [KEY, *carried[ORDER]], "Insert", KEY),
            (DETAIL, [KEY, *details], "Insert", KEY),
        ]
    export = {
        "orgs": [
            {"name": name, "instanceUrl": org.url, "accessToken": org.login()}
            for name, org in (("source", source), ("target", target))
        ],
        "promptOnMissingParentObjects": False,
        "promptOnUpdateError": False,
        "pollingIntervalMs": int(poll_seconds * 1000),
        "objects": [
            {
                "query": f"SELECT {', '.join(listed)} FROM {name}",
                "operation": operation,
                "externalId": key,
            }
            for name, listed, operation, key in steps
        ],
    }
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "export.json").write_text(json.dumps(export, indent=1))
