"""Records of measurements, their medians, and the table in Markdown."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from statistics import median
from typing import Any

from bench.check import Verdict
from bench.fit import fits
from bench.subjects import SUBJECTS

Record = dict[str, Any]
MIB = 1 << 20
MEDIANS = ("wall", "seconds", "database_seconds", "peak_process", "peak_all", "database_peak_process",
           "database_peak_all", "others_seconds", "bytes_to_orgs", "bytes_from_orgs", "calls_all", "orgs_all",
           "processor", "rows_loaded", "rows_read_back")  # fmt: skip
_LEAST = ("ingest_jobs", "query_jobs", "pages", "waiting", "fixed", "calls", "measured")


def load(path: Path) -> dict[str, Any]:
    if path.exists():
        known: dict[str, Any] = json.loads(path.read_text("utf-8"))
        return known
    return {"records": []}


def save(path: Path, document: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document, indent=1, sort_keys=True) + "\n", "utf-8")


def without(records: Iterable[Record], subject: str, orders: int) -> list[Record]:
    return [one for one in records if (one["subject"], one["orders"]) != (subject, orders)]


def summaries(records: Iterable[Record]) -> list[Record]:
    """One a subject and size: medians of the figures; the verdict with the most damage."""
    groups: dict[tuple[int, str], list[Record]] = {}
    for one in records:
        full = {
            "others_seconds": -1.0,
            "phases": {},
            "rows_loaded": 0,
            "rows_read_back": 0,
            **one,
            "calls_all": sum(one["calls"]),
            "orgs_all": sum(one["orgs_seconds"]),
            "processor": one["seconds"] + one["database_seconds"],
        }
        groups.setdefault((one["orders"], one["subject"]), []).append(full)
    made = []
    order = list(SUBJECTS)
    for orders, subject in sorted(groups, key=lambda key: (key[0], order.index(key[1]))):
        same = groups[orders, subject]
        worst = max(same, key=lambda one: Verdict.from_dict(one["verdict"]).damaged_orders)
        medians = {name: median(one[name] for one in same) for name in MEDIANS}
        phases = {name: median(one["phases"].get(name, 0.0) for one in same) for name in worst["phases"]}
        made.append({**worst, **medians, "phases": phases, "runs": len(same)})
    return made


def markdown(document: dict[str, Any]) -> str:
    of = summaries(document["records"])
    sizes = sorted({one["orders"] for one in of})
    parts = ["# Benchmark", "", _intro(document), ""]
    for orders in sizes:
        at = [one for one in of if one["orders"] == orders]
        details = max(one["details"] for one in at)
        parts += [f"## {orders:,} orders, {details:,} details", "", costs(at), "", correctness(at), ""]
        if any(one["phases"] for one in at):
            parts += ["Reading the source and loading the target, apart:", "", throughput(at), ""]
    parts += ["## API calls of our engine beside the smallest number possible", "", _minimum(of), ""]
    if len(sizes) > 1:
        parts += ["## Cost against size", "", _fits(of), ""]
    parts += [PICTURES, ""]
    return "\n".join(parts)


PICTURES = (
    "`python -m bench --report` draws the same as pictures beside this file (`wall.svg`, `processor.svg`, `calls.svg`, "
    "`memory.svg`, `correctness.svg`); they are not committed."
)


def _intro(document: dict[str, Any]) -> str:
    machine = document.get("machine", {})
    told = ", ".join(
        f"{name.replace('_gib', '')} {value}{' GiB' if 'gib' in name else ''}"
        for name, value in machine.items()
    )
    lines = [f"Machine: {told}."]
    if document.get("shared"):
        lines.append(
            "It was shared with other work meanwhile (column *others' CPU*: what that took of the machine while the "
            "subject ran), so wall times vary: compare processor times first."
        )
    lines.append(
        f"All clients look at a Bulk job every {document.get('poll_seconds')} s, over https, on two fresh simulated "
        "orgs each; figures are medians where a size was run several times."
    )
    lines += ["", *(f"- **{one.title}**: {one.note}." for one in SUBJECTS.values())]
    return "\n".join(lines)


def table(head: list[str], body: list[list[str]]) -> str:
    rows = [head, ["---", *["--:"] * (len(head) - 1)], *body]
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def costs(of: list[Record]) -> str:
    """Ratios are of the wall time to that of our engine at this size."""
    ours = next((one["wall"] for one in of if one["subject"] == "engine"), None)
    head = ["", "wall s", "x ours", "client CPU s", "database CPU s", "orgs' CPU s", "others' CPU s",
            "largest process MiB",
            "all processes MiB", "database MiB", "API calls", "MB up", "MB down", "runs"]  # fmt: skip
    return table(
        head,
        [
            [
                SUBJECTS[one["subject"]].title,
                f"{one['wall']:,.1f}",
                f"{one['wall'] / ours:.2f}" if ours else "",
                f"{one['seconds']:,.1f}",
                f"{one['database_seconds']:,.1f}" if one["database_seconds"] else "–",
                f"{one['orgs_all']:,.1f}",
                f"{one['others_seconds']:,.0f}" if one["others_seconds"] >= 0 else "not measured",
                f"{one['peak_process'] / MIB:,.0f}",
                f"{one['peak_all'] / MIB:,.0f}",
                f"{one['database_peak_all'] / MIB:,.0f}" if one["database_peak_all"] else "–",
                f"{one['calls_all']:,.0f}",
                f"{one['bytes_to_orgs'] / 1e6:,.1f}",
                f"{one['bytes_from_orgs'] / 1e6:,.1f}",
                f"{one['runs']}",
            ]
            for one in of
        ],
    )


def correctness(of: list[Record]) -> str:
    """By the independent check; the floor claims nothing and is left out."""
    head = ["", "orders whole", "status", "received date", "totals", "links", "created date", "orders missing",
            "doubled", "details right", "price", "links", "missing", "doubled", "customers doubled"]  # fmt: skip
    body = []
    for one in of:
        if one["subject"] == "floor":
            continue
        v = Verdict.from_dict(one["verdict"])
        orders = (
            v.orders_whole,
            v.status_right,
            v.received_right,
            v.totals_right,
            v.order_links_right,
            v.created_right,
        )
        details = (v.details_right, v.prices_right, v.detail_links_right)
        body.append(
            [
                SUBJECTS[one["subject"]].title,
                *(share(count, v.orders) for count in orders),
                f"{v.orders_missing:,}",
                f"{v.orders_doubled:,}",
                *(share(count, v.details) for count in details),
                f"{v.details_missing:,}",
                f"{v.details_doubled:,}",
                f"{v.customers_doubled:,}",
            ]
        )
    return table(head, body)


def share(count: int, of: int) -> str:
    """`100 %` only for all of them."""
    if count == of:
        return "100 %"
    percent = 100 * count / of if of else 0.0
    return f"{min(percent, 99.9):.1f} % ({of - count:,} wrong)"


def throughput(of: list[Record]) -> str:
    """Wall of the two phases beside the floor's, and beside the time that the target worked on the jobs of the load."""
    floor: Record = next((one["phases"] for one in of if one["subject"] == "floor"), {})
    head = ["", "read s", "x floor", "load s", "x floor", "rows written", "rows a second",
            "target's work on them s", "load / that work"]  # fmt: skip
    body = []
    for one in of:
        read, load = (one["phases"].get(name) for name in ("read", "load"))
        if read is None or load is None:
            continue
        rows, work = one["rows_loaded"], one["load_job_seconds"]
        body.append(
            [
                SUBJECTS[one["subject"]].title,
                f"{read:,.1f}",
                ratio(read, floor.get("read")),
                f"{load:,.1f}",
                ratio(load, floor.get("load")),
                f"{rows:,}",
                f"{rows / load:,.0f}" if load else "",
                f"{work:,.1f}",
                ratio(load, work),
            ]
        )
    return table(head, body)


def ratio(value: float, of: float | None) -> str:
    return f"{value / of:.2f}" if of else ""


def _minimum(of: list[Record]) -> str:
    head = [
        "orders",
        "ingest jobs",
        "query jobs",
        "pages",
        "waiting",
        "fixed",
        "smallest number",
        "measured",
        "above it",
    ]
    return table(
        head,
        [
            [
                f"{one['orders']:,}",
                *(f"{least[name]:,}" for name in _LEAST),
                f"{100 * least['excess']:.1f} %",
            ]
            for one in of
            if one["subject"] == "engine" and (least := one["run"]["minimum"])
        ],
    )  # fmt: skip


def _fits(of: list[Record]) -> str:
    """Processor time is that of client and database."""
    grows, off = "a 1,000 orders", "worst deviation"
    head = ["", "wall: fixed s", grows, off, "processor: fixed s", grows, off, "calls: fixed", grows, off]
    body = []
    for subject in SUBJECTS.values():
        same = [one for one in of if one["subject"] == subject.name]
        if len(same) < 2:
            continue
        row = [subject.title]
        for name in ("wall", "processor", "calls_all"):
            line = fits([one["orders"] for one in same], [one[name] for one in same])
            row += [f"{line.fixed:,.1f}", f"{line.slope * 1000:,.2f}", f"{100 * line.worst:.0f} %"]
        body.append(row)
    return table(head, body)
