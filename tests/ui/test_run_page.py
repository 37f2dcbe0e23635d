"""What the page of a run is told: the numbers of the database, cheaply."""

from __future__ import annotations

import csv
import io
import re
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import pytest
import samples

from coa.config import Settings
from coa.model import CUSTOMER, DETAIL, ORDER
from coa.report.summary import UNDO_COUNTS
from coa.report.write import write_artifacts, write_json
from coa.staging.database import Database
from coa.staging.runs import Run
from coa.staging.tables import schema_of
from coa_airflow.headless_token import alive

Get = Callable[..., Any]
RUN = "/coa/api/dags/coa_migrate/run"


def by_name(rows: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {row["name"]: row for row in rows}


def test_a_run_in_the_middle_of_its_load(get: Get, database: Database) -> None:
    samples.running_run(database)

    page = get(RUN, run_id="manual__1").json()

    details = by_name(page["objects"])["Service Order Detail"]
    assert page["run"]["state"] is None
    assert {s["key"]: s["state"] for s in page["stages"]} == {
        **dict.fromkeys(
            ("preflight", "extract_source", "extract_target", "transform", "reconcile", "plan"), "done"
        ),
        **{"approve": "done", "load": "running", "verify": "waiting", "report": "waiting"},
    }
    assert (details["extracted"], details["insert"], details["blocked"]) == (400_150, 400_000, 150)
    assert (details["written"], details["rejected"], details["verified"]) == (62_000, 12, None)
    # Customers, orders and details together: what is left of the load, whatever step it is in.
    assert (page["overall"]["phase"], page["overall"]["settled"], page["overall"]["planned"]) == (
        "write",
        800 + 15_500 + 62_012,
        500_800,
    )


def test_a_step_tells_what_was_planned_sent_accepted_and_rejected(get: Get, database: Database) -> None:
    samples.running_run(database)

    steps = get(RUN, run_id="manual__1").json()["steps"]

    row = next(s for s in steps if s["step"] == "details")
    assert (row["planned"], row["sent"], row["accepted"], row["rejected"]) == (400_000, 71_512, 62_000, 12)
    assert [s["name"] for s in steps if s["step"] == "extract_source"] == [
        *("Customer", "Service Order", "Service Order Detail", "Reference objects")
    ]


def test_jobs_in_flight_lead_to_their_page_in_salesforce(get: Get, database: Database) -> None:
    samples.running_run(database)

    jobs = get(RUN, run_id="manual__1").json()["jobs"]

    assert jobs["total"] == 2
    assert [(j["id"], j["rows"], j["url"]) for j in jobs["open"]] == [
        (
            "7500000000000BBAAA",
            9500,
            "https://new.my.salesforce.com/lightning/setup/AsyncApiJobStatus/page?address=%2F7500000000000BBAAA",
        )
    ]


def test_an_org_that_gives_itself_a_hostile_address_gets_no_link(get: Get, database: Database) -> None:
    samples.add_run(
        database,
        "20261123T110000Z-dddddd",
        "manual__2",
        target_org={"id": "x", "name": "x", "instance_url": "javascript:alert(1)//a.my.salesforce.com"},
    )
    samples.add_job(database, "20261123T110000Z-dddddd", "open", 1, "7500000000000BBAAA")

    page = get(RUN, run_id="manual__2").json()

    assert page["run"]["target"]["url"] == ""
    assert page["jobs"]["open"][0]["url"] == ""


def test_api_calls_stand_beside_the_days_allowance(get: Get, database: Database) -> None:
    samples.running_run(database)

    assert get(RUN, run_id="manual__1").json()["api"] == [
        {"org": "target", "used": 812, "allowed": 100_000, "remaining": 90_000}
    ]


def test_a_plan_waits_for_its_answer(get: Get, database: Database) -> None:
    run = samples.add_run(database, "20261123T110000Z-dddddd", "manual__2", plan_hash="ef" * 32, stage="plan")
    samples.add_stages(database, run, *samples.ALL_STAGES[:6])
    samples.add_event(database, run, "approval_asked", plan_hash="ef" * 32)

    page = get(RUN, run_id="manual__2").json()

    assert page["approval"]["state"] == "asked"
    assert next(s for s in page["stages"] if s["key"] == "approve")["state"] == "asking"


def test_a_finished_run_shows_its_summary(get: Get, database: Database) -> None:
    samples.finished_run(database)

    page = get(RUN, run_id="manual__0").json()

    orders = by_name(page["objects"])["Service Order"]
    assert page["run"]["state"] == "differences"
    assert page["run"]["seconds"] == pytest.approx(75)
    assert (orders["extracted"], orders["written"], orders["verified"], orders["different"]) == (
        70,
        60,
        59,
        1,
    )
    assert page["proof"]["received_dates"] == {"expected": 60, "equal": 60, "different": 0}


def test_the_summary_of_an_earlier_end_is_not_shown(get: Get, database: Database) -> None:
    run = samples.finished_run(database, state="failed")
    again = {"insert": 60, "written": 60}

    # Cleared, it works again; then its state stands in the row while its summary is still counted.
    database.execute("UPDATE coa.run SET state = NULL, finished_at = NULL")
    samples.add_stages(database, run, "load_links", "verify")
    under_way = get(RUN, run_id="manual__0").json()
    database.execute("UPDATE coa.run SET state = 'failed', finished_at = now()")
    counting = get(RUN, run_id="manual__0").json()

    for page in (under_way, counting):
        orders = by_name(page["objects"])["Service Order"]
        assert {name: orders[name] for name in again} == again
        assert (orders["verified"], page["proof"], page["settled"]) == (None, None, False)


def test_what_was_not_moved_is_grouped_with_a_way_out(get: Get, database: Database) -> None:
    samples.running_run(database)

    groups = get("/coa/api/dags/coa_migrate/problems", run_id="manual__1").json()["not_moved"]

    assert [(g["kind"], g["code"], g["records"]) for g in groups] == [
        ("refused", "UNABLE_TO_LOCK_ROW", 9),
        ("refused", "STRING_TOO_LONG", 3),
        ("blocked", "product_unmatched", 150),
        ("held", "held_draft", 200),
    ]
    assert all(g["next_step"] for g in groups)
    assert groups[0]["examples"] == ["a0B000000000100AAA", "a0B000000000101AAA", "a0B000000000102AAA"]


def test_what_changed_since_the_plan_counts_as_held(get: Get, database: Database) -> None:
    # Groups are kept for some seconds: a run of its own finds none.
    run = samples.running_run(database, "20261123T120000Z-eeeeee")
    database.execute(
        f"""CREATE TABLE {schema_of(run)}.changed_since_plan AS
            SELECT '{ORDER}' AS sobject, 'a0A00000000000' || n || 'AAA' AS source_id, 'changed' AS reason
            FROM generate_series(1, 4) n"""
    )

    groups = get("/coa/api/dags/coa_migrate/problems", run_id="manual__1").json()["not_moved"]

    assert [(g["kind"], g["records"]) for g in groups if g["code"] == "changed_since_plan"] == [("held", 4)]


def test_differences_are_counted_by_field_with_the_unexplained_first(get: Get, database: Database) -> None:
    samples.finished_run(database)

    found = get("/coa/api/dags/coa_migrate/problems", run_id="manual__0").json()["differences"]

    assert [(d["kind"], d["field"], d["records"]) for d in found] == [
        ("price", "CHANNEL_ORDERS__Price__c", 1),
        ("explained", "Name", 1),
    ]


def test_the_list_of_rejected_rows_can_be_downloaded(get: Get, database: Database) -> None:
    samples.running_run(database)

    answer = get("/coa/files/coa_migrate/rejected_rows.csv", run_id="manual__1")

    rows = list(csv.DictReader(io.StringIO(answer.text.removeprefix("\ufeff"), newline="")))
    assert "attachment" in answer.headers["content-disposition"]
    assert len(rows) == 12
    assert {r["error_code"] for r in rows} == {"UNABLE_TO_LOCK_ROW", "STRING_TOO_LONG"}


def test_a_run_with_unusable_params_has_empty_lists(get: Get, database: Database) -> None:
    samples.add_run(database, "20261123T130000Z-ffffff", "wrong", params={"mode": "sideways"})

    answer = get("/coa/files/coa_migrate/rejected_rows.csv", run_id="wrong")

    assert answer.text.splitlines()[1:] == []


def test_a_downloaded_cell_is_no_formula(get: Get, database: Database) -> None:
    samples.finished_run(database)

    answer = get("/coa/files/coa_migrate/differences.csv", run_id="manual__0")

    assert ",'=1+1," in answer.text


def test_the_report_is_shown_without_scripts_and_without_an_origin(
    get: Get, database: Database, tmp_path: Any
) -> None:
    (tmp_path / "report.html").write_text("<h1>Report</h1><script>1</script>")
    samples.finished_run(database, artifacts=str(tmp_path))

    shown = get("/coa/files/coa_migrate/report.html", run_id="manual__0")
    saved = get("/coa/files/coa_migrate/report.html", run_id="manual__0", download="1")

    assert shown.text.startswith("<h1>")
    assert shown.headers["content-security-policy"].startswith("sandbox allow-downloads; default-src 'none'")
    assert saved.headers["content-disposition"].startswith("attachment")


def test_the_links_of_the_shown_report_lead_to_its_files(get: Get, database: Database, tmp_path: Any) -> None:
    airflow_run = "manual__2026-11-23T09:00:00+00:00"
    samples.finished_run(database, airflow_run_id=airflow_run, artifacts=str(tmp_path))
    run = Run.load(database, Settings(), str(database.value("SELECT run_id FROM coa.run")))
    write_json(tmp_path, "plan.json", {"objects": {}})
    (tmp_path / "corrections.csv").write_text("")
    write_artifacts(run, tmp_path, "differences")

    shown = get("/coa/files/coa_migrate/report.html", run_id=airflow_run)
    links = [
        link
        for link in re.findall(r'<th scope="row"><a href="([^"]+)"', shown.text)
        if (tmp_path / link).exists()
    ]
    answers = {link: get(urljoin(str(shown.url), link)) for link in links}

    listed = {p.name for p in tmp_path.iterdir() if p.is_file()} - {"report.html"}
    assert set(links) == listed
    assert {"casework.md", "id_map.csv", "relink.csv", "license_coverage.csv"} <= listed
    assert {link: a.status_code for link, a in answers.items()} == dict.fromkeys(links, 200)
    for name in ("casework.md", "plan.json", "summary.json"):
        assert answers[name].content == (tmp_path / name).read_bytes()
    assert answers["differences.csv"].content == (tmp_path / "differences.csv").read_bytes()


@pytest.mark.parametrize(
    "name", ["attached.csv", "history/field_history.csv", "history/field_history.parquet"]
)
def test_what_only_some_runs_have_is_given_out_as_well(
    get: Get, database: Database, tmp_path: Path, name: str
) -> None:
    airflow_run = "manual__2026-11-23T09:00:00+00:00"
    samples.finished_run(database, airflow_run_id=airflow_run, artifacts=str(tmp_path))
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_bytes(b"as it is")
    shown = get("/coa/files/coa_migrate/report.html", run_id=airflow_run)

    answer = get(urljoin(str(shown.url), name))

    assert (answer.status_code, answer.content) == (200, b"as it is")
    assert name.rpartition("/")[2].partition(".")[0] in answer.headers["content-disposition"]


def test_the_plan_is_shown_where_it_can_be_read(get: Get, database: Database, tmp_path: Any) -> None:
    (tmp_path / "plan.json").write_text('{"objects": {}}')
    samples.finished_run(database, artifacts=str(tmp_path))
    samples.finished_run(database, "20261123T080000Z-cccccc", "manual__2")

    assert get("/coa/files/coa_migrate/plan.json", run_id="manual__0").json() == {"objects": {}}
    assert get("/coa/files/coa_migrate/plan.json", run_id="manual__2").status_code == 404


def test_a_report_that_lies_elsewhere_is_not_found_in_plain_words(get: Get, database: Database) -> None:
    samples.finished_run(database, artifacts="/nowhere/at/all")

    answer = get("/coa/files/coa_migrate/report.html", run_id="manual__0")

    assert answer.status_code == 404
    assert "artifacts folder" in answer.json()["detail"]


def test_a_run_stands_beside_the_last_dry_run_and_the_deltas_since(get: Get, database: Database) -> None:
    def at(hour: int) -> str:
        return f"2026-11-23T{hour:02d}:00:00Z"

    dry = {"state": "dry_run", "params": {"dry_run": True}}
    samples.finished_run(database, "20261123T070000Z-000001", "dry_old", started_at=at(7), **dry)
    samples.finished_run(database, "20261123T080000Z-000002", "dry_new", started_at=at(8), **dry)
    samples.finished_run(database, "20261123T090000Z-000003", "real", started_at=at(9))
    samples.finished_run(database, "20261123T100000Z-000004", "delta", started_at=at(10), mode="delta")

    beside = get("/coa/api/dags/coa_migrate/beside", run_id="real").json()["runs"]

    assert [(r["role"], r["airflow_run_id"]) for r in beside] == [
        *(("dry", "dry_new"), ("this", "real"), ("delta", "delta"))
    ]
    assert beside[1]["objects"]["Service Order"]["inserted"] == 60


def test_all_migrations_are_listed_with_their_verdicts(get: Get, database: Database) -> None:
    samples.finished_run(database)
    samples.running_run(database)

    runs = get("/coa/api/runs").json()["runs"]

    assert [(r["run_id"], r["state"]) for r in runs] == [
        ("20261123T100000Z-aaaaaa", None),
        ("20261123T090000Z-bbbbbb", "differences"),
    ]
    assert runs[1]["totals"] == {
        **{"planned": 60, "written": 60, "rejected": 0, "left_out": 10, "verified": 59, "different": 1}
    }
    assert not runs[0]["in_airflow"]
    assert not runs[0]["headless"]


def test_headless_runs_are_listed_as_such_and_are_over_when_their_process_is_gone(
    get: Get, database: Database
) -> None:
    samples.running_run(database)
    database.execute("""UPDATE coa.run SET headless_token = 't0ken'""")
    airflow_run = str(database.value("SELECT airflow_run_id FROM coa.run"))

    with alive(database, "t0ken"):
        (living,) = get("/coa/api/runs").json()["runs"]
        page = get(RUN, run_id=airflow_run).json()
    (dead,) = get("/coa/api/runs").json()["runs"]

    assert (living["headless"], living["over"], page["over"]) == (True, False, False)
    assert (dead["headless"], dead["over"]) == (True, True)
    assert get(RUN, run_id=airflow_run).json()["over"]


@pytest.fixture
def ended_airflow_run() -> Iterator[str]:
    """An Airflow run of `coa_migrate` that failed."""
    from airflow.models.dagrun import DagRun
    from airflow.utils.session import create_session
    from airflow.utils.state import DagRunState
    from airflow.utils.types import DagRunType

    with create_session() as session:
        row = DagRun(
            dag_id="coa_migrate", run_id="killed", run_type=DagRunType.MANUAL, state=DagRunState.FAILED
        )
        session.add(row)
    yield "killed"
    with create_session() as session:
        session.delete(session.merge(row))


def test_a_run_whose_airflow_run_is_over_without_a_verdict_is_not_shown_as_running(
    get: Get, database: Database, ended_airflow_run: str
) -> None:
    samples.running_run(database, airflow_run_id=ended_airflow_run)

    page = get(RUN, run_id=ended_airflow_run).json()
    listed = get("/coa/api/runs").json()["runs"][0]

    states = {s["key"]: s["state"] for s in page["stages"]}
    assert (page["over"], states["load"], states["verify"]) == (True, "failed", "skipped")
    assert (listed["over"], listed["in_airflow"]) == (True, True)


def test_an_airflow_run_that_ended_before_ours_began_is_not_waited_for(
    get: Get, database: Database, ended_airflow_run: str
) -> None:
    assert get(RUN, run_id=ended_airflow_run).json() == {"page": "waiting", "over": True}


def test_the_plan_of_a_run_under_way_stands_beside_the_dry_run(get: Get, database: Database) -> None:
    dry = {"state": "dry_run", "params": {"dry_run": True}, "started_at": "2026-11-22T09:00:00Z"}
    samples.finished_run(database, "20261122T090000Z-000001", "dry", **dry)
    samples.running_run(database)

    runs = get("/coa/api/dags/coa_migrate/beside", run_id="manual__1").json()["runs"]

    assert [r["objects"]["Service Order"]["to_insert"] for r in runs] == [60, 100_000]
    assert runs[1]["objects"]["Service Order"]["extracted"] == 100_200


def test_with_a_million_details_an_answer_takes_no_longer_than_100_ms(get: Get, database: Database) -> None:
    run = samples.running_run(database)
    schema = schema_of(run)
    database.execute(
        f"""CREATE UNLOGGED TABLE {schema}.plan AS
            SELECT '{DETAIL}' AS sobject, 'a0B' || lpad(n::text, 12, '0') || 'AAA' AS source_id, 'insert' AS action
            FROM generate_series(1, 1000000) n"""
    )
    database.execute(
        f"CREATE UNLOGGED TABLE {schema}.work AS SELECT *, 'accepted' AS state, 'details' AS step FROM {schema}.plan"
    )
    database.execute(
        """INSERT INTO coa.job (pair_id, run_id, step, sobject, operation, rows_planned, state)
           SELECT pair_id, run_id, 'details', %s, 'insert', 9500, 'settled'
           FROM coa.run, generate_series(1, 700) WHERE run_id = %s""",
        [DETAIL, run],
    )
    database.execute(
        "INSERT INTO coa.event (run_id, level, event) SELECT %s, 'info', 'extracted' FROM generate_series(1, 5000)",
        [run],
    )
    get(RUN, run_id="manual__1")

    page, airflow = [], []
    for _ in range(15):
        page.append(_seconds(lambda: get(RUN, run_id="manual__1")))
        airflow.append(_seconds(lambda: get("/api/v2/dags/coa_migrate/dagRuns", user="viewer", limit="5")))

    print(
        f"page {statistics.median(page) * 1000:.1f} ms, Airflow's dagRuns {statistics.median(airflow) * 1000:.1f} ms"
    )
    # On a busy machine everything is slow: then it may not be slower than Airflow is.
    assert statistics.median(page) < max(0.1, 3 * statistics.median(airflow))


def _seconds(call: Callable[[], Any]) -> float:
    started = time.perf_counter()
    assert call().status_code in (200, 404)
    return time.perf_counter() - started


def test_customers_come_before_orders_before_details(get: Get, database: Database) -> None:
    samples.running_run(database)

    assert [o["sobject"] for o in get(RUN, run_id="manual__1").json()["objects"]] == [CUSTOMER, ORDER, DETAIL]


def test_a_roll_back_and_a_run_of_an_unknown_shape_take_no_page_down(get: Get, database: Database) -> None:
    """One roll-back was enough once to make its tab and the list of all runs answer 500."""
    undone = dict.fromkeys(UNDO_COUNTS, 0) | {"to_delete": 60, "deleted": 60, "verified": 60}
    samples.finished_run(database)
    samples.finished_run(
        database,
        "20261123T100000Z-cccccc",
        "manual__undo",
        dag_id="coa_rollback",
        mode="rollback",
        state="verified",
        summary={"objects": {ORDER: undone}, "state": "verified", "run_id": "20261123T100000Z-cccccc"},
    )
    samples.finished_run(
        database,
        "20261123T110000Z-dddddd",
        "manual__odd",
        state="verified",
        summary={"objects": {ORDER: {"inserted": "many"}, "x": None}, "state": "verified"},
    )

    listed = {r["airflow_run_id"]: r for r in get("/coa/api/runs").json()["runs"]}
    tab = get("/coa/api/dags/coa_rollback/run", run_id="manual__undo").json()
    odd = get(RUN, run_id="manual__odd").json()

    assert set(listed) == {"manual__0", "manual__undo", "manual__odd"}
    totals = listed["manual__undo"]["totals"]
    assert (totals["planned"], totals["written"], totals["verified"]) == (60, 60, 60)
    assert by_name(tab["objects"])["Service Order"]["written"] == 60
    assert odd["page"] == "run"
    for path in ("problems", "beside"):
        assert get(f"/coa/api/dags/coa_rollback/{path}", run_id="manual__undo").status_code == 200
