"""A migration in a process of its own, for tests that kill it: resumes the run named, or starts one.

    python -m tests.engine.child DATABASE_URL SOURCE_URL TARGET_URL ARTIFACTS PARAMS_JSON [RUN_ID]

Prints `run <run_id>` when the run is known and `state <state>` when it is over.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import structlog

from coa.staging.database import Database
from coa.staging.runs import Run
from orgsim.launch import RunningOrg
from orgsim.settings import Settings as OrgSettings
from tests.engine.harness import FAST, Migrator


def main(
    database_url: str, source_url: str, target_url: str, artifacts: str, params: str, run_id: str = ""
) -> None:
    database = Database(database_url)
    # Only the addresses and the default credentials matter here: the orgs run in processes of the test.
    source = RunningOrg(source_url, "", OrgSettings(), None)  # type: ignore[arg-type]
    target = RunningOrg(target_url, "", OrgSettings(), None)  # type: ignore[arg-type]
    migrator = Migrator(database, source, target, Path(artifacts))
    run = Run.load(database, FAST, run_id) if run_id else migrator.start(**json.loads(params))
    print("run", run.run_id, flush=True)
    print("state", migrator.go_on(run).state, flush=True)


if __name__ == "__main__":
    # Standard output is for the two lines that the test reads.
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    main(*sys.argv[1:])
