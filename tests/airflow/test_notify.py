"""Who is told what: mails by Airflow's own notifier into a real mailbox, cards to a real web hook."""

from __future__ import annotations

import asyncio
import json
import smtplib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from types import SimpleNamespace
from typing import Any

import pytest
from psycopg import sql
from tests.airflow import conftest as _home  # sets Airflow's home before anything imports it  # noqa: F401
from tests.ui.samples import add_run

from coa.approval import record as approval
from coa.config import Settings
from coa.errors import InvalidParams
from coa.load.drafts import overdue_drafts
from coa.model import ORDER, STATUS
from coa.staging import tables
from coa.staging.database import Database
from coa.staging.runs import Run
from coa.staging.tables import Table
from coa.states import RunState
from coa_airflow.gate import APPROVAL_ASKED
from coa_airflow.local.mailbox import Mail, mailbox
from coa_airflow.notify import notify, watch
from coa_airflow.notify.channels import channels_of
from coa_airflow.notify.messages import KINDS, Message, end_kind, ended, gate_opened

pytestmark = pytest.mark.airflow

SECRET = "sig=very-secret"


@pytest.fixture
def mails(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Mail]]:
    """What comes into a mailbox of this machine, to which the deployment sends its notifications."""
    got: list[Mail] = []
    with mailbox("127.0.0.1", 0, got.append) as port:
        extra = {"disable_ssl": True, "disable_tls": True, "from_email": "airflow@coa.example"}
        monkeypatch.setenv(
            "AIRFLOW_CONN_MAIL",
            json.dumps({"conn_type": "smtp", "host": "127.0.0.1", "port": port, "extra": extra}),
        )
        monkeypatch.setenv("COA_NOTIFY", one_channel(by="smtp", conn_id="mail", to=["ops@acme.com"]))
        yield got


def one_channel(**channel: Any) -> str:
    return json.dumps([channel])


@pytest.fixture
def run(database: Database) -> Run:
    add_run(database, "20261128T100000Z-abc123", "manual__1")
    return Run.load(database, Settings(), "20261128T100000Z-abc123", ending=True)


def events(run: Run, name: str) -> list[dict[str, Any]]:
    found = run.db.rows("SELECT data FROM coa.event WHERE run_id = %s AND event = %s", [run.run_id, name])
    return [row["data"] for row in found]


def test_an_open_gate_is_told_once_with_what_it_is_about_and_where_to_answer(
    run: Run, mails: list[Mail]
) -> None:
    for _ in range(2):
        notify(run, "gate", lambda: gate_opened(run, "plan", 24), once="plan hash")

    assert [(mail.to, mail.subject) for mail in mails] == [
        ("ops@acme.com", f"The plan of run {run.run_id} is waiting for an answer")
    ]
    assert "Channel Order App orders from Old PBO to New PBO" in mails[0].text
    assert "within 24 hours" in mails[0].text
    assert "http://localhost:8080/dags/coa_migrate/runs/manual__1/plugin/coa-migration" in mails[0].text


def test_the_gate_tells_people_when_it_asks(
    run: Run, mails: list[Mail], monkeypatch: pytest.MonkeyPatch
) -> None:
    from airflow.providers.standard.operators.hitl import HITLOperator

    from coa_airflow.gate import PlanApprovalOperator, approval_form

    monkeypatch.setattr(HITLOperator, "execute", lambda self, context: "asked")
    gate = PlanApprovalOperator(task_id="approve", params=approval_form())

    asked = gate._ask(
        run, {}, about="plan", subject="?", body="the plan", event=APPROVAL_ASKED, plan_hash="p"
    )

    assert asked == "asked"
    assert len(events(run, APPROVAL_ASKED)) == 1
    assert [mail.subject for mail in mails] == [f"The plan of run {run.run_id} is waiting for an answer"]


def test_the_verdict_tells_people_how_the_run_ended(run: Run, mails: list[Mail]) -> None:
    from coa_airflow.verdict import _publish

    summary = {"state": "failed", "run_id": run.run_id, "mode": "full", "message": "No right.", "objects": {}}
    run.update(summary=summary, message="No right.")
    pushed: dict[str, str] = {}
    context = {
        "ti": SimpleNamespace(xcom_push=lambda key, value: pushed.update({key: value})),
        "task": SimpleNamespace(outlets=[], told=None),
    }

    _publish(run, context, RunState.FAILED)

    assert pushed["note"].startswith(f"failed ({run.run_id}): No right.")
    assert [mail.subject for mail in mails] == [f"Run {run.run_id} ended as failed"]


@pytest.mark.parametrize(("state", "kind"), [(RunState.VERIFIED, "verdict"), (RunState.BLOCKED, "failure")])
def test_an_end_is_a_verdict_or_a_failure(run: Run, mails: list[Mail], state: RunState, kind: str) -> None:
    summary = {"state": state, "run_id": run.run_id, "mode": "full", "message": "No right.", "objects": {}}
    run.update(summary=summary)

    notify(run, end_kind(state), lambda: ended(run, state, "s3://bucket/run"))

    assert end_kind(state) == kind
    assert mails[0].subject.endswith(f"ended as {state}")
    assert "s3://bucket/run/report.html" in mails[0].text
    assert ("No right." in mails[0].text) == (kind == "failure")


def test_a_channel_is_told_only_what_it_asks_for(
    run: Run, mails: list[Mail], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(
        "COA_NOTIFY", one_channel(by="smtp", conn_id="mail", to=["ops@acme.com"], about=["failure"])
    )

    notify(run, "gate", lambda: Message("A gate", ("waits",)))
    notify(run, "failure", lambda: Message("A failure", ("it ended",)))

    assert [mail.subject for mail in mails] == ["A failure"]


def test_the_dags_of_another_prefix_have_a_variable_of_their_own(
    run: Run, mails: list[Mail], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(
        "AIRFLOW_VAR_EMEA_NOTIFY", one_channel(by="smtp", conn_id="mail", to=["emea@acme.com"])
    )
    run.update(dag_id="emea_migrate")

    notify(run, "gate", lambda: Message("A gate", ("waits",)))

    assert [mail.to for mail in mails] == ["emea@acme.com"]


def test_what_an_org_wrote_takes_no_effect_anywhere(run: Run, mails: list[Mail]) -> None:
    evil = '<a href="http://evil">{{ conn.mail.password }}</a> [link](http://evil)'
    message = Message("A gate", (evil,))

    notify(run, "gate", lambda: message)

    assert mails[0].text == evil
    assert "<a " not in message.html()
    assert "<a" not in message.slack()
    [block] = message.teams_card()["attachments"][0]["content"]["body"][1:]
    assert "\\[link\\]\\(http" in block["text"]


@pytest.mark.parametrize(
    "setting",
    [
        "no JSON",
        one_channel(by="smtp", conn_id="nowhere", to=["ops@acme.com"]),
        one_channel(by="teams", conn_id="hook"),
    ],
)
def test_no_run_depends_on_a_message(
    run: Run, monkeypatch: pytest.MonkeyPatch, setting: str, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(
        "AIRFLOW_CONN_HOOK", json.dumps({"conn_type": "http", "host": f"http://127.0.0.1:9?{SECRET}"})
    )
    monkeypatch.setenv("COA_NOTIFY", setting)

    notify(run, "failure", lambda: Message("A failure", ("it ended",)))

    [failed] = events(run, "notification_failed")
    assert failed["kind"] == "failure"
    assert failed["why"]
    assert SECRET not in json.dumps(failed)
    assert events(run, "notified") == []


def test_every_fault_of_the_setting_is_told_at_once() -> None:
    wrong = [
        {"by": "fax", "conn_id": "mail"},
        {"by": "smtp", "conn_id": "", "to": "ops@acme.com", "about": ["gates"], "too": 1},
        {"by": "slack", "conn_id": "slack"},
        "mail",
    ]

    with pytest.raises(InvalidParams) as told:
        channels_of(json.dumps(wrong))

    for fault in (
        "entry 1: by is 'fax'",
        "entry 2: unknown key 'too'",
        "entry 2: conn_id does not name",
        "entry 2: to is not a list",
        "entry 2: about has 'gates'",
        "entry 3: to is empty",
        "entry 4: it is not an object",
    ):
        assert fault in told.value.message
    assert channels_of("  ") == []
    assert channels_of(one_channel(by="teams", conn_id="t"))[0].about == set(KINDS)


def test_teams_gets_a_card_by_the_web_hook_of_the_connection(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    got: list[tuple[str, dict[str, Any]]] = []

    class Hook(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            got.append((self.path, json.loads(body)))
            self.send_response(202)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            return

    with HTTPServer(("127.0.0.1", 0), Hook) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        address = f"http://127.0.0.1:{server.server_address[1]}/workflows/1?{SECRET}"
        monkeypatch.setenv("AIRFLOW_CONN_HOOK", json.dumps({"conn_type": "http", "host": address}))
        monkeypatch.setenv("COA_NOTIFY", one_channel(by="teams", conn_id="hook"))

        notify(run, "gate", lambda: Message("A gate", ("It waits.",), "http://localhost:8080/x"))
        server.shutdown()

    [(path, body)] = got
    card = body["attachments"][0]["content"]
    assert path == f"/workflows/1?{SECRET}"
    assert [block["text"] for block in card["body"]] == ["A gate", "It waits."]
    assert card["actions"][0]["url"] == "http://localhost:8080/x"


@pytest.mark.parametrize(("by", "sent"), [("slack", 2), ("slack_webhook", 1)])
def test_slack_is_told_by_its_own_notifiers(by: str, sent: int) -> None:
    from coa_airflow.notify.channels import _NOTIFIERS

    [channel] = channels_of(one_channel(by=by, conn_id="slack", to=["#a", "#b"]))

    made = _NOTIFIERS[by](channel, Message("A <gate>", ("waits",)))

    assert len(made) == sent
    assert {one.text for one in made} == {"*A &lt;gate&gt;*\nwaits"}


# ---- what nobody is at hand to notice ------------------------------------------------------------------
def airflow_says(run: Run) -> dict[str, Any]:
    return {"dag_run": {"dag_id": run.record.dag_id, "dag_run_id": run.record.airflow_run_id}}


def remind(run: Run, monkeypatch: pytest.MonkeyPatch, hours: float = 24) -> None:
    monkeypatch.setattr("coa_airflow.environment.staging", lambda: run.db)
    asyncio.run(watch.remind(hours, context=airflow_says(run)))


def test_a_question_is_brought_to_mind_until_it_is_answered(
    run: Run, mails: list[Mail], monkeypatch: pytest.MonkeyPatch
) -> None:
    remind(run, monkeypatch)
    assert mails == []
    run.events.add(APPROVAL_ASKED, plan_hash="p")

    remind(run, monkeypatch, 24)
    remind(run, monkeypatch, 24)
    remind(run, monkeypatch, 72)
    approval.record(run, kind="approval", approved=True, answered_by="anna", plan_hash="p")
    remind(run, monkeypatch, 144)

    assert [mail.subject for mail in mails] == [
        f"The plan of run {run.run_id} is still waiting for an answer"
    ] * 2


def test_a_run_that_has_ended_is_not_brought_to_mind(
    run: Run, mails: list[Mail], monkeypatch: pytest.MonkeyPatch
) -> None:
    run.events.add(APPROVAL_ASKED, plan_hash="p")
    run.update(state="not_approved")

    remind(run, monkeypatch)
    asyncio.run(watch.tell_late(5, context=airflow_says(run)))

    assert mails == []


def test_a_run_that_does_not_end_is_told(
    run: Run, mails: list[Mail], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("coa_airflow.environment.staging", lambda: run.db)

    asyncio.run(watch.tell_late(5, context=airflow_says(run)))

    assert [mail.subject for mail in mails] == [f"Run {run.run_id} has not ended after 5 hours"]


def test_orders_that_stand_as_draft_for_too_long_are_told_once(
    run: Run, mails: list[Mail], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COA_DRAFT_MINUTES", "30")
    standing = {"late": ("Activated", 40), "early": ("Activated", 20), "a_draft": ("Draft", 40)}
    with run.db.transaction() as connection:
        tables.create(connection, run, Table.DESIRED, ORDER, fields=[STATUS])
        for source_id, (status, minutes) in standing.items():
            connection.execute(
                sql.SQL("INSERT INTO {} (source_id, {}) VALUES (%s, %s)").format(
                    run.table(Table.DESIRED, ORDER), sql.Identifier(STATUS)
                ),
                [source_id, status],
            )
            connection.execute(
                """INSERT INTO coa.ledger
                     (pair_id, sobject, source_id, target_id, origin, step, inserted_run, draft_since)
                   VALUES (%s, %s, %s, %s, 'inserted', 'created', %s,
                           clock_timestamp() - make_interval(mins => %s))""",
                [run.pair_id, ORDER, source_id, f"t-{source_id}", run.run_id, minutes],
            )

    watch.tell_drafts(run)
    watch.tell_drafts(run)

    assert overdue_drafts(run, 10 * 60) == 2
    assert [mail.subject for mail in mails] == [
        f"1 order is a Draft in the target of run {run.run_id} and should not be"
    ]
    assert "more than 30 minutes" in mails[0].text


def test_the_dags_that_write_have_airflows_deadlines(monkeypatch: pytest.MonkeyPatch) -> None:
    from coa_airflow import migration_dags

    monkeypatch.setenv("COA_REMIND_HOURS", "2, 1")
    monkeypatch.setenv("COA_RUN_HOURS", "6")

    dags = {dag.dag_id: dag for dag in migration_dags()}

    for dag_id in ("coa_migrate", "coa_sync", "coa_rollback"):
        hours = [one.interval.total_seconds() / 3600 for one in dags[dag_id].deadline]
        assert hours == [1, 2, 6], dag_id
    monkeypatch.delenv("COA_REMIND_HOURS")
    monkeypatch.delenv("COA_RUN_HOURS")
    assert not any(dag.deadline for dag in migration_dags())
    assert not dags["coa_preflight"].deadline
    assert not dags["coa_verify"].deadline


@pytest.mark.parametrize("value", ["soon", "0", "-1", "nan", "1;2"])
def test_hours_that_are_no_hours_are_refused_by_the_name_of_their_variable(
    monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    monkeypatch.setenv("COA_REMIND_HOURS", value)

    with pytest.raises(InvalidParams, match="COA_REMIND_HOURS"):
        watch.deadlines()


def test_the_mailbox_takes_what_a_client_may_send() -> None:
    got: list[Mail] = []
    with mailbox("127.0.0.1", 0, got.append) as port, smtplib.SMTP("127.0.0.1", port, timeout=10) as client:
        client.sendmail(
            "a@b.example", ["c@d.example", "e@f.example"], "Subject: dots\r\n\r\n.one\r\n..two\r\n.\r\n"
        )
        client.rset()
        with pytest.raises(smtplib.SMTPNotSupportedError):
            client.login("user", "password")

    assert got == [Mail("c@d.example, e@f.example", "dots", ".one\n..two\n.")]
