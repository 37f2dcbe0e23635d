"""Whole runs of `coa_migrate` in Airflow, from one org to another over HTTP."""

from __future__ import annotations

import html
import json
import threading
import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from tests.airflow.conftest import LENIENT, Stage, connection_to
from tests.engine.checker import Dump, check

from coa.model import ORDER
from orgsim.launch import running_org

pytestmark = pytest.mark.airflow


def left_out(stage: Stage, run_id: str) -> list[str]:
    """Source ids that the plan of a run lists as blocked or held."""
    schema = "run_" + run_id.lower().replace("-", "_")
    rows = stage.database.rows(f"SELECT source_id FROM {schema}.plan WHERE action IN ('blocked', 'held')")
    return [str(row["source_id"]) for row in rows]


def test_a_migration_ends_with_every_order_in_the_target_as_it_was(stage: Stage) -> None:
    ended = stage.migrate()

    assert (ended.state, ended.airflow_state) == ("verified", "success"), ended.message
    verdict = check(stage.source, stage.target, left_out(stage, ended.row["run_id"]))
    assert verdict.clean, str(verdict)
    assert stage.target.control("GET", "drafts")["count"] == stage.source.count(
        f"SELECT COUNT() FROM {ORDER} WHERE CHANNEL_ORDERS__Service_Order_Status__c = 'Draft'"
    )
    for name in (
        "summary.json",
        "plan.json",
        "report.html",
        "id_map.csv",
        "rejected_rows.csv",
        "differences.csv",
    ):
        assert (ended.folder / name).exists(), name


@pytest.mark.lane
def test_a_second_migration_changes_nothing(stage: Stage) -> None:
    stage.migrate()
    after_first = stage.records()

    second = stage.migrate()

    assert second.state == "verified", second.message
    assert stage.records() == after_first
    assert all(not of["inserted"] and not of["updated"] for of in second.objects.values())


@pytest.mark.lane
def test_a_dry_run_plans_and_writes_nothing(stage: Stage) -> None:
    before = stage.records()

    run = stage.migrate(dry_run=True)

    assert (run.state, run.airflow_state) == ("dry_run", "success"), run.message
    assert stage.records() == before
    assert run.objects["Service_Order__c"]["to_insert"] > 0
    assert run.tasks["approve"] == "skipped"
    assert run.tasks["load.customers"] == "skipped"
    orders = run.objects["Service_Order__c"]
    note = note_of(run.row["airflow_run_id"])
    assert note.startswith(f"dry_run ({run.row['run_id']}); ")
    assert f"{orders['extracted']} orders: {orders['to_insert']} to insert" in note


def note_of(airflow_run_id: str) -> str:
    """What Airflow shows beside the run."""
    from airflow.models.dagrun import DagRun
    from airflow.utils.session import create_session
    from sqlalchemy import select

    with create_session() as session:
        return str(session.scalars(select(DagRun).where(DagRun.run_id == airflow_run_id)).one().note)


@pytest.mark.parametrize(
    ("dag_id", "conf", "says"),
    [
        ("coa_migrate", {"max_bloked": 5}, "unknown param 'max_bloked' (is 'max_blocked' meant?)"),
        pytest.param(
            *("coa_migrate", {"max_blocked": "abc"}, "max_blocked: 'abc' is neither a number of records"),
            marks=pytest.mark.lane,
        ),
        pytest.param(
            *("coa_rollback", {"runid": "x"}, "unknown param 'runid' (is 'run_id' meant?)"),
            marks=pytest.mark.lane,
        ),
    ],
)
def test_params_that_nobody_can_use_end_the_run_at_once_and_say_so_everywhere(
    stage: Stage, dag_id: str, conf: dict[str, Any], says: str
) -> None:
    run = stage.run(dag_id, **conf)

    assert (run.state, run.airflow_state) == ("failed", "failed")
    assert run.message.startswith(f"start: The params of the run are not usable: {says}")
    assert {t for t, how in run.tasks.items() if how == "failed"} == {"start", "verdict"}
    assert run.tasks["preflight"] == "upstream_failed"
    assert tries(run.row["airflow_run_id"], "start") == 1
    assert json.loads((run.folder / "summary.json").read_text())["message"] == run.message
    if dag_id == "coa_migrate":
        assert says.split("(")[0] in html.unescape((run.folder / "report.html").read_text())
    assert says in note_of(run.row["airflow_run_id"])
    assert run.row["artifacts"] == str(run.folder)


@pytest.mark.lane
def test_a_file_that_a_form_names_is_opened_only_where_mappings_lie(stage: Stage) -> None:
    # As in a served Airflow; what the params of a headless run name is its own user's word.
    stage.environment.delenv("COA_HEADLESS")
    run = stage.migrate(mapping="/etc/passwd")

    assert (run.state, run.airflow_state) == ("failed", "failed")
    assert run.message.startswith(
        "start: The mapping file /etc/passwd is not in a folder from which this deployment reads mapping files."
    )
    assert tries(run.row["airflow_run_id"], "start") == 1
    assert "root:" not in (run.folder / "report.html").read_text()


def tries(airflow_run_id: str, task_id: str) -> int:
    from airflow.models.taskinstance import TaskInstance
    from airflow.utils.session import create_session
    from sqlalchemy import select

    with create_session() as session:
        found = select(TaskInstance.try_number).where(
            TaskInstance.run_id == airflow_run_id, TaskInstance.task_id == task_id
        )
        return int(session.scalars(found).one())


@pytest.mark.lane
def test_the_preflight_dag_plans_and_writes_nothing(stage: Stage) -> None:
    before = stage.records()

    run = stage.run("coa_preflight", **{n: v for n, v in LENIENT.items() if n != "require_approval"})

    assert run.state == "dry_run", run.message
    assert run.tasks["check"] == "success"
    assert stage.records() == before
    assert (run.folder / "plan.json").exists()


@pytest.mark.lane
def test_what_was_moved_can_be_verified_later_and_a_change_since_is_found(stage: Stage) -> None:
    stage.migrate()
    untouched = stage.run("coa_verify")
    order = stage.target.records(f"SELECT Id FROM {ORDER} WHERE COA_Source_Id__c != null LIMIT 1")[0]["Id"]
    stage.target.control(
        "PATCH", f"records/{ORDER}/{order}", {"CHANNEL_ORDERS__Invoice_Description__c": "edited"}, raw="1"
    )

    edited = stage.run("coa_verify")

    assert (untouched.state, untouched.airflow_state) == ("verified", "success"), untouched.message
    assert (edited.state, edited.airflow_state) == ("differences", "failed")
    assert "edited" in (edited.folder / "differences.csv").read_text()


# ---- the gate --------------------------------------------------------------------------------
@pytest.mark.lane
def test_without_a_person_to_ask_the_run_says_what_to_set_and_loads_nothing(stage: Stage) -> None:
    before = stage.records()

    run = stage.migrate(require_approval=True)

    assert (run.state, run.airflow_state) == ("not_approved", "failed")
    assert '"require_approval": false' in run.message
    assert stage.records() == before


def test_a_gate_that_was_marked_as_success_has_approved_nothing(stage: Stage) -> None:
    before = stage.records()

    run = stage.migrate(require_approval=True, mark_success="approve")

    assert run.state == "not_approved"
    assert "no recorded answer" in run.message
    assert stage.records() == before


@pytest.mark.lane
def test_not_even_with_the_check_behind_it_marked_as_success_is_anything_written(stage: Stage) -> None:
    before = stage.records()

    run = stage.migrate(require_approval=True, mark_success=r"approve|load\.prepare")

    assert run.state == "not_approved"
    assert stage.records() == before


@pytest.mark.lane
def test_a_waiver_is_kept_with_who_waived_and_which_plan(stage: Stage) -> None:
    run = stage.migrate()

    answers = stage.database.rows("SELECT * FROM coa.approval")

    assert [(a["kind"], a["approved"], a["plan_hash"]) for a in answers] == [
        ("waiver", True, run.row["plan_hash"])
    ]
    assert answers[0]["answered_by"]


@pytest.mark.lane
def test_an_approval_is_kept_with_who_gave_it_and_the_run_goes_on(stage: Stage) -> None:
    stage.environment.delenv("COA_HEADLESS")

    with answering("Approve", {"reason": "looks right", "ticket": "CHG-1"}):
        run = stage.migrate(require_approval=True)

    answer = stage.database.row("SELECT * FROM coa.approval")
    assert run.state == "verified", run.message
    assert answer is not None
    assert (answer["kind"], answer["approved"], answer["answered_by"]) == ("approval", True, "anna")
    assert (answer["plan_hash"], answer["reason"]) == (run.row["plan_hash"], "looks right")
    assert answer["form"]["ticket"] == "CHG-1"


@pytest.mark.lane
@pytest.mark.parametrize(("option", "state"), [("Approve", "verified"), ("Reject", "not_approved")])
def test_the_rest_is_loaded_by_a_second_answer_to_what_the_canary_showed(
    stage: Stage, option: str, state: str
) -> None:
    from coa_airflow.canary_gate import canary_form

    stage.environment.delenv("COA_HEADLESS")

    with answering(option, {"reason": "seen"}, canary_form()):
        run = stage.migrate(require_approval=False, canary=3, canary_gate="ask")

    kept = {r["kind"]: r for r in stage.database.rows("SELECT * FROM coa.approval")}
    assert run.state == state, run.message
    assert set(kept) == {"waiver", "canary"}
    answer = kept["canary"]
    assert (answer["approved"], answer["answered_by"], answer["reason"]) == (
        option == "Approve",
        "anna",
        "seen",
    )
    seen = stage.database.value("SELECT observed_hash FROM coa.canary WHERE run_id = %s", [run.row["run_id"]])
    assert answer["plan_hash"] == run.row["plan_hash"]
    assert answer["observed_hash"] == seen != ""


@pytest.mark.lane
def test_an_answer_that_the_form_would_not_allow_approves_nothing_and_says_why(stage: Stage) -> None:
    stage.environment.delenv("COA_HEADLESS")
    before = stage.records()

    with answering("Approve", {"standing_actions": ""}):
        run = stage.migrate(require_approval=True)

    assert run.state == "not_approved"
    assert "The answer to the plan cannot be used" in run.message
    assert "answer again" in run.message
    assert stage.records() == before


@pytest.mark.lane
def test_a_rejected_plan_ends_the_run_with_its_reason_and_loads_nothing(stage: Stage) -> None:
    stage.environment.delenv("COA_HEADLESS")
    before = stage.records()

    with answering("Reject", {"reason": "wrong sandbox"}):
        run = stage.migrate(require_approval=True)

    assert (run.state, run.airflow_state) == ("not_approved", "failed")
    assert "anna rejected the plan: wrong sandbox" in run.message
    assert stage.records() == before


@pytest.mark.lane
@pytest.mark.parametrize("option", ["Approve", "Reject"])
def test_an_answer_stands_although_airflow_tries_the_gate_again(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, option: str
) -> None:
    """As it does when the answer comes while the process that asked is still winding up."""
    stage.environment.delenv("COA_HEADLESS")
    until = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    _lose_the_first_end(monkeypatch)

    with answering(option, {"reason": "as agreed", "standing_until": until, "standing_records": 5}):
        run = stage.migrate(require_approval=True)

    kept = stage.database.rows("SELECT approved, answered_by, reason FROM coa.approval")
    assert [tuple(a.values()) for a in kept] == [(option == "Approve", "anna", "as agreed")]
    assert run.state == ("verified" if option == "Approve" else "not_approved"), run.message
    standing = stage.database.rows("SELECT granted_by, revoked_at FROM coa.standing_approval")
    assert [tuple(s.values()) for s in standing] == ([("anna", None)] if option == "Approve" else [])


def _lose_the_first_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """The gate's first end is lost: its answer is recorded, and Airflow tries it again."""
    from coa.errors import RetryableError, RunStopped
    from coa_airflow.gate import PlanApprovalOperator

    complete = PlanApprovalOperator.execute_complete

    def lost(self: Any, context: Any, event: dict[str, Any]) -> Any:
        with suppress(RunStopped):
            complete(self, context, event)
        raise RetryableError("The API server no longer knows the task.", next_step="none")

    monkeypatch.setattr(PlanApprovalOperator, "execute_complete", lost)


class answering:  # noqa: N801  # reads as a phrase
    """Somebody who answers the first question that is put, as Airflow's API does.

    Not at once: `dag.test()` may write the state of the task over that of an answer that comes in between.
    `fields`: the form as it is shown, that of the plan unless said otherwise.
    """

    def __init__(self, option: str, form: dict[str, Any], fields: dict[str, Any] | None = None) -> None:
        from coa_airflow.gate import approval_form

        self.option = option
        self.form = {name: field.value for name, field in (fields or approval_form()).items()} | form
        self.over = threading.Event()
        self.thread = threading.Thread(target=self._answer, daemon=True)

    def __enter__(self) -> None:
        self.thread.start()

    def __exit__(self, *_: object) -> None:
        self.over.set()
        self.thread.join(10)

    def _answer(self) -> None:
        while not self.over.is_set():
            # SQLite refuses now and then while the run writes.
            with suppress(Exception):
                if self._answered():
                    return
            time.sleep(0.3)

    def _answered(self) -> bool:
        from airflow._shared.timezones import timezone
        from airflow.models.hitl import HITLDetail
        from airflow.models.taskinstance import TaskInstance
        from airflow.models.trigger import handle_event_submit
        from airflow.triggers.base import TriggerEvent
        from airflow.utils.session import create_session
        from sqlalchemy import select

        with create_session() as session:
            open_question = session.scalar(
                select(HITLDetail)
                .join(TaskInstance, TaskInstance.id == HITLDetail.ti_id)
                .where(
                    HITLDetail.responded_at.is_(None),
                    HITLDetail.created_at < timezone.utcnow() - timedelta(seconds=2),
                    TaskInstance.state == "awaiting_input",
                )
            )
            if open_question is None:
                return False
            instance = session.get(TaskInstance, open_question.ti_id)
            open_question.responded_by = {"id": "anna", "name": "anna"}
            open_question.responded_at = timezone.utcnow()
            open_question.chosen_options = [self.option]
            open_question.params_input = self.form
            handle_event_submit(
                TriggerEvent(open_question.as_resume_event_payload()), task_instance=instance, session=session
            )
        return True


# ---- what fails before the first write --------------------------------------------------------
def wrong_password(stage: Stage) -> str:
    stage.connect("target", connection_to(stage.target, consumer_secret="S3CRET"))
    return "coa_target"


def unreachable_host(stage: Stage) -> str:
    stage.connect(
        "source",
        '{"conn_type": "salesforce", "host": "http://127.0.0.1:9", '
        '"extra": {"consumer_key": "k", "consumer_secret": "s"}}',
    )
    return "coa_source"


def same_org_twice(stage: Stage) -> str:
    stage.connect("source", connection_to(stage.target))
    return "coa_target"


def nothing_to_log_in_with(stage: Stage) -> str:
    stage.connect("target", f'{{"conn_type": "salesforce", "host": "{stage.target.url}"}}')
    return "coa_target"


def no_connection(stage: Stage) -> str:
    stage.environment.delenv("AIRFLOW_CONN_COA_SOURCE")
    return "coa_source"


@pytest.mark.lane
@pytest.mark.parametrize(
    "fault",
    [
        wrong_password,
        *(
            pytest.param(fault, marks=pytest.mark.lane)
            for fault in (unreachable_host, same_org_twice, nothing_to_log_in_with, no_connection)
        ),
    ],
)
def test_a_wrong_connection_fails_by_name_with_a_next_step_and_writes_nothing(
    stage: Stage, fault: Any
) -> None:
    before = stage.records()
    connection = fault(stage)

    run = stage.migrate()

    assert run.state in ("failed", "blocked")
    assert run.airflow_state == "failed"
    assert connection in run.message
    assert "Next step:" in run.message
    assert "S3CRET" not in run.message
    assert stage.records() == before
    assert run.tasks["report"] == "success"


@pytest.mark.lane
def test_the_preflight_dag_begins_with_all_that_is_wrong_with_the_connections(stage: Stage) -> None:
    stage.connect("source", connection_to(stage.source, consumer_secret="another"))
    stage.connect("target", connection_to(stage.source))

    run = stage.run("coa_preflight")

    assert (run.state, run.tasks["check"], run.tasks["preflight"]) == ("failed", "failed", "upstream_failed")
    assert tries(run.row["airflow_run_id"], "check") == 1
    assert "source (coa_source): " in run.message
    assert "no writeable field COA_Source_Id__c" in run.message
    assert "another" not in run.message


@pytest.mark.lane
def test_a_target_without_the_migration_fields_is_refused(stage: Stage) -> None:
    with running_org(role="target", orders=60, seed=7, migration_fields=False) as bare:
        stage.connect("target", connection_to(bare))
        before = Dump(bare).records

        run = stage.migrate()

        assert run.state == "blocked"
        assert "COA_Source_Id__c" in run.message
        assert "Next step:" in run.message
        assert Dump(bare).records == before


def test_params_that_cannot_be_used_are_refused_together(stage: Stage) -> None:
    with pytest.raises(Exception, match="lanes"):
        stage.migrate(lanes=99)
