"""The figures as SVG: wall, API calls and memory against size, and how much of the result is right."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bench.check import Verdict
from bench.fit import fits
from bench.results import MIB, summaries
from bench.subjects import SUBJECTS

Record = dict[str, Any]
_PALETTE = ("#0b6e4f", "#58b09c", "#c1440e", "#e08e45", "#7b4b94", "#2f6690", "#d4a017", "#888888")
COLOURS = dict(zip(SUBJECTS, _PALETTE, strict=True))


def draw(document: dict[str, Any], folder: Path) -> list[Path]:
    """Files made; text stays text, so that a search finds it."""
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "bench", "font.size": 9})
    of = summaries(document["records"])
    return [
        _lines(of, folder / "wall.svg", "wall", 1, "seconds of wall time"),
        _lines(of, folder / "processor.svg", "processor", 1, "seconds of processor, client and database"),
        _lines(of, folder / "calls.svg", "calls_all", 1, "API calls, both orgs"),
        _lines(of, folder / "memory.svg", "peak_process", MIB, "largest process, MiB"),
        _correctness(of, folder / "correctness.svg"),
    ]


def _save(figure: Any, path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, metadata={"Date": None})
    # Each path's data ends in a blank there, which `git diff --check` would find.
    path.write_text("\n".join(line.rstrip() for line in path.read_text("utf-8").splitlines()) + "\n", "utf-8")
    return path


def _lines(of: list[Record], path: Path, name: str, unit: float, title: str) -> Path:
    """Points are measured, lines are the linear fit."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.2, 4.2), layout="constrained")
    axes = figure.add_subplot()
    for subject in SUBJECTS.values():
        points = [(one["orders"], one[name] / unit) for one in of if one["subject"] == subject.name]
        if not points:
            continue
        sizes, costs = [p[0] for p in points], [p[1] for p in points]
        axes.plot(sizes, costs, "o", color=COLOURS[subject.name], label=subject.title)
        if len(points) > 1:
            line = fits(sizes, costs)
            reach = [sizes[0] * (sizes[-1] / sizes[0]) ** (n / 60) for n in range(61)]
            axes.plot(reach, [line.fixed + line.slope * x for x in reach], color=COLOURS[subject.name], lw=1)
    axes.set(xscale="log", yscale="log", xlabel="orders", title=title)
    axes.grid(True, which="major", alpha=0.3)
    axes.legend(frameon=False, fontsize=8)
    return _save(figure, path)


def _correctness(of: list[Record], path: Path) -> Path:
    from matplotlib.figure import Figure

    largest = max(one["orders"] for one in of)
    at = [one for one in of if one["orders"] == largest and one["subject"] != "floor"][::-1]
    figure = Figure(figsize=(7.2, 0.9 + 0.62 * len(at)), layout="constrained")
    axes = figure.add_subplot()
    aspects = (
        ("orders whole", "orders_whole", "orders", "#0b6e4f"),
        ("status", "status_right", "orders", "#58b09c"),
        ("received date", "received_right", "orders", "#2f6690"),
        ("price of details", "prices_right", "details", "#c1440e"),
    )
    for number, (title, count, whole, colour) in enumerate(aspects):
        verdicts = [Verdict.from_dict(one["verdict"]).as_dict() for one in at]
        values = [100 * v[count] / v[whole] if v[whole] else 0 for v in verdicts]
        axes.barh([n - number * 0.2 + 0.3 for n in range(len(at))], values, 0.18, label=title, color=colour)
    axes.set_yticks(range(len(at)), [SUBJECTS[one["subject"]].title for one in at])
    axes.set(xlim=(0, 100), xlabel="per cent right", title=f"{largest:,} orders: what arrived right")
    axes.legend(frameon=False, fontsize=8, ncols=4, loc="upper center", bbox_to_anchor=(0.4, -0.18))
    return _save(figure, path)
