"""Clients written by others, unmodified, against local orgs: jsforce, SFDMU (npm) and CumulusCI (PyPI).

Usage: python tests/clients/run.py [FOLDER] [jsforce|sfdmu|cumulusci ...]
FOLDER (default .local/clients) takes the installed clients and may be thrown away; include/ must be on the path.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import venv
from pathlib import Path
from typing import Any

from orgsim import tls
from orgsim.launch import RunningOrg, running_org, running_pair

HERE = Path(__file__).resolve().parent
NPM = ("jsforce@3.10.16", "sfdmu@3.7.19")
PYPI = "cumulusci==4.10.1"
NS = "CHANNEL_ORDERS__"
ORDER = NS + "Service_Order__c"
STATUS = NS + "Service_Order_Status__c"
RECEIVED = NS + "Date_Service_Order_Received_by_SFDC__c"


def call(command: list[str], folder: Path, **environment: str) -> str:
    """Output of a command; its failure ends the run with what it said."""
    local = {"NO_PROXY": "127.0.0.1,localhost", "no_proxy": "127.0.0.1,localhost", "HOME": str(folder)}
    done = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, **local, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=900,
    )
    if done.returncode:
        raise SystemExit(f"{' '.join(command[:3])} failed:\n{done.stdout[-4000:]}")
    return done.stdout


def install_npm(folder: Path) -> None:
    if not all((folder / "node_modules" / one.rpartition("@")[0]).exists() for one in NPM):
        (folder / "package.json").write_text('{"private": true}')
        subprocess.run(["npm", "install", "--no-audit", "--no-fund", *NPM], cwd=folder, check=True)


def jsforce(folder: Path) -> None:
    install_npm(folder)
    (folder / "jsforce.mjs").write_text((HERE / "jsforce.mjs").read_text())
    with running_org(role="target", orders=60) as org:
        settings = org.settings
        secret = settings.password + settings.security_token
        print(call(["node", "jsforce.mjs", org.url, org.login(), settings.username, secret], folder).strip())


def _export(source: RunningOrg, target: RunningOrg) -> str:
    """What somebody would write who moves orders with SFDMU and knows no better."""

    def fields(*names: str) -> str:
        return ", ".join(name if name == "Name" else NS + name for name in names)

    order = fields(
        "Name", "Customer__c", "Customer_Org_ID__c", "Partner_Contract_Rules__c", "Order_Type__c",
        "Service_Order_Status__c", "Service_Start_Date__c", "Date_Service_Order_Received_by_SFDC__c",
        "Invoice_Description__c",
    )  # fmt: skip
    # pc_Partner_Contract_Term__c cannot be moved: SFDMU takes `__pc` for a person account field and asks for `__pr`.
    detail = fields(
        "Name", "Partner_Order__c", "Product_Name__c", "Quantity__c", "pc_Fixed_Price__c", "pc_Pricing_Type__c",
        "Customer_Price_Per_Month__c", "pc_Contract_Length__c", "pc_Cancellation_Terms__c", "pc_Renewal_Terms__c",
    )  # fmt: skip
    customer = fields("Customer_Org_ID__c", "Customer_Company_Name__c", "Customer_Country__c")
    steps = [
        ("Name", f"{NS}Partner_Contract_Terms__c", "Readonly", "Name"),
        (
            fields("Product_ID__c", "Name"),
            f"{NS}Partner_Product_Catalog__c",
            "Readonly",
            f"{NS}Product_ID__c",
        ),
        (customer, f"{NS}Customer__c", "Upsert", f"{NS}Customer_Org_ID__c"),
        (order, ORDER, "Insert", "Name"),
        (detail, f"{NS}Service_Order_Detail__c", "Insert", "Name"),
    ]
    return json.dumps(
        {
            "orgs": [
                {"name": name, "instanceUrl": org.url, "accessToken": org.login()}
                for name, org in (("source", source), ("target", target))
            ],
            "promptOnMissingParentObjects": False,
            "bulkThreshold": 100,
            "pollingIntervalMs": 500,
            "objects": [
                {"query": f"SELECT {listed} FROM {name}", "operation": operation, "externalId": key}
                for listed, name, operation, key in steps
            ],
        }
    )


def sfdmu(folder: Path) -> None:
    """Moves the seeded orders the naive way, once as the package stands and once with its contract check off."""
    install_npm(folder)
    (folder / "sfdmu.cjs").write_text((HERE / "sfdmu.cjs").read_text())
    for off in ([], ["Order_must_belong_to_contract_terms"]):
        with running_pair(orders=200, seed=7, target={"validation_off": off}) as (source, target):
            mine = {one["Id"] for one in target.control("GET", f"table/{ORDER}")}
            (folder / "export.json").write_text(_export(source, target))
            command = [
                "node",
                "sfdmu.cjs",
                str(folder / "node_modules/sfdmu"),
                "sfdmu:run",
                "--path",
                str(folder),
            ]
            said = call(
                [*command, "--sourceusername", "source", "--targetusername", "target", "--noprompt"], folder
            )
            assert "Command succeeded" in said, said[-2000:]
            print(f"sfdmu, contract check {'off' if off else 'on'}: exit status 0")
            _damage(source, target, mine)


def _damage(source: RunningOrg, target: RunningOrg, mine: set[str]) -> None:
    """What the package made of it, and of the second pass that gives the orders their status and date."""
    moved = [one for one in target.control("GET", f"table/{ORDER}") if one["Id"] not in mine]
    original = {one[RECEIVED]: one for one in source.control("GET", f"table/{ORDER}") if one[RECEIVED]}
    drafts = sum(one[STATUS] == "Draft" for one in moved)
    print(f"  orders: {len(moved)} inserted, {drafts} of them Draft")
    details = target.count(f"SELECT COUNT() FROM {NS}Service_Order_Detail__c WHERE {NS}Partner_Order__c IN "
                           f"(SELECT Id FROM {ORDER} WHERE CreatedDate = TODAY)")  # fmt: skip
    expected = source.count(f"SELECT COUNT() FROM {NS}Service_Order_Detail__c")
    print(f"  details: {details} of {expected} arrived")
    received = [one for one in moved if original.get(one[RECEIVED], {}).get(STATUS) == "Received"]
    for one in received:
        before = original[one[RECEIVED]]
        target.control(
            "PATCH", f"records/{ORDER}/{one['Id']}", {STATUS: "Received", RECEIVED: before[RECEIVED]}
        )
    after = {one["Id"]: one[RECEIVED] for one in target.control("GET", f"table/{ORDER}")}
    kept = sum(after[one["Id"]] == one[RECEIVED] for one in received)
    print(f"  second pass, status and date together: {kept} of {len(received)} received dates survived")
    fixed = "pc_Fixed_Price__c"
    total = [
        org.records(
            f"SELECT SUM({NS}{fixed}) s FROM {NS}Service_Order_Detail__c WHERE {NS}pc_Pricing_Type__c = 'FIXED'"
        )
        for org in (source, target)
    ]
    print(
        f"  sum of fixed prices: {total[0][0]['s']:,.2f} in the source, {total[1][0]['s'] or 0:,.2f} in the target"
    )


def cumulusci(folder: Path) -> None:
    home = folder / "cumulusci"
    if not (home / "bin" / "cci").exists():
        venv.create(home, with_pip=True)
        subprocess.run([str(home / "bin" / "pip"), "install", "-q", PYPI], check=True)
    certificate, key = tls.make(folder / "tls")
    secure: dict[str, Any] = {"tls_certificate": str(certificate), "tls_key": str(key)}
    for api in ("bulk", "rest"):
        with running_pair(orders=60, seed=7, **secure) as (source, target):
            said = call(
                [
                    str(home / "bin" / "python"),
                    str(HERE / "cumulusci_roundtrip.py"),
                    source.url,
                    target.url,
                    api,
                ],
                folder,
                CUMULUSCI_DISABLE_REFRESH="1",
                CUMULUSCI_DISABLE_ANALYTICS="1",
                REQUESTS_CA_BUNDLE=str(certificate),
            )
        lines = [line for line in said.splitlines() if line.startswith("cumulusci: ")]
        assert len(lines) == 4, said[-2000:]
        print(f"cumulusci over {api}:")
        print("\n".join(lines))


def main() -> None:
    clients = {"jsforce": jsforce, "sfdmu": sfdmu, "cumulusci": cumulusci}
    arguments = [one for one in sys.argv[1:] if one not in clients]
    folder = Path(arguments[0] if arguments else ".local/clients").resolve()
    folder.mkdir(parents=True, exist_ok=True)
    for name in [one for one in sys.argv[1:] if one in clients] or list(clients):
        clients[name](folder)


if __name__ == "__main__":
    main()
