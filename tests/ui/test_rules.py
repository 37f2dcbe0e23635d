"""The rules behind the page, on plain data."""

from __future__ import annotations

import sys
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from coa_airflow.ui.cache import CostCache
from coa_airflow.ui.run_data import job_url, org_url
from coa_airflow.ui.stages import approval_state, stage_row

START = datetime(2026, 11, 23, 10, tzinfo=UTC)
NOW = START + timedelta(minutes=10)


def events(*happened: tuple[str, str, int]) -> list[dict[str, Any]]:
    """(stage, `start` or `end`, minute)"""
    names = {"start": "stage_started", "end": "stage_ended"}
    return [{"stage": s, "event": names[e], "at": START + timedelta(minutes=m)} for s, e, m in happened]


def row(
    happened: list[dict[str, Any]], state: str | None = None, **run: Any
) -> dict[str, tuple[str, float | None]]:
    known = {"dag_id": "coa_migrate", "params": {}, "state": state, **run}
    return {
        b["key"]: (b["state"], b["seconds"])
        for b in stage_row(known, happened, "none", NOW, state is not None)
    }


def test_a_stage_that_began_runs_until_now() -> None:
    assert row(events(("preflight", "start", 4)))["preflight"] == ("running", 360)


def test_a_stage_that_was_tried_again_and_ended_is_done() -> None:
    again = events(("preflight", "start", 0), ("preflight", "start", 2), ("preflight", "end", 3))
    assert row(again)["preflight"] == ("done", 180)


def test_a_stage_that_is_tried_again_after_its_end_runs() -> None:
    again = events(("verify", "start", 0), ("verify", "end", 1), ("verify", "start", 2))
    assert row(again)["verify"][0] == "running"


def test_the_load_is_done_with_its_last_part() -> None:
    most = events(
        ("prepare_load", "start", 0),
        ("prepare_load", "end", 1),
        ("load_lanes", "start", 1),
        ("load_lanes", "end", 2),
    )
    assert row(most)["load"][0] == "running"
    assert row([*most, *events(("mend", "start", 3), ("mend", "end", 4))])["load"] == (
        "done",
        240,
    )


def test_a_lane_that_ends_before_the_others_does_not_stop_the_clock() -> None:
    lanes = events(*(("load_lanes", "start", 1) for _ in range(3)), ("load_lanes", "end", 4))
    assert row(lanes)["load"] == ("running", 540)


def test_what_a_stopped_run_left_open_failed_and_the_rest_was_not_reached() -> None:
    stages = row(events(("preflight", "start", 0)), state="failed")
    assert (stages["preflight"][0], stages["transform"][0]) == ("failed", "skipped")


def test_a_dry_run_has_no_writing_stages() -> None:
    assert list(row([], params={"dry_run": True}))[-2:] == ["plan", "report"]


def test_a_dag_of_other_stages_shows_those_that_it_ran() -> None:
    own = events(("undo_links", "start", 0), ("undo_links", "end", 1), ("verify", "start", 1))
    assert list(row(own, dag_id="coa_rollback")) == ["undo_links", "verify", "report"]


@pytest.mark.parametrize(
    ("asked", "answers", "finished", "state"),
    [
        (False, [], False, "none"),
        (True, [], False, "asked"),
        (True, [], True, "none"),
        (True, [{"approved": True, "kind": "approval"}], False, "approved"),
        (True, [{"approved": False, "kind": "approval"}], False, "refused"),
        (False, [{"approved": True, "kind": "waiver"}], False, "waived"),
    ],
)
def test_an_approval_is_what_was_last_answered(
    asked: bool, answers: list[dict[str, Any]], finished: bool, state: str
) -> None:
    assert approval_state(asked, answers, finished) == state


@pytest.mark.parametrize(
    ("address", "link"),
    [
        ("https://acme.my.salesforce.com", "https://acme.my.salesforce.com"),
        ("https://acme.my.salesforce.com/path?x#y", "https://acme.my.salesforce.com"),
        ("http://127.0.0.1:9101", "http://127.0.0.1:9101"),
        ("http://acme.my.salesforce.com", ""),
        ("javascript:alert(1)", ""),
        ("https://acme.my.salesforce.com.evil.example", ""),
        ("https://user@evil.example/.salesforce.com", ""),
        ("https://[broken", ""),
        ("", ""),
    ],
)
def test_only_an_orgs_own_address_becomes_a_link(address: str, link: str) -> None:
    assert org_url(address) == link


def test_only_an_id_becomes_part_of_a_jobs_link() -> None:
    assert job_url("https://a.my.salesforce.com", "750/../x") == ""
    assert job_url("https://a.my.salesforce.com", None) == ""


def test_a_dear_answer_is_kept_longer_than_a_cheap_one() -> None:
    clock = [0.0]
    cache = CostCache(lambda: clock[0])
    made: list[float] = []

    def make() -> float:
        clock[0] += 1.0
        made.append(clock[0])
        return clock[0]

    first = cache.get("run", make)
    clock[0] += 49
    assert cache.get("run", make) == first
    clock[0] += 2
    assert cache.get("run", make) > first
    assert len(made) == 2


def test_the_cache_does_not_grow_without_end() -> None:
    cache = CostCache()
    for n in range(200):
        cache.get(n, lambda: 0)
    assert len(cache._entries) == 64


def test_an_error_of_the_page_does_not_keep_airflow_from_starting(monkeypatch: pytest.MonkeyPatch) -> None:
    from coa_airflow.ui.plugin import CoaPlugin

    monkeypatch.setitem(sys.modules, "coa_airflow.ui.app", None)

    assert CoaPlugin().fastapi_apps == []


def test_airflow_below_a_path_finds_the_page_there(monkeypatch: pytest.MonkeyPatch) -> None:
    from coa_airflow.ui.links import page_url
    from coa_airflow.ui.plugin import CoaPlugin

    monkeypatch.setenv("AIRFLOW__API__BASE_URL", "https://ops.example.com/airflow/")

    tab, entry = CoaPlugin().external_views

    assert tab["href"] == "/airflow/coa/run?dag_id={DAG_ID}&run_id={RUN_ID}"
    assert entry["href"] == "/airflow/coa/runs"
    assert page_url("coa_migrate", "manual__2026-11-23T10:00:00+00:00") == (
        "/airflow/dags/coa_migrate/runs/manual__2026-11-23T10%3A00%3A00%2B00%3A00/plugin/coa-migration"
    )


def test_tasks_get_the_button_once() -> None:
    from airflow.sdk import DAG, task
    from airflow.serialization.serialized_objects import DagSerialization

    from coa_airflow.ui.links import link_to_page

    @task
    def one(number: int = 0) -> None: ...

    with DAG("linked") as dag:
        call = one()
        one.override(task_id="mapped").expand(number=[1, 2])
    link_to_page(call)
    link_to_page(*dag.tasks)

    read = DagSerialization.from_dict(DagSerialization.to_dict(dag))
    assert {t.task_id: t.extra_links for t in read.tasks} == {
        "one": ["Migration page"],
        "mapped": ["Migration page"],
    }


def test_the_button_leads_to_the_tab_of_its_run(monkeypatch: pytest.MonkeyPatch) -> None:
    from types import SimpleNamespace

    from coa_airflow.ui.links import MigrationPageLink

    monkeypatch.setenv("AIRFLOW__API__BASE_URL", "http://localhost:8080")
    key = SimpleNamespace(dag_id="coa_migrate", run_id="manual__1")

    assert MigrationPageLink().get_link(None, ti_key=key) == (
        "/dags/coa_migrate/runs/manual__1/plugin/coa-migration"
    )
