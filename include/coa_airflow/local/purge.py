"""`make purge ARGS='--older-than 90 --dry-run'`: `coa_airflow.retention` with the local Airflow's configuration."""

from __future__ import annotations

import sys

from coa.private_files import keep_files_private
from coa_airflow.local.command import run_module


def main(arguments: list[str]) -> int:
    """Exit status of the command."""
    keep_files_private()
    return run_module("coa_airflow.retention", arguments or ["--help"])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
