"""Control resources: what tests do behind the API's back."""

from __future__ import annotations

import csv
import io
import urllib.error
import urllib.request
from typing import Any

import pytest

from orgsim.launch import OrgDidNotStart, RunningOrg, running_org, start
from orgsim.settings import Settings, from_arguments, to_arguments
from tests.orgsim.client import Client

pytestmark = pytest.mark.lane

ORG = {"role": "target", "orders": 40}
NS = "CHANNEL_ORDERS__"
ORDER = NS + "Service_Order__c"


def test_tables_as_json_and_csv_have_every_stored_field(org: RunningOrg) -> None:
    rows = org.control("GET", f"table/{ORDER}")
    assert {"Id", "IsDeleted", "COA_Source_Id__c", NS + "Order_Total_Value__c"} <= set(rows[0])
    with urllib.request.urlopen(f"{org.url}/control/table/{ORDER}?format=csv") as answer:
        text = answer.read().decode()
    assert len(list(csv.DictReader(io.StringIO(text, newline="")))) == len(rows)


def test_stats_show_rows_jobs_calls_and_rules(org: RunningOrg, client: Client) -> None:
    client.ingest("Account", "insert", "Name\nx\n")
    stats = org.control("GET", "stats")
    assert stats["org_id"] == org.org_id
    assert stats["jobs"][-1]["state"] == "JobComplete"
    assert stats["calls"]["api"] > 0
    org.control("POST", "reset-counters")
    assert org.control("GET", "stats")["calls"] == {}


def test_stats_count_the_bytes_of_bodies_but_not_those_of_control(org: RunningOrg, client: Client) -> None:
    client.ingest("Account", "insert", "Name\nx\n")
    org.control("POST", "reset-counters")
    org.control("GET", f"table/{ORDER}")
    assert org.control("GET", "stats")["bytes"] == {}
    client.ingest("Account", "insert", "Name\n" + "y\n" * 500)
    counted = org.control("GET", "stats")["bytes"]
    assert 1000 < counted["in"] < 2000
    assert counted["out"] > 500


def test_a_prepared_source_holds_each_records_own_id() -> None:
    with running_org(role="source", orders=20, legacy_ids=True) as prepared:
        for name in ("Customer__c", "Service_Order__c", "Service_Order_Detail__c"):
            rows = prepared.control("GET", f"table/{name}")
            assert rows
            assert all(row["COA_Source_Id__c"] == row["Id"] for row in rows)


def test_a_user_edits_in_the_ui_and_the_rules_act(org: RunningOrg) -> None:
    record = org.control("GET", f"table/{ORDER}")[0]
    someone = org.records(
        "SELECT Id, Username FROM User WHERE IsActive = true AND FirstName != 'Integration' LIMIT 1"
    )[0]
    org.control(
        "PATCH",
        f"records/Service_Order__c/{record['Id']}",
        {"Service_Order_Status__c": "Received"},
        user=someone["Username"],
    )
    after = org.control("GET", f"table/{ORDER}")[0]
    assert after[NS + "Service_Order_Status__c"] == "Received"
    assert after["LastModifiedById"] == someone["Id"]
    assert after[NS + "Date_Service_Order_Received_by_SFDC__c"] > "2026"


def test_raw_edits_go_past_rules_and_stamps(org: RunningOrg) -> None:
    record = org.control("GET", f"table/{ORDER}")[1]
    org.control("PATCH", f"records/{ORDER}/{record['Id']}?raw=1", {"Order_Type__c": "Moon landing"})
    after = org.control("GET", f"table/{ORDER}")[1]
    assert after[NS + "Order_Type__c"] == "Moon landing"
    assert after["SystemModstamp"] == record["SystemModstamp"]


def test_records_are_made_and_deleted(org: RunningOrg) -> None:
    made = org.control("POST", "records/Account", {"Name": "by hand"})["id"]
    org.control("DELETE", f"records/Account/{made}")
    assert org.count("SELECT COUNT() FROM Account WHERE Name = 'by hand'") == 0


def test_fields_change_while_the_org_runs(org: RunningOrg, client: Client) -> None:
    def described(name: str) -> Any:
        found = client.get(f"/sobjects/{ORDER}/describe")["fields"]
        return next((one for one in found if one["name"] == name), None)

    field = NS + "Error_Comment__c"
    org.control(
        "POST", "fields", {"field": "Service_Order__c.Error_Comment__c", "length": 10, "updateable": False}
    )
    assert described(field)["length"] == 10
    assert described(field)["updateable"] is False
    org.control("POST", "fields", {"field": f"{ORDER}.{field}", "hidden": True})
    assert described(field) is None
    org.control(
        "POST", "fields", {"field": f"{ORDER}.{field}", "hidden": False, "length": 255, "updateable": True}
    )
    assert described(field)["length"] == 255


def test_settings_that_shape_the_org_do_not_change(org: RunningOrg) -> None:
    assert org.control("PATCH", "settings", {"job_delay": 0.01})["job_delay"] == 0.01
    with pytest.raises(urllib.error.HTTPError):
        org.control("PATCH", "settings", {"role": "source"})


def test_the_clock_moves(org: RunningOrg) -> None:
    before = org.control("GET", "stats")["now"]
    org.control("POST", "clock", {"seconds": 86400 * 400})
    assert org.control("GET", "stats")["now"][:4] > before[:4]
    org.control("POST", "clock", {"offset": 0})


def test_control_calls_are_not_api_calls(org: RunningOrg) -> None:
    org.control("POST", "reset-counters")
    org.control("GET", "stats")
    assert org.count("SELECT COUNT() FROM Account") > 0
    assert org.control("GET", "stats")["calls"] == {}


def test_settings_and_command_line_are_one() -> None:
    switches = {
        "role": "target",
        "orders": 3,
        "planted": False,
        "workflow_off": ["draft", "pricing"],
        "job_delay": 0.5,
    }
    assert from_arguments(to_arguments(switches)) == Settings(**switches)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="no setting 'colour'"):
        to_arguments({"colour": 1})


def test_a_busy_port_and_a_wrong_setting_are_told() -> None:
    with running_org(role="source", orders=0, empty=True) as org:
        port = int(org.url.rpartition(":")[2])
        with pytest.raises(OrgDidNotStart):
            start(port=port, orders=0)
    with pytest.raises(OrgDidNotStart):
        start(orders=0, workflow_off=["nope"])
