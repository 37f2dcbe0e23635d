"""`make readiness`: `coa_airflow.readiness` with the local Airflow's configuration.

Where there is no snapshot of the source yet, one run of coa_preflight makes it: it reads both orgs and writes to none.
"""

from __future__ import annotations

import sys

from coa.private_files import keep_files_private
from coa_airflow.local import headless
from coa_airflow.local.command import run_module
from coa_airflow.local.worker import NOT_STARTED
from coa_airflow.readiness import NO_SNAPSHOT

MODULE = "coa_airflow.readiness"


def main(arguments: list[str]) -> int:
    """Exit status of the command."""
    keep_files_private()
    status = run_module(MODULE, arguments)
    # A preflight that found blockers may have read the source all the same.
    if status == NO_SNAPSHOT and headless.main(["coa_preflight"]) != NOT_STARTED:
        status = run_module(MODULE, arguments)
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
