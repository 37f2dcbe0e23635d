"""SOQL: what the grammar takes, what it means, and how refusals read."""

from __future__ import annotations

import pytest

from orgsim.launch import RunningOrg
from tests.orgsim.client import Client

ORG = {"role": "target", "orders": 40}
NS = "CHANNEL_ORDERS__"


@pytest.fixture(scope="module", autouse=True)
def accounts(org: RunningOrg) -> None:
    """A small set of accounts of its own to ask about."""
    rows = [
        ("alpha", "Banking", 10, "2020-01-01", 5.5),
        ("Alpha", "Retail", 20, "2021-06-15", None),
        ("beta_1", None, 30, "2022-03-03", 7.25),
        ("beta%2", "Banking", None, "2023-12-31", -1.0),
        ("it's \\ here", "Energy", 50, "2024-07-04", 1e9),
    ]
    for name, industry, employees, _day, revenue in rows:
        org.control(
            "POST",
            "records/Account",
            {
                "Name": name,
                "Industry": industry,
                "NumberOfEmployees": employees,
                "AnnualRevenue": revenue,
                "Website": "soql",
            },
        )


def names(client: Client, where: str) -> list[str]:
    return sorted(
        one["Name"] for one in client.query(f"SELECT Name FROM Account WHERE Website = 'soql' AND ({where})")
    )


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ("Name = 'ALPHA'", ["Alpha", "alpha"]),
        ("Name != 'alpha'", ["beta%2", "beta_1", "it's \\ here"]),
        ("Industry != 'Banking'", ["Alpha", "beta_1", "it's \\ here"]),
        ("Industry = null", ["beta_1"]),
        ("Industry != NULL AND NumberOfEmployees = null", ["beta%2"]),
        ("Industry = ''", ["beta_1"]),
        ("NOT Industry = 'Banking'", ["Alpha", "beta_1", "it's \\ here"]),
        ("NOT(Industry = 'Banking' OR Industry = 'Retail')", ["beta_1", "it's \\ here"]),
        ("Industry IN ('Banking', 'Energy')", ["alpha", "beta%2", "it's \\ here"]),
        ("Industry NOT IN ('Banking', 'Energy')", ["Alpha", "beta_1"]),
        ("Industry IN ('Retail', null)", ["Alpha", "beta_1"]),
        ("NumberOfEmployees > 10 AND NumberOfEmployees <= 30", ["Alpha", "beta_1"]),
        ("NumberOfEmployees < 20 OR NumberOfEmployees >= 50", ["alpha", "it's \\ here"]),
        ("AnnualRevenue = 1E9", ["it's \\ here"]),
        ("AnnualRevenue < 0", ["beta%2"]),
        ("Name LIKE 'ALPH%'", ["Alpha", "alpha"]),
        ("Name LIKE 'beta\\_%'", ["beta_1"]),
        ("Name LIKE 'beta\\%_'", ["beta%2"]),
        ("Name LIKE 'beta_1'", ["beta_1"]),
        ("Name = 'it\\'s \\\\ here'", ["it's \\ here"]),
        ("CreatedDate = TODAY AND Name = 'alpha'", ["Alpha", "alpha"]),
        ("CreatedDate > LAST_N_DAYS:3 AND NumberOfEmployees = 10", []),
        ("CreatedDate >= LAST_N_DAYS:3 AND NumberOfEmployees = 10", ["alpha"]),
        ("CreatedDate < YESTERDAY", []),
        ("CreatedDate = THIS_YEAR AND NumberOfEmployees = 50", ["it's \\ here"]),
        ("CreatedDate > 2020-01-01T00:00:00Z AND NumberOfEmployees = 50", ["it's \\ here"]),
        ("CreatedDate < 2020-01-01T00:00:00+02:00", []),
        ("CALENDAR_YEAR(CreatedDate) > 2000 AND NumberOfEmployees = 10", ["alpha"]),
        (
            "OwnerId IN (SELECT Id FROM User WHERE Name = 'Integration User') AND NumberOfEmployees = 10",
            ["alpha"],
        ),
        ("Id NOT IN (SELECT AccountId FROM Opportunity) AND NumberOfEmployees = 10", ["alpha"]),
        ("Owner.Name = 'Integration User' AND NumberOfEmployees = 10", ["alpha"]),
        ("IsDeleted = false AND NumberOfEmployees = 10", ["alpha"]),
    ],
)
def test_where(client: Client, where: str, expected: list[str]) -> None:
    assert names(client, where) == expected


def test_case_of_keywords_and_names_does_not_matter_and_answers_are_canonical(client: Client) -> None:
    row = client.query(
        "select id, nAmE, owner.NAME from aCCount where name like 'beta#_%' or name = 'beta_1' limit 1"
    )[0]
    assert set(row) == {"attributes", "Id", "Name", "Owner"}
    assert row["attributes"]["type"] == "Account"
    assert row["Owner"]["Name"] == "Integration User"


def test_order_by_puts_nulls_first_unless_told(client: Client) -> None:
    base = "SELECT NumberOfEmployees FROM Account WHERE Website = 'soql' ORDER BY NumberOfEmployees"

    def values(text: str) -> list[int | None]:
        return [one["NumberOfEmployees"] for one in client.query(text)]

    assert values(base) == [None, 10, 20, 30, 50]
    assert values(base + " DESC NULLS LAST") == [50, 30, 20, 10, None]
    assert values(base + " ASC NULLS LAST LIMIT 2 OFFSET 1") == [20, 30]


def test_aggregates(client: Client) -> None:
    row = client.query(
        "SELECT COUNT(Id), COUNT(Industry) some, COUNT_DISTINCT(Industry), SUM(NumberOfEmployees) total,"
        " MIN(Name), MAX(NumberOfEmployees), AVG(NumberOfEmployees) mean FROM Account WHERE Website = 'soql'"
    )[0]
    assert row["attributes"] == {"type": "AggregateResult"}
    assert (row["expr0"], row["some"], row["expr1"], row["total"]) == (5, 4, 3, 110)
    assert (row["expr3"], row["mean"]) == (50, 27.5)
    grouped = client.query(
        "SELECT Industry, COUNT(Id) n FROM Account WHERE Website = 'soql' GROUP BY Industry"
        " HAVING COUNT(Id) > 1 ORDER BY COUNT(Id) DESC"
    )
    assert [(one["Industry"], one["n"]) for one in grouped] == [("Banking", 2)]
    assert client.get("/query", params={"q": "SELECT COUNT() FROM Account WHERE Website = 'soql'"}) == {
        "totalSize": 5,
        "done": True,
        "records": [],
    }


def test_relationship_queries_and_null_parents(client: Client) -> None:
    child = client.create("Account", Name="child", ParentId=client.create("Account", Name="parent"))
    row = client.query(f"SELECT Name, Parent.Name, Parent.Parent.Name FROM Account WHERE Id = '{child}'")[0]
    assert row["Parent"]["Name"] == "parent"
    assert row["Parent"]["Parent"] is None
    parent = client.query(
        "SELECT Name, (SELECT Name FROM ChildAccounts ORDER BY Name) FROM Account WHERE Name = 'parent'"
    )
    assert parent[0]["ChildAccounts"]["records"][0]["Name"] == "child"
    assert parent[0]["ChildAccounts"]["totalSize"] == 1


def test_a_15_character_id_finds_the_record(client: Client) -> None:
    record_id = client.create("Account", Name="fifteen")
    assert client.query(f"SELECT Id FROM Account WHERE Id = '{record_id[:15]}'")[0]["Id"] == record_id
    # Ids are case-sensitive, unlike text.
    assert client.query(
        f"SELECT Id FROM Account WHERE Id = '{record_id[:14]}{record_id[14].swapcase()}'"
    ) == [] or (not record_id[14].isalpha())


def test_queryall_sees_deleted_records_and_query_does_not(client: Client) -> None:
    record_id = client.create("Account", Name="gone")
    assert client.call("DELETE", f"/sobjects/Account/{record_id}").status_code == 204
    soql = f"SELECT Id, IsDeleted FROM Account WHERE Id = '{record_id}'"
    assert client.query(soql) == []
    assert client.get("/queryAll", params={"q": soql})["records"][0]["IsDeleted"] is True
    assert client.get("/query", params={"q": soql + " ALL ROWS"})["totalSize"] == 1


def test_fields_function(client: Client) -> None:
    assert "Name" in client.query("SELECT FIELDS(ALL) FROM Account LIMIT 1")[0]
    assert (
        client.error("GET", "/query", params={"q": "SELECT FIELDS(ALL) FROM Account"})[1] == "MALFORMED_QUERY"
    )


def test_formulas_and_rollups_are_computed(client: Client) -> None:
    soql = f"SELECT {NS}Order_Total_Value__c v, {NS}Product_Lines__c n FROM {NS}Service_Order__c"
    orders = client.query(
        f"SELECT Id, {NS}Order_Total_Value__c, {NS}Total_Quantity__c, {NS}Product_Lines__c, {NS}Order_Type_Formula__c,"
        f" {NS}Billing_Currency__c, (SELECT {NS}Order_Detail_Value__c, {NS}Quantity__c"
        f" FROM {NS}Partner_Order_Detail__r)"
        f" FROM {NS}Service_Order__c"
    )
    assert orders, soql
    for order in orders:
        details = order[f"{NS}Partner_Order_Detail__r"]["records"]
        assert order[f"{NS}Product_Lines__c"] == len(details)
        assert order[f"{NS}Total_Quantity__c"] == sum(one[f"{NS}Quantity__c"] or 0 for one in details)
        value = sum(one[f"{NS}Order_Detail_Value__c"] or 0 for one in details)
        assert order[f"{NS}Order_Total_Value__c"] == pytest.approx(value, abs=0.01)


@pytest.mark.parametrize(
    ("soql", "code", "text"),
    [
        ("", "MALFORMED_QUERY", ""),
        ("SELECT", "MALFORMED_QUERY", "unexpected token: '<EOF>'"),
        ("SELECT Id FROM", "MALFORMED_QUERY", "unexpected token"),
        ("SELECT Id FROM Account WHERE", "MALFORMED_QUERY", "unexpected token"),
        ('SELECT Id FROM Account WHERE Name = "x"', "MALFORMED_QUERY", "ERROR at Row:1:Column:"),
        (
            "SELECT Id FROM Account WHERE Name = 'a' AND Name = 'b' OR Name = 'c'",
            "MALFORMED_QUERY",
            "unexpected token",
        ),
        ("SELECT Id FROM XYZZY", "INVALID_TYPE", "sObject type 'XYZZY' is not supported"),
        ("SELECT Nope FROM Account", "INVALID_FIELD", "No such column 'Nope' on entity 'Account'"),
        ("SELECT Nope.Name FROM Account", "INVALID_FIELD", "Didn't understand relationship 'Nope'"),
        ("SELECT Id FROM Account WHERE Nope = 1", "INVALID_FIELD", "No such column"),
        ("SELECT Id FROM Account WHERE Name = 5", "INVALID_FIELD", "must be of type"),
        ("SELECT Id FROM Account WHERE NumberOfEmployees = 'a'", "INVALID_FIELD", "must be of type"),
        ("SELECT Id FROM Account WHERE CreatedDate = 'a'", "INVALID_FIELD", "must be of type"),
        ("SELECT Id FROM Account WHERE Id = 'x'", "INVALID_QUERY_FILTER_OPERATOR", "invalid ID field: x"),
        ("SELECT Id FROM Account WHERE Description = 'x'", "INVALID_FIELD", "can not be filtered"),
        ("SELECT Id FROM Account ORDER BY Description", "INVALID_FIELD", "can not be sorted"),
        ("SELECT Id, Id FROM Account", "INVALID_FIELD", "duplicate field selected: Id"),
        ("SELECT Name, COUNT(Id) FROM Account", "MALFORMED_QUERY", "must be grouped or aggregated: Name"),
        ("SELECT Id FROM Account LIMIT 1 OFFSET 2001", "NUMBER_OUTSIDE_VALID_RANGE", "2000"),
        (
            "SELECT Id, (SELECT Id FROM Nope) FROM Account",
            "INVALID_TYPE",
            "Didn't understand relationship 'Nope'",
        ),
        (
            "SELECT Id FROM Account WHERE Name IN (SELECT Id, Name FROM Account)",
            "MALFORMED_QUERY",
            "exactly one field",
        ),
        ("SELECT SUM(Name) FROM Account", "INVALID_FIELD", "aggregate operator"),
        ("SELECT Id FROM InstalledSubscriberPackage", "INVALID_TYPE", "not supported"),
    ],
)
def test_e3_refusals(client: Client, soql: str, code: str, text: str) -> None:
    status, given, message = client.error("GET", "/query", params={"q": soql})
    assert (status, given) == (400, code), message
    assert text in message


def test_e3_the_picture_of_an_error_shows_the_place(client: Client) -> None:
    _, _, message = client.error("GET", "/query", params={"q": "select count() from XYZZY"})
    assert message.startswith(
        "\nselect count() from XYZZY\n                    ^\nERROR at Row:1:Column:21\n"
    )


def test_e1_paging_by_locator_with_the_asked_batch_size(client: Client) -> None:
    rows = "Name\n" + "".join(f"page {n}\n" for n in range(450))
    assert client.ingest("Account", "insert", rows)["numberRecordsFailed"] == 0
    soql = "SELECT Id, Name FROM Account WHERE Name LIKE 'page %'"
    first = client.get("/query", params={"q": soql}, headers={"Sforce-Query-Options": "batchSize=200"})
    assert (first["totalSize"], first["done"], len(first["records"])) == (450, False, 200)
    assert first["nextRecordsUrl"].startswith("/services/data/v67.0/query/0r8")
    second = client.call("GET", first["nextRecordsUrl"]).json()
    third = client.call("GET", second["nextRecordsUrl"]).json()
    assert third["done"]
    assert "nextRecordsUrl" not in third
    seen = [one["Id"] for page in (first, second, third) for one in page["records"]]
    assert len(set(seen)) == 450
    # Re-readable for two days, then gone.
    assert client.call("GET", first["nextRecordsUrl"]).status_code == 200
    client.org.control("POST", "clock", {"seconds": 2 * 86400 + 60})
    fresh = type(client)(client.org, client.http)
    fresh.http.headers["Authorization"] = f"Bearer {client.org.login()}"
    assert fresh.error("GET", first["nextRecordsUrl"])[:2] == (400, "INVALID_QUERY_LOCATOR")
    client.org.control("POST", "clock", {"offset": 0})


def test_e1_two_long_texts_shrink_the_page(client: Client) -> None:
    soql = f"SELECT Id, {NS}Product_Special_Terms__c, {NS}Special_Instructions__c FROM {NS}Partner_Product_Catalog__c"
    assert client.get("/query", params={"q": soql})["totalSize"] == 35


def test_e1_a_bad_locator_is_refused(client: Client) -> None:
    assert client.error("GET", "/query/01gnonsense-2000")[:2] == (400, "INVALID_QUERY_LOCATOR")
