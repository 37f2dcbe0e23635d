"""The benchmark on orgs that take their time: each Bulk job queues, and its rows are worked off at a rate.

    python -m bench.slow [--sizes 1000] [--subjects reference engine ...]       or: make bench ORG=slow

The wall time of each subject stands beside the best possible schedule of what a correct load has to send at that speed
(`bench.schedule`), made of the rows that the smallest correct load (`bench.clients.reference`) sent. Settings of the
orgs: `orgsim.bulk.speed.SLOW`, with their reasons. Results: `bench/results/slow.md`.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from subprocess import SubprocessError
from typing import Any

from bench import machine, results, run, scene
from bench.__main__ import RESULTS
from bench.check import CUSTOMER, DETAIL, ORDER, Verdict
from bench.results import Record
from bench.schedule import Pass, Schedule, best
from bench.subjects import SUBJECTS
from orgsim.bulk.speed import QUERY, SLOW, rate_of

REFERENCE = "reference"


def passes(reference: Record) -> list[Pass]:
    """What a correct load sends, from what the smallest one sent, and the reading back by which it is proved."""
    sent: dict[tuple[str, str], list[int]] = {}
    for name, operation, processed in reference["writes"]:
        sent.setdefault((name, operation), []).append(processed)

    def rows(name: str, operation: str, number: int = 0) -> int:
        jobs = sent.get((name, operation), [])
        return jobs[number] if number < len(jobs) else 0

    def write(
        title: str, name: str, count: int, after: tuple[str, ...] = (), all_of: tuple[str, ...] = ()
    ) -> Pass:
        return Pass(title, count, rate_of(SLOW["rows_per_second"], name), after=after, after_all=all_of)

    def read(title: str, count: int, org: str, all_of: tuple[str, ...] = ()) -> Pass:
        return Pass(title, count, rate_of(SLOW["rows_per_second"], QUERY), org, after_all=all_of)

    orders, details = rows(ORDER, "insert"), rows(DETAIL, "insert")
    return [
        read("read customers", rows(CUSTOMER, "insert"), "source"),
        read("read orders", orders, "source"),
        read("read details", details, "source"),
        write("insert customers", CUSTOMER, rows(CUSTOMER, "insert"), all_of=("read customers",)),
        write("insert orders", ORDER, orders, all_of=("insert customers", "read orders")),
        write("insert details", DETAIL, details, ("insert orders",), ("read details",)),
        write("prices", DETAIL, rows(DETAIL, "update"), ("insert details",)),
        write("statuses and links", ORDER, rows(ORDER, "update"), ("insert details",), ("insert orders",)),
        write("received dates", ORDER, rows(ORDER, "update", 1), ("statuses and links",)),
        read("read back orders", orders, "target", ("statuses and links", "received dates")),
        read("read back details", details, "target", ("insert details", "prices", "statuses and links")),
    ]


def schedule(reference: Record) -> Schedule:
    return best(passes(reference), queue=SLOW["queue_seconds"], places=SLOW["bulk_workers"])


def markdown(document: dict[str, Any]) -> str:
    of = results.summaries(document["records"])
    parts = ["# Slow orgs", "", _model(document), ""]
    for orders in sorted({one["orders"] for one in of}):
        at = [one for one in of if one["orders"] == orders]
        reference = next((one for one in at if one["subject"] == REFERENCE), None)
        shortest = schedule(reference) if reference else None
        parts += [f"## {orders:,} orders, {max(one['details'] for one in at):,} details", ""]
        if reference and shortest:
            parts += [_explained(reference, shortest), ""]
        parts += [_subjects(at, shortest), ""]
    return "\n".join(parts)


def _model(document: dict[str, Any]) -> str:
    rates = ", ".join(SLOW["rows_per_second"])
    shared = " The machine was shared with other work." if document.get("shared") else ""
    return (
        f"Both orgs let a Bulk job queue for {SLOW['queue_seconds']:g} s, work on {SLOW['bulk_workers']} at a time, "
        f"and work off its rows at so many a second: {rates}; a job of more than 10,000 rows in batches of that many "
        "side by side. Why these: `include/orgsim/bulk/speed.py`. Ours looks at jobs at "
        f"its own pace, the others every {document.get('poll_seconds')} s. The machine is that of "
        f"[the benchmark](bench.md).{shared}"
    )


def _explained(reference: Record, shortest: Schedule) -> str:
    """What the best schedule does, pass by pass."""
    rows = {one.name: one for one in passes(reference)}
    table = results.table(
        ["pass", "rows", "rows a second", "begins to queue at s", "over at s"],
        [
            [name, f"{rows[name].rows:,}", f"{rows[name].rate:g}", f"{begin:,.0f}", f"{end:,.0f}"]
            for name, begin, end in shortest.spans
        ],
    )
    return (
        f"The best possible schedule takes **{shortest.seconds:,.0f} s**, in {shortest.chunks} chunks; no schedule "
        f"can take less than {shortest.floor:,.0f} s. It knows all beforehand, asks nothing, and learns of each job's "
        f"end at once.\n\n{table}"
    )


def _subjects(at: list[Record], shortest: Schedule | None) -> str:
    head = ["", "wall s", "x best schedule", "API calls", "rows written", "orders whole", "details right"]
    body = []
    for one in at:
        verdict = Verdict.from_dict(one["verdict"])
        body.append(
            [
                SUBJECTS[one["subject"]].title,
                f"{one['wall']:,.0f}",
                results.ratio(one["wall"], shortest.seconds if shortest else None),
                f"{one['calls_all']:,.0f}",
                f"{one['rows_loaded']:,}",
                results.share(verdict.orders_whole, verdict.orders),
                results.share(verdict.details_right, verdict.details),
            ]
        )
    return results.table(head, body)


def main(given: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.slow", description=__doc__)
    parser.add_argument("--sizes", nargs="*", type=int, default=[1000, 10_000])
    parser.add_argument(
        "--subjects",
        nargs="*",
        default=[REFERENCE, "engine", "sfdmu2", "cumulusci", "naive"],
        choices=list(SUBJECTS),
    )
    parser.add_argument("--poll-seconds", type=float, default=0.5, help="gap between two looks of the others")
    parser.add_argument("--shared", action="store_true", help="say that other work ran on the machine")
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--work", type=Path, default=scene.PROJECT / ".local" / "bench")
    asked = parser.parse_args(given)
    document = results.load(asked.results / "slow.json")
    document |= {"machine": machine.describe(), "poll_seconds": asked.poll_seconds, "shared": asked.shared}
    failed = 0
    asked.work.mkdir(parents=True, exist_ok=True)
    with scene.staging_server(asked.work) as server:
        for orders in asked.sizes:
            for name in asked.subjects:
                print(f"{time.strftime('%H:%M:%S')} {name}, {orders:,} orders", flush=True)
                try:
                    made = run.one(
                        asked.work, SUBJECTS[name], orders, asked.poll_seconds, server, both=dict(SLOW)
                    )
                except (RuntimeError, TimeoutError, OSError, SubprocessError) as error:
                    print(f"  failed: {error}", file=sys.stderr, flush=True)
                    failed += 1
                    continue
                print(f"  {made['wall']} s wall, {sum(made['calls'])} calls", flush=True)
                document["records"] = [*results.without(document["records"], name, orders), made]
                results.save(asked.results / "slow.json", document)
                (asked.results / "slow.md").write_text(markdown(document), "utf-8")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
