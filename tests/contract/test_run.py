"""A run of the contract on a staging database: refusals, the approval, kills, what it leaves behind."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from coa import pipeline
from coa.approval import record as approval
from coa.contract import run as contract
from coa.contract.ledger import open_keys
from coa.contract.marks import PREFIX
from coa.contract.probes import Access
from coa.errors import AmbiguousWrite, ConfigurationError, PairBusy, RunStopped
from coa.model import CONTRACT, CUSTOMER, NS, ORDER, STATUS
from coa.staging.database import Database
from coa.staging.lease import Lease
from coa.states import RunState
from orgsim.launch import RunningOrg
from tests.contract.conftest import QUICK, session
from tests.contract.test_probes import values_of

WAIVED = {"require_approval": False}


class Walk:
    """The tasks of the DAG one after another, in this process."""

    number = 0

    def __init__(self, db: Database, org: RunningOrg, folder: Path, **params: Any) -> None:
        Walk.number += 1
        self.org = session(org)
        self.run = pipeline.start(
            db,
            QUICK,
            dag_id="coa_contract",
            airflow_run_id=f"walk {Walk.number}",
            triggered_by="op",
            raw_params=params,
        )
        self.folder = folder / self.run.run_id

    def begin(self) -> Walk:
        pipeline.contract_begin(self.run, self.org, lambda _row: True)
        pipeline.contract_plan(self.run, self.folder)
        self.run.refresh()
        return self

    def answer(self, *, kind: str = "waiver", approved: bool = True, **form: Any) -> Walk:
        approval.record(
            self.run,
            kind=kind,
            approved=approved,
            answered_by="op",
            plan_hash=str(self.run.record.plan_hash),
            form=form,
        )
        return self

    def ask(self) -> dict[str, int]:
        return pipeline.contract_ask(self.run, self.org)

    def finish(self, error: str | None = None) -> RunState:
        return pipeline.finish(self.run, self.folder, error)

    def summary(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.folder / "summary.json").read_text("utf-8"))
        return found


def marked(org: RunningOrg) -> int:
    """Living records with a mark of any run."""
    return sum(
        org.count(f"SELECT COUNT() FROM {name} WHERE {field} LIKE '{PREFIX}%'")
        for name, field in (
            (CUSTOMER, NS + "Customer_Org_ID__c"),
            (ORDER, NS + "Customer_Org_ID__c"),
            (CONTRACT, "Name"),
        )
    )


def test_a_contract_is_verified_leaves_nothing_and_names_what_differs(
    database: Database, sandbox: Callable[..., RunningOrg], tmp_path: Path
) -> None:
    org = sandbox(workflow_off=["pricing"], utf16_lengths=True)
    before = values_of(org)
    walk = Walk(database, org, tmp_path, **WAIVED).begin().answer()

    walk.ask()
    state = walk.finish()

    assert state == RunState.VERIFIED
    assert values_of(org) == before
    assert marked(org) == 0
    assert open_keys(database, org.org_id) == []
    summary = walk.summary()
    assert {one["id"]: one["answer"] for one in summary["differ"]} == {
        "detail.insert.fixed-price": "as_sent",
        "package.rule.pricing": "inactive",
        "text.length-unit": "utf16",
    }
    assert summary["facts"]["all"] == sum(
        summary["facts"][name] for name in ("answered", "not_askable", "not_asked")
    )
    assert summary["records"]["left"] == 0
    assert summary["records"]["deleted"] == sum(summary["records"]["made"].values())
    text = (walk.folder / "contract.md").read_text("utf-8")
    assert "## text.length-unit" in text
    assert "`order.insert.status`: it makes an order something else than Draft" in text
    assert {one.name for one in walk.folder.iterdir()} >= {
        "cassette.json", "facts.csv", "contract.md", "plan.json", "summary.json",
    }  # fmt: skip


def test_a_production_org_is_refused_before_anything_is_written(
    database: Database, sandbox: Callable[..., RunningOrg], tmp_path: Path
) -> None:
    org = sandbox(sandbox=False)
    walk = Walk(database, org, tmp_path, **WAIVED)

    with pytest.raises(RunStopped, match="not a sandbox") as stopped:
        walk.begin()

    assert stopped.value.state == "blocked"
    assert walk.finish() == RunState.BLOCKED
    assert marked(org) == 0
    allowed = Walk(database, org, tmp_path, **WAIVED, allow_production=True).begin().answer()
    assert allowed.ask()["answered"] > 80
    assert allowed.finish() == RunState.VERIFIED


@pytest.mark.lane
def test_what_was_left_is_deleted_even_if_the_next_run_may_not_ask(
    database: Database, sandbox: Callable[..., RunningOrg], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    org = sandbox(sandbox=False)
    leave_records(Walk(database, org, tmp_path, **WAIVED, allow_production=True), monkeypatch)
    assert marked(org) > 10

    with pytest.raises(RunStopped, match="not a sandbox"):
        Walk(database, org, tmp_path, **WAIVED).begin()

    assert marked(org) == 0


def test_nothing_is_written_without_an_approval_of_this_plan(
    database: Database, sandbox: Callable[..., RunningOrg], tmp_path: Path
) -> None:
    org = sandbox()
    walk = Walk(database, org, tmp_path).begin()

    with pytest.raises(RunStopped, match="no recorded answer"):
        walk.ask()
    walk.answer(kind="approval", approved=False)
    with pytest.raises(RunStopped, match="did not approve"):
        walk.ask()

    assert org.control("GET", "stats")["rows"].get(ORDER) == org.count(f"SELECT COUNT() FROM {ORDER}")
    assert marked(org) == 0
    assert database.value("SELECT count(*) FROM coa.contract_key") == 0


def test_a_source_is_only_read_and_needs_no_approval(
    database: Database, sandbox: Callable[..., RunningOrg], tmp_path: Path
) -> None:
    org = sandbox()
    walk = Walk(database, org, tmp_path, role="source").begin()

    counts = walk.ask()

    assert walk.finish() == RunState.VERIFIED
    assert counts["answered"] > 15
    assert org.control("GET", "stats")["jobs"] == []
    assert walk.summary()["records"]["made"] == {}


class Killed(BaseException):
    """What no code of ours catches: as if the process were gone."""


def kill_after(monkeypatch: pytest.MonkeyPatch, answers: int) -> None:
    left = [answers]

    def count(self: Lease) -> None:
        left[0] -= 1
        if left[0] < 0:
            raise Killed

    monkeypatch.setattr(Lease, "renew", count)


def leave_records(walk: Walk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Kills the run in the middle of its questions."""
    walk.begin().answer()
    with monkeypatch.context() as patch:
        patch.setattr(contract, "clean", _never)
        kill_after(patch, 90)
        with pytest.raises(Killed):
            contract.ask(walk.run, walk.org)


def test_what_a_killed_run_left_is_deleted_before_anything_else(
    database: Database, sandbox: Callable[..., RunningOrg], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    org = sandbox()
    before = values_of(org)
    leave_records(Walk(database, org, tmp_path, **WAIVED), monkeypatch)
    assert marked(org) > 10

    Walk(database, org, tmp_path, **WAIVED).begin()

    assert marked(org) == 0
    assert values_of(org) == before
    assert open_keys(database, org.org_id) == []


def _never(*_: Any) -> Any:
    raise AssertionError("a killed process cleans nothing up")


@pytest.mark.lane
def test_records_whose_ids_no_answer_told_are_found_by_their_mark(
    database: Database, sandbox: Callable[..., RunningOrg], tmp_path: Path
) -> None:
    org = sandbox()
    walk = Walk(database, org, tmp_path, **WAIVED).begin().answer()
    path = "composite/sobjects$"
    org.control("POST", "faults", {"kind": "reset_after", "method": "POST", "path": path, "skip": 12})

    with pytest.raises(AmbiguousWrite):
        walk.ask()

    assert marked(org) == 0
    assert len(open_keys(database, org.org_id)) == 1
    assert walk.ask()["answered"] > 80
    assert walk.finish() == RunState.VERIFIED
    assert open_keys(database, org.org_id) == []


@pytest.mark.lane
def test_an_org_that_keeps_a_record_makes_the_run_fail_and_the_next_one_deletes_it(
    database: Database, sandbox: Callable[..., RunningOrg], tmp_path: Path
) -> None:
    org = sandbox()
    walk = Walk(database, org, tmp_path, **WAIVED).begin().answer()
    refusal = {
        "kind": "refuse_rows",
        "sobject": CUSTOMER,
        "operation": "delete",
        "fraction": 1.0,
        "times": -1,
    }
    org.control("POST", "faults", {**refusal, "code": "DELETE_FAILED", "message": "no"})

    with pytest.raises(ConfigurationError, match=r"still there: .*Customer__c .*DELETE_FAILED"):
        walk.ask()

    assert walk.finish("ask") == RunState.FAILED
    org.control("DELETE", "faults")
    Walk(database, org, tmp_path, **WAIVED).begin()
    assert marked(org) == 0


STATUS_FACT = "order.insert.status"


@pytest.mark.parametrize(
    ("settings", "params", "answer", "access"),
    [
        ({}, {"status_probes": True}, {"kind": "waiver"}, Access.STATUS),
        ({}, {}, {"kind": "waiver"}, Access.WRITE),
        ({}, {"status_probes": True}, {"kind": "approval"}, Access.WRITE),
        ({}, {"status_probes": True}, {"kind": "approval", "confirm_status_probes": True}, Access.STATUS),
        ({"draft_job": True}, {"status_probes": True}, {"kind": "waiver"}, Access.WRITE),
        (
            {"draft_job": True},
            {"status_probes": True, "accept_submit_jobs": True},
            {"kind": "waiver"},
            Access.STATUS,
        ),
        (
            {"draft_job": True},
            {"status_probes": True},
            {"kind": "approval", "confirm_status_probes": True},
            Access.WRITE,
        ),
        (
            {"draft_job": True},
            {"status_probes": True},
            {"kind": "approval", "confirm_status_probes": True, "confirm_submit_risk": True},
            Access.STATUS,
        ),
    ],
)
def test_orders_other_than_draft_need_a_yes_of_their_own(
    database: Database,
    sandbox: Callable[..., RunningOrg],
    tmp_path: Path,
    settings: dict[str, Any],
    params: dict[str, Any],
    answer: dict[str, Any],
    access: Access,
) -> None:
    walk = Walk(database, sandbox(orders=0, **settings), tmp_path, **params).begin().answer(**answer)

    assert contract.allowed_access(walk.run) == access


@pytest.mark.parametrize(
    ("sobject", "record", "code"),
    [
        (
            "ApexTrigger",
            {"Name": "OrderGuard", "TableEnumOrId": ORDER, "Status": "Active",
             "Body": "trigger OrderGuard { CHANNEL_ORDERS.COA_ServiceOrderSubmit.submit(x); }"},
            "submit_triggers",
        ),
        (CONTRACT, {"Name": "Live", NS + "COA_Sync_timestamp__c": "now"}, "connection_live"),
    ],
)  # fmt: skip
def test_what_could_send_an_order_is_found(
    database: Database,
    sandbox: Callable[..., RunningOrg],
    tmp_path: Path,
    sobject: str,
    record: dict[str, Any],
    code: str,
) -> None:
    org = sandbox(orders=0)
    now = org.control("GET", "stats")["now"]
    values = {name: now if value == "now" else value for name, value in record.items()}
    org.control("POST", f"records/{sobject}", values, raw="true")

    walk = Walk(database, org, tmp_path, **WAIVED, status_probes=True).begin().answer()

    assert contract.hazards(walk.run) == [code]
    assert contract.allowed_access(walk.run) == Access.WRITE
    assert code in contract.plan_markdown(walk.run)


def test_a_plan_that_found_more_against_it_since_is_not_the_one_that_was_approved(
    database: Database, sandbox: Callable[..., RunningOrg], tmp_path: Path
) -> None:
    org = sandbox(orders=0)
    walk = Walk(database, org, tmp_path, **WAIVED, status_probes=True).begin().answer()
    now = org.control("GET", "stats")["now"]
    values = {"Name": "Live", NS + "COA_Sync_timestamp__c": now}
    org.control("POST", f"records/{CONTRACT}", values, raw="true")
    walk.begin()

    with pytest.raises(RunStopped, match="is not the one"):
        contract.allowed_access(walk.run)


def test_a_contract_and_another_run_on_its_org_wait_for_one_another(
    database: Database, sandbox: Callable[..., RunningOrg], tmp_path: Path
) -> None:
    org = sandbox(orders=0)
    first, second = (Walk(database, org, tmp_path, **WAIVED) for _ in range(2))
    pair = database.value(
        "INSERT INTO coa.org_pair (source_org_id, target_org_id) VALUES ('00Dother', %s) RETURNING pair_id",
        [org.org_id],
    )
    first.run.update(pair_id=pair)
    first.run.lease.take()

    with pytest.raises(PairBusy, match=f"{first.run.run_id} .*the same target"):
        contract.begin(second.run, second.org, lambda _row: False)
    first.run.lease.release()
    contract.begin(second.run, second.org, lambda _row: False)
    with pytest.raises(PairBusy, match=second.run.run_id):
        first.run.lease.take()
    first.run.lease.take(lambda _row: True)


@pytest.mark.lane
def test_marks_of_another_staging_database_are_told_and_left(
    database: Database, sandbox: Callable[..., RunningOrg], tmp_path: Path
) -> None:
    org = sandbox()
    live = org.records(f"SELECT Id FROM {CONTRACT} LIMIT 1")[0]["Id"]
    org.control("PATCH", f"records/{CONTRACT}/{live}", {"Name": f"{PREFIX}ffffffff001"}, raw="true")

    walk = Walk(database, org, tmp_path, **WAIVED).begin().answer()
    walk.ask()

    told = database.value(
        "SELECT message FROM coa.finding WHERE run_id = %s AND code = 'strange_marks'", [walk.run.run_id]
    )
    assert told.startswith("1 records look like")
    assert marked(org) == 1


def test_no_order_is_anything_but_a_draft_in_a_run_without_leave(
    database: Database, sandbox: Callable[..., RunningOrg], tmp_path: Path
) -> None:
    org = sandbox(workflow_off=["draft"])
    Walk(database, org, tmp_path, **WAIVED).begin().answer().ask()

    deleted = [row for row in org.control("GET", f"table/{ORDER}") if row["IsDeleted"]]

    assert len(deleted) > 20
    assert {row[STATUS] for row in deleted} == {"Draft"}
    assert {bool(row[NS + "Send_Order__c"]) for row in deleted} == {False}
