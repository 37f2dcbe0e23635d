"""The writing part of a roll-back in a process of its own, for tests that kill it.

python -m tests.rollback.child DATABASE_URL TARGET_URL RUN_ID
"""

from __future__ import annotations

import sys

from tests.engine.harness import FAST, connection_to

from coa import pipeline
from coa.salesforce.session import Org
from coa.staging.database import Database
from coa.staging.runs import Run
from orgsim.launch import RunningOrg
from orgsim.settings import Settings as OrgSettings


def main(database_url: str, target_url: str, run_id: str) -> None:
    # Only the address and the default credentials matter here: the org runs in a process of the test.
    org = RunningOrg(target_url, "", OrgSettings(), None)  # type: ignore[arg-type]
    run = Run.load(Database(database_url), FAST, run_id)
    pipeline.rollback_load(run, Org(connection_to(org, "coa_target"), FAST))
    print("done", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
