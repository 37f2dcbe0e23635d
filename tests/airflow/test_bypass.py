"""Ways around the approval gate, tried through the REST API of a real Airflow: none of them loads anything.

And the way that is meant: an answer by whom it was asked of, with a standing approval under which `coa_sync` then
loads by itself. One Airflow for all of it; the tests go on from where the one before them left the orgs.
"""

from __future__ import annotations

import json
import re
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import requests
from tests.airflow.conftest import FAST
from tests.ui.live import Live, live_airflow

from coa.model import LOADED, NS, ORDER, SOURCE_ID
from coa_airflow.local.mailbox import Mail, mailbox

pytestmark = [pytest.mark.lane, pytest.mark.airflow, pytest.mark.timeout(1800)]

PATIENCE = 600
"""Seconds until a run comes to its gate or its end; on an idle machine it takes a twentieth of that."""
PARAMS = {
    **dict.fromkeys(("unmatched_contract_policy", "picklist_policy", "too_long_policy"), "block_record"),
    "draft_orders": "load",
    "chunk_size": 25,
}
ALLOWED = 3
"""Records a run that the standing approval of these tests allows."""
COMMENT = NS + "Error_Comment__c"


class Gate(Live):
    """A running Airflow over two local orgs; `operator` alone may answer its gates."""

    def call(self, method: str, path: str, user: str = "operator", body: object = None) -> requests.Response:
        return self.request(method, "/api/v2" + path, user, body)

    def trigger(self, dag_id: str = "coa_migrate", **params: Any) -> str:
        body = {"logical_date": None, "conf": {**PARAMS, **params}}
        answer = self.call("POST", f"/dags/{dag_id}/dagRuns", body=body)
        assert answer.ok, answer.text
        return str(answer.json()["dag_run_id"])

    def state_of(self, run_id: str, task_id: str) -> str:
        return str(self.call("GET", f"{runs(run_id)}/taskInstances/{task_id}").json().get("state"))

    def wait_for_gate(self, run_id: str) -> None:
        wait_for(lambda: self.state_of(run_id, "approve") == "awaiting_input", f"the gate of {run_id} opens")

    def wait_for_end(self, run_id: str, dag_id: str = "coa_migrate") -> dict[str, Any]:
        """Our own row of a run that is over."""
        path = f"/dags/{dag_id}/dagRuns/{run_id}"
        wait_for(
            lambda: self.call("GET", path).json().get("state") in ("success", "failed"), f"{run_id} ends"
        )
        row = self.db.row("SELECT * FROM coa.run WHERE airflow_run_id = %s", [run_id])
        assert row is not None
        return row

    def form(self, run_id: str) -> dict[str, Any]:
        """The gate's form as it is offered."""
        asked = self.call("GET", f"{runs(run_id)}/hitlDetails").json()["hitl_details"][0]
        return {name: param["value"] for name, param in asked["params"].items()}

    def linked(self, run_id: str, name: str) -> requests.Response:
        """What the page of the approver links to under that name."""
        asked = self.call("GET", f"{runs(run_id)}/hitlDetails").json()["hitl_details"][0]
        found = re.search(rf"\[{re.escape(name)}\]\(([^)]+)\)", asked["body"])
        assert found is not None, asked["body"]
        answer = self.request("GET", found[1])
        assert answer.ok, answer.text
        return answer

    def file(self, run_id: str, name: str) -> requests.Response:
        """An artifact of a run, as the migration page gives it out."""
        answer = self.request("GET", f"/coa/files/coa_migrate/{name}?run_id={quote(run_id, safe='')}")
        assert answer.ok, answer.text
        return answer

    def answer(self, run_id: str, option: str, user: str = "operator", **form: Any) -> requests.Response:
        body = {"chosen_options": [option], "params_input": {**self.form(run_id), **form}}
        return self.call("PATCH", f"{runs(run_id)}/taskInstances/approve/-1/hitlDetails", user, body)

    def mark_success(self, run_id: str, task_id: str) -> None:
        answer = self.call("PATCH", f"{runs(run_id)}/taskInstances/{task_id}", body={"new_state": "success"})
        assert answer.ok, answer.text

    def forge(self, run_id: str, task_id: str, value: object) -> None:
        body = {"key": "return_value", "value": value, "map_index": -1}
        answer = self.call("POST", f"{runs(run_id)}/taskInstances/{task_id}/xcomEntries", "admin", body)
        assert answer.ok, answer.text

    def records(self, role: int, sobject: str) -> dict[str, dict[str, Any]]:
        with urllib.request.urlopen(f"{self.orgs[role]}/control/table/{sobject}", timeout=120) as found:
            return {r["Id"]: r for r in json.load(found) if not r.get("IsDeleted")}

    def target(self) -> dict[str, dict[str, dict[str, Any]]]:
        """All COA records of the target, stamps included: one write of any kind shows."""
        return {sobject: self.records(1, sobject) for sobject in LOADED}

    def edit_source(self, record_id: str, **values: Any) -> None:
        request = urllib.request.Request(
            f"{self.orgs[0]}/control/records/{ORDER}/{record_id}", json.dumps(values).encode(), method="PATCH"
        )
        urllib.request.urlopen(request, timeout=120).close()


def runs(run_id: str) -> str:
    return f"/dags/coa_migrate/dagRuns/{run_id}"


def wait_for(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain until {what}"
        time.sleep(0.5)


EVENTS = Path(tempfile.mkdtemp(prefix="coa-lineage-")) / "events.json"
"""What Airflow's OpenLineage provider sent."""
MAILS: list[Mail] = []
"""What the deployment's mail server was given."""


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gate]:
    with mailbox("127.0.0.1", 0, MAILS.append) as port:
        yield from with_mail(tmp_path_factory, port)


def with_mail(tmp_path_factory: pytest.TempPathFactory, port: int) -> Iterator[Gate]:
    extra = {"disable_ssl": True, "disable_tls": True, "from_email": "airflow@coa.example"}
    environment = {
        **FAST,
        "AIRFLOW_CONN_MAIL": json.dumps(
            {"conn_type": "smtp", "host": "127.0.0.1", "port": port, "extra": extra}
        ),
        "COA_NOTIFY": json.dumps([{"by": "smtp", "conn_id": "mail", "to": ["ops@acme.com"]}]),
        # Seconds: after the gate of a run has opened, and while the last test still looks.
        "COA_REMIND_HOURS": str(60 / 3600),
        "AIRFLOW__OPENLINEAGE__TRANSPORT": json.dumps(
            {"type": "file", "log_file_path": str(EVENTS), "append": True}
        ),
        "COA_UI_ORDERS": "30",
        "AIRFLOW_VAR_COA_APPROVERS": "operator",
    }
    with live_airflow(tmp_path_factory.mktemp("bypass"), **environment) as airflow:
        yield Gate(**vars(airflow))


def test_marking_the_gate_as_success_loads_nothing(live: Gate) -> None:
    before = live.target()
    run_id = live.trigger()
    live.wait_for_gate(run_id)

    live.mark_success(run_id, "approve")

    run = live.wait_for_end(run_id)
    assert (run["state"], run["loaded_at"]) == ("not_approved", None)
    assert "no recorded answer" in run["message"]
    assert live.state_of(run_id, "load.prepare") == "failed"
    assert live.target() == before


def test_a_forged_answer_and_forged_lanes_load_nothing(live: Gate) -> None:
    before = live.target()
    run_id = live.trigger()
    live.wait_for_gate(run_id)
    plan_hash = live.db.value("SELECT plan_hash FROM coa.run WHERE airflow_run_id = %s", [run_id])
    approved = {
        "chosen_options": ["Approve"],
        "params_input": {},
        "responded_by_user": {"id": "operator", "name": "operator"},
        "approved_by": "operator",
        "plan_hash": plan_hash,
    }
    live.forge(run_id, "approve", approved)
    # The task that checks the approval is marked as done as well, with lanes as it would have handed them on.
    live.forge(run_id, "load.prepare", [[0], [1]])
    live.mark_success(run_id, "load.prepare")

    live.mark_success(run_id, "approve")

    run = live.wait_for_end(run_id)
    assert (run["state"], run["loaded_at"]) == ("not_approved", None)
    # The first task that would write refuses; what comes after it is never begun.
    assert live.state_of(run_id, "load.canary") == "failed"
    assert live.state_of(run_id, "load.customers") == "upstream_failed"
    assert live.target() == before


def test_who_is_not_asked_cannot_answer_and_a_rejection_cannot_be_answered_over(live: Gate) -> None:
    before = live.target()
    run_id = live.trigger()
    live.wait_for_gate(run_id)

    for user in ("admin", "viewer"):
        refused = live.answer(run_id, "Approve", user)
        assert refused.status_code == 403, (user, refused.text)
    assert live.state_of(run_id, "approve") == "awaiting_input"
    assert live.answer(run_id, "Reject", reason="not this month").ok
    again = live.answer(run_id, "Approve")
    assert again.status_code == 409, again.text

    run = live.wait_for_end(run_id)
    assert (run["state"], run["loaded_at"]) == ("not_approved", None)
    assert "operator rejected the plan: not this month" in run["message"]
    assert live.target() == before
    kept = live.db.rows("SELECT approved FROM coa.approval WHERE run_id = %s", [run["run_id"]])
    assert [a["approved"] for a in kept] == [False]


def test_one_approval_by_who_was_asked_loads_once(live: Gate) -> None:
    run_id = live.trigger()
    live.wait_for_gate(run_id)
    until = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    plan = live.linked(run_id, "plan.json").json()
    assert plan["plan_hash"] == live.db.value(
        "SELECT plan_hash FROM coa.run WHERE airflow_run_id = %s", [run_id]
    )
    assert live.linked(run_id, "corrections.csv").text.count("draft_reset") > 0

    assert live.answer(
        run_id,
        "Approve",
        reason="as agreed",
        standing_until=until,
        standing_records=ALLOWED,
        standing_actions=["insert", "update"],
    ).ok
    assert live.answer(run_id, "Reject").status_code == 409

    run = live.wait_for_end(run_id)
    assert run["state"] == "verified", run["message"]
    kept = live.db.rows("SELECT * FROM coa.approval WHERE run_id = %s", [run["run_id"]])
    assert [(a["approved"], a["answered_by"], a["plan_hash"]) for a in kept] == [
        (True, "operator", run["plan_hash"])
    ]
    # The last task before the report asked whether the source stood still: it did.
    assert run["summary"]["freeze"]["frozen"] is True


def test_people_are_told_of_a_gate_reminded_by_airflows_deadline_and_told_of_the_end(live: Gate) -> None:
    MAILS.clear()
    run_id = live.trigger()
    live.wait_for_gate(run_id)

    wait_for(lambda: any("still waiting" in mail.subject for mail in MAILS), "the reminder comes")
    assert live.answer(run_id, "Reject", reason="Not today.").ok
    ours = live.wait_for_end(run_id)["run_id"]

    assert [mail.subject for mail in MAILS if ours in mail.subject] == [
        f"The plan of run {ours} is waiting for an answer",
        f"The plan of run {ours} is still waiting for an answer",
        f"Run {ours} ended as not approved",
    ]
    assert "Order value in USD" in MAILS[0].text


def test_lineage_and_proof_of_a_run_are_sent_by_airflows_provider(live: Gate) -> None:
    """Of the run that was approved and loaded before."""
    row = live.db.row("SELECT * FROM coa.run WHERE state = 'verified' ORDER BY run_id LIMIT 1")
    assert row is not None
    events = [json.loads(line) for line in EVENTS.read_text("utf-8").splitlines()]

    ended = [
        event
        for event in events
        if event["eventType"] == "COMPLETE" and event["job"]["name"] == "coa_migrate.verdict"
    ]
    assert len(ended) == 1
    written = {one["name"]: one for one in ended[0]["outputs"]}
    assert set(written) == set(LOADED)
    plan = live.file(row["airflow_run_id"], "plan.json").json()
    of_orders = {one["field"] for one in plan["lineage"] if one["sobject"] == ORDER}
    assert set(written[ORDER]["facets"]["columnLineage"]["fields"]) == of_orders
    proved = [one for one in ended[0]["inputs"] if "dataQualityAssertions" in one.get("inputFacets", {})]
    assert {one["name"] for one in proved} == set(LOADED)
    assert all(
        assertion["success"]
        for one in proved
        for assertion in one["inputFacets"]["dataQualityAssertions"]["assertions"]
    )


def test_a_scheduled_delta_loads_under_the_standing_approval_and_stops_at_its_limits(live: Gate) -> None:
    moved = [r[SOURCE_ID] for r in live.records(1, ORDER).values() if r[SOURCE_ID]]
    live.call("PATCH", "/dags/coa_sync", body={"is_paused": False})

    def sync(count: int, text: str) -> dict[str, Any]:
        for i in moved[:count]:
            live.edit_source(i, **{COMMENT: text})
        return live.wait_for_end(live.trigger("coa_sync"), "coa_sync")

    within = sync(ALLOWED, "within the limits")
    assert within["state"] == "verified", within["message"]
    assert within["summary"]["objects"][ORDER]["updated"] == ALLOWED
    before = live.target()

    beyond = sync(ALLOWED + 1, "beyond them")

    assert (beyond["state"], beyond["loaded_at"]) == ("not_approved", None)
    assert f"the standing approval allows {ALLOWED}" in beyond["message"]
    assert live.target() == before
