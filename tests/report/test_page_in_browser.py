"""The page in a real browser: two widths, light and dark, keyboard, paper, and an accessibility linter."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.engine.harness import Migration
from tests.report.chrome import Page, axe_source, browser, find_browser

CHROMIUM = find_browser()
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(
        CHROMIUM is None,
        reason="no Chromium: apt-get install chromium, or set COA_CHROMIUM to the path of one",
    ),
]


@pytest.fixture(scope="module")
def page(reported: Migration) -> Iterator[Page]:
    with browser(str(CHROMIUM)) as tab:
        tab.open((reported.folder / "report.html").as_uri())
        yield tab


def test_it_asks_for_nothing_but_itself(page: Page) -> None:
    assert [url for url in page.requests if not url.startswith("about:")] == [page.requests[-1]]
    assert page.requests[-1].startswith("file:")
    assert page.errors == []


def test_hostile_text_does_nothing(page: Page) -> None:
    assert page.evaluate("document.title").startswith("differences")
    assert page.evaluate("document.images.length") == 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 768, 400])
def test_it_fits_the_window_and_follows_the_scheme(
    page: Page, width: int, scheme: str, tmp_path: Path
) -> None:
    page.look(width, scheme)
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert paper == ("rgb(255, 255, 255)" if scheme == "light" else "rgb(18, 21, 27)")
    ink = page.evaluate("getComputedStyle(document.querySelector('svg text')).fill")
    assert ink == page.evaluate("getComputedStyle(document.body).color")
    picture = page.call("Page.captureScreenshot", captureBeyondViewport=True)["data"]
    assert len(base64.b64decode(picture)) > 20_000


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 768])
def test_the_accessibility_linter_finds_nothing_serious(
    page: Page, project: Path, width: int, scheme: str
) -> None:
    axe = axe_source(project)
    if axe is None:
        pytest.skip("no axe-core: npm install --prefix .local axe-core, or set COA_AXE to its axe.min.js")
    page.look(width, scheme)
    page.evaluate("document.querySelector('details').open = true; 0")
    page.evaluate(axe + "; 0")
    violations = page.evaluate(
        "axe.run().then(r => r.violations.map(v => [v.impact, v.id, v.nodes.map(n => n.html.slice(0, 200))]))"
    )
    assert [v for v in violations if v[0] in ("serious", "critical")] == []


def test_tables_are_searched_and_sorted_by_keyboard(page: Page) -> None:
    page.evaluate(
        """table = [...document.querySelectorAll('table.data')].find(t => t.caption.textContent.startsWith('By kind'));
           head = table.tHead.rows[0].cells[5]; head.querySelector('button').focus(); 0"""
    )
    page.press("Enter")
    assert page.evaluate("head.getAttribute('aria-sort')") == "ascending"
    counts = page.evaluate(
        "[...table.tBodies[0].rows].map(r => Number(r.cells[5].textContent.replaceAll(',', '')))"
    )
    assert counts == sorted(counts)
    page.press("Enter")
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


def test_it_prints(page: Page) -> None:
    paper = base64.b64decode(page.call("Page.printToPDF", printBackground=True)["data"])
    assert paper.startswith(b"%PDF")
    assert len(paper) > 20_000


def test_differences_link_to_both_records(page: Page, reported: Migration) -> None:
    links = page.evaluate("[...document.querySelectorAll('a[href^=http]')].map(a => a.href)")
    for role in ("source_org", "target_org"):
        assert any(link.startswith(reported.run.row[role]["instance_url"]) for link in links)
