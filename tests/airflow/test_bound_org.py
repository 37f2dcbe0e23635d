"""A run reaches the two orgs that it was made for and no other, whatever its connections say by then.

The connection is swapped at one moment of a run: while the gate waits, in the middle of the load, before a wait
is taken up again. From then on the run asks the other org for nothing but who it is.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.airflow.conftest import Ended, Stage, connection_to
from tests.engine.checker import Dump

from coa.config import Settings
from coa.errors import CoaError, WrongOrg
from coa.salesforce.session import Org, OrgConnection
from coa.staging.journal import EventLog
from coa.staging.runs import Run
from orgsim.launch import RunningOrg, running_org

pytestmark = pytest.mark.airflow

PROJECT = Path(__file__).resolve().parents[2]


@pytest.fixture
def other() -> Iterator[RunningOrg]:
    """A third org, with the app and the migration fields, that no plan was made for."""
    with running_org(role="target", orders=60, seed=8) as org:
        yield org


def asked(org: RunningOrg) -> int:
    """API calls to an org since its start; logins are none."""
    return int(sum(org.control("GET", "stats")["calls"].values()))


def swap_at(
    stage: Stage, role: str, other: RunningOrg, moment: str, name: str = "", **connection: Any
) -> None:
    """Points the role's connection at another org when the run writes this event (of this stage)."""
    write = EventLog.add
    swapped: list[str] = []

    def event(log: EventLog, event: str, level: str = "info", **data: Any) -> None:
        write(log, event, level, **data)
        if event == moment and (not name or data.get("stage") == name) and not swapped:
            swapped.append(log.run_id)
            stage.connect(role, connection_to(other, **connection))

    stage.environment.setattr(EventLog, "add", event)


def refused(ended: Ended, connection: str, expected: RunningOrg, found: RunningOrg) -> None:
    assert (ended.state, ended.airflow_state) == ("failed", "failed"), ended.message
    for part in (connection, expected.org_id, found.org_id, "Next step: point the connection"):
        assert part in ended.message, ended.message


def test_an_approval_holds_for_the_org_that_the_plan_was_made_for(stage: Stage, other: RunningOrg) -> None:
    """Critical once: the connection was swapped while the gate waited, and the rows went into the other org."""
    before, theirs = stage.records(), Dump(other).records
    swap_at(stage, "target", other, "plan_answered")

    ended = stage.migrate()

    refused(ended, "coa_target", stage.target, other)
    assert ended.tasks["load.prepare"] == "failed"
    assert ended.row["loaded_at"] is None
    assert asked(other) == 0
    assert (stage.records(), Dump(other).records) == (before, theirs)


@pytest.mark.lane
@pytest.mark.parametrize(
    ("role", "moment", "failing"),
    [
        ("target", ("stage_ended", "preflight"), "extract.target"),
        ("source", ("stage_ended", "preflight"), "extract.source"),
        ("source", ("plan_answered", ""), "load.prepare"),
        ("target", ("stage_ended", "prepare_load"), "load.customers"),
        ("target", ("stage_ended", "load_customers"), "load.lane"),
        ("target", ("stage_ended", "load_lanes"), "load.links"),
        ("target", ("stage_ended", "load_links"), "verify"),
    ],
)
def test_no_task_works_on_another_org(
    stage: Stage, other: RunningOrg, role: str, moment: tuple[str, str], failing: str
) -> None:
    theirs = Dump(other).records
    swap_at(stage, role, other, *moment)

    ended = stage.migrate()

    refused(ended, f"coa_{role}", stage.source if role == "source" else stage.target, other)
    assert ended.tasks[failing] == "failed"
    assert asked(other) == 0
    assert Dump(other).records == theirs


@pytest.mark.lane
def test_a_freeze_check_is_not_answered_by_another_source(stage: Stage, other: RunningOrg) -> None:
    swap_at(stage, "source", other, "stage_ended", "verify")

    ended = stage.migrate()

    assert ended.row["summary"]["freeze"]["frozen"] is None, ended.row["summary"]["freeze"]
    assert other.org_id in str(
        stage.database.rows("SELECT message FROM coa.finding WHERE stage = 'freeze_check'")
    )
    assert asked(other) == 0


@pytest.mark.lane
def test_a_wait_that_is_taken_up_again_and_its_trigger_keep_to_the_org(
    stage: Stage, other: RunningOrg
) -> None:
    stage.environment.delenv("COA_HEADLESS")
    stage.environment.setenv("COA_HOLD_WORKER_SECONDS", "0")
    for org in (stage.source, stage.target):
        org.control("PATCH", "settings", {"job_delay": 0.4})
    theirs = Dump(other).records
    write = EventLog.add

    def event(log: EventLog, event: str, level: str = "info", **data: Any) -> None:
        write(log, event, level, **data)
        if event == "wait_handed_over" and data["kind"] == "ingest":
            stage.connect("target", connection_to(other))

    stage.environment.setattr(EventLog, "add", event)

    ended = stage.migrate(require_approval=False)

    refused(ended, "coa_target", stage.target, other)
    assert asked(other) == 0
    assert Dump(other).records == theirs


@pytest.mark.lane
def test_a_roll_back_and_a_verification_keep_to_the_org(stage: Stage, other: RunningOrg) -> None:
    moved = stage.migrate()
    assert moved.state == "verified", moved.message
    ours, theirs = stage.records(), Dump(other).records
    with stage.environment.context() as patched:
        stage.environment, kept = patched, stage.environment
        swap_at(stage, "target", other, "plan_answered")
        undone = stage.run("coa_rollback", run_id=moved.row["run_id"], require_approval=False)
        stage.environment = kept
    refused(undone, "coa_target", stage.target, other)
    assert undone.tasks["load.undo"] == "failed"
    stage.connect("target", connection_to(other))

    from_the_start = stage.run("coa_rollback", run_id=moved.row["run_id"], require_approval=False)
    compared = stage.run("coa_verify")

    assert from_the_start.state == "blocked"
    assert f"leads to {other.org_id}" in from_the_start.message
    assert from_the_start.row["target_org"]["id"] == stage.target.org_id
    assert compared.state == "failed"
    assert (stage.records(), Dump(other).records) == (ours, theirs)


class TestSession:
    """The session itself, which everything above rests on."""

    def session(self, org: RunningOrg, **changes: Any) -> Org:
        connection = {
            "login_url": org.url,
            "consumer_key": org.consumer_key,
            "consumer_secret": org.consumer_secret,
            **changes,
        }
        return Org(OrgConnection(name="coa_target", **connection), Settings(retry_first_seconds=0.05))

    def test_the_login_tells_the_org_so_that_no_call_is_spent_on_it(
        self, orgs: tuple[RunningOrg, RunningOrg]
    ) -> None:
        source, target = orgs
        org = self.session(source).bind(source.org_id, "run 1")
        with pytest.raises(WrongOrg, match="run 1 was made for " + source.org_id):
            self.session(target).bind(source.org_id, "run 1").count("Account")

        assert org.token.organization_id
        assert dict(org.calls) == {"login": 1}
        assert asked(target) == 0
        assert self.session(target).bind(target.org_id[:15], "run 1").count("Account") >= 0

    def test_a_session_that_was_given_is_asked_once(self, orgs: tuple[RunningOrg, RunningOrg]) -> None:
        source, target = orgs
        given = {
            "api_version": "67.0",
            "session_id": self.session(target).token.access_token,
            "consumer_key": "",
            "consumer_secret": "",
        }
        right = self.session(target, **given).bind(target.org_id, "run 1")
        right.count("Account")
        right.bind(target.org_id, "run 1").count("Account")
        wrong = self.session(target, **given).bind(source.org_id, "run 1")

        for _ in range(2):
            with pytest.raises(WrongOrg, match=target.org_id):
                wrong.send_json("POST", "/sobjects/Account", {"Name": "Acme"}, kind="write")

        # Two counts and one question of the first session; two questions of the second, which got no further.
        assert dict(right.calls) == {"query": 3}
        assert dict(wrong.calls) == {"query": 2}

    def test_a_renewed_session_is_held_to_the_same_org(
        self, orgs: tuple[RunningOrg, RunningOrg], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        source, target = orgs
        org = self.session(target).bind(target.org_id, "run 1")
        org.count("Account")
        of_another = self.session(source).token
        monkeypatch.setattr("coa.salesforce.session.login", lambda *_: of_another)
        target.control("POST", "faults", {"kind": "invalid_session", "path": "/query", "times": 1})

        with pytest.raises(WrongOrg):
            org.count("Account")


def test_a_run_that_begins_anew_asks_its_connections_anew(stage: Stage, other: RunningOrg) -> None:
    """Clearing `start` before the load makes a new plan: it may be for other orgs."""
    from coa.preflight.orgs import identify

    def start() -> Run:
        return Run.start(
            stage.database,
            Settings(),
            dag_id="coa_migrate",
            airflow_run_id="once",
            triggered_by="anna",
            raw_params={},
        )

    run = start()
    run.update(source_org={"id": stage.source.org_id}, target_org={"id": stage.target.org_id})
    pair = stage.database.value(
        "INSERT INTO coa.org_pair (source_org_id, target_org_id) VALUES (%s, %s) RETURNING pair_id",
        [stage.source.org_id, stage.target.org_id],
    )
    run.update(pair_id=pair, plan_hash="old", state="not_approved")
    run.lease.take()
    assert run.org_id("target") == stage.target.org_id

    again = start()

    assert (again.run_id, again.org_id("target"), again.record.plan_hash) == (run.run_id, "", None)
    assert not again.lease.is_held()
    session = TestSession().session(other)
    assert identify(session)["id"] == other.org_id


def test_orgs_of_runs_are_opened_in_one_place() -> None:
    """Who opens an org otherwise gets one that is not held to the run's: only commands without a run may, and what
    replays a cassette on a simulator of its own."""
    opened = {
        str(path.relative_to(PROJECT / "include"))
        for path in (PROJECT / "include").glob("coa*/**/*.py")
        if re.search(r"\b(CoaSalesforceHook|(?<!Running)Org)\(", path.read_text())
        and "class CoaSalesforceHook" not in path.read_text()
        and "class Org:" not in path.read_text()
    }

    assert opened == {
        "coa_airflow/environment.py",
        "coa_airflow/local/check.py",
        "coa_airflow/local/contract_diff.py",
        # The target's fields: shown to a person by org id before anything is deployed.
        "coa_airflow/local/target.py",
    }


def test_errors_of_the_wrong_org_are_never_retried() -> None:
    from coa_airflow.retries import RETRY_POLICY

    error: CoaError = WrongOrg("x")
    assert RETRY_POLICY.evaluate(error, 1, 6, {}).action.value == "fail"
