"""The report's charts: horizontal bars as inline SVG, coloured by the page's CSS variables.

Text stays text (searchable, read aloud, no font embedded). Each chart has a table beside it with the same
figures, and a label that describes the picture. We draw them ourselves because a chart library took a sixth of
a small run's processor time to import, only to lay out rectangles beside words.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from markupsafe import Markup, escape

INK, RULE, MUTED = "var(--ink)", "var(--rule)", "var(--muted)"
SOURCE, TARGET = "var(--source)", "var(--target)"
MOST_BARS = 30
"""Bars of one chart; beyond that a table says more."""

# Units of the picture, which scales with the page.
WIDTH = 740
ROW, PAIR = 22, 30
"""Height of a row with one bar, with two."""
BAR = 12
CHARACTER = 6.6
"""Width of a character of a label, on the safe side: the page's font is not known here."""
LEGEND, AXIS, MARGIN = 26, 22, 12
MOST_TICKS = 6


@dataclass(frozen=True)
class Bar:
    """One rectangle; `start` and `length` in units of the axis,
    `offset` from the middle of its row in the picture's."""

    start: float
    length: float
    colour: str
    offset: float = 0.0


def side_by_side(name: str, label: str, rows: list[tuple[str, float, float]]) -> Markup:
    """Bars of source and target for each (label, source, target); nothing without rows."""
    shown = rows[:MOST_BARS]
    described = "; ".join(f"{r[0]}: {r[1]:,.0f} in the source, {r[2]:,.0f} in the target" for r in shown)
    bars = [
        (r[0], [Bar(0, r[1], SOURCE, -BAR / 2 - 0.5), Bar(0, r[2], TARGET, BAR / 2 + 0.5)]) for r in shown
    ]
    return _drawn(name, f"{label}. {described}.", bars, PAIR, legend=True)


def timeline(name: str, label: str, rows: list[tuple[str, float, float]]) -> Markup:
    """Bars of (label, start, length) in seconds since the start of the run, one line each."""
    shown = rows[:MOST_BARS]
    described = "; ".join(f"{r[0]}: from second {r[1]:,.0f} for {r[2]:,.1f} s" for r in shown)
    bars = [(r[0], [Bar(r[1], max(r[2], 0.0), TARGET)]) for r in shown]
    return _drawn(name, f"{label}. {described}.", bars, ROW, title="seconds since the start")


def lengths(name: str, label: str, rows: list[tuple[str, float]]) -> Markup:
    """Bars of (label, seconds)."""
    shown = rows[:MOST_BARS]
    described = "; ".join(f"{r[0]}: {r[1]:,.1f} s" for r in shown)
    return _drawn(
        name, f"{label}. {described}.", [(r[0], [Bar(0, r[1], TARGET)]) for r in shown], ROW, title="seconds"
    )


def ticks(longest: float) -> list[float]:
    """Whole round numbers from 0 to the first that is not below `longest`; a few of them.

    >>> ticks(0), ticks(4), ticks(996), ticks(1_000)
    ([0, 1], [0, 1, 2, 3, 4], [0, 200, 400, 600, 800, 1000], [0, 200, 400, 600, 800, 1000])
    """
    least = max(longest, 1.0) / (MOST_TICKS - 1)
    power = 10 ** max(math.floor(math.log10(least)), 0)
    step = next((n * power for n in (1, 2, 5) if n * power >= least), 10 * power)
    return [n * step for n in range(math.ceil(max(longest, 1.0) / step) + 1)]


def _drawn(
    name: str,
    label: str,
    rows: list[tuple[str, list[Bar]]],
    row: int,
    *,
    title: str = "",
    legend: bool = False,
) -> Markup:
    if not rows:
        return Markup("")
    marks = ticks(max(bar.start + bar.length for _, bars in rows for bar in bars))
    left = MARGIN + CHARACTER * max(len(_short(text)) for text, _ in rows)
    unit = (WIDTH - left - 3 * MARGIN) / marks[-1]
    top = LEGEND if legend else MARGIN
    bottom = top + row * len(rows)
    height = bottom + AXIS * (2 if title else 1)
    parts = [*_legend(left)] if legend else []
    for mark in marks:
        x = left + mark * unit
        parts.append(
            f'<line x1="{x:.1f}" y1="{top}" x2="{x:.1f}" y2="{bottom}" style="stroke:{RULE};stroke-width:.6"/>'
        )
        parts.append(_text(x, bottom + 15, f"{mark:,.0f}", "middle"))
    for place, (text, bars) in enumerate(rows):
        middle = top + row * (place + 0.5)
        parts.append(_text(left - 6, middle + 4, _short(text), "end"))
        for bar in bars:
            parts.append(
                f'<rect x="{left + bar.start * unit:.1f}" y="{middle + bar.offset - BAR / 2:.1f}" '
                f'width="{bar.length * unit:.1f}" height="{BAR}" style="fill:{bar.colour}"/>'
            )
    parts.append(
        f'<line x1="{left:.1f}" y1="{top}" x2="{left:.1f}" y2="{bottom}" style="stroke:{MUTED};stroke-width:.8"/>'
    )
    if title:
        parts.append(_text((left + WIDTH) / 2, bottom + AXIS + 12, title, "middle"))
    # Drawn by us; every text in it is escaped where it is written.
    return Markup(
        f'<svg id="chart-{name}" viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{escape(label)}">'
        f"{''.join(parts)}</svg>"
    )


def _legend(left: float) -> Iterator[str]:
    for place, (who, colour) in enumerate((("Source", SOURCE), ("Target", TARGET))):
        x = left + place * 90
        yield f'<rect x="{x:.1f}" y="6" width="{BAR}" height="{BAR}" style="fill:{colour}"/>'
        yield _text(x + BAR + 6, 16, who, "start")


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" style="fill:{INK};font-size:11px">'
        f"{escape(text)}</text>"
    )


def _short(text: str) -> str:
    text = text or "(empty)"
    return text if len(text) <= 34 else text[:33] + "…"


__all__ = ["lengths", "side_by_side", "timeline"]
