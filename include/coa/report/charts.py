"""The report's charts as inline SVG, drawn by matplotlib, coloured by the page's own CSS variables.

Text stays text (searchable, read aloud, no font embedded). Each chart has a table beside it with the
same figures; the picture is described by its label.
"""

from __future__ import annotations

import io
import re
from typing import TYPE_CHECKING, Any

from markupsafe import Markup, escape

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Stand-ins that the page's CSS variables replace, so that one picture fits light and dark.
COLOURS = {
    "#010101": "var(--ink)",
    "#020202": "var(--rule)",
    "#030303": "var(--source)",
    "#040404": "var(--target)",
    "#050505": "var(--muted)",
}
INK, RULE, SOURCE, TARGET, MUTED = COLOURS
STYLE: Any = {
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.size": 10.0,
    "axes.edgecolor": RULE,
    "axes.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "text.color": INK,
    "text.parse_math": False,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "grid.color": RULE,
    "grid.linewidth": 0.6,
}
MOST_BARS = 30
"""Bars of one chart; beyond that a table says more."""


def side_by_side(name: str, label: str, rows: list[tuple[str, float, float]]) -> Markup:
    """Bars of source and target for each (label, source, target); nothing without rows."""
    if not rows:
        return Markup("")
    shown = rows[:MOST_BARS]

    def draw(axes: Axes) -> None:
        places = range(len(shown))
        for offset, colour, side, who in ((-0.2, SOURCE, 1, "Source"), (0.2, TARGET, 2, "Target")):
            axes.barh([p + offset for p in places], [r[side] for r in shown], 0.36, color=colour, label=who)
        axes.set_yticks(list(places), [_short(r[0]) for r in shown])
        axes.invert_yaxis()
        axes.grid(axis="x")
        axes.set_axisbelow(True)
        axes.xaxis.set_major_formatter("{x:,.0f}")
        axes.locator_params(axis="x", integer=True)
        axes.legend(frameon=False, loc="lower left", bbox_to_anchor=(0, 1), ncols=2, borderaxespad=0.2)

    described = "; ".join(f"{r[0]}: {r[1]:,.0f} in the source, {r[2]:,.0f} in the target" for r in shown)
    return _drawn(name, f"{label}. {described}.", draw, 0.9 + 0.42 * len(shown))


def timeline(name: str, label: str, rows: list[tuple[str, float, float]]) -> Markup:
    """Bars of (label, start, length) in seconds since the start of the run, one line each."""
    if not rows:
        return Markup("")
    shown = rows[:MOST_BARS]

    def draw(axes: Axes) -> None:
        axes.barh(
            range(len(shown)), [max(r[2], 0.0) for r in shown], 0.6, left=[r[1] for r in shown], color=TARGET
        )
        axes.set_yticks(range(len(shown)), [_short(r[0]) for r in shown])
        axes.invert_yaxis()
        axes.grid(axis="x")
        axes.set_axisbelow(True)
        axes.set_xlabel("seconds since the start")
        axes.set_xlim(left=0)
        axes.xaxis.set_major_formatter("{x:,.0f}")

    described = "; ".join(f"{r[0]}: from second {r[1]:,.0f} for {r[2]:,.1f} s" for r in shown)
    return _drawn(name, f"{label}. {described}.", draw, 0.8 + 0.3 * len(shown))


def lengths(name: str, label: str, rows: list[tuple[str, float]]) -> Markup:
    """Bars of (label, seconds)."""
    if not rows:
        return Markup("")
    shown = rows[:MOST_BARS]

    def draw(axes: Axes) -> None:
        axes.barh(range(len(shown)), [r[1] for r in shown], 0.6, color=TARGET)
        axes.set_yticks(range(len(shown)), [_short(r[0]) for r in shown])
        axes.invert_yaxis()
        axes.grid(axis="x")
        axes.set_axisbelow(True)
        axes.set_xlabel("seconds")

    described = "; ".join(f"{r[0]}: {r[1]:,.1f} s" for r in shown)
    return _drawn(name, f"{label}. {described}.", draw, 0.8 + 0.3 * len(shown))


def _short(text: str) -> str:
    text = text or "(empty)"
    return text if len(text) <= 34 else text[:33] + "…"


def _drawn(name: str, label: str, draw: Any, height: float) -> Markup:
    # Imported here: a second and 60 MB that only the report task needs. No pyplot: it is not thread-safe.
    import matplotlib as mpl
    from matplotlib.figure import Figure

    with mpl.rc_context({**STYLE, "svg.hashsalt": name}):
        figure = Figure(figsize=(7.4, height), layout="constrained")
        figure.patch.set_alpha(0)
        axes = figure.add_subplot()
        axes.patch.set_alpha(0)
        axes.tick_params(length=0)
        axes.margins(y=0.02)
        draw(axes)
        return _as_part(_svg(figure), name, label)


def _svg(figure: Figure) -> str:
    out = io.StringIO()
    figure.savefig(out, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    return out.getvalue()


def _as_part(svg: str, name: str, label: str) -> Markup:
    """The `<svg>` element alone, with ids of its own, scaling with the page, described for screen readers."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'\bid="([^"]+)"', rf'id="{name}-\1"', svg)
    svg = re.sub(r'href="#([^"]+)"', rf'href="#{name}-\1"', svg)
    svg = re.sub(r"url\(#([^)]+)\)", rf"url(#{name}-\1)", svg)
    svg = re.sub(
        r'<svg [^>]*?viewBox="([^"]+)"[^>]*>',
        rf'<svg viewBox="\1" role="img" aria-label="{escape(label)}">'.replace("\\", "\\\\").replace(
            "\\\\1", "\\1"
        ),
        svg,
        count=1,
    )
    for stand_in, variable in COLOURS.items():
        svg = svg.replace(stand_in, variable)
    return Markup(svg.strip())  # drawn by us; labels are escaped by the SVG writer


__all__ = ["lengths", "side_by_side", "timeline"]
