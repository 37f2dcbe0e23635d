"""A cassette: one readable file in which nothing of the partner's stays."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from coa.contract.anonymise import Anonymiser
from coa.contract.ask import ask_all
from coa.contract.cassette import make_cassette, read_cassette
from coa.contract.fact import AnswerState
from coa.contract.probe_org import Exchange
from coa.contract.probes import Access
from coa.errors import ConfigurationError
from coa.model import CONTRACT, CUSTOMER, NS, ORDER, ORDER_TYPE, PRODUCT
from orgsim.launch import RunningOrg
from tests.contract.conftest import probe_org

SECRETS = (
    "Sekret GmbH", "sekret@partner.example", "SekretProduct", "SekretTerms", "Sekret Order Type", "sekret-api-key",
    "SekretStreet 12", "SekretWorkflow", "SekretPermission", "SekretClass",
)  # fmt: skip


def plant(org: RunningOrg) -> None:
    """A secret wherever a partner's own words may stand in what probes look at."""
    org_id, user = org.org_id, org.control("GET", "stats")["user_id"]
    raw = {"raw": "true"}
    org.control("PATCH", f"records/Organization/{org_id}", {"Name": SECRETS[0]}, **raw)
    org.control("PATCH", f"records/User/{user}", {"Email": SECRETS[1], "Name": SECRETS[0]}, **raw)
    for sobject, values in (
        (CUSTOMER, {NS + "Customer_Street__c": SECRETS[6], NS + "Customer_Company_Name__c": SECRETS[0]}),
        (PRODUCT, {"Name": SECRETS[2]}),
        (CONTRACT, {"Name": SECRETS[3], NS + "Partner_API_Key__c": SECRETS[5]}),
    ):
        for row in org.records(f"SELECT Id FROM {sobject}"):
            org.control("PATCH", f"records/{sobject}/{row['Id']}", values, **raw)
    for row in org.records("SELECT Id FROM WorkflowRule LIMIT 1"):
        org.control("PATCH", f"records/WorkflowRule/{row['Id']}", {"Name": SECRETS[7]}, **raw)
    for row in org.records("SELECT Id FROM Profile"):
        org.control("PATCH", f"records/Profile/{row['Id']}", {"Name": SECRETS[8]}, **raw)
    org.control(
        "POST", "fields", {"field": f"{ORDER}.{ORDER_TYPE}", "picklist": [SECRETS[4]], "label": SECRETS[0]}
    )
    org.control("POST", "fields", {"field": f"{ORDER}.{NS}Service_Order_Status__c", "label": SECRETS[0]})


def document_of(org: RunningOrg) -> tuple[dict[str, Any], set[str]]:
    """The cassette of an org, and every text of it that probes were shown."""
    session = probe_org(org)
    asked = ask_all(session, Access.STATUS)
    seen = json.dumps([[one.answer for one in fact.exchanges] for fact in asked])
    return make_cassette(session, asked, role="target", is_sandbox=True), set(re.findall(r"[^\"\\]+", seen))


def test_nothing_that_was_planted_is_in_the_cassette(sandbox: Callable[..., RunningOrg]) -> None:
    org = sandbox(hide_field=["Customer__c.Customer_City__c"], encrypt_field=["Customer__c.Customer_Street__c"],
                  view_encrypted=True)  # fmt: skip
    plant(org)

    document, seen = document_of(org)

    text = json.dumps(document)
    # The probes did see some of them: the test would prove nothing else.
    assert {SECRETS[6], SECRETS[7], SECRETS[8]} <= seen
    assert [one for one in SECRETS if one.lower() in text.lower()] == []
    assert org.org_id[:15] not in text
    assert org.url.rpartition(":")[2] not in text
    assert "127.0.0.1" not in text
    assert re.findall(r'"00[0-9D][A-Za-z0-9]{12,15}"', text) == []


def test_ids_of_records_are_the_same_fake_in_the_whole_file_and_no_id(
    sandbox: Callable[..., RunningOrg],
) -> None:
    org = sandbox()
    session = probe_org(org)
    asked = ask_all(session, Access.WRITE)
    ids = {one for made in session.made.values() for one in made}

    document = make_cassette(session, asked, role="target", is_sandbox=True)

    text = json.dumps(document)
    assert len(ids) > 50
    assert [one for one in ids if one[:15] in text] == []
    contracts = re.findall(r'"CHANNEL_ORDERS__Partner_Contract_Rules__c": "(id-\d+)"', text)
    assert len(set(contracts)) == 1 < len(contracts)


def test_every_fact_has_an_entry_that_a_person_can_read(
    sandbox: Callable[..., RunningOrg], tmp_path: Path
) -> None:
    document, _ = document_of(sandbox())
    file = tmp_path / "cassette.json"
    file.write_text(json.dumps(document), "utf-8")

    read = read_cassette(file)

    entry = next(one for one in document["facts"] if one["id"] == "order.update.received-stamp")
    assert entry["sentence"].startswith("Going from Draft to Received")
    assert (entry["answer"], entry["holds"]) == ("stamped_over", True)
    assert [one["method"] for one in entry["exchanges"]] == ["POST", "PATCH", "GET", "DELETE"]
    assert entry["exchanges"][1]["body"]["records"][0][NS + "Service_Order_Status__c"] == "Received"
    assert read.answers["order.update.received-stamp"].state == AnswerState.ANSWERED
    assert read.role == "target"


CASES: list[tuple[Any, Any]] = [
    ({"Id": "0018c00002FInboAAD"}, {"Id": "id-1"}),
    ({"Id": "0018c00002FInbo", "OwnerId": "0018c00002FInboAAD"}, {"Id": "id-1", "OwnerId": "id-1"}),
    ({"Name": "Acme"}, {"Name": "text-1"}),
    ({"Acme_Field__c": 12}, {"field-1": "number-1"}),
    ({"state": "JobComplete"}, {"state": "JobComplete"}),
    ({"errorCode": "INVALID_FIELD", "message": "No such column 'Acme'"},
     {"errorCode": "INVALID_FIELD", "message": "text-1"}),
    ({"errorCode": "Acme said no"}, {"errorCode": "text-1"}),
    ({"CreatedDate": "2024-01-02T03:04:05.000+0000"}, {"CreatedDate": "moment-1"}),
    ({"CreatedDate": "2019-03-04T05:06:07.000+0000"}, {"CreatedDate": "2019-03-04T05:06:07.000+0000"}),
    ('"Id","Name"\n"0018c00002FInboAAD","Acme"\n',
     {"columns": ["Id", "Name"], "rows": [["id-1", "text-1"]], "delimiter": "comma", "line_ending": "LF"}),
    ('"sf__Id","sf__Error",Name\n"","FIELD_CUSTOM_VALIDATION_EXCEPTION:Acme says no:--","Acme"\n',
     {"columns": ["sf__Id", "sf__Error", "Name"],
      "rows": [["", "FIELD_CUSTOM_VALIDATION_EXCEPTION:text-1", "text-2"]],
      "delimiter": "comma", "line_ending": "LF"}),
    ("<html>Acme</html>", "text-1"),
    ([1, 2, 3, 4, 5, 6, 7], ["number-1", "number-2", "number-3", "number-4", "number-5", "and 2 more"]),
    ([None, True, "ours"], [None, True, "ours"]),
]  # fmt: skip


@pytest.mark.parametrize(("answer", "shown"), CASES)
def test_what_is_not_known_to_be_ours_is_replaced(answer: Any, shown: Any) -> None:
    anonymiser = Anonymiser({"ours", "2019-03-04T05:06:07.000Z"})

    assert anonymiser.exchange(Exchange("GET", "/limits", None, 200, answer))["answer"] == shown


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        ("/sobjects/CHANNEL_ORDERS__Customer__c/a0D8c00002FInboAAD", "/sobjects/CHANNEL_ORDERS__Customer__c/id-1"),
        ("/query?q=SELECT Acme_Secret__c FROM CHANNEL_ORDERS__Customer__c LIMIT 200",
         "/query?q=SELECT field-1 FROM CHANNEL_ORDERS__Customer__c LIMIT 200"),
        ("/query?q=SELECT Id FROM User WHERE Id = '0058c00002FInboAAD'",
         "/query?q=SELECT Id FROM User WHERE Id = 'id-1'"),
    ],
)  # fmt: skip
def test_a_path_keeps_its_words_and_loses_ids_and_names_of_the_partners_fields(path: str, shown: str) -> None:
    assert Anonymiser(set()).exchange(Exchange("GET", path, None, 200, None))["path"] == shown


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("no JSON", "it is not JSON"),
        ("{}", "does not say"),
        ('{"format": "coa-contract-cassette", "version": 2}', "its version is 2"),
        ('{"format": "coa-contract-cassette", "version": 1, "facts": [{}]}', "cannot be understood"),
    ],
)
def test_a_file_that_is_no_cassette_is_refused_with_what_to_name(
    tmp_path: Path, content: str, said: str
) -> None:
    file = tmp_path / "cassette.json"
    file.write_text(content, "utf-8")

    with pytest.raises(ConfigurationError, match=said) as refused:
        read_cassette(file)

    assert "artifacts folder" in refused.value.next_step
