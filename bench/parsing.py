"""How long each DAG file takes to parse, above the bare import of what any DAG needs.

    python -m bench.parsing

A new process for each look: Airflow's DAG processor parses in a fork that knows Airflow and nothing of ours.
Processor time, since wall time says more of what else the machine does; the median of several looks.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median

from bench.scene import PROJECT

LOOKS = 5
AIM_SECONDS = 0.3
SCRIPT = """
import json, runpy, sys, time
from airflow.sdk import DAG, TaskGroup, chain, task
from airflow.providers.standard.operators.hitl import HITLOperator
start, begun = time.perf_counter(), time.process_time()
runpy.run_path(sys.argv[1])
print(json.dumps([time.process_time() - begun, time.perf_counter() - start]))
"""


def seconds(file: Path, looks: int = LOOKS) -> tuple[float, float]:
    """(processor, wall) seconds to parse a DAG file."""
    with tempfile.TemporaryDirectory() as home:
        environment = {
            "AIRFLOW_HOME": home,
            "PYTHONPATH": str(PROJECT / "include"),
            "PATH": "/usr/bin:/bin",
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "PYTHONWARNINGS": "ignore",
        }
        found = []
        for _ in range(looks):
            said = subprocess.run(
                [sys.executable, "-c", SCRIPT, str(file)],
                env=environment,
                capture_output=True,
                text=True,
                check=True,
            ).stdout
            found.append(json.loads(said.strip().splitlines()[-1]))
    return median(one[0] for one in found), median(one[1] for one in found)


def all_files(looks: int = LOOKS) -> dict[str, tuple[float, float]]:
    return {file.stem: seconds(file, looks) for file in sorted((PROJECT / "dags").glob("coa_*.py"))}


def main() -> None:
    for name, (busy, wall) in all_files().items():
        print(f"{name}: {busy:.3f} s of processor, {wall:.3f} s wall")


if __name__ == "__main__":
    main()
