"""`make check` and `make airflow` as a person sees them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import requests

from coa.staging.embedded import EmbeddedPostgres
from orgsim.launch import RunningOrg, running_pair

pytestmark = [pytest.mark.airflow, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def local_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("local")
    with EmbeddedPostgres(folder / "postgres").in_use():
        yield folder


@pytest.fixture(scope="module")
def orgs() -> Iterator[tuple[RunningOrg, RunningOrg]]:
    with running_pair(orders=5, seed=7) as pair:
        for org in pair:
            org.count("SELECT COUNT() FROM Account")  # the first query of an org takes its time
        yield pair


Command = Callable[..., tuple[int, list[str]]]


@pytest.fixture
def command(local_folder: Path, project: Path) -> Command:
    def call(module: str, *words: str, **environment: str) -> tuple[int, list[str]]:
        clean = {k: v for k, v in os.environ.items() if not k.startswith(("AIRFLOW", "COA_"))}
        done = subprocess.run(
            [sys.executable, "-m", f"coa_airflow.local.{module}", *words],
            cwd=project,
            env={**clean, "COA_LOCAL_FOLDER": str(local_folder), **environment},
            capture_output=True,
            text=True,
            check=False,
        )
        return done.returncode, done.stdout.splitlines()

    return call


def connection(org: RunningOrg) -> str:
    extra = {"consumer_key": org.consumer_key, "consumer_secret": org.consumer_secret}
    return json.dumps({"conn_type": "salesforce", "host": org.url, "extra": extra})


def test_all_in_order_is_told_in_a_line_an_item(
    command: Command, orgs: tuple[RunningOrg, RunningOrg]
) -> None:
    source, target = map(connection, orgs)

    status, lines = command("check", AIRFLOW_CONN_COA_SOURCE=source, AIRFLOW_CONN_COA_TARGET=target)

    assert status == 0, lines
    assert [line.split(":")[0] for line in lines] == [
        "ok     staging (embedded)",
        "ok     artifacts",
        "ok     source (coa_source)",
        "ok     target (coa_target)",
        "ok     rights",
    ]


def test_what_is_wrong_is_told_with_the_next_step_and_status_1(
    command: Command, orgs: tuple[RunningOrg, RunningOrg]
) -> None:
    source = connection(orgs[0])

    # The source has no migration fields, and it is no other org than itself.
    status, lines = command(
        "check",
        AIRFLOW_CONN_COA_SOURCE=source,
        AIRFLOW_CONN_COA_TARGET=source,
        AIRFLOW_CONN_COA_STAGING="postgresql://nobody:secret-word@127.0.0.1:9/none",
        COA_ARTIFACTS_PATH="/dev/null/artifacts",
    )

    wrong = "\n".join(line for line in lines if line.startswith("WRONG"))
    assert status == 1
    assert "staging (coa_staging): it cannot be reached" in wrong
    assert "artifacts: /dev/null/artifacts cannot be written" in wrong
    assert "lead to the same org" in wrong
    assert "no writeable field COA_Source_Id__c" in wrong
    assert all("Next step: " in line for line in wrong.splitlines())
    assert "secret-word" not in "\n".join(lines)


@pytest.mark.lane
def test_a_setting_of_notifications_that_cannot_be_used_is_told(command: Command) -> None:
    status, lines = command("check", COA_NOTIFY='[{"by": "fax", "conn_id": "coa_mail"}]')

    assert status == 1
    assert [line for line in lines if line.startswith("WRONG  notifications: coa_notify is not usable")]


@pytest.mark.lane
def test_who_is_notified_is_told(command: Command) -> None:
    _, lines = command("check", COA_NOTIFY='[{"by": "smtp", "conn_id": "coa_mail", "to": ["a@b.example"]}]')

    assert "ok     notifications: smtp coa_mail." in lines


def test_connections_that_are_missing_are_named(command: Command) -> None:
    status, lines = command("check")

    assert status == 1
    assert [line for line in lines if "There is no Airflow connection coa_source" in line]


@pytest.mark.lane
def test_a_connection_that_the_deployment_does_not_allow_is_named(command: Command) -> None:
    status, lines = command("check", PARAMS='{"target_conn_id": "billing_db"}')

    assert status == 1
    assert "target_conn_id is 'billing_db', which is not one of coa_target" in lines[0]


@pytest.mark.lane
def test_a_connection_that_was_made_in_the_local_airflow_is_found(
    command: Command, orgs: tuple[RunningOrg, RunningOrg]
) -> None:
    for role, org in zip(("source", "target"), orgs, strict=True):
        added = command("command", "connections", "add", f"coa_{role}", "--conn-json", connection(org))
        assert added[0] == 0, added

    status, lines = command("check")

    assert status == 0, lines


@pytest.mark.lane
def test_the_status_of_airflows_command_is_passed_on(command: Command) -> None:
    status, lines = command("command", "dags", "list", "-o", "json")

    assert status == 0
    assert command("command", "no-such-command")[0] == 2
    assert command("command")[0] == 2
    assert lines


# ---- connections of the Salesforce CLI -----------------------------------------------------------------
SF = """#!{python}
import json, sys
words = sys.argv[1:]
assert words[-3:] == ["--target-org", "old-pbo", "--json"], words
known = {{"org display": {display}, "org auth show-access-token": {token}}}
answer = known[" ".join(words[:-3])]
print(json.dumps({{"status": 0, "result": answer, "warnings": []}} if "message" not in answer else answer))
"""


@pytest.fixture
def salesforce_cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """Puts an `sf` of these answers on the PATH of a command; returns that PATH."""

    def put(display: dict[str, object], token: dict[str, object]) -> str:
        program = tmp_path / "sf"
        program.write_text(SF.format(python=sys.executable, display=display, token=token))
        program.chmod(0o755)
        return os.pathsep.join([str(tmp_path), os.environ["PATH"]])

    return put


def session(org: RunningOrg) -> str:
    answer = requests.post(
        f"{org.url}/services/oauth2/token",
        data={
            "grant_type": "client_credentials",
            "client_id": org.consumer_key,
            "client_secret": org.consumer_secret,
        },
        timeout=30,
    )
    return str(answer.json()["access_token"])


@pytest.mark.lane
@pytest.mark.parametrize("redacted", [True, pytest.param(False, marks=pytest.mark.lane)])
def test_an_alias_of_the_salesforce_cli_becomes_a_connection_that_works(
    command: Command, orgs: tuple[RunningOrg, RunningOrg], salesforce_cli: Callable[..., str], redacted: bool
) -> None:
    source, token = orgs[0], session(orgs[0])
    shown = "[REDACTED] Use 'sf org auth show-access-token' to view" if redacted else token
    path = salesforce_cli(
        {"instanceUrl": source.url, "username": "ada@acme.com", "accessToken": shown, "apiVersion": "64.0"},
        {"accessToken": token} if redacted else {"message": "not asked", "status": 1},
    )

    status, lines = command("connect", PATH=path, ALIAS="old-pbo", ROLE="source")
    checked, items = command("check", AIRFLOW_CONN_COA_TARGET=connection(orgs[1]))

    assert status == 0, lines
    assert lines[0] == f"coa_source: ada@acme.com at {source.url}. The session is not renewed when it ends."
    assert token not in "\n".join(lines)
    assert checked == 0, items


@pytest.mark.parametrize(
    ("display", "asked", "says"),
    [
        ({"message": "No authorization information found for old-pbo.", "status": 1}, {}, "No authorization"),
        ({"instanceUrl": "http://127.0.0.1:9", "accessToken": "x"}, {}, "does not show username"),
        ({"instanceUrl": "http://acme.example", "accessToken": "x", "username": "ada"}, {}, "coa_source"),
        ({}, {"ROLE": "src"}, "ROLE is 'src'"),
    ],
)
def test_what_the_salesforce_cli_cannot_give_is_told_with_the_next_step(
    project: Path,
    tmp_path: Path,
    salesforce_cli: Callable[..., str],
    display: dict[str, object],
    asked: dict[str, str],
    says: str,
) -> None:
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("AIRFLOW", "COA_"))}

    done = subprocess.run(
        [sys.executable, "-m", "coa_airflow.local.connect"],
        cwd=project,
        env={**clean, "PATH": salesforce_cli(display, {}), "COA_LOCAL_FOLDER": str(tmp_path / "local"),
             "ALIAS": "old-pbo", "ROLE": "source", **asked},
        capture_output=True,
        text=True,
        check=False,
    )  # fmt: skip

    assert done.returncode == 1
    assert says in done.stderr
    assert "Next step: " in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "local").exists()


def test_without_the_salesforce_cli_the_way_by_hand_is_named(project: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "coa_airflow.local.connect"],
        cwd=project,
        env={**os.environ, "PATH": str(tmp_path), "ALIAS": "old-pbo", "ROLE": "source"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 1
    assert "docs/connect-your-orgs.md" in done.stderr
