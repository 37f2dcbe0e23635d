"""What a mapping file says is what arrives: one migration uses every section, each test looks at one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from coa.model import CONTRACT, CUSTOMER, DETAIL, NS, ORDER, PRODUCT, SOURCE_ID
from coa.staging.database import Database
from tests.engine.harness import Migration, Migrator
from tests.preflight.pair import Pair, clean_pair

CONTRACT_NAME = "ISVforce Agreement 2012"
CUSTOM = '''
def shout(desired, source):
    """Line descriptions in capitals, with the source's number behind."""
    column = "CHANNEL_ORDERS__Product_Line_Description__c"
    text = desired[column].fillna("none").str.upper() + " " + source["Name"]
    return desired.assign(**{column: text})
'''


@dataclass
class World:
    pair: Pair
    done: Migration
    said: dict[str, Any]
    """Ids that the tests ask for."""
    before: dict[str, dict[str, dict[str, Any]]]
    """sObject -> source id -> record of the source."""
    after: dict[str, dict[str, dict[str, Any]]]
    """sObject -> source id -> record of the target that came from it."""

    def values(self, sobject: str, field: str) -> Iterator[tuple[Any, Any]]:
        for source_id, row in self.after[sobject].items():
            yield self.before[sobject][source_id][NS + field], row[NS + field]


def prepare(pair: Pair) -> dict[str, Any]:
    """Makes the orgs differ in what the file then bridges."""
    said: dict[str, Any] = {}
    source, target = pair.source, pair.target
    gone = {"LastName": "Gone", "Name": "Gone", "Email": "gone@old.example", "Alias": "gone"}
    said["gone"] = pair.add(source, "User", **gone, Username="gone@old.example")
    said["heir"] = pair.add(target, "User", LastName="Heir", Name="Heir", Email="heir@new.example",
                            Username="heir@new.example", Alias="heir", IsActive=1)  # fmt: skip
    pair.change(ORDER, 2, OwnerId=said["gone"])
    there = next(c for c in pair.table(target, CONTRACT) if c["Name"] == CONTRACT_NAME)
    pair.set(target, CONTRACT, there["Id"], Name="Merged 2012")
    said["contract"] = there["Id"]
    ours = {c["Id"] for c in pair.table(source, CONTRACT) if c["Name"] == CONTRACT_NAME}
    used = {d[NS + "Product_Name__c"] for d in pair.table(source, DETAIL)}
    product = next(
        p
        for p in pair.table(source, PRODUCT)
        if p["Id"] in used and p[NS + "Partner_Contract_Terms__c"] in ours
    )
    said["product"], said["code"] = product["Id"], product[NS + "Product_ID__c"]
    said["substitute"] = next(
        p["Id"] for p in pair.table(target, PRODUCT) if p[NS + "Product_ID__c"] == said["code"]
    )
    pair.set(target, PRODUCT, said["substitute"], Product_ID__c="NEW-1", Name="Renamed")
    customers = pair.take(CUSTOMER, 2)
    said["account"] = pair.add(target, "Account", Name="New name", AccountNumber="A-1")
    theirs = pair.add(source, "Account", Name="Old name", AccountNumber="A-1")
    pair.set(source, CUSTOMER, customers[0]["Id"], Account__c=theirs)
    said["customer"] = customers[0]["Id"]
    deal = {"StageName": "Closed Won", "CloseDate": "2020-01-01"}
    said["deal"] = pair.add(source, "Opportunity", Name="One", **deal)
    said["deal_there"] = pair.add(target, "Opportunity", Name="Another", **deal)
    (dealt,) = pair.take(ORDER)
    pair.set(source, ORDER, dealt["Id"], Related_Opportunity__c=said["deal"])
    said["dealt"] = dealt["Id"]
    for order in pair.table(source, ORDER):
        pair.set(source, ORDER, order["Id"], LOD_Salesforce_Id__c=None, Org_Edition_Type__c="EE")
    first, second = pair.take(ORDER, 2)
    pair.set(source, ORDER, first["Id"], LOD_Salesforce_Id__c=second["Id"][:15])
    said["text_id"] = first["Id"], second["Id"]
    pair.change(ORDER, 2, Customer_Billing_City__c=None, Error_Comment__c="not carried",
                Invoice_Description__c="more than twenty characters")  # fmt: skip
    pair.field(target, f"{ORDER}.Invoice_Description__c", length=20)
    (outside,) = pair.take(ORDER)
    pair.set(source, ORDER, outside["Id"], Version__c="skip me")
    said["outside"] = outside["Id"]
    said["twins"] = [_twin(pair, f"00Dzz000000TWI{n}AAE") for n in (1, 2)]
    return said


def _twin(pair: Pair, org_id: str) -> dict[str, str]:
    """One order in both orgs, as if entered twice by hand; source id and target id."""
    made = {}
    for role, org in (("source", pair.source), ("target", pair.target)):
        terms = next(c["Id"] for c in pair.table(org, CONTRACT) if c["Name"] == "ISVforce Agreement 2016")
        owner = next(u["Id"] for u in pair.table(org, "User") if u["Email"].endswith(".0@partner.example"))
        common = {"OwnerId": owner, "CreatedById": owner, "CreatedDate": "2020-01-01T00:00:00.000Z"}
        customer = pair.add(org, CUSTOMER, Customer_Company_Name__c="Twin", Customer_Country__c="US",
                            Customer_Org_ID__c=org_id, **common)  # fmt: skip
        made[role] = pair.add(org, ORDER, Customer__c=customer, Customer_Org_ID__c=org_id, Order_Type__c="Initial",
                              Partner_Contract_Rules__c=terms, Service_Start_Date__c="2020-01-01",
                              Service_Order_Status__c="Provisioned", Org_Edition_Type__c="EE", **common)  # fmt: skip
    return made


def mapping_text(said: dict[str, Any]) -> str:
    load, match = said["twins"]
    return f"""
orders_where: CHANNEL_ORDERS__Version__c != 'skip me'
fields:
  Service_Order__c:
    CHANNEL_ORDERS__Org_Edition_Type__c: {{values: {{EE: UE}}}}
    CHANNEL_ORDERS__Customer_Billing_City__c: {{default: Unknown}}
    CHANNEL_ORDERS__Customer_Billing_State__c: {{source: CHANNEL_ORDERS__Customer_Billing_Country__c}}
    CHANNEL_ORDERS__Error_Comment__c: drop
    CHANNEL_ORDERS__Invoice_Description__c: truncate
    Reporting_Status__c: {{constant: 007}}
contracts: {{{CONTRACT_NAME}: Merged 2012}}
products: {{{CONTRACT_NAME}: {{{said["code"]}: NEW-1}}}}
owners: {{GONE@old.example: heir@new.example}}
lookups: {{Account: AccountNumber}}
records: {{Opportunity: {{{said["deal"][:15]}: {said["deal_there"]}}}}}
id_fields: {{Service_Order__c: {{LOD_Salesforce_Id__c: Service_Order__c}}}}
duplicates: {{{load["source"]}: load, {match["source"]}: {match["target"]}}}
custom: {{Service_Order_Detail__c: "rules.py:shout"}}
"""


@pytest.fixture(scope="module")
def world(module_database: Database, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("mapping")
    with clean_pair(orders=40, partner_fields=True) as pair:
        said = prepare(pair)
        (folder / "rules.py").write_text(CUSTOM)
        (folder / "mapping.yaml").write_text(mapping_text(said))
        before = {n: {r["Id"]: r for r in pair.table(pair.source, n)} for n in (CUSTOMER, ORDER, DETAIL)}
        with pytest.MonkeyPatch.context() as deployment:
            deployment.setenv("COA_CUSTOM_RULES", "true")
            deployment.setenv("COA_MAPPING_FOLDER", str(folder))
            done = Migrator(module_database, pair.source, pair.target, folder).migrate(mapping="mapping.yaml")
        after = {
            n: {r[SOURCE_ID]: r for r in pair.table(pair.target, n) if r[SOURCE_ID]}
            for n in (CUSTOMER, ORDER, DETAIL)
        }
        yield World(pair, done, said, before, after)


def test_the_migration_is_proved(world: World) -> None:
    differences = world.done.run.db.rows(
        "SELECT field, kind, source_value, target_value FROM coa.difference WHERE run_id = %s AND kind <> 'explained'",
        [world.done.run.run_id],
    )
    assert (world.done.state, world.done.error, differences) == ("verified", "", [])
    assert len(world.after[ORDER]) == len(world.before[ORDER]) - 2


def test_the_owner_map_names_users_by_e_mail_whatever_its_case(world: World) -> None:
    owned = [
        r["OwnerId"]
        for i, r in world.after[ORDER].items()
        if world.before[ORDER][i]["OwnerId"] == world.said["gone"]
    ]
    assert set(owned) == {world.said["heir"]}


def test_recreated_contract_terms_are_found_by_the_contract_map(world: World) -> None:
    found = [
        row[NS + "Partner_Contract_Rules__c"]
        for row in world.after[ORDER].values()
        if row[NS + "Partner_Contract_Rules__c"] == world.said["contract"]
    ]
    assert found


def test_a_substitute_product_is_taken_under_its_contract(world: World) -> None:
    pairs = list(world.values(DETAIL, "Product_Name__c"))
    assert {t for s, t in pairs if s == world.said["product"]} == {world.said["substitute"]}


def test_a_lookup_goes_by_the_configured_key(world: World) -> None:
    assert world.after[CUSTOMER][world.said["customer"]][NS + "Account__c"] == world.said["account"]


def test_a_record_map_decides_where_no_key_does(world: World) -> None:
    assert world.after[ORDER][world.said["dealt"]][NS + "Related_Opportunity__c"] == world.said["deal_there"]


def test_an_id_stored_as_text_becomes_the_new_id(world: World) -> None:
    first, second = world.said["text_id"]
    assert world.after[ORDER][first]["LOD_Salesforce_Id__c"] == world.after[ORDER][second]["Id"]


def test_values_constants_defaults_renames_and_drops_are_followed(world: World) -> None:
    assert {t for _, t in world.values(ORDER, "Org_Edition_Type__c")} == {"UE"}
    assert {r["Reporting_Status__c"] for r in world.after[ORDER].values()} == {"007"}
    assert all(t == (s or "Unknown") for s, t in world.values(ORDER, "Customer_Billing_City__c"))
    assert {t for _, t in world.values(ORDER, "Error_Comment__c")} == {None}
    for source_id, row in world.after[ORDER].items():
        country = world.before[ORDER][source_id][NS + "Customer_Billing_Country__c"]
        assert row[NS + "Customer_Billing_State__c"] == country


def test_what_is_truncated_is_kept_in_the_differences(world: World) -> None:
    cut = [(s, t) for s, t in world.values(ORDER, "Invoice_Description__c") if s and len(s) > 20]
    assert cut
    assert all(t == s[:20].rstrip() or t == s[:20] for s, t in cut)
    text = (world.done.folder / "differences.csv").read_text("utf-8-sig")
    assert "more than twenty characters" in text


def test_a_decision_on_a_duplicate_loads_it_or_takes_the_one_that_is_there(world: World) -> None:
    load, match = world.said["twins"]
    assert load["source"] in world.after[ORDER]
    assert match["source"] not in world.after[ORDER]
    plan = world.done.run.db.row(
        "SELECT target_id, origin FROM coa.ledger WHERE pair_id = %s AND source_id = %s",
        [world.done.run.pair_id, match["source"]],
    )
    assert plan == {"target_id": match["target"], "origin": "matched"}


def test_a_filter_leaves_orders_and_their_details_behind(world: World) -> None:
    assert world.said["outside"] not in world.after[ORDER]
    parents = {world.before[DETAIL][i][NS + "Partner_Order__c"] for i in world.after[DETAIL]}
    assert world.said["outside"] not in parents


def test_a_custom_rule_has_the_last_word(world: World) -> None:
    for source_id, row in world.after[DETAIL].items():
        old = world.before[DETAIL][source_id]
        text = (old[NS + "Product_Line_Description__c"] or "none").upper()
        assert row[NS + "Product_Line_Description__c"] == f"{text} {old['Name']}"


def test_plan_and_run_say_which_file_was_used_and_where_values_come_from(world: World) -> None:
    import json

    plan = json.loads((world.done.folder / "plan.json").read_text())
    rules = {(e["sobject"], e["field"]): e for e in plan["lineage"]}
    assert rules[ORDER, "Reporting_Status__c"]["rule"] == "constant '007'"
    assert rules[ORDER, NS + "Customer_Billing_State__c"]["source"] == NS + "Customer_Billing_Country__c"
    assert "mapping file" in rules[ORDER, "OwnerId"]["rule"]
    assert "shout" in rules[DETAIL, NS + "Quantity__c"]["rule"]
    record = world.done.run.record
    assert (record.mapping_name, len(record.mapping_sha256)) == ("mapping.yaml", 64)
