"""CumulusCI: `extract_dataset` and `load_dataset` as its documentation has them, over the Bulk API.

    python -P cumulusci_move.py SOURCE_URL TARGET_URL POLL_SECONDS FIELDS_JSON

Runs in a Python environment of its own, so it imports nothing of ours. Contracts, products and customers are
found by their keys (`etl_upsert`), the old id goes along, and a last step sets status and received date again,
because the app makes each new order a Draft. CumulusCI itself is unmodified, but for its wait of ten seconds
between two looks at a job, which is set to that of all the others.
"""

import json
import subprocess
import sys
import time
from pathlib import Path

NS = "CHANNEL_ORDERS__"
KEY = "COA_Source_Id__c"
CONTRACT, PRODUCT = NS + "Partner_Contract_Terms__c", NS + "Partner_Product_Catalog__c"
CUSTOMER, ORDER, DETAIL = NS + "Customer__c", NS + "Service_Order__c", NS + "Service_Order_Detail__c"
STATUS, RECEIVED = NS + "Service_Order_Status__c", NS + "Date_Service_Order_Received_by_SFDC__c"
LOOKUPS = {
    PRODUCT: {CONTRACT: {"table": "contracts"}},
    CUSTOMER: {},
    ORDER: {
        NS + "Customer__c": {"table": "customers"},
        NS + "Partner_Contract_Rules__c": {"table": "contracts"},
        NS + "Cloned_Service_Order__c": {"table": "orders", "after": "Orders"},
    },
    DETAIL: {
        NS + "Partner_Order__c": {"table": "orders"},
        NS + "Product_Name__c": {"table": "products"},
        NS + "pc_Partner_Contract_Term__c": {"table": "contracts"},
    },
}
# Accounts and opportunities are not in the data set: a load would insert those that the target lacks.
NOT_MOVED = {NS + "Account__c", NS + "Related_Opportunity__c"}


def mapping(carried: dict[str, list[str]]) -> dict[str, dict[str, object]]:
    """Steps by name; `fields` may be a list, JSON is YAML."""

    def step(name: str, table: str, fields: list[str], **more: object) -> dict[str, object]:
        lookups = LOOKUPS.get(name, {})
        # What is matched must not be given a date that only an insert may set.
        fixed = {"CreatedDate"} if "action" in more else set()
        left = [one for one in fields if one not in {*lookups, *NOT_MOVED, *fixed}]
        made: dict[str, object] = {"sf_object": name, "table": table, "api": "bulk", "fields": left, **more}
        return {**made, "lookups": lookups} if lookups else made

    return {
        "Contracts": step(CONTRACT, "contracts", ["Name"], action="etl_upsert", update_key="Name"),
        "Products": step(
            PRODUCT, "products", ["Name", NS + "Product_ID__c"], action="etl_upsert", update_key=NS + "Product_ID__c"
        ),
        "Customers": step(
            CUSTOMER, "customers", [KEY, *carried[CUSTOMER]], action="etl_upsert", update_key=NS + "Customer_Org_ID__c"
        ),
        "Orders": step(ORDER, "orders", [KEY, *carried[ORDER]]),
        "Details": step(DETAIL, "details", [KEY, *carried[DETAIL]]),
    }  # fmt: skip


SECOND_PASS = {
    "Statuses": {
        "sf_object": ORDER,
        "table": "orders",
        "api": "bulk",
        "action": "upsert",
        "update_key": KEY,
        # The org id does not change, but CumulusCI asks for every required field in an upsert.
        "fields": [KEY, STATUS, RECEIVED, NS + "Customer_Org_ID__c"],
    }
}


def main(source_url: str, target_url: str, poll_seconds: str, fields_json: str) -> None:
    subprocess.run(["git", "init", "-q"], check=True)
    Path("cumulusci.yml").write_text(
        "project:\n  name: client\n  package:\n    name: client\n    api_version: '64.0'\n"
    )
    steps = mapping(json.loads(fields_json))
    Path("extract.yml").write_text(json.dumps(steps))
    Path("load.yml").write_text(json.dumps(steps))
    Path("second.yml").write_text(json.dumps(SECOND_PASS))

    import requests
    from cumulusci.core.config import OrgConfig, TaskConfig, UniversalConfig
    from cumulusci.core.config.project_config import BaseProjectConfig
    from cumulusci.core.keychain import BaseProjectKeychain
    from cumulusci.tasks.bulkdata import step
    from cumulusci.tasks.bulkdata.extract import ExtractData
    from cumulusci.tasks.bulkdata.load import LoadData

    class Clock:
        """Stands for the module `time` where CumulusCI waits for a job."""

        sleep = staticmethod(lambda _: time.sleep(float(poll_seconds)))

    step.time = Clock
    folder = Path.cwd()
    project = BaseProjectConfig(
        UniversalConfig(), repo_info={"root": str(folder), "name": "client", "url": "", "owner": ""}
    )
    keychain = BaseProjectKeychain(project, "0123456789123456")
    project.set_keychain(keychain)

    def org(name: str, url: str) -> OrgConfig:
        form = {"grant_type": "client_credentials", "client_id": "coa", "client_secret": "secret"}
        token = requests.post(f"{url}/services/oauth2/token", data=form, timeout=60).json()
        wanted = ("instance_url", "access_token", "id")
        return OrgConfig({key: token[key] for key in wanted}, name, keychain=keychain)

    def options(file: str, **more: object) -> TaskConfig:
        return TaskConfig(
            {"options": {"mapping": file, "database_url": f"sqlite:///{folder}/data.db", **more}}
        )

    source, target = org("source", source_url), org("target", target_url)
    ExtractData(project, options("extract.yml"), source)()
    for file in ("load.yml", "second.yml"):
        load = LoadData(project, options(file, ignore_row_errors=True), target)
        load()
        for name, result in load.return_values["step_results"].items():
            print(
                f"cumulusci: {name}: {result['records_processed']} records, {result['total_row_errors']} errors"
            )


if __name__ == "__main__":
    main(*sys.argv[1:])
