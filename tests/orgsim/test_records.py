"""Contract E1: single records, collections, composite, batch, tree."""

from __future__ import annotations

from typing import Any

import pytest

from tests.orgsim.client import Client

ORG = {"role": "target", "orders": 40}
NS = "CHANNEL_ORDERS__"
ORDER = NS + "Service_Order__c"


def order(client: Client, **more: Any) -> dict[str, Any]:
    contract = client.query(f"SELECT Id FROM {NS}Partner_Contract_Terms__c LIMIT 1")[0]["Id"]
    values = {
        f"{NS}Customer_Org_ID__c": "00D000000000001",
        f"{NS}Order_Type__c": "Initial",
        f"{NS}Partner_Contract_Rules__c": contract,
    }
    return values | more


# CRUD -----------------------------------------------------------------------------------------------------


def test_e1_create_read_update_delete(client: Client) -> None:
    answer = client.call("POST", "/sobjects/Account/", json={"Name": "one", "AnnualRevenue": 12.5})
    assert answer.status_code == 201
    body = answer.json()
    assert (body["success"], body["errors"]) == (True, [])
    path = f"/sobjects/Account/{body['id']}"
    record = client.get(path)
    assert record["attributes"] == {"type": "Account", "url": f"/services/data/v67.0{path}"}
    assert record["AnnualRevenue"] == 13.0
    assert record["CreatedDate"].endswith(".000+0000")
    assert client.get(path, params={"fields": "Name,Owner.Name"})["Owner"]["Name"] == "Integration User"
    assert client.call("PATCH", path, json={"Name": "two"}).status_code == 204
    assert client.call("DELETE", path).status_code == 204
    assert client.error("GET", path)[:2] == (404, "ENTITY_IS_DELETED")
    assert client.error("PATCH", path, json={"Name": "x"})[:2] == (404, "ENTITY_IS_DELETED")


def test_e1_upsert_by_external_id(client: Client) -> None:
    path = f"/sobjects/{ORDER}/COA_Source_Id__c/a0Bupsert"
    made = client.call("PATCH", path, json=order(client))
    assert (made.status_code, made.json()["created"]) == (201, True)
    again = client.call("PATCH", path, json={f"{NS}Error_Comment__c": "x"})
    assert (again.status_code, again.json()["created"]) == (200, False)
    assert client.get(path)["Id"] == made.json()["id"]
    old = client.call("PATCH", f"/services/data/v45.0{path}", json={f"{NS}Error_Comment__c": "y"})
    assert old.status_code == 204
    wrong = client.error("PATCH", f"/sobjects/{ORDER}/Nope__c/1", json={})
    assert wrong == (
        404,
        "NOT_FOUND",
        "Provided external ID field does not exist or is not accessible: Nope__c",
    )


def test_e1_several_matches_answer_300_with_their_urls(client: Client) -> None:
    for _ in range(2):
        client.create(NS + "Partner_Contract_Terms__c", Name="Same")
    answer = client.call(
        "PATCH",
        f"/sobjects/{NS}Partner_Contract_Terms__c/{NS}Partner_Contract_Term_External_ID__c/Same",
        json={},
    )
    assert answer.status_code == 300
    assert len(answer.json()) == 2


@pytest.mark.parametrize(
    ("method", "path", "body", "expected"),
    [
        (
            "POST",
            "/sobjects/Account",
            {},
            (400, "REQUIRED_FIELD_MISSING", "Required fields are missing: [Name]"),
        ),
        (
            "POST",
            "/sobjects/Account",
            {"Name": "x", "Nope": 1},
            (400, "INVALID_FIELD", "No such column 'Nope'"),
        ),
        ("POST", "/sobjects/Account", {"Name": "x" * 81}, (400, "STRING_TOO_LONG", "(max length=80)")),
        (
            "POST",
            "/sobjects/Account",
            {"Name": "x", "ParentId": "xyz"},
            (400, "MALFORMED_ID", "incorrect type: xyz"),
        ),
        ("POST", "/sobjects/Account", {"Name": {"a": 1}}, (400, "INVALID_FIELD", "No such column")),
        ("POST", "/sobjects/Account", {"Name": [1]}, (400, "JSON_PARSER_ERROR", "Cannot deserialize")),
        ("POST", "/sobjects/Account", [1], (400, "JSON_PARSER_ERROR", "")),
        (
            "POST",
            "/sobjects/Contact",
            {"LastName": "x", "Name": "y"},
            (400, "INVALID_FIELD_FOR_INSERT_UPDATE", "Name"),
        ),
        ("POST", "/sobjects/Contact", {"LastName": "x", "Email": "y"}, (400, "INVALID_EMAIL_ADDRESS", "y")),
        ("POST", "/sobjects/Organization", {"Name": "x"}, (400, "CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY", "")),
        ("POST", "/sobjects/Nope", {}, (404, "NOT_FOUND", "")),
        ("GET", "/sobjects/Account/nonsense", None, (404, "NOT_FOUND", "")),
        ("DELETE", "/sobjects/Account", None, (405, "METHOD_NOT_ALLOWED", "")),
        ("GET", "/nowhere", None, (404, "NOT_FOUND", "The requested resource does not exist")),
    ],
)
def test_e3_refusals(
    client: Client, method: str, path: str, body: Any, expected: tuple[int, str, str]
) -> None:
    status, code, message = client.error(method, path, json=body)
    assert (status, code) == expected[:2], message
    assert expected[2] in message


def test_e3_broken_json_is_a_parser_error(client: Client) -> None:
    given = client.error(
        "POST", "/sobjects/Account", data=b'{"Name":', headers={"Content-Type": "application/json"}
    )
    assert given[:2] == (400, "JSON_PARSER_ERROR")


# collections ----------------------------------------------------------------------------------------------


def records(*names: Any) -> list[dict[str, Any]]:
    return [{"attributes": {"type": "Account"}, "Name": name} for name in names]


def test_e1_collections_answer_in_request_order_with_200(client: Client) -> None:
    answer = client.call(
        "POST", "/composite/sobjects", json={"allOrNone": False, "records": records("a", None, "c")}
    )
    assert answer.status_code == 200
    results = answer.json()
    assert [one["success"] for one in results] == [True, False, True]
    assert "id" not in results[1]
    assert results[1]["errors"] == [
        {
            "statusCode": "REQUIRED_FIELD_MISSING",
            "message": "Required fields are missing: [Name]",
            "fields": ["Name"],
        }
    ]


def test_e1_all_or_none_rolls_everything_back(client: Client) -> None:
    before = client.get("/query", params={"q": "SELECT COUNT() FROM Account"})["totalSize"]
    results = client.call(
        "POST", "/composite/sobjects", json={"allOrNone": True, "records": records("a", None)}
    ).json()
    assert results[0]["errors"][0]["statusCode"] == "ALL_OR_NONE_OPERATION_ROLLED_BACK"
    assert client.get("/query", params={"q": "SELECT COUNT() FROM Account"})["totalSize"] == before


def test_e1_collections_update_read_upsert_delete(client: Client) -> None:
    made = client.call("POST", "/composite/sobjects", json={"records": records("u1", "u2")}).json()
    ids = [one["id"] for one in made]
    changes = [{"attributes": {"type": "Account"}, "id": one, "Phone": "1"} for one in ids]
    assert all(
        one["success"]
        for one in client.call("PATCH", "/composite/sobjects", json={"records": changes}).json()
    )
    path = "/composite/sobjects/Account"
    read = client.get(path, params={"ids": ",".join([*ids, "001000000000000AAA"]), "fields": "Name,Phone"})
    assert [one and one["Phone"] for one in read] == ["1", "1", None]
    posted = client.call("POST", path, json={"ids": ids, "fields": ["Name"]}).json()
    assert [one["Name"] for one in posted] == ["u1", "u2"]
    upserts = [
        {"attributes": {"type": "Account"}, "Id": ids[0], "Phone": "2"},
        {"attributes": {"type": "Account"}, "Id": None, "Name": "u3"},
    ]
    results = client.call("PATCH", "/composite/sobjects/Account/Id", json={"records": upserts}).json()
    assert [one["created"] for one in results] == [False, True]
    gone = client.call(
        "DELETE", "/composite/sobjects", params={"ids": ",".join([*ids, "bad"]), "allOrNone": "false"}
    )
    assert [one["success"] for one in gone.json()] == [True, True, False]


def test_e1_more_than_200_records_are_refused(client: Client) -> None:
    given = client.error("POST", "/composite/sobjects", json={"records": records(*["x"] * 201)})
    assert given[:2] == (400, "EXCEEDED_ID_LIMIT")


def test_e1_more_than_ten_type_chunks_are_refused(client: Client) -> None:
    mixed: list[dict[str, Any]] = []
    for n in range(11):
        kind = "Account" if n % 2 else "Contact"
        mixed.append({"attributes": {"type": kind}, "Name" if n % 2 else "LastName": "x"})
    assert client.error("POST", "/composite/sobjects", json={"records": mixed})[:2] == (400, "LIMIT_EXCEEDED")


# composite ------------------------------------------------------------------------------------------------

BASE = "/services/data/v67.0"


def test_e1_composite_uses_earlier_answers(client: Client) -> None:
    answer = client.call(
        "POST",
        "/composite",
        json={
            "compositeRequest": [
                {
                    "method": "POST",
                    "url": f"{BASE}/sobjects/Account",
                    "referenceId": "a",
                    "body": {"Name": "comp"},
                },
                {
                    "method": "POST",
                    "url": f"{BASE}/sobjects/Contact",
                    "referenceId": "c",
                    "body": {"LastName": "x", "AccountId": "@{a.id}"},
                },
                {
                    "method": "GET",
                    "url": f"{BASE}/sobjects/Account/@{{a.id}}?fields=Name",
                    "referenceId": "g",
                },
                {
                    "method": "GET",
                    "url": f"{BASE}/query?q=SELECT+Id+FROM+Contact+WHERE+Id='@{{c.id}}'",
                    "referenceId": "q",
                },
                {
                    "method": "PATCH",
                    "url": f"{BASE}/sobjects/Account/@{{nope.id}}",
                    "referenceId": "x",
                    "body": {},
                },
            ]
        },
    ).json()["compositeResponse"]
    assert [one["httpStatusCode"] for one in answer] == [201, 201, 200, 200, 400]
    assert answer[2]["body"]["Name"] == "comp"
    assert answer[3]["body"]["totalSize"] == 1
    assert answer[0]["httpHeaders"]["Location"].endswith(answer[0]["body"]["id"])
    assert answer[4]["body"][0]["errorCode"] == "PROCESSING_HALTED"


def test_e1_composite_all_or_none(client: Client) -> None:
    answer = client.call(
        "POST",
        "/composite",
        json={
            "allOrNone": True,
            "compositeRequest": [
                {
                    "method": "POST",
                    "url": f"{BASE}/sobjects/Account",
                    "referenceId": "a",
                    "body": {"Name": "rolled"},
                },
                {"method": "POST", "url": f"{BASE}/sobjects/Account", "referenceId": "b", "body": {}},
            ],
        },
    ).json()["compositeResponse"]
    assert [one["httpStatusCode"] for one in answer] == [400, 400]
    assert answer[0]["body"][0]["errorCode"] == "PROCESSING_HALTED"
    assert client.query("SELECT Id FROM Account WHERE Name = 'rolled'") == []


def test_e1_composite_limits(client: Client) -> None:
    one = {"method": "GET", "url": f"{BASE}/limits"}
    many = [{**one, "referenceId": f"r{n}"} for n in range(26)]
    assert client.error("POST", "/composite", json={"compositeRequest": many})[1] == "LIMIT_EXCEEDED"
    queries = [{"method": "GET", "url": f"{BASE}/query?q=x", "referenceId": f"r{n}"} for n in range(6)]
    assert client.error("POST", "/composite", json={"compositeRequest": queries})[1] == "LIMIT_EXCEEDED"
    same = [{**one, "referenceId": "r"}] * 2
    assert client.error("POST", "/composite", json={"compositeRequest": same})[1] == "INVALID_INPUT"


def test_e1_composite_batch_can_halt(client: Client) -> None:
    requests = [
        {"method": "GET", "url": "v67.0/limits"},
        {"method": "GET", "url": "v67.0/sobjects/Nope/describe"},
        {"method": "POST", "url": "v67.0/sobjects/Account", "richInput": {"Name": "batch"}},
    ]
    answer = client.call("POST", "/composite/batch", json={"batchRequests": requests}).json()
    assert answer["hasErrors"] is True
    assert [one["statusCode"] for one in answer["results"]] == [200, 404, 201]
    halted = client.call(
        "POST", "/composite/batch", json={"batchRequests": requests, "haltOnError": True}
    ).json()
    assert [one["statusCode"] for one in halted["results"]] == [200, 404, 412]


def test_e1_tree_is_all_or_nothing(client: Client) -> None:
    tree: dict[str, Any] = {
        "records": [
            {
                "attributes": {"type": "Account", "referenceId": "r1"},
                "Name": "tree",
                "Contacts": {
                    "records": [{"attributes": {"type": "Contact", "referenceId": "r2"}, "LastName": "leaf"}]
                },
            }
        ]
    }
    answer = client.call("POST", "/composite/tree/Account", json=tree)
    assert answer.status_code == 201
    assert [one["referenceId"] for one in answer.json()["results"]] == ["r1", "r2"]
    leaf = client.query("SELECT Account.Name FROM Contact WHERE LastName = 'leaf'")[0]
    assert leaf["Account"]["Name"] == "tree"
    tree["records"][0]["Name"] = "second"
    tree["records"][0]["Contacts"]["records"][0]["LastName"] = None
    refused = client.call("POST", "/composite/tree/Account", json=tree)
    assert refused.status_code == 400
    assert refused.json()["results"][0]["referenceId"] == "r2"
    assert client.query("SELECT Id FROM Account WHERE Name = 'second'") == []
