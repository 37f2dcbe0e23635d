"""`make check` and `make airflow` as a person sees them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

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


def test_connections_that_are_missing_or_not_allowed_are_named(command: Command) -> None:
    status, lines = command("check")
    forbidden = command("check", PARAMS='{"target_conn_id": "billing_db"}')

    assert status == 1
    assert [line for line in lines if "There is no Airflow connection coa_source" in line]
    assert forbidden[0] == 1
    assert "target_conn_id is 'billing_db', which is not one of coa_target" in forbidden[1][0]


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
