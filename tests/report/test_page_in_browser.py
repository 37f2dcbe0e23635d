"""The page in a real browser: two widths, light and dark, keyboard, paper, and an accessibility linter."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from importlib import resources
from typing import Any

import pytest
from playwright.sync_api import sync_playwright
from tests.engine.harness import Migration

from coa.model import ORDER

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here: apt-get install chromium"),
]


@pytest.fixture(scope="module")
def page(reported: Migration) -> Iterator[Any]:
    """The page in a tab; `page.asked` are the URLs that it asked for, `page.complaints` what went wrong in it."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu", "--no-first-run"]
        )
        tab: Any = browser.new_page()
        tab.asked, tab.complaints = [], []
        tab.on("request", lambda request: tab.asked.append(request.url))
        tab.on("pageerror", lambda error: tab.complaints.append(str(error)))
        tab.on("console", lambda message: tab.complaints.append(message.text))
        tab.goto((reported.folder / "report.html").as_uri())
        yield tab
        browser.close()


def look(page: Any, width: int, scheme: str) -> None:
    page.set_viewport_size({"width": width, "height": 900})
    page.emulate_media(color_scheme=scheme)


def test_it_asks_for_nothing_but_itself(page: Any) -> None:
    assert [url.split(":")[0] for url in page.asked] == ["file"]
    assert page.complaints == []


def test_the_widest_table_of_counts_is_not_cut_at_1280_pixels(page: Any) -> None:
    look(page, 1280, "light")
    fits = "[...document.querySelectorAll('.counts')].every(t => t.scrollWidth <= t.parentNode.clientWidth)"
    assert page.evaluate(fits)


def test_hostile_text_does_nothing(page: Any) -> None:
    assert page.evaluate("document.title").startswith("differences")
    assert page.evaluate("document.images.length") == 0


@pytest.mark.parametrize(
    ("width", "scheme"),
    [
        pytest.param(w, s, marks=() if (w, s) in ((1280, "light"), (400, "dark")) else pytest.mark.lane)
        for w in (1280, 768, 400)
        for s in ("light", "dark")
    ],
)
def test_it_fits_the_window_and_follows_the_scheme(page: Any, width: int, scheme: str) -> None:
    look(page, width, scheme)
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert paper == ("rgb(255, 255, 255)" if scheme == "light" else "rgb(18, 21, 27)")
    ink = page.evaluate("getComputedStyle(document.querySelector('svg text')).fill")
    assert ink == page.evaluate("getComputedStyle(document.body).color")
    assert len(page.screenshot(full_page=True)) > 20_000


@pytest.mark.lane
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 768])
def test_the_accessibility_linter_finds_nothing_serious(page: Any, width: int, scheme: str) -> None:
    axe = resources.files("axe_playwright_python").joinpath("axe.min.js").read_text("utf-8")
    look(page, width, scheme)
    page.evaluate("document.querySelector('details').open = true; 0")
    page.evaluate(axe)
    violations = page.evaluate(
        "axe.run().then(r => r.violations.map(v => [v.impact, v.id, v.nodes.map(n => n.html.slice(0, 200))]))"
    )
    assert [v for v in violations if v[0] in ("serious", "critical")] == []


def test_tables_are_searched_and_sorted_by_keyboard(page: Any) -> None:
    page.evaluate(
        """table = [...document.querySelectorAll('table.data')].find(t => t.caption.textContent.startsWith('By kind'));
           head = table.tHead.rows[0].cells[5]; head.querySelector('button').focus(); 0"""
    )
    page.keyboard.press("Enter")
    assert page.evaluate("head.getAttribute('aria-sort')") == "ascending"
    counts = page.evaluate(
        "[...table.tBodies[0].rows].map(r => Number(r.cells[5].textContent.replaceAll(',', '')))"
    )
    assert counts == sorted(counts)
    page.keyboard.press("Enter")
    assert page.evaluate("head.getAttribute('aria-sort')") == "descending"

    page.evaluate(
        """log = [...document.querySelectorAll('table.data')].find(t => t.caption.textContent === 'Run log');
           field = log.closest('.scroll').previousElementSibling.querySelector('input');
           field.value = 'plan answered'; field.dispatchEvent(new Event('input')); 0"""
    )
    shown = page.evaluate("[...log.tBodies[0].rows].filter(r => !r.hidden).length")
    assert shown == 1
    assert page.evaluate(
        "log.closest('.scroll').previousElementSibling.querySelector('[role=status]').textContent"
    ).startswith("1 of ")


@pytest.mark.lane
def test_it_prints(page: Any) -> None:
    paper = page.pdf(print_background=True)
    assert paper.startswith(b"%PDF")
    assert len(paper) > 20_000


def pages(pdf: bytes) -> int:
    """How many pages a PDF of Chromium has; its page objects are not compressed."""
    return len(re.findall(rb"/Type\s*/Page\b", pdf))


def test_the_summary_prints_on_two_pages_in_front_and_the_details_begin_on_another(page: Any) -> None:
    whole = pages(page.pdf(prefer_css_page_size=True))
    page.evaluate("document.querySelectorAll('main > :not(.summary), footer').forEach(e => e.hidden = true)")
    summary = pages(page.pdf(prefer_css_page_size=True))
    page.evaluate("document.querySelectorAll('main > *, footer').forEach(e => e.hidden = false)")
    page.emulate_media(media="print")
    begins = page.evaluate(
        "getComputedStyle(document.querySelector('.summary').nextElementSibling).breakBefore"
    )
    page.emulate_media(media="screen")

    assert 1 <= summary <= 2
    assert whole > summary + 1
    assert begins == "page"


def test_the_summary_says_what_was_moved_what_it_is_worth_what_is_left_and_who_approved(
    page: Any, reported: Migration
) -> None:
    text = page.evaluate("document.querySelector('.summary').innerText")

    for heading in ("What was moved", "Order value", "What is left", "Who approved"):
        assert heading in text
    orders = reported.summary["objects"][ORDER]
    assert f"Service Order\t{orders['extracted']}" in text
    for row in reported.summary["amounts"]["currencies"]:
        assert f"{row['currency']}\t{float(row['source']):,.2f}" in text
    assert text.count("name, date, signature") == 3
    assert "approved" in text


def test_differences_link_to_both_records(page: Any, reported: Migration) -> None:
    links = page.evaluate("[...document.querySelectorAll('a[href^=http]')].map(a => a.href)")
    for role in ("source", "target"):
        assert any(link.startswith(reported.run.record.org(role)["instance_url"]) for link in links)
