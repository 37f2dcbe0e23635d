"""Charts of the report: bars as long as their figures, described in words, and no text that could do anything."""

from __future__ import annotations

import re
from xml.etree import ElementTree

from coa.report import charts


def bars(svg: str, colour: str) -> list[float]:
    """Widths of the bars of a colour, the legend's square left out."""
    found = re.findall(r'<rect [^>]*y="([\d.-]+)" width="([\d.]+)"[^>]*fill:var\(--(\w+)\)', svg)
    return [float(width) for y, width, of in found if of == colour and float(y) > charts.LEGEND]


def test_bars_are_as_long_as_what_they_stand_for() -> None:
    svg = charts.side_by_side("status", "Orders", [("Draft", 10, 20), ("Received", 40, 0)])
    draft, received = bars(svg, "source")
    assert abs(received - 4 * draft) < 0.3
    assert abs(bars(svg, "target")[0] - 2 * draft) < 0.2
    assert bars(svg, "target")[1] == 0


def test_a_timeline_shows_when_and_how_long() -> None:
    svg = charts.timeline("timeline", "Stages", [("read", 0.0, 2.0), ("load", 2.0, 4.0)])
    places = re.findall(r'<rect x="([\d.]+)"[^>]*width="([\d.]+)"', svg)
    (read_at, read_for), (load_at, load_for) = [(float(x), float(w)) for x, w in places]
    assert abs(read_at + read_for - load_at) < 0.3
    assert abs(load_for - 2 * read_for) < 0.3


def test_the_picture_is_told_in_words_and_its_texts_stay_texts() -> None:
    svg = charts.side_by_side("status", "Orders", [("<script>&", 1, 2)])
    picture = ElementTree.fromstring(svg)
    assert picture.get("aria-label") == "Orders. <script>&: 1 in the source, 2 in the target."
    assert "<script>&" in [one.text for one in picture.iter("text")]
    assert not list(picture.iter("script"))


def test_everything_stays_within_the_picture() -> None:
    svg = charts.lengths("steps", "Seconds", [(f"step {n} " + "x" * 40, n * 1234.5) for n in range(40)])
    picture = ElementTree.fromstring(svg)
    _, _, width, height = (float(n) for n in str(picture.get("viewBox")).split())
    for one in picture.iter("rect"):
        x, y, wide, high = (float(str(one.get(name))) for name in ("x", "y", "width", "height"))
        assert 0 <= x <= x + wide <= width
        assert 0 <= y <= y + high <= height
    assert len(list(picture.iter("rect"))) == charts.MOST_BARS


def test_nothing_is_drawn_of_nothing() -> None:
    assert charts.timeline("t", "Stages", []) == charts.lengths("l", "Seconds", []) == ""
