"""The page in a real browser, in a real Airflow, beside a real migration between two local orgs.

Screenshots go to the folder COA_SCREENSHOTS, or to a temporary one.
"""

from __future__ import annotations

import os
import re
import shutil
import statistics
import time
from collections.abc import Callable, Iterator
from importlib import resources
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
import requests
import samples
from tests.ui.live import Live, live_airflow

from coa.model import CUSTOMER, DETAIL, ORDER, table_slug
from coa.staging.tables import schema_of

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = [
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update"),
]
PARAMS = {
    **dict.fromkeys(("unmatched_contract_policy", "picklist_policy", "too_long_policy"), "block_record"),
    **{"draft_orders": "load", "chunk_size": 30, "lanes": 1},
}
TAB = "/dags/coa_migrate/runs/{}/plugin/coa-migration"
PATIENCE = 600_000
"""Milliseconds a run may take; on an idle machine it takes a tenth of that."""

pytestmark = [
    pytest.mark.browser,
    pytest.mark.timeout(1800),
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here: apt-get install chromium"),
]


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    with live_airflow(tmp_path_factory.mktemp("live")) as airflow:
        samples.running_run(airflow.db)
        samples.finished_run(airflow.db)
        yield airflow


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield running
        running.close()


Open = Callable[..., Any]


@pytest.fixture
def open_page(browser: Any, live: Live) -> Iterator[Open]:
    """`open_page(path, user, theme, width)`: a page of a browser that is logged in."""
    contexts = []

    def open_it(path: str, user: str = "viewer", theme: str = "light", width: int = 1280) -> Any:
        context = browser.new_context(viewport={"width": width, "height": 1000}, reduced_motion="reduce")
        contexts.append(context)
        context.add_cookies([{"name": "_token", "value": live.token(user), "url": live.url}])
        context.add_init_script(f"localStorage.setItem('theme', '{theme}')")
        page = context.new_page()
        page.set_default_timeout(120_000)
        # What is waited for is in the tests: on a busy machine Airflow's own page loads for long.
        page.goto(live.url + path, wait_until="commit")
        return page

    yield open_it
    for context in contexts:
        context.close()


def bare(run_id: str, dag_id: str = "coa_migrate") -> str:
    return f"/coa/run?{urlencode({'dag_id': dag_id, 'run_id': run_id})}"


def numbers(frame: Any, table: str, row: str) -> list[str]:
    """Texts of the cells of the row whose header is `row`."""
    cells: list[str] = (
        frame.locator(f"{table} tbody tr", has=frame.locator(f"th:text-is('{row}')"))
        .first.locator("td")
        .all_inner_texts()
    )
    return [c.strip() for c in cells]


def folder(tmp_path: Path) -> Path:
    place = Path(os.environ.get("COA_SCREENSHOTS") or tmp_path)
    place.mkdir(parents=True, exist_ok=True)
    return place


def test_a_run_is_watched_from_start_to_end(live: Live, open_page: Open, tmp_path: Path) -> None:
    run_id = live.request(
        "POST", "/api/v2/dags/coa_migrate/dagRuns", body={"logical_date": None, "conf": PARAMS}
    ).json()["dag_run_id"]
    # Airflow's own pages cost a core as long as they are open: they are looked at, and ours stays open to the end.
    _wait_until_asked(live, run_id)
    page = open_page(TAB.format(run_id), user="operator")
    frame = page.frame_locator("iframe")
    frame.locator("#stages li.asking").wait_for(timeout=PATIENCE)
    page.screenshot(path=folder(tmp_path) / "asking.png")
    frame.get_by_role("link", name="Airflow's page for the plan").click()
    page.wait_for_url(re.compile(r"/tasks/approve/required_actions$"))
    page.goto("about:blank")
    # Loading may be over before a busy machine has drawn the page: the target's jobs wait until it has been seen.
    live.hold_jobs(True)
    phone = open_page(bare(run_id), user="operator", width=390)
    _answer_on_a_phone(phone, tmp_path)

    phone.locator("#jobs tbody tr").first.wait_for(timeout=PATIENCE)
    page.goto(live.url + TAB.format(run_id), wait_until="commit")
    frame.locator("#jobs tbody tr").first.wait_for(timeout=PATIENCE)
    page.screenshot(path=folder(tmp_path) / "loading.png")
    page.goto("about:blank")
    live.hold_jobs(False)
    phone.locator(".verdict .badge:text-is('Verified')").wait_for(timeout=PATIENCE)
    phone.close()
    page.goto(live.url + TAB.format(run_id), wait_until="commit")
    frame.locator(".verdict .badge:text-is('Verified')").wait_for(timeout=PATIENCE)

    # Counted from the records themselves: the page reads counters and summaries, which may be wrong.
    row = live.db.row("SELECT * FROM coa.run WHERE airflow_run_id = %s", [run_id])
    assert row is not None
    for sobject, name in ((CUSTOMER, "Customer"), (ORDER, "Service Order"), (DETAIL, "Service Order Detail")):
        read = live.db.value(f"SELECT count(*) FROM {schema_of(row['run_id'])}.source__{table_slug(sobject)}")
        created = live.db.value(
            "SELECT count(*) FROM coa.ledger WHERE sobject = %s AND origin = 'inserted' AND target_id IS NOT NULL",
            [sobject],
        )
        assert created > 0
        line = frame.locator("#records tbody tr", has=frame.locator(f"th:text-is('{name}')"))
        # The summary is counted after the state is decided: the last cell to come.
        line.locator(f"td[data-label='Verified']:text-is('{created:,}')").wait_for(timeout=PATIENCE)
        shown = numbers(frame, "#records", name)
        assert (shown[0], shown[1], shown[7]) == (f"{read:,}", f"{created:,}", f"{created:,}")
        assert (shown[8], shown[10]) == ("0", "0")
    for step in live.db.rows(
        "SELECT step, done FROM coa.progress WHERE run_id = %s AND step IN ('orders', 'details')",
        [row["run_id"]],
    ):
        label = {"orders": "Insert orders as Draft", "details": "Insert details"}[step["step"]]
        assert numbers(frame, "#steps", label)[4] == f"{step['done']:,}"
    page.screenshot(path=folder(tmp_path) / "verified.png")
    page.goto(f"file://{row['artifacts']}/report.html")
    page.get_by_role("heading", level=1).wait_for()
    page.screenshot(path=folder(tmp_path) / "report.png")
    page.goto(live.url + "/plugin/coa-migrations", wait_until="commit")
    frame.get_by_role("link", name=row["run_id"]).click()
    page.wait_for_url(lambda url: "plugin/coa-migration" in url and "/runs/" in url)
    assert (
        live.db.value("SELECT reason FROM coa.approval WHERE run_id = %s", [row["run_id"]]) == "as expected"
    )
    note, button = _note_and_button(live, run_id)
    assert note.startswith(f"verified ({row['run_id']}); ")
    assert button == TAB.format(run_id).replace("+", "%2B").replace(":", "%3A")


def _wait_until_asked(live: Live, run_id: str) -> None:
    """Until the plan waits for an answer, by what the page itself reads."""
    deadline = time.monotonic() + PATIENCE / 1000
    path = f"/coa/api/dags/coa_migrate/run?{urlencode({'run_id': run_id})}"
    while all(s["state"] != "asking" for s in live.request("GET", path).json().get("stages", [])):
        assert time.monotonic() < deadline
        time.sleep(1)


def _note_and_button(live: Live, run_id: str) -> tuple[str, str]:
    """What Airflow shows of a run that is over: its note, and where the button of a mapped task leads."""
    path = f"/api/v2/dags/coa_migrate/dagRuns/{run_id}"
    deadline = time.monotonic() + PATIENCE / 1000
    while live.request("GET", path).json()["state"] not in ("success", "failed"):
        assert time.monotonic() < deadline
        time.sleep(0.5)
    links = live.request("GET", f"{path}/taskInstances/load.lane/links?map_index=0").json()["extra_links"]
    return str(live.request("GET", path).json()["note"]), str(links["Migration page"])


def _answer_on_a_phone(page: Any, tmp_path: Path) -> None:
    """On our own page, by Airflow's own call; each button asks once more."""
    page.get_by_role("textbox", name="Reason").fill("as expected")
    page.screenshot(path=folder(tmp_path) / "decision-390.png")
    page.get_by_role("button", name="Approve", exact=True).click()
    page.get_by_role("button", name="Approve this plan now").click()
    page.get_by_text("Your answer is recorded").wait_for()


@pytest.mark.lane
def test_the_trigger_form_opens_with_what_everybody_decides(open_page: Open, tmp_path: Path) -> None:
    page = open_page("/dags/coa_migrate", user="operator")
    page.get_by_role("button", name=re.compile("Trigger")).first.click()
    page.get_by_text("Ask a person before the first write").wait_for()

    assert page.get_by_text("Read everything (full)").is_visible()
    assert page.get_by_text("What is attached to the orders").is_visible()
    page.screenshot(path=folder(tmp_path) / "form.png")


@pytest.mark.lane
def test_a_tasks_button_leads_to_the_page(live: Live) -> None:
    found = live.request("GET", "/api/v2/plugins", user="admin").json()["plugins"]

    plugin = next(p for p in found if p["name"] == "coa_plugin")

    assert [v["destination"] for v in plugin["external_views"]] == ["dag_run", "nav"]
    assert plugin["operator_extra_links"]


@pytest.mark.lane
def test_whoever_has_no_right_is_told_so_and_sees_nothing(live: Live, open_page: Open) -> None:
    assert (
        live.request("GET", "/coa/api/dags/coa_migrate/run?run_id=manual__1", user="guest").status_code == 403
    )

    page = open_page(bare("manual__1"), user="guest")

    page.locator("#notice.bad").wait_for()
    assert "may not read" in page.inner_text("#notice")
    assert not page.locator("#content").is_visible()


@pytest.mark.lane
def test_a_record_that_is_markup_stays_text(open_page: Open) -> None:
    page = open_page(bare("manual__1"))
    page.locator("#not-moved tbody tr").first.wait_for()
    page.locator("#findings li").first.wait_for()

    assert samples.EVIL in page.inner_text("#findings")
    assert samples.EVIL in page.inner_text("#not-moved")
    assert page.locator("img").count() == 0
    assert page.title() == "Migration"


@pytest.mark.lane
def test_another_dags_run_has_one_line(open_page: Open) -> None:
    page = open_page(bare("manual__1", "example"), user="admin")

    page.locator("#notice", has_text="Nothing to show").wait_for()

    assert not page.locator("#content").is_visible()


@pytest.mark.lane
def test_a_job_opens_in_salesforce_in_a_new_tab(open_page: Open) -> None:
    page = open_page(TAB.format("manual__1"))
    asked: list[str] = []

    def answer(route: Any) -> None:
        asked.append(route.request.url)
        route.fulfill(body="Setup", content_type="text/html")

    page.context.route("https://new.my.salesforce.com/**", answer)

    with page.context.expect_page() as opened:
        page.frame_locator("iframe").get_by_role("link", name="7500000000000BBAAA").click()
    opened.value.wait_for_load_state()

    assert asked == [
        "https://new.my.salesforce.com/lightning/setup/AsyncApiJobStatus/page?address=%2F7500000000000BBAAA"
    ]
    assert opened.value.evaluate("window.opener") is None
    assert page.url.endswith("/plugin/coa-migration")


@pytest.mark.lane
def test_the_list_of_rejected_rows_is_downloaded_from_inside_the_frame(open_page: Open) -> None:
    page = open_page(TAB.format("manual__1"))

    with page.expect_download() as download:
        page.frame_locator("iframe").get_by_role("link", name="Download all as CSV").click()

    assert download.value.suggested_filename == "rejected_rows-20261123T100000Z-aaaaaa.csv"
    assert Path(download.value.path()).read_text("utf-8-sig").count("UNABLE_TO_LOCK_ROW") == 18


@pytest.mark.lane
def test_the_keyboard_reaches_every_link_and_stays_where_it_is(open_page: Open) -> None:
    page = open_page(bare("manual__1"))
    link = page.get_by_role("link", name="7500000000000BBAAA")
    link.wait_for()
    for _ in range(40):
        page.keyboard.press("Tab")
        if link.evaluate("e => e === document.activeElement"):
            break
    page.wait_for_timeout(2500)

    assert link.evaluate("e => e === document.activeElement")


@pytest.mark.lane
@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 768])
@pytest.mark.parametrize("name", ["manual__1", "manual__0", "runs"])
def test_axe_finds_nothing_serious(
    open_page: Open, tmp_path: Path, theme: str, width: int, name: str
) -> None:
    page = open_page("/coa/runs" if name == "runs" else bare(name), theme=theme, width=width)
    page.emulate_media(color_scheme=theme)
    page.locator("#content tbody tr").first.wait_for()
    page.wait_for_timeout(300)
    page.screenshot(path=folder(tmp_path) / f"page-{name}-{theme}-{width}.png", full_page=True)

    # The page's own policy forbids foreign scripts: axe comes in by the browser's debugger.
    axe = resources.files("axe_playwright_python").joinpath("axe.min.js").read_text("utf-8")
    page.evaluate(axe)
    found = page.evaluate("axe.run({resultTypes: ['violations']})")["violations"]

    serious = [v for v in found if v["impact"] in ("serious", "critical")]
    assert [(v["id"], [n["html"] for n in v["nodes"]][:3]) for v in serious] == []


@pytest.mark.lane
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_tab_follows_airflows_theme(open_page: Open, tmp_path: Path, theme: str) -> None:
    for width in (1280, 768):
        page = open_page(TAB.format("manual__1"), theme=theme, width=width)
        frame = page.frame_locator("iframe")
        frame.locator("#not-moved tbody tr").first.wait_for()
        dark = frame.locator("html").evaluate("e => e.classList.contains('dark')")
        page.screenshot(path=folder(tmp_path) / f"tab-{theme}-{width}.png")

        assert dark == (theme == "dark")
        assert frame.locator("body").evaluate("e => e.scrollWidth <= e.clientWidth")


@pytest.mark.lane
def test_a_first_visit_loads_less_than_300_kb(open_page: Open) -> None:
    page = open_page(bare("manual__1"))
    page.locator("#not-moved tbody tr").first.wait_for()

    size = page.evaluate(
        """performance.getEntriesByType('resource').concat(performance.getEntriesByType('navigation'))
           .reduce((sum, e) => sum + e.decodedBodySize, 0)"""
    )

    print(f"first visit: {size / 1000:.0f} kB")
    assert 10_000 < size < 300_000


@pytest.mark.lane
def test_a_data_call_costs_no_more_than_a_call_of_airflow(live: Live) -> None:
    session = requests.Session()
    session.headers["Authorization"] = f"Bearer {live.token('viewer')}"

    def median(path: str) -> float:
        times = []
        for _ in range(20):
            started = time.perf_counter()
            assert session.get(live.url + path, timeout=60).status_code == 200
            times.append(time.perf_counter() - started)
        return statistics.median(times) * 1000

    page = median("/coa/api/dags/coa_migrate/run?run_id=manual__1")
    airflow = median("/api/v2/dags/coa_migrate/dagRuns?limit=5")

    print(f"page {page:.1f} ms, Airflow's dagRuns {airflow:.1f} ms")
    assert page < max(100, 3 * airflow)
