"""Who may see what: Airflow's permission for the DAG's runs, and each run only under its own DAG."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import samples

from coa.staging.database import Database

Get = Callable[..., Any]

DATA = [
    "/coa/api/dags/coa_migrate/run",
    "/coa/api/dags/coa_migrate/problems",
    "/coa/api/dags/coa_migrate/beside",
    "/coa/files/coa_migrate/rejected_rows.csv",
    "/coa/files/coa_migrate/differences.csv",
    "/coa/files/coa_migrate/report.html",
    "/coa/files/coa_migrate/plan.json",
    "/coa/files/coa_migrate/casework.md",
    "/coa/files/coa_migrate/runs/manual__1/id_map.csv",
    "/coa/files/coa_migrate/runs/manual__1/report.html",
]


@pytest.mark.parametrize("path", [*DATA, "/coa/api/runs"])
def test_without_a_login_nothing_is_told(get: Get, database: Database, path: str) -> None:
    samples.running_run(database)

    assert get(path, user=None, run_id="manual__1").status_code == 401


@pytest.mark.parametrize("user", ["guest", "clerk"])
@pytest.mark.parametrize("path", [*DATA, "/coa/api/runs"])
def test_a_user_without_the_right_to_read_the_dag_is_refused(
    get: Get, database: Database, path: str, user: str
) -> None:
    samples.running_run(database)

    assert get(path, user=user, run_id="manual__1").status_code == 403


def test_a_viewer_sees_the_run(get: Get, database: Database) -> None:
    samples.running_run(database)

    answer = get("/coa/api/dags/coa_migrate/run", run_id="manual__1")

    assert answer.status_code == 200
    assert answer.json()["run"]["run_id"] == "20261123T100000Z-aaaaaa"


@pytest.mark.parametrize("path", DATA[1:])
def test_a_right_to_one_dag_opens_no_run_of_another(get: Get, database: Database, path: str) -> None:
    samples.running_run(database)

    answer = get(path.replace("coa_migrate", "other"), user="clerk", run_id="manual__1")

    assert answer.status_code == 404


def test_runs_of_other_dags_are_not_set_beside_for_who_may_not_read_them(
    get: Get, database: Database
) -> None:
    samples.finished_run(database, state="dry_run", params={"dry_run": True})
    samples.add_run(database, "20261123T110000Z-cccccc", "theirs", dag_id="other")

    listed = get("/coa/api/runs", user="clerk").json()["runs"]
    beside = get("/coa/api/dags/other/beside", user="clerk", run_id="theirs").json()["runs"]

    assert [r["dag_id"] for r in listed] == ["other"]
    assert [r["dag_id"] for r in beside] == ["other"]


def test_another_dags_run_has_nothing_to_see(get: Get, database: Database) -> None:
    assert get("/coa/api/dags/other/run", user="clerk", run_id="theirs").json() == {
        "page": "foreign",
        "over": False,
    }


def test_a_run_that_has_not_started_is_waited_for(get: Get, database: Database) -> None:
    assert get("/coa/api/dags/coa_migrate/run", run_id="scheduled__2026-11-23T00:00:00+00:00").json() == {
        "page": "waiting",
        "over": False,
    }


@pytest.mark.parametrize(
    ("dag_id", "run_id"),
    [
        ("~", "manual__1"),
        ("coa_migrate'; DROP TABLE coa.run; --", "manual__1"),
        ("coa_migrate", ""),
        ("coa_migrate", "a\x00b"),
        ("coa_migrate", "x" * 251),
        ("c" * 251, "manual__1"),
    ],
)
def test_identifiers_that_can_be_none_are_refused(
    get: Get, database: Database, dag_id: str, run_id: str
) -> None:
    from urllib.parse import quote

    answer = get(f"/coa/api/dags/{quote(dag_id, safe='')}/run", user="admin", run_id=run_id)

    assert answer.status_code in (403, 422)


def test_a_run_id_is_a_value_and_never_part_of_a_statement(get: Get, database: Database) -> None:
    samples.running_run(database)

    answer = get("/coa/api/dags/coa_migrate/run", run_id="' OR '1'='1")

    assert answer.json()["page"] == "waiting"
    assert database.value("SELECT count(*) FROM coa.run") == 1


@pytest.mark.parametrize("name", ["coa.run", "..%2F..%2Fetc%2Fpasswd", "coa_run"])
def test_only_lists_of_a_run_can_be_downloaded(get: Get, database: Database, name: str) -> None:
    samples.running_run(database)

    assert get(f"/coa/files/coa_migrate/{name}.csv", user="admin", run_id="manual__1").status_code in (
        404,
        422,
    )


@pytest.mark.parametrize("name", ["evidence.json", "..%2Fplan.json", "runs", "server.log"])
def test_no_other_file_of_the_folder_is_given_out(
    get: Get, database: Database, tmp_path: Path, name: str
) -> None:
    for there in (
        tmp_path / "run" / "evidence.json",
        tmp_path / "plan.json",
        tmp_path / "run" / "server.log",
    ):
        there.parent.mkdir(exist_ok=True)
        there.write_text("secret")
    samples.finished_run(database, artifacts=str(tmp_path / "run"))

    for path in (f"/coa/files/coa_migrate/{name}", f"/coa/files/coa_migrate/runs/manual__0/{name}"):
        assert get(path, user="admin", run_id="manual__0").status_code in (404, 422)


@pytest.mark.parametrize("path", ["/coa/docs", "/coa/redoc", "/coa/openapi.json"])
def test_the_app_describes_itself_to_nobody(get: Get, path: str) -> None:
    assert get(path, user="admin").status_code == 404


@pytest.mark.parametrize("path", ["/coa/run", "/coa/runs", "/coa/static/run.js", "/coa/api/runs"])
def test_no_script_but_the_pages_own_can_run(get: Get, database: Database, path: str) -> None:
    headers = get(path).headers

    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self'" in policy
    assert "unsafe" not in policy
    assert headers["x-content-type-options"] == "nosniff"


def test_the_shell_is_open_and_tells_nothing(get: Get) -> None:
    answer = get("/coa/run", user=None, dag_id="coa_migrate", run_id="manual__1")

    assert answer.status_code == 200
    assert "manual__1" not in answer.text


def test_two_endpoints_change_something(airflow_app: Any) -> None:
    from coa_airflow.ui.app import create_app

    changing = {
        (method, getattr(route, "path", ""))
        for route in create_app().routes
        for method in getattr(route, "methods", None) or ()
        if method not in ("GET", "HEAD")
    }

    assert changing == {
        ("POST", "/api/standing/{standing_id}/withdraw"),
        ("POST", "/api/cases/{pair}/{topic}"),
    }


def test_no_connection_value_and_no_record_value_is_in_an_answer(get: Get, database: Database) -> None:
    samples.finished_run(database)

    texts = [get(p, run_id="manual__0").text for p in (*DATA[:3], "/coa/api/runs")]

    password = database.url.split(":")[2].split("@")[0]
    assert not any(password in text or "secret value" in text for text in texts)


def test_when_the_staging_database_is_away_the_page_says_so_without_its_address(
    get: Get, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    from coa_airflow.ui import staging

    monkeypatch.setenv("AIRFLOW_CONN_COA_STAGING", "postgres://someone:hidden@127.0.0.1:1/none")
    staging._staging.close()

    answer = get("/coa/api/dags/coa_migrate/run", run_id="manual__1")

    assert answer.status_code == 503
    assert "127.0.0.1" not in answer.text
    assert "coa_staging" in answer.json()["detail"]


def test_the_connection_may_lie_in_airflows_own_database(
    get: Get, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    from airflow.models.connection import Connection
    from airflow.utils.session import create_session

    from coa_airflow.ui import staging

    samples.running_run(database)
    connection = Connection(conn_id="coa_staging", uri=database.url.replace("postgresql+psycopg", "postgres"))
    monkeypatch.delenv("AIRFLOW_CONN_COA_STAGING")
    staging._staging.close()
    with create_session() as session:
        session.add(connection)
    try:
        answer = get("/coa/api/dags/coa_migrate/run", run_id="manual__1")
    finally:
        with create_session() as session:
            session.delete(session.merge(connection))

    assert answer.json()["page"] == "run"
