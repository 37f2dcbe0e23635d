"""The goals of the load side by side with what the results hold: before, to reach, reached.

    python -m bench.targets [--results bench/results]     the table
    python -m bench --goals                               measures what it needs

Only measurements that count the rows read back are taken: those of before are the column *before*. What no run of the
benchmark has measured yet says so.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench import results

Record = dict[str, Any]
NOT_YET = "**not measured yet**"
APART = "measured apart, see the text"
OURS = ("engine", "airflow")
NEEDED = (
    (1000, ("airflow",)),
    (10_000, ("airflow", "reference", "engine", "floor")),
    (50_000, ("airflow", "reference", "sfdmu")),
    (100_000, ("engine", "floor")),
)
"""Size and subjects that the goals compare, smallest first: whoever has not all the time there is breaks off."""
MIB = results.MIB


@dataclass(frozen=True)
class Measured:
    """Medians, one a subject and size."""

    of: list[Record]

    def one(self, subjects: tuple[str, ...], orders: int | None) -> Record | None:
        """The first of these subjects that was measured at a size; None: at the largest one that there is."""
        for name in subjects:
            same = [r for r in self.of if r["subject"] == name and orders in (None, r["orders"])]
            if same:
                return max(same, key=lambda r: int(r["orders"]))
        return None

    def beside(
        self, subjects: tuple[str, ...], other: str, orders: int | None
    ) -> tuple[Record, Record] | None:
        """Ours and another subject at the same size: this one, or the largest at which there are both."""
        for size in sorted({r["orders"] for r in self.of}, reverse=True):
            if orders in (None, size):
                ours, theirs = self.one(subjects, size), self.one((other,), size)
                if ours and theirs:
                    return ours, theirs
        return None


Reached = Callable[[Measured], str | None]


@dataclass(frozen=True)
class Target:
    """One goal; `reached` gives None where nothing of it was measured."""

    what: str
    before: str
    goal: str
    reached: Reached


def _apart(_: Measured) -> str:
    return APART


def _figure(subjects: tuple[str, ...], orders: int, name: str, form: str = "{:,.0f}") -> Reached:
    def reached(measured: Measured) -> str | None:
        one = measured.one(subjects, orders)
        return form.format(one[name]) if one else None

    return reached


def _against(other: str, name: str, orders: int | None, subjects: tuple[str, ...] = ("airflow",)) -> Reached:
    def reached(measured: Measured) -> str | None:
        pair = measured.beside(subjects, other, orders)
        if pair is None:
            return None
        ours, theirs = pair
        told = f"{ours[name] / theirs[name]:.2f}"
        return told if orders else f"{told} ({ours['orders']:,} orders)"

    return reached


def _read_back(measured: Measured) -> str | None:
    one = measured.one(OURS, None)
    return f"{one['rows_read_back'] / one['rows_loaded']:.2f} ({one['orders']:,} orders)" if one else None


def _memory(measured: Measured) -> str | None:
    one = measured.one(OURS, None)
    if one is None:
        return None
    peaks = one["peak_process"] / MIB, one["database_peak_process"] / MIB
    return f"{peaks[0]:,.0f} / {peaks[1]:,.0f} MiB ({one['orders']:,} orders)"


def _extract(measured: Measured) -> str | None:
    pair = measured.beside(OURS, "floor", None)
    read = [one["phases"].get("read") for one in pair] if pair else []
    return f"{read[0] / read[1]:.2f} ({pair[0]['orders']:,} orders)" if pair and all(read) else None


TARGETS = (
    Target("start-up before the first stage of `make migrate`", "9 s", "at most 5 s", _apart),
    Target(
        "`make migrate`, 1,000 orders, wall",
        "34 s",
        "at most 15 s",
        _figure(("airflow",), 1000, "wall", "{:,.1f} s"),
    ),
    Target(
        "10,000 orders, wall against the smallest correct load",
        "12",
        "at most 3.5",
        _against("reference", "wall", 10_000),
    ),
    Target("50,000 orders, likewise", "10.5", "at most 2.5", _against("reference", "wall", 50_000)),
    Target("50,000 orders against SFDMU's one pass", "1.0", "below 1", _against("sfdmu", "wall", 50_000)),
    Target(
        "PostgreSQL's processor seconds, 100,000 orders",
        "314",
        "at most 105",
        _figure(OURS, 100_000, "database_seconds"),
    ),
    Target(
        "rows written to the target against the smallest correct load",
        "1.0",
        "1.0",
        _against("reference", "rows_loaded", None, OURS),
    ),
    Target("rows read back against rows written", "1.9", "at most 1.1", _read_back),
    Target("API calls, 100,000 orders", "2,422", "at most 1,200", _figure(OURS, 100_000, "calls_all")),
    Target("largest process of ours / of PostgreSQL", "186 / 340 MiB", "no more", _memory),
    Target("unchanged delta", "33 calls, 13 s", "at most 36 calls, 9 s", _apart),
    Target("extract against curl to a file", "2.2", "at most 1.5", _extract),
)


def markdown(document: Record) -> str:
    """The table, from the results as `bench.results` keeps them."""
    counted = [one for one in document["records"] if "rows_read_back" in one]
    measured = Measured(results.summaries(counted))
    head = ["", "before", "to reach", "reached"]
    body = [[one.what, one.before, one.goal, one.reached(measured) or NOT_YET] for one in TARGETS]
    return results.table(head, body)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.targets", description=__doc__)
    parser.add_argument("--results", type=Path, default=Path(__file__).parent / "results")
    print(markdown(results.load(parser.parse_args().results / "bench.json")))


if __name__ == "__main__":
    main()
