"""CumulusCI, unmodified: extract the orders of one org by Bulk API, load them into the other.

Usage: python cumulusci_roundtrip.py SOURCE_URL TARGET_URL [bulk|rest]
Both orgs must speak https: CumulusCI knows nothing else. Needs CUMULUSCI_DISABLE_REFRESH=1 and REQUESTS_CA_BUNDLE.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

NS = "CHANNEL_ORDERS__"
MAPPING = f"""
Contracts:
  sf_object: {NS}Partner_Contract_Terms__c
  api: API
  fields: [Name, {NS}Type__c, {NS}Status__c, {NS}Default_Contract_Currency__c]
Products:
  sf_object: {NS}Partner_Product_Catalog__c
  api: API
  fields: [Name, {NS}Product_ID__c, {NS}Pricing_Type__c, {NS}Fixed_Price__c, {NS}Floor_Price__c, {NS}PNR__c]
  lookups:
    {NS}Partner_Contract_Terms__c:
      table: {NS}Partner_Contract_Terms__c
Orders:
  sf_object: {NS}Service_Order__c
  api: API
  fields: [{NS}Customer_Org_ID__c, {NS}Order_Type__c, {NS}Service_Order_Status__c, {NS}Service_Start_Date__c,
           {NS}Date_Service_Order_Received_by_SFDC__c, {NS}Contract_Length__c, {NS}Auto_Renew__c,
           {NS}Invoice_Description__c]
  lookups:
    {NS}Partner_Contract_Rules__c:
      table: {NS}Partner_Contract_Terms__c
Details:
  sf_object: {NS}Service_Order_Detail__c
  api: API
  fields: [{NS}Quantity__c, {NS}pc_Fixed_Price__c, {NS}pc_Pricing_Type__c, {NS}Customer_Price_Per_Month__c,
           {NS}pc_Contract_Length__c, {NS}pc_Cancellation_Terms__c, {NS}pc_Renewal_Terms__c,
           {NS}Product_Special_Terms__c]
  lookups:
    {NS}Partner_Order__c:
      table: {NS}Service_Order__c
    {NS}Product_Name__c:
      table: {NS}Partner_Product_Catalog__c
    {NS}pc_Partner_Contract_Term__c:
      table: {NS}Partner_Contract_Terms__c
"""


def main() -> None:
    source_url, target_url = sys.argv[1:3]
    api = sys.argv[3] if len(sys.argv) > 3 else "bulk"
    folder = Path(tempfile.mkdtemp(prefix="cumulusci-"))
    os.chdir(folder)
    subprocess.run(["git", "init", "-q"], check=True)
    Path("cumulusci.yml").write_text(
        "project:\n  name: client\n  package:\n    name: client\n    api_version: '64.0'\n"
    )
    Path("mapping.yml").write_text(MAPPING.replace("api: API", f"api: {api}"))

    import requests
    from cumulusci.core.config import OrgConfig, TaskConfig, UniversalConfig
    from cumulusci.core.config.project_config import BaseProjectConfig
    from cumulusci.core.keychain import BaseProjectKeychain
    from cumulusci.tasks.bulkdata.extract import ExtractData
    from cumulusci.tasks.bulkdata.load import LoadData

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

    options = {"mapping": "mapping.yml", "database_url": f"sqlite:///{folder}/data.db"}
    extract = ExtractData(project, TaskConfig({"options": options}), org("source", source_url))
    extract()
    load = LoadData(
        project,
        TaskConfig({"options": {**options, "ignore_row_errors": True}}),
        org("target", target_url),
    )
    load()
    for step, result in load.return_values["step_results"].items():
        print(
            f"cumulusci: {step}: {result['records_processed']} records, {result['total_row_errors']} errors"
        )


main()
