"""A snapshot holds the whole org: restored in place or in another process, it is what it was."""

from __future__ import annotations

import urllib.error
from pathlib import Path
from typing import Any

import pytest

from orgsim.launch import RunningOrg, running_org
from tests.orgsim.client import Client, connect

pytestmark = pytest.mark.lane

SHAPE: dict[str, Any] = {"role": "target", "orders": 12, "seed": 5, "job_delay": 0.0}
NS = "CHANNEL_ORDERS__"
ORDER = NS + "Service_Order__c"


def whole(org: RunningOrg) -> dict[str, Any]:
    """Every table and all that the control resources tell of the org, but for calls, bytes and the time."""
    stats = org.control("GET", "stats")
    return {
        "tables": {name: org.control("GET", f"table/{name}") for name in stats["rows"]},
        "package": org.control("GET", "package"),
        "planted": org.control("GET", "planted"),
        "jobs": stats["jobs"],
        "id": stats["org_id"],
    }


def change_everything(org: RunningOrg, client: Client) -> None:
    client.ingest("Account", "insert", "Name\nnew\n")
    some = org.records(f"SELECT Id FROM {ORDER} LIMIT 1")[0]["Id"]
    org.control("DELETE", f"records/{ORDER}/{some}")
    org.control("PATCH", "package", {"workflows": {"draft": False}})
    org.control("POST", "fields", {"field": f"{ORDER}.{NS}I_certify__c", "hidden": True, "createable": False})


@pytest.fixture
def target() -> Any:
    with running_org(**SHAPE) as org:
        yield org


def test_what_happened_since_is_undone(target: RunningOrg) -> None:
    client = connect(target)
    client.ingest("Account", "insert", "Name\nbefore\n")
    before, kept = whole(target), target.snapshot()
    change_everything(target, client)
    assert whole(target) != before
    target.restore(kept)
    assert whole(target) == before
    fields = connect(target).get(f"/sobjects/{ORDER}/describe")["fields"]
    assert next(f for f in fields if f["name"] == f"{NS}I_certify__c")["createable"]


def test_another_process_goes_on_where_it_stood(target: RunningOrg, tmp_path: Path) -> None:
    client = connect(target)
    change_everything(target, client)
    before = whole(target)
    file = tmp_path / "org.zip"
    file.write_bytes(target.snapshot())
    next_here = client.ingest("Account", "insert", "Name\nnext\n")
    with running_org(restore=str(file)) as restored:
        assert whole(restored) == before
        # Ids and auto-numbers go on as they would have here.
        other = connect(restored)
        next_there = other.ingest("Account", "insert", "Name\nnext\n")
        assert other.results(next_there["id"], "successfulResults") == client.results(
            next_here["id"], "successfulResults"
        )


def test_results_of_a_job_can_still_be_read(target: RunningOrg, tmp_path: Path) -> None:
    client = connect(target)
    job = client.ingest("Account", "insert", "Name\none\n")["id"]
    file = tmp_path / "org.zip"
    file.write_bytes(target.snapshot())
    with running_org(restore=str(file)) as restored:
        again = connect(restored).results(job, "successfulResults")
        assert again == client.results(job, "successfulResults")
        assert len(again) == 1


def test_a_job_that_waited_is_worked_on_after_the_restart(target: RunningOrg, tmp_path: Path) -> None:
    target.control("PATCH", "settings", {"hold_jobs": True})
    client = connect(target)
    job = client.open_job()["id"]
    client.upload(job, b"Name\nwaiting\n")
    client.set_state(job, "UploadComplete")
    file = tmp_path / "org.zip"
    file.write_bytes(target.snapshot())
    with running_org(restore=str(file)) as restored:
        assert restored.count("SELECT COUNT() FROM Account WHERE Name = 'waiting'") == 0
        restored.control("PATCH", "settings", {"hold_jobs": False})
        connect(restored).wait("ingest", job)
        assert restored.count("SELECT COUNT() FROM Account WHERE Name = 'waiting'") == 1


def test_an_org_of_another_shape_refuses_it(target: RunningOrg) -> None:
    with running_org(**SHAPE | {"seed": 6}) as other:
        before = whole(other)
        with pytest.raises(urllib.error.HTTPError, match="400"):
            other.restore(target.snapshot())
        assert whole(other) == before


def test_a_body_that_is_no_snapshot_is_refused(target: RunningOrg) -> None:
    with pytest.raises(urllib.error.HTTPError, match="400"):
        target.restore(b"not a ZIP")
