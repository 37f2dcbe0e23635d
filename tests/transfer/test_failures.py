"""What cannot get better fails at once and says what to do; what may pass is tried again."""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql

from coa.config import Settings
from coa.errors import AllowanceUsedUp, CoaError, ConfigurationError, RetryableError, StagingUnavailable
from coa.extract.bulk import ExtractSpec
from coa.extract.pages import Into, land_page
from coa.failures import classified
from coa.pipeline import _stage
from coa.salesforce.session import Org
from coa.staging.database import Database
from coa.staging.runs import Run
from orgsim.launch import running_org
from tests.engine.harness import FAST, connection_to


@pytest.fixture
def run(database: Database) -> Run:
    return Run.start(
        database, Settings(), dag_id="coa_migrate", airflow_run_id="test", triggered_by="test", raw_params={}
    )


class Pages:
    """A query job whose result is these bytes; counts how often it was asked for."""

    def __init__(self, body: bytes) -> None:
        self.body, self.asked = body, 0
        self.org = type("Named", (), {"name": "coa_source"})()

    @contextmanager
    def page(self, *_: Any) -> Iterator[tuple[dict[str, str], Iterator[bytes]]]:
        self.asked += 1
        yield {}, iter([self.body])


def test_bytes_that_are_not_utf8_name_org_and_object_and_are_asked_for_once(database: Database) -> None:
    database.execute('CREATE TABLE landed ("Id" text, "Name" text)')
    pages: Any = Pages(b'Id,Name\n"1","caf\xe9 noir"\n')
    spec = ExtractSpec("source", "Customer__c", ["Id", "Name"])
    with pytest.raises(
        ConfigurationError, match=r"coa_source: the records of Customer__c .* not UTF-8"
    ) as caught:
        land_page(pages, database, Into(sql.Identifier("landed"), {}), spec, "750", "", None)
    assert pages.asked == 1
    assert "correct its text" in caught.value.next_step


def test_a_rest_answer_that_is_not_utf8_is_never_mended_in_silence() -> None:
    with running_org(role="source", orders=0) as simulated:
        org = Org(connection_to(simulated, "coa_source"), FAST)
        answer = type("Answer", (), {"content": b'{"Name": "caf\xe9 noir"}'})()
        with pytest.raises(ConfigurationError, match="coa_source: GET /q answered bytes that are not UTF-8"):
            org._decoded(answer, "GET /q?q=SELECT")
        cut_off = type("Answer", (), {"content": b'{"Name": "caf\xc3'})()
        with pytest.raises(ValueError, match="cut off"):
            org._decoded(cut_off, "GET /q")


def test_a_used_up_allowance_is_no_reason_to_try_again() -> None:
    with running_org(role="source", orders=0) as simulated:
        org = Org(connection_to(simulated, "coa_source"), FAST)
        org.data_json("/limits", kind="limits")
        org.usage = (100, 100)
        with pytest.raises(AllowanceUsedUp, match="coa_source: 100 of 100 API calls") as caught:
            org.data_json("/limits", kind="limits")
    assert not isinstance(caught.value, RetryableError)
    assert "COA_API_RESERVE" in caught.value.next_step


def fails(database: Database, statement: str) -> psycopg.Error:
    with pytest.raises(psycopg.Error) as caught:
        database.execute(statement)
    return caught.value


def raise_with(code: str) -> str:
    return f"DO $$ BEGIN RAISE EXCEPTION 'no good' USING ERRCODE = '{code}'; END $$"


@pytest.mark.parametrize(
    ("code", "kind", "said"),
    [
        ("53100", ConfigurationError, "its disk is full"),
        ("42501", ConfigurationError, "a permission is missing"),
        ("54000", ConfigurationError, "refuses a statement"),
        ("42703", ConfigurationError, "refuses a statement"),
        ("22003", ConfigurationError, "refuses a statement"),
        ("40P01", StagingUnavailable, "another transaction"),
        ("57P01", StagingUnavailable, "shut down"),
        ("53300", StagingUnavailable, "no connection left"),
        ("55P03", StagingUnavailable, "a lock"),
    ],
)
def test_an_error_of_postgresql_is_classed_by_its_code(
    database: Database, run: Run, code: str, kind: type[CoaError], said: str
) -> None:
    with pytest.raises(kind) as caught:
        with _stage(run, "transform"):
            database.execute(raise_with(code))
    assert said in caught.value.message
    assert f"Stage transform of run {run.run_id}" in caught.value.message
    assert caught.value.next_step
    assert isinstance(caught.value.__cause__, psycopg.Error)


def test_a_connection_that_is_cut_may_come_back(database: Database, run: Run) -> None:
    with pytest.raises(StagingUnavailable):
        with _stage(run, "transform"), database.transaction() as connection:
            connection.execute("SELECT pg_terminate_backend(pg_backend_pid())")


def test_values_of_a_row_stay_out_of_the_message(database: Database) -> None:
    database.execute("CREATE TABLE narrow (n int CHECK (n > 0), secret text)")
    found = classified(fails(database, "INSERT INTO narrow VALUES (-1, 'of one person')"), "Loading")
    assert found is not None
    assert "of one person" not in str(found)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_of_the_worker_is_named(run: Run, tmp_path: Path, number: int) -> None:
    with pytest.raises(ConfigurationError, match=r"the disk is full \(/there/plan.json\)"):
        with _stage(run, "plan"):
            raise OSError(number, "No space left on device", "/there/plan.json")


@pytest.mark.parametrize(
    "made", [lambda: ConnectionResetError(errno.ECONNRESET, "reset"), lambda: TypeError("a slip of ours")]
)
def test_what_is_not_known_to_be_either_is_left_as_it_is(made: Callable[[], Exception]) -> None:
    assert classified(made(), "Loading") is None
