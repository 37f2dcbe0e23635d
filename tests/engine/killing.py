"""A stage in a process of its own, which is killed at a moment of the test's choice.

python -m tests.engine.killing DATABASE_URL TARGET_URL RUN_ID STAGE
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from coa import pipeline
from coa.salesforce.session import Org
from coa.staging.database import Database
from coa.staging.runs import Run
from orgsim.launch import RunningOrg
from orgsim.settings import Settings as OrgSettings
from tests.engine.harness import FAST, Migrator, connection_to


def kill_while(pair: Migrator, run: Run, stage: str, moment: dict[str, Any]) -> None:
    """Starts `stage`, a function of the pipeline that takes the target, and kills its process while the org holds the
    request of this `moment` up."""
    pair.target.control("POST", "faults", [{"kind": "slow", "seconds": 2.0, "times": 1, **moment}])
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.engine.killing", pair.db.url, pair.target.url, run.run_id, stage],
        cwd=Path(__file__).resolve().parents[2],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)},
    )
    deadline = time.monotonic() + 120
    while not pair.target.control("GET", "faults")[0]["fired"]:
        assert process.poll() is None, f"{stage} ended before the moment came"
        assert time.monotonic() < deadline
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    pair.target.control("DELETE", "faults")


def main(database_url: str, target_url: str, run_id: str, stage: str) -> None:
    # Only the address and the default credentials matter here: the org runs in a process of the test.
    org = RunningOrg(target_url, "", OrgSettings(), None)  # type: ignore[arg-type]
    run = Run.load(Database(database_url), FAST, run_id)
    getattr(pipeline, stage)(run, Org(connection_to(org, "coa_target"), FAST))


if __name__ == "__main__":
    main(*sys.argv[1:])
