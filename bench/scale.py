"""The long one: 100,000 orders with ten details each through our engine alone, a million details.

    python -m bench.scale [--orders 100000] [--details-per-order 10] [--shared]

Writes `scale.json` and `scale.md` beside the other results: memory of each process, processor time of the
database, what proving costs beside reading, API calls, and how long each DAG file takes to parse.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

from bench import machine, parsing, results, run, scene
from bench.__main__ import RESULTS
from bench.check import Verdict
from bench.subjects import SUBJECTS

MIB = results.MIB
READ_FOR_THE_PROOF = ("extract_source", "extract_verify")


def report(document: dict[str, Any]) -> str:
    """The Markdown of a scale run."""
    one, verdict = document["record"], Verdict.from_dict(document["record"]["verdict"])
    own = one["run"]
    stages, least = own["stages"], own["minimum"]
    read = [stages.get(name, 0.0) for name in READ_FOR_THE_PROOF]
    records = one["orders"] + one["details"]
    facts = [
        ("orders, details", f"{one['orders']:,}, {one['details']:,}"),
        ("state", own["state"]),
        ("orders whole, details right", f"{results.share(verdict.orders_whole, verdict.orders)}, "
         f"{results.share(verdict.details_right, verdict.details)}"),
        ("missing, doubled", f"{verdict.orders_missing + verdict.details_missing:,}, "
         f"{verdict.orders_doubled + verdict.details_doubled:,}"),
        ("wall", f"{one['wall']:,.0f} s ({records / one['wall']:,.0f} records a second)"),
        ("processor: engine, database, both orgs", f"{one['seconds']:,.0f} s, {one['database_seconds']:,.0f} s, "
         f"{sum(one['orgs_seconds']):,.0f} s"),
        ("memory of the engine's process", f"{one['peak_process'] / MIB:,.0f} MiB"),
        ("memory of the database: largest process, all", f"{one['database_peak_process'] / MIB:,.0f} MiB, "
         f"{one['database_peak_all'] / MIB:,.0f} MiB"),
        ("size of the staging database", f"{own['staging_bytes'] / 1e9:,.1f} GB"),
        ("bytes up, down", f"{one['bytes_to_orgs'] / 1e6:,.0f} MB, {one['bytes_from_orgs'] / 1e6:,.0f} MB"),
        ("API calls, smallest number", f"{least['measured']:,}, {least['calls']:,} "
            f"({100 * least['excess']:.1f} % above)"),
        ("Bulk jobs: ingest, query", f"{least['ingest_jobs']:,}, {least['query_jobs']:,}"),
        ("reading the source, reading the target back", f"{read[0]:,.0f} s, {read[1]:,.0f} s"),
        ("comparing every field", f"{stages.get('verify', 0):,.0f} s"),
    ]  # fmt: skip
    tables = [
        _two("", "", facts),
        _two("stage", "seconds", [(name, f"{seconds:,.1f}") for name, seconds in sorted(stages.items())]),
        _two("DAG file", "seconds of processor to parse, above bare Airflow", document["parsing"]),
    ]
    shared = " The machine was shared with other work." if document.get("shared") else ""
    return (
        "# A million details\n\nThe machine is that of [the benchmark](bench.md)."
        + shared
        + "\n\n"
        + "\n\n".join(tables)
        + "\n"
    )


def _two(left: str, right: str, rows: Any) -> str:
    body = [f"| {a} | {b} |" for a, b in rows]
    return "\n".join([f"| {left} | {right} |", "| --- | --: |", *body])


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.scale", description=__doc__)
    parser.add_argument("--orders", type=int, default=100_000)
    parser.add_argument("--details-per-order", type=float, default=10.0)
    parser.add_argument("--poll-seconds", type=float, default=0.5)
    parser.add_argument("--shared", action="store_true", help="say that other work ran on the machine")
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--work", type=Path, default=scene.PROJECT / ".local" / "bench")
    asked = parser.parse_args()
    asked.work.mkdir(parents=True, exist_ok=True)
    print(time.strftime("%H:%M:%S"), "started", flush=True)
    parsed = [(name, f"{busy:.3f}") for name, (busy, _) in parsing.all_files().items()]
    with scene.staging_server(asked.work) as server:
        record = run.one(
            asked.work,
            SUBJECTS["engine"],
            asked.orders,
            asked.poll_seconds,
            server,
            details_per_order=asked.details_per_order,
        )
    document = {
        "machine": machine.describe(),
        "shared": asked.shared,
        "record": record,
        "parsing": parsed,
    }
    results.save(asked.results / "scale.json", document)
    (asked.results / "scale.md").write_text(report(document), "utf-8")
    print(report(document))


if __name__ == "__main__":
    main()
