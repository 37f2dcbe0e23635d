"""`make setup-target` and `make remove-target-fields` as a person sees them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from coa.staging.embedded import EmbeddedPostgres
from orgsim.launch import RunningOrg, running_org

pytestmark = [pytest.mark.airflow, pytest.mark.lane, pytest.mark.timeout(600)]

Command = Callable[..., tuple[int, str]]


@pytest.fixture(scope="module")
def local_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("local")
    with EmbeddedPostgres(folder / "postgres").in_use():
        yield folder


@pytest.fixture
def target() -> Iterator[RunningOrg]:
    with running_org(role="target", orders=0, migration_fields=False, job_delay=0.0) as org:
        yield org


@pytest.fixture
def command(local_folder: Path, project: Path, target: RunningOrg) -> Command:
    """Runs a command against the target; its status and all that it said."""

    def call(module: str, **environment: str) -> tuple[int, str]:
        clean = {k: v for k, v in os.environ.items() if not k.startswith(("AIRFLOW", "COA_"))}
        ours = {"COA_LOCAL_FOLDER": str(local_folder), "AIRFLOW_CONN_COA_TARGET": connection(target)}
        done = subprocess.run(
            [sys.executable, "-m", f"coa_airflow.local.{module}"],
            cwd=project,
            env={**clean, **ours, **environment},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        return done.returncode, done.stdout + done.stderr

    return call


def connection(org: RunningOrg) -> str:
    extra = {"consumer_key": org.consumer_key, "consumer_secret": org.consumer_secret}
    return json.dumps({"conn_type": "salesforce", "host": org.url, "extra": extra})


def sets(target: RunningOrg) -> int:
    return target.count("SELECT COUNT() FROM PermissionSet WHERE Name = 'COA_Migration'")


def test_it_shows_what_it_will_do_refuses_without_a_yes_and_has_nothing_to_do_the_second_time(
    command: Command, target: RunningOrg
) -> None:
    status, said = command("setup_target")
    assert (status, sets(target)) == (1, 0)
    assert "deploy COA_Source_Id__c, COA_Source_Number__c, COA_Original_Received_At__c of" in said
    assert "Next step: make setup-target YES=1" in said

    status, said = command("setup_target", YES="1")
    assert (status, sets(target)) == (0, 1), said
    assert "10 components made" in said

    status, said = command("setup_target", YES="1")
    assert status == 0
    assert "Nothing to do" in said


def test_a_source_is_never_deployed_to(command: Command, target: RunningOrg) -> None:
    status, said = command("setup_target", YES="1", AIRFLOW_CONN_COA_SOURCE=connection(target))

    assert (status, sets(target)) == (1, 0)
    assert f"{target.org_id}, an org that orders are moved from" in said


def test_a_removal_asks_for_the_orgs_id_and_says_where_the_id_map_is(
    command: Command, target: RunningOrg, tmp_path: Path
) -> None:
    command("setup_target", YES="1")

    status, said = command("remove_target_fields")
    assert (status, sets(target)) == (1, 1)
    assert f"make remove-target-fields CONFIRM={target.org_id}" in said

    status, said = command("remove_target_fields", CONFIRM=target.org_id, COA_ARTIFACTS_PATH=str(tmp_path))
    assert (status, sets(target)) == (0, 0), said
    (file,) = tmp_path.glob("id_map-*.csv")
    assert f"Id map of 0 records, to be kept: {file}" in said
    assert file.stat().st_mode & 0o077 == 0

    assert "Nothing to do" in command("remove_target_fields", CONFIRM=target.org_id)[1]
    assert command("setup_target", YES="1", IMPORT=str(file))[0] == 0
