"""A migration that carries everything, in a process of its own, for tests that kill it.

    python -m tests.attachments.child DATABASE_URL SOURCE_URL TARGET_URL ARTIFACTS [RUN_ID]

Prints `run <run_id>` when the run is known and `state <state>` when it is over.
"""

from __future__ import annotations

import sys
from pathlib import Path

import structlog

from coa.staging.database import Database
from coa.staging.runs import Run
from orgsim.launch import RunningOrg
from orgsim.settings import Settings as OrgSettings
from tests.attachments.orgs import CARRY
from tests.engine.harness import FAST, Migrator

# Longer than the org holds up the call under which the process is killed.
SETTINGS = FAST.model_copy(update={"lost_call_seconds": 1.5})


def main(database_url: str, source_url: str, target_url: str, artifacts: str, run_id: str = "") -> None:
    database = Database(database_url)
    source, target = (
        # Only the addresses and the default credentials matter here: the orgs run in processes of the test.
        RunningOrg(url, "", OrgSettings(), None)  # type: ignore[arg-type]
        for url in (source_url, target_url)
    )
    migrator = Migrator(database, source, target, Path(artifacts), SETTINGS)
    run = Run.load(database, SETTINGS, run_id) if run_id else migrator.start(**CARRY)
    print("run", run.run_id, flush=True)
    print("state", migrator.go_on(run).state, flush=True)


if __name__ == "__main__":
    # Standard output is for the two lines that the test reads.
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    main(*sys.argv[1:])
