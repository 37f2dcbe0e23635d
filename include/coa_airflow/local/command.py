"""`make airflow ARGS='dags list'`: the command line of the Airflow that `make up` starts.

    python -m coa_airflow.local.command dags list

The same home, database, DAGs and plugins; whether its server runs or not.
"""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import closing

import psycopg

from coa.errors import CoaError
from coa.private_files import keep_files_private
from coa.staging.embedded import AIRFLOW_DATABASE, EmbeddedPostgres
from coa_airflow.local.home import common_environment


def main(arguments: list[str], *, quiet: bool = False) -> int:
    """Exit status of the command; 2 when there was none or it could not be started. `quiet`: errors only are shown."""
    keep_files_private()
    if not arguments:
        print("usage: make airflow ARGS='dags list'", file=sys.stderr)
        return 2
    return run_module("airflow", arguments, quiet=quiet)


def run_module(
    module: str, arguments: list[str], *, quiet: bool = False, passed_on: tuple[str, ...] = ()
) -> int:
    """`python -m <module>` with the local Airflow's configuration; its exit status, 2 when it could not be started.

    `passed_on`: names of variables of our environment that it is to see beside those of every worker.
    """
    try:
        with EmbeddedPostgres().in_use() as server:
            asked = {name: os.environ[name] for name in passed_on if name in os.environ}
            environment = common_environment(server) | asked
            python = [sys.executable, "-m"]
            if not _has_tables(server.url(AIRFLOW_DATABASE)):
                migrate = [*python, "airflow", "db", "migrate"]
                subprocess.run(migrate, env=environment, check=True, stdout=subprocess.DEVNULL)
            shown = subprocess.DEVNULL if quiet else None
            command = [*python, module, *arguments]
            return subprocess.run(command, env=environment, check=False, stdout=shown).returncode
    except CoaError as error:
        print(f"{error.message}\nNext step: {error.next_step}", file=sys.stderr)
        return 2


def _has_tables(url: str) -> bool:
    with closing(psycopg.connect(url)) as connection:
        found = connection.execute("SELECT to_regclass('alembic_version') IS NOT NULL").fetchone()
    return bool(found and found[0])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
