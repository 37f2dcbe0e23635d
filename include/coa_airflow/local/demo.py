"""`make demo`: a whole migration between two local orgs, in a real Airflow, to look at.

Environment: ORDERS=1000, SEED=7, APPROVE=manual (answer the gate yourself in the browser), WAIT=0 (end
after the run, exit status = its verdict), AIRFLOW_PORT=8080, SOURCE_PORT=9101, TARGET_PORT=9102,
SOURCES=2 (so many orgs, of ORDERS each, move into one, one after another, and are proved together; the others listen on
SOURCE_2_PORT=9103 and so on),
PROFILE=cassette.json (the target behaves as the org of that contract).
NOTIFY=smtp://127.0.0.1:2525 (show the mails that people would get).
ATTACHMENTS=carry (the orders have files and activities, and they are moved as well).
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from rich.console import Console
from rich.markdown import Markdown
from rich.markup import escape

from coa.child_environment import Child, child_environment
from coa.config import ALL_SOURCES, CHOICES, RunParams
from coa.contract.cassette import read_cassette
from coa.errors import CoaError, ConfigurationError
from coa.private_files import keep_files_private
from coa.staging.database import Database
from coa.staging.embedded import EmbeddedPostgres
from coa.staging.folders import local_folder, logs_folder
from coa.states import GOOD_STATES
from coa_airflow.local.api import AirflowApi
from coa_airflow.local.home import passwords, port_from, require_free
from coa_airflow.local.mailbox import Mail, mailbox
from coa_airflow.local.processes import Group, end_registered, wait_until
from coa_airflow.local.server import local_airflow, show_access, wait_until_up
from coa_airflow.local.view import RunView, show_findings, show_totals
from coa_airflow.local.worker import with_our_packages
from coa_airflow.pair import OTHERS

DAG_ID = "coa_migrate"
VERIFY_DAG_ID = "coa_verify"
MOST_SOURCES = 5
RUN_SECONDS = 1800
"""For so long the demo watches a run that works; the time in which a person thinks does not count."""
ANSWER_SECONDS = 3.0
PARAMS = {
    # The seeded source has Drafts that the demo moves as well, and records that cannot be moved by
    # design: a person sees them in the plan, and approves all the same.
    "draft_orders": "load",
    "unmatched_contract_policy": "block_record",
    "picklist_policy": "block_record",
    "too_long_policy": "block_record",
    "chunk_size": 250,
}


CARRY = {"attachments": "carry", "activities": "carry", "history": "archive"}


class Interrupted(Exception):
    """Ctrl-C, or SIGTERM."""


@dataclass(frozen=True)
class Plan:
    """What the person who calls wants; from the environment."""

    orders: int
    seed: int
    airflow_port: int
    source_port: int
    target_port: int
    manual: bool
    wait: bool
    more_ports: tuple[int, ...] = ()
    """Where the sources beside the first one listen."""
    profile: str = ""
    """Path of a cassette that the target is to behave as; empty: the simulator as it is."""
    mailbox: tuple[str, int] | None = None
    """Host and port where the demo takes the mails of its run."""
    attachments: bool = False
    """Whether files and activities hang on the orders, and are carried."""

    @property
    def params(self) -> dict[str, Any]:
        """Params of the run."""
        return PARAMS | (CARRY if self.attachments else {})

    @property
    def sources(self) -> dict[str, int]:
        """Connection id of each source -> its port."""
        others = {f"coa_source_{n}": port for n, port in enumerate(self.more_ports, 2)}
        return {RunParams().source_conn_id: self.source_port, **others}

    @classmethod
    def from_environment(cls) -> Plan:
        """From ORDERS, SEED, APPROVE and the other variables of `make demo`. Raises `ConfigurationError` for a value
        that cannot be used.
        """
        sources = _number("SOURCES", 1)
        if not 1 <= sources <= MOST_SOURCES:
            raise ConfigurationError(
                f"SOURCES is {sources}.", next_step=f"set it to a number from 1 to {MOST_SOURCES}."
            )
        return cls(
            orders=_number("ORDERS", 1000),
            seed=_number("SEED", 7),
            airflow_port=port_from("AIRFLOW_PORT", 8080),
            source_port=port_from("SOURCE_PORT", 9101),
            target_port=port_from("TARGET_PORT", 9102),
            manual=os.environ.get("APPROVE", "") == "manual",
            wait=os.environ.get("WAIT", "1") not in ("0", "no", "false"),
            more_ports=tuple(port_from(f"SOURCE_{n}_PORT", 9101 + n) for n in range(2, sources + 1)),
            profile=_cassette(os.environ.get("PROFILE", "").strip()),
            mailbox=_mailbox(os.environ.get("NOTIFY", "")),
            attachments=_carries(os.environ.get("ATTACHMENTS", "").strip()),
        )


def main() -> int:
    """`make demo`. Gives the exit status."""
    keep_files_private()
    console = Console(highlight=False, soft_wrap=True)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)
    try:
        with _only_demo():
            return demo(Plan.from_environment(), console)
    except CoaError as error:
        console.print(f"[red]{escape(error.message)}[/red]")
        console.print(f"Next step: {escape(error.next_step)}")
        return 1
    except Interrupted:
        console.print("Stopped; everything that the demo started has ended.")
        return 130


def demo(plan: Plan, console: Console) -> int:
    """Starts the orgs and Airflow, runs a migration and shows it. Gives the exit status. Raises `ConfigurationError`
    when a port is taken.
    """
    require_free(plan.airflow_port, "Airflow", "AIRFLOW_PORT")
    for n, port in enumerate(plan.sources.values(), 1):
        require_free(port, "a source org", "SOURCE_PORT" if n == 1 else f"SOURCE_{n}_PORT")
    require_free(plan.target_port, "the target org", "TARGET_PORT")
    started = time.monotonic()
    several = len(plan.sources) > 1
    console.print(
        f"{len(plan.sources) + 1 if several else 'Two'} local orgs with {plan.orders:,} service orders"
        f"{' in each source' if several else ''}, PostgreSQL and Airflow are starting ..."
    )
    with ExitStack() as stack:
        orgs = [
            *(
                stack.enter_context(_org("source", port, replace(plan, seed=plan.seed + n), number=n + 1))
                for n, port in enumerate(plan.sources.values())
            ),
            stack.enter_context(_org("target", plan.target_port, plan)),
        ]
        server = stack.enter_context(EmbeddedPostgres().in_use())
        airflow = stack.enter_context(
            local_airflow(server, plan.airflow_port, _connections(plan), _register())
        )
        if plan.mailbox:
            stack.enter_context(mailbox(*plan.mailbox, lambda mail: _show_mail(mail, console)))
        for org in orgs:
            _wait_for_org(org)
        api = wait_until_up(airflow, plan.airflow_port)
        if not api.wait_for_dag(DAG_ID, 120):
            raise ConfigurationError(f"Airflow does not list {DAG_ID}.", next_step=f"read {logs_folder()}.")
        console.print(f"All up after {time.monotonic() - started:.0f} s.")
        show_access(console, plan.airflow_port)
        operator = AirflowApi(api.base_url, "operator", passwords()["operator"])
        good = _move_all(Demo(plan, operator, Database(server.url()), console))
        console.print(f"From start to verdict: {time.monotonic() - started:.0f} s.")
        if plan.wait:
            console.print(
                f"Airflow keeps running: http://localhost:{plan.airflow_port}  (Ctrl-C ends the demo)"
            )
            try:
                while airflow.running:
                    time.sleep(0.5)
            except Interrupted:
                console.print("\nStopping everything that the demo started ...")
        return 0 if good else 1


@dataclass(frozen=True)
class Demo:
    """What the runs of a demo share."""

    plan: Plan
    operator: AirflowApi
    db: Database
    console: Console


def _move_all(demo: Demo) -> bool:
    """Each source, one after another, then the proof over all; whether everything ended well."""
    if len(demo.plan.sources) == 1:
        return _follow(demo, DAG_ID, demo.plan.params, Gate(demo))
    for connection in demo.plan.sources:
        if not _follow(demo, DAG_ID, {**demo.plan.params, "source_conn_id": connection}, Gate(demo)):
            return False
    good = _follow(demo, VERIFY_DAG_ID, {"run_id": ALL_SOURCES})
    for row in demo.db.rows(
        "SELECT source_org, artifacts FROM coa.run WHERE mode = 'full' AND loaded_at IS NOT NULL ORDER BY run_id"
    ):
        demo.console.print(f"Moved from {row['source_org']['id']}: {row['artifacts']}/report.html")
    return good


def _follow(demo: Demo, dag_id: str, params: dict[str, Any], gate: Gate | None = None) -> bool:
    """Triggers a DAG, shows its run, answers its gate; whether the run ended well."""
    operator, db, console = demo.operator, demo.db, demo.console
    airflow_run = operator.trigger(dag_id, params)
    ui = f"{operator.base_url}/dags/{dag_id}/runs/{airflow_run}"
    console.print(f"\n[bold]{dag_id}[/bold]  {ui}")
    patience = Patience(RUN_SECONDS)
    next_look = 0.0
    with RunView(db, console) as view:
        while patience.lasts(time.monotonic(), paused=bool(gate and gate.waits_for_a_person)):
            time.sleep(0.3)
            if not view.run_id:
                view.run_id = str(
                    db.value("SELECT run_id FROM coa.run WHERE airflow_run_id = %s", [airflow_run]) or ""
                )
            view.update()
            if time.monotonic() < next_look:
                continue
            next_look = time.monotonic() + 1
            if gate:
                gate.attend(airflow_run, view)
            if operator.state(dag_id, airflow_run) in ("success", "failed"):
                view.update()
                break
    return _conclude(demo, dag_id, airflow_run)


@dataclass
class Patience:
    """How long something is waited for, pauses not counted."""

    seconds: float
    last: float | None = None

    def lasts(self, now: float, *, paused: bool) -> bool:
        """Whether some of it is left at `now`; `paused`: the time since the last call does not count."""
        if self.last is not None and not paused:
            self.seconds -= now - self.last
        self.last = now
        return self.seconds > 0


@dataclass
class Gate:
    """Shows the plan when the run asks, and answers as the demo's operator unless a person wants to."""

    demo: Demo
    shown: bool = False
    answer_at: float = 0.0
    waits_for_a_person: bool = False

    def attend(self, airflow_run: str, view: RunView) -> None:
        """Shows the plan of a waiting run once, and answers it unless a person is to do so."""
        form = self.demo.operator.open_question(DAG_ID, airflow_run, "approve")
        self.waits_for_a_person = form is not None and self.demo.plan.manual
        if form is None:
            return
        if not self.shown:
            self.shown = True
            view.pause()
            self._show_plan(view.run_id)
            if self.demo.plan.manual:
                page = f"/dags/{DAG_ID}/runs/{airflow_run}/tasks/approve/required_actions"
                self.demo.console.print(
                    f"\nAnswer it in the browser (user operator or admin): {self.demo.operator.base_url}{page}\n"
                )
        if self.demo.plan.manual:
            return
        if not self.answer_at:
            # An answer within a second of the question finds Airflow's scheduler not ready for it: it
            # counts the try as lost and asks again.
            self.answer_at = time.monotonic() + ANSWER_SECONDS
        elif time.monotonic() > self.answer_at:
            self.answer_at = 0.0
            form = {**form, "reason": "Demo: the plan is as expected."}
            self.demo.operator.answer(DAG_ID, airflow_run, "approve", "Approve", form)
            self.demo.console.print("\nApproved by the demo's user [bold]operator[/bold].\n")

    def _show_plan(self, run_id: str) -> None:
        text = self.demo.db.value(
            "SELECT data ->> 'markdown' FROM coa.event WHERE run_id = %s AND event = 'plan_summary' "
            "ORDER BY event_id DESC LIMIT 1",
            [run_id],
        )
        self.demo.console.print("\nThe plan waits for approval:\n")
        self.demo.console.print(Markdown(str(text or "")), soft_wrap=False)


def _conclude(demo: Demo, dag_id: str, airflow_run: str) -> bool:
    db, console = demo.db, demo.console
    row: dict[str, Any] | None = db.row("SELECT * FROM coa.run WHERE airflow_run_id = %s", [airflow_run])
    console.print()
    if row is None or row["state"] is None:
        failed = ", ".join(demo.operator.failed_tasks(dag_id, airflow_run)) or "none"
        console.print(f"[red]The run did not come to an end state.[/red] Failed tasks: {failed}.")
        return False
    show_findings(db, row["run_id"], console, ("blocker",))
    show_totals({**(row["summary"] or {}), "state": row["state"]}, console)
    good = row["state"] in GOOD_STATES
    proof = (row["summary"] or {}).get("all_sources")
    if proof:
        console.print(
            f"{len(proof['sources'])} sources, one target: "
            + ("their sums are equal." if proof["equal"] else "[red]their sums differ.[/red]")
        )
    console.print(f"State: [{'green' if good else 'red'}]{row['state']}[/]  {escape(row['message'] or '')}")
    console.print(f"Report: {row['artifacts']}/report.html")
    return good


# ---- what the demo starts ---------------------------------------------------------------------
@contextmanager
def _org(role: str, port: int, plan: Plan, number: int = 1) -> Iterator[Group]:
    name = role if number == 1 else f"{role}-{number}"
    org = Group(
        f"{name} org",
        [
            *(sys.executable, "-m", "orgsim", "--port", str(port), "--role", role),
            *("--orders", str(plan.orders), "--seed", str(plan.seed)),
            *(("--attachments",) if plan.attachments else ()),
            *(("--profile", plan.profile) if plan.profile and role == "target" else ()),
        ],
        with_our_packages(child_environment(Child.SIMULATOR)),
        logs_folder() / f"org-{name}.log",
        _register(),
    )
    try:
        yield org
    finally:
        org.stop(5)


def _wait_for_org(org: Group) -> None:
    wait_until(lambda: "ready on" in org.log_tail() or not org.running, 180)
    if not org.running:
        raise ConfigurationError(
            f"The {org.name} did not start: {org.log_tail()}", next_step=f"read {org.log}."
        )


def _connections(plan: Plan) -> dict[str, str]:
    def uri(port: int) -> str:
        return f"salesforce://http%3A%2F%2F127.0.0.1%3A{port}/?consumer_key=coa&consumer_secret=secret"

    mail = {}
    if plan.mailbox:
        host, port = plan.mailbox
        extra = {"disable_ssl": True, "disable_tls": True, "from_email": "airflow@coa.example"}
        mail["AIRFLOW_CONN_COA_MAIL"] = json.dumps(
            {"conn_type": "smtp", "host": host, "port": port, "extra": extra}
        )
        mail["COA_NOTIFY"] = json.dumps([{"by": "smtp", "conn_id": "coa_mail", "to": ["team@coa.example"]}])
    return {
        **mail,
        **{f"AIRFLOW_CONN_{name.upper()}": uri(port) for name, port in plan.sources.items()},
        OTHERS: ",".join(name for name in plan.sources if name != RunParams().source_conn_id),
        "AIRFLOW_CONN_COA_TARGET": uri(plan.target_port),
        # The demo looks into the staging database: it must be its own.
        "AIRFLOW_CONN_COA_STAGING": EmbeddedPostgres().url(),
    }


@contextmanager
def _only_demo() -> Iterator[None]:
    """The demo's own folder, fresh: its orgs are new at each start, so nothing may be remembered of them."""
    folder = local_folder() / "demo"
    folder.parent.mkdir(parents=True, exist_ok=True)
    with (folder.parent / "demo.lock").open("a") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ConfigurationError(
                "A demo of this project is already running.",
                next_step="stop it (Ctrl-C) before starting another.",
            ) from error
        # A demo that was killed has left all that it had started.
        end_registered(folder / "groups")
        EmbeddedPostgres(folder / "postgres").stop()
        if folder.exists():
            shutil.rmtree(folder)
        folder.mkdir()
        os.environ["COA_LOCAL_FOLDER"] = str(folder)
        yield


def _register() -> Path:
    return local_folder() / "groups"


def _carries(value: str) -> bool:
    """Raises `ConfigurationError` for a word that is none of the param's."""
    if value not in ("", *CHOICES["attachments"]):
        raise ConfigurationError(
            f"ATTACHMENTS is {value!r}.", next_step=f"set it to {' or '.join(CHOICES['attachments'])}."
        )
    return value == "carry"


def _cassette(path: str) -> str:
    """The path, absolute, once the file proved to be a cassette. Raises `ConfigurationError`."""
    if not path:
        return ""
    read_cassette(Path(path))
    return str(Path(path).absolute())


def _number(variable: str, default: int) -> int:
    text = os.environ.get(variable) or str(default)
    if not text.isdigit():
        raise ConfigurationError(f"{variable} is {text!r}.", next_step="set it to a whole number.")
    return int(text)


def _mailbox(address: str) -> tuple[str, int] | None:
    """Host and port of NOTIFY=smtp://host:port, None where it is empty."""
    if not address:
        return None
    try:
        parts = urlsplit(address)
        host, port = parts.hostname, parts.port
    except ValueError:
        host = port = None
    if host is None or port is None or parts.scheme != "smtp":
        raise ConfigurationError(
            f"NOTIFY is {address!r}.",
            next_step="set it to an address of this machine: smtp://127.0.0.1:2525.",
        )
    return host, port


def _show_mail(mail: Mail, console: Console) -> None:
    console.print(f"\n[bold]Mail to {escape(mail.to)}: {escape(mail.subject)}[/bold]")
    console.print("\n".join(f"  {escape(line)}" for line in mail.text.splitlines()) + "\n")


def _interrupt(number: int, _frame: object) -> None:
    raise Interrupted


if __name__ == "__main__":
    sys.exit(main())
