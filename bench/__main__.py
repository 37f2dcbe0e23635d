"""`make bench`: every subject at every size, each on two fresh orgs; results in `bench/results/`.

    python -m bench [--sizes 1000 10000] [--subjects engine sfdmu ...] [--repeats 3] [--shared] [--report]
    python -m bench --goals [--repeats 1]     what the table of goals needs, smallest first; prints it

What was measured before at another size or of another subject stays in the results; `--report` measures
nothing and only writes tables and charts anew.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from subprocess import SubprocessError

from bench import charts, machine, results, run, scene, targets
from bench.subjects import SUBJECTS

RESULTS = scene.PROJECT / "bench" / "results"
REPEATED_UP_TO = 10_000
"""Larger sizes run once: what varies is small beside what they cost."""


def arguments(given: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--sizes", nargs="*", type=int, default=[1000, 10_000, 100_000])
    parser.add_argument("--subjects", nargs="*", default=list(SUBJECTS), choices=list(SUBJECTS))
    parser.add_argument("--repeats", type=int, default=3, help="runs of a size up to 10,000 orders")
    parser.add_argument("--poll-seconds", type=float, default=0.5, help="gap between two looks at a Bulk job")
    parser.add_argument("--shared", action="store_true", help="say that other work ran on the machine")
    parser.add_argument("--goals", action="store_true", help="measure what the table of goals needs")
    parser.add_argument("--report", action="store_true", help="only tables and charts, from what is there")
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--work", type=Path, default=scene.PROJECT / ".local" / "bench")
    return parser.parse_args(given)


def write(folder: Path, document: dict[str, object]) -> None:
    results.save(folder / "bench.json", document)
    (folder / "bench.md").write_text(results.markdown(document), "utf-8")
    (folder / "targets.md").write_text(f"# Goals of the load\n\n{targets.markdown(document)}\n", "utf-8")
    charts.draw(document, folder)


def main(given: list[str] | None = None) -> int:
    asked = arguments(given)
    document = results.load(asked.results / "bench.json")
    if asked.report:
        write(asked.results, document)
        return 0
    document |= {"machine": machine.describe(), "poll_seconds": asked.poll_seconds}
    document["shared"] = asked.shared or document.get("shared", False)
    failed = 0
    asked.work.mkdir(parents=True, exist_ok=True)
    with scene.staging_server(asked.work) as server:
        for orders, subjects in targets.NEEDED if asked.goals else [(n, asked.subjects) for n in asked.sizes]:
            for name in subjects:
                made = []
                for number in range(asked.repeats if orders <= REPEATED_UP_TO else 1):
                    print(
                        f"{time.strftime('%H:%M:%S')} {name}, {orders:,} orders, run {number + 1}", flush=True
                    )
                    try:
                        made.append(run.one(asked.work, SUBJECTS[name], orders, asked.poll_seconds, server))
                    except (RuntimeError, TimeoutError, OSError, SubprocessError) as error:
                        print(f"  failed: {error}", file=sys.stderr, flush=True)
                        failed += 1
                        break
                    print(f"  {made[-1]['wall']} s wall, {made[-1]['seconds']} s processor", flush=True)
                if made:
                    document["records"] = [*results.without(document["records"], name, orders), *made]
                    write(asked.results, document)
    print(f"results in {asked.results}")
    if asked.goals:
        print(targets.markdown(document))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
