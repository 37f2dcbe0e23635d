"""`make what-if`: `coa_airflow.what_if` with the local Airflow's configuration."""

from __future__ import annotations

import sys

from coa.private_files import keep_files_private
from coa_airflow.local.command import run_module

MODULE = "coa_airflow.what_if"


def main() -> int:
    """Exit status of the command."""
    keep_files_private()
    return run_module(MODULE, [], passed_on=("PARAMS",))


if __name__ == "__main__":
    sys.exit(main())
