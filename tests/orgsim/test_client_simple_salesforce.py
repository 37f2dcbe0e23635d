"""simple-salesforce, unmodified, works against an org: all of its REST, Bulk 1.0 and Bulk 2.0 (contract A4, D2, D3)."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Iterable
from typing import Any, Protocol, cast
from urllib.parse import urlsplit

import pytest
import requests
from requests.adapters import HTTPAdapter
from simple_salesforce.api import Salesforce, SFType
from simple_salesforce.bulk import SFBulkHandler
from simple_salesforce.bulk2 import SFBulk2Handler
from simple_salesforce.exceptions import (
    SalesforceAuthenticationFailed,
    SalesforceMalformedRequest,
    SalesforceMoreThanOneRecord,
    SalesforceResourceNotFound,
)

from orgsim.launch import RunningOrg

pytestmark = pytest.mark.lane

ORG = {"role": "target", "orders": 60, "hard_delete": True}
NS = "CHANNEL_ORDERS__"
ORDER = NS + "Service_Order__c"


class ToOrg(HTTPAdapter):
    """simple-salesforce knows https hosts only: send them to the local org (contract A4)."""

    def __init__(self, base: str) -> None:
        super().__init__()
        self.base = base

    def send(self, request: requests.PreparedRequest, *args: Any, **more: Any) -> requests.Response:
        assert request.url is not None
        parts = urlsplit(request.url)
        request.url = self.base + parts.path + ("?" + parts.query if parts.query else "")
        return super().send(request, *args, **more)


def session_to(org: RunningOrg) -> requests.Session:
    session = requests.Session()
    session.mount("https://", ToOrg(org.url))
    return session


def login(org: RunningOrg, **more: Any) -> Salesforce:
    credentials = {
        "consumer_key": org.consumer_key,
        "consumer_secret": org.consumer_secret,
        "domain": "acme.my",
    }
    return Salesforce(session=session_to(org), version="64.0", **{**credentials, **more})


Row = dict[str, Any]


class Bulk1(Protocol):
    """What one object's Bulk 1.0 takes and gives here: its own types know neither a query's text nor a list."""

    def insert(self, data: list[Row], batch_size: int = ..., use_serial: bool = ...) -> list[Row]: ...
    def update(self, data: list[Row]) -> list[Row]: ...
    def upsert(self, data: list[Row], external_id_field: str) -> list[Row]: ...
    def delete(self, data: list[Row]) -> list[Row]: ...
    def hard_delete(self, data: list[Row]) -> list[Row]: ...
    def query(self, data: str) -> list[Row]: ...


class Bulk2(Protocol):
    """What one object's Bulk 2.0 takes and gives here: its own types know whole seconds and numbers only."""

    def insert(self, *, records: list[Row], wait: float) -> list[Row]: ...
    def update(self, *, records: list[Row], wait: float) -> list[Row]: ...
    def delete(self, *, records: list[Row], wait: float) -> list[Row]: ...
    def hard_delete(self, *, records: list[Row], wait: float) -> list[Row]: ...
    def query(self, query: str, *, max_records: int, wait: float) -> Iterable[str]: ...
    def get_successful_records(self, job_id: str) -> str: ...
    def get_unprocessed_records(self, job_id: str) -> str: ...


def account(sf: Salesforce) -> SFType:
    found = sf.Account
    assert isinstance(found, SFType)
    return found


def bulk_account(sf: Salesforce) -> Bulk1:
    handler = sf.bulk
    assert isinstance(handler, SFBulkHandler)
    return cast(Bulk1, handler.Account)


def bulk2_account(sf: Salesforce) -> Bulk2:
    handler = sf.bulk2
    assert isinstance(handler, SFBulk2Handler)
    return cast(Bulk2, handler.Account)


@pytest.fixture
def sf(org: RunningOrg) -> Salesforce:
    return login(org)


def order_values(sf: Salesforce) -> dict[str, Any]:
    customer = sf.query(f"SELECT Id FROM {NS}Customer__c LIMIT 1")["records"][0]["Id"]
    contract = sf.query(f"SELECT Id FROM {NS}Partner_Contract_Terms__c LIMIT 1")["records"][0]["Id"]
    return {
        f"{NS}Customer__c": customer,
        f"{NS}Customer_Org_ID__c": "00D000000000001",
        f"{NS}Partner_Contract_Rules__c": contract,
        f"{NS}Order_Type__c": "Initial",
    }


def test_logs_in_by_soap_with_a_security_token(org: RunningOrg) -> None:
    settings = org.settings
    sf = Salesforce(
        username=settings.username,
        password=settings.password,
        security_token=settings.security_token,
        session=session_to(org),
        version="64.0",
    )
    assert sf.query("SELECT Id FROM Organization")["records"][0]["Id"] == org.org_id


def test_soap_login_is_gone_in_65_and_refuses_a_wrong_password(org: RunningOrg) -> None:
    settings = org.settings
    for password, version in (("wrong", "64.0"), (settings.password, "65.0")):
        with pytest.raises(SalesforceAuthenticationFailed):
            Salesforce(
                username=settings.username,
                password=password,
                security_token=settings.security_token,
                session=session_to(org),
                version=version,
            )


def test_logs_in_by_oauth_password(org: RunningOrg) -> None:
    sf = Salesforce(
        username=org.settings.username,
        password=org.settings.password + org.settings.security_token,
        consumer_key=org.consumer_key,
        consumer_secret=org.consumer_secret,
        session=session_to(org),
        domain="acme.my",
    )
    assert sf.limits()["DailyApiRequests"]["Max"] == 100000


def test_refuses_a_wrong_secret(org: RunningOrg) -> None:
    with pytest.raises(SalesforceAuthenticationFailed):
        login(org, consumer_secret="wrong")


def test_describes_queries_and_pages(sf: Salesforce) -> None:
    described = sf.describe()
    assert described is not None
    assert described["encoding"] == "UTF-8"
    assert {one["name"] for one in account(sf).describe()["fields"]} >= {"Id", "Name", "OwnerId"}
    names = [one["Name"] for one in sf.query_all_iter(f"SELECT Name FROM {NS}Partner_Product_Catalog__c")]
    assert len(names) == 35
    assert sf.query("SELECT COUNT() FROM Account")["totalSize"] > 0
    assert account(sf).metadata()["objectDescribe"]["name"] == "Account"
    assert sf.api_usage["api-usage"].total == 100000


def test_single_record_life(sf: Salesforce) -> None:
    made = account(sf).create({"Name": "Süß & Söhne"})
    assert account(sf).get(made["id"])["Name"] == "Süß & Söhne"
    assert account(sf).update(made["id"], {"Phone": "1"}) == 204
    start = dt.datetime.now(dt.UTC) - dt.timedelta(hours=1)
    assert made["id"] in account(sf).updated(start, start + dt.timedelta(hours=2))["ids"]
    assert account(sf).delete(made["id"]) == 204
    gone = account(sf).deleted(start, start + dt.timedelta(hours=2))["deletedRecords"]
    assert made["id"] in [one["id"] for one in gone]
    with pytest.raises(SalesforceResourceNotFound):
        account(sf).get("001000000000000AAA")


def test_upsert_by_external_id(sf: Salesforce) -> None:
    orders = getattr(sf, ORDER)
    assert orders.upsert("COA_Source_Id__c/a0B000000000001AAA", order_values(sf)) == 201
    assert orders.upsert("COA_Source_Id__c/a0B000000000001AAA", {f"{NS}Error_Comment__c": "x"}) == 200
    found = orders.get_by_custom_id("COA_Source_Id__c", "a0B000000000001AAA")
    assert found[f"{NS}Error_Comment__c"] == "x"


def test_an_ambiguous_name_answers_300(sf: Salesforce) -> None:
    for _ in range(2):
        account(sf).create({"Name": "Twin"})
    with pytest.raises(SalesforceMoreThanOneRecord):
        account(sf).get_by_custom_id("Name", "Twin")


def test_errors_are_its_own_exceptions(sf: Salesforce) -> None:
    with pytest.raises(SalesforceMalformedRequest) as refused:
        sf.query("SELECT Nope FROM Account")
    # Its type is bytes, what it holds is the answer's JSON.
    content: Any = refused.value.content
    assert content[0]["errorCode"] == "INVALID_FIELD"


def test_search_and_tooling(sf: Salesforce) -> None:
    account(sf).create({"Name": "Searchable Company"})
    assert sf.quick_search("Searchable")["searchRecords"]
    found = sf.toolingexecute(
        "query/?q=SELECT+SubscriberPackage.NamespacePrefix+FROM+InstalledSubscriberPackage"
    )
    assert found["records"][0]["SubscriberPackage"]["NamespacePrefix"] == "CHANNEL_ORDERS"


def test_an_expired_session_is_renewed(org: RunningOrg, sf: Salesforce) -> None:
    sf.query("SELECT Id FROM Account LIMIT 1")
    org.control("POST", "sessions/expire")
    assert sf.query("SELECT Id FROM Account LIMIT 1")["totalSize"] == 1


def test_bulk_1_all_operations(sf: Salesforce, monkeypatch: pytest.MonkeyPatch) -> None:
    # Its polls are five seconds apart and cannot be set: only the waiting is shortened.
    pause = time.sleep
    monkeypatch.setattr("simple_salesforce.bulk.sleep", lambda _seconds: pause(0.05))
    data = [{"Name": f"Bulk One {n}"} for n in range(30)]
    results = bulk_account(sf).insert(data, batch_size=10, use_serial=True)
    assert [one["success"] for one in results] == [True] * 30
    ids = [one["id"] for one in results]
    # Results are in the order of the request (contract D1).
    names = {
        one["Id"]: one["Name"]
        for one in sf.query("SELECT Id, Name FROM Account WHERE Name LIKE 'Bulk One%'")["records"]
    }
    assert [names[one] for one in ids] == [one["Name"] for one in data]
    changed = bulk_account(sf).update([{"Id": one, "Phone": "1"} for one in ids])
    assert all(one["success"] for one in changed)
    queried = bulk_account(sf).query("SELECT Id, Name, CreatedDate FROM Account WHERE Phone = '1'")
    assert {one["Id"] for one in queried} == set(ids)
    assert isinstance(queried[0]["CreatedDate"], int)
    bad = bulk_account(sf).insert([{"Name": None}, {"Name": "x", "Nope": 1}])
    assert [one["errors"][0]["statusCode"] for one in bad] == ["REQUIRED_FIELD_MISSING", "INVALID_FIELD"]
    assert "No such column 'Nope'" in bad[1]["errors"][0]["message"]
    upserted = bulk_account(sf).upsert([{"Id": ids[0], "Phone": "2"}], "Id")
    assert upserted[0]["success"]
    assert not upserted[0]["created"]
    gone = bulk_account(sf).delete([{"Id": one} for one in ids[:20]])
    assert all(one["success"] for one in gone)
    purged = bulk_account(sf).hard_delete([{"Id": one} for one in ids[20:]])
    assert all(one["success"] for one in purged)


def test_bulk_2_all_operations(sf: Salesforce) -> None:
    data = [{"Name": f"Bulk Two {n}", "NumberOfEmployees": str(n)} for n in range(450)]
    summary = bulk2_account(sf).insert(records=data, wait=0.05)
    assert summary[0]["numberRecordsProcessed"] == 450
    job = summary[0]["job_id"]
    assert bulk2_account(sf).get_successful_records(job).count("\n") == 451
    # Its columns come out of a Python set: their order changes from process to process (contract D3).
    left = bulk2_account(sf).get_unprocessed_records(job).splitlines()
    assert [sorted(line.split(",")) for line in left] == [["Name", "NumberOfEmployees"]]
    pages = list(
        bulk2_account(sf).query(
            "SELECT Id FROM Account WHERE Name LIKE 'Bulk Two%'", max_records=200, wait=0.05
        )
    )
    assert [page.count("\n") - 1 for page in pages] == [200, 200, 50]
    ids = [line.strip('"') for page in pages for line in page.splitlines()[1:]]
    updated = bulk2_account(sf).update(records=[{"Id": one, "Phone": "9"} for one in ids], wait=0.05)
    assert updated[0]["numberRecordsFailed"] == 0
    deleted = bulk2_account(sf).delete(records=[{"Id": one} for one in ids[:400]], wait=0.05)
    assert deleted[0]["numberRecordsProcessed"] == 400
    hard = bulk2_account(sf).hard_delete(records=[{"Id": one} for one in ids[400:]], wait=0.05)
    assert hard[0]["numberRecordsFailed"] == 0
