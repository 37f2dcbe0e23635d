"""A real Airflow over two local orgs, as a program of its own: `python live.py FOLDER`.

Prints one line of JSON when all is up and ends, with all that it started, when its input closes. A
process of its own, because tests of the same session have an Airflow of theirs in their process.
"""

from __future__ import annotations

import json
import os
import sys
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import quote

ORDERS = int(os.environ.get("COA_UI_ORDERS", "120"))
JOB_DELAY = float(os.environ.get("COA_UI_JOB_DELAY", "1.0"))
"""Seconds: jobs take their time, so that one can be seen in flight."""
USERS = "admin:admin,operator:op,viewer:viewer,guest:"


def main(folder: Path) -> None:
    os.environ["COA_LOCAL_FOLDER"] = str(folder / "local")
    os.environ["COA_ARTIFACTS_PATH"] = str(folder / "artifacts")
    os.environ["AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS"] = USERS
    from coa.staging.embedded import EmbeddedPostgres
    from coa_airflow.local.home import free_ports, passwords_file
    from coa_airflow.local.server import local_airflow, wait_until_up
    from orgsim.launch import RunningOrg, running_org

    def connection(org: RunningOrg) -> str:
        key = f"consumer_key={org.consumer_key}&consumer_secret={org.consumer_secret}"
        return f"salesforce://{quote(org.url, safe='')}/?{key}"

    port = free_ports(1)[0]
    with ExitStack() as stack:
        server = stack.enter_context(EmbeddedPostgres().in_use())
        orgs = [
            stack.enter_context(running_org(role=role, orders=ORDERS, seed=7, job_delay=JOB_DELAY))
            for role in ("source", "target")
        ]
        connections = dict(
            zip(("AIRFLOW_CONN_COA_SOURCE", "AIRFLOW_CONN_COA_TARGET"), map(connection, orgs), strict=True)
        )
        airflow = stack.enter_context(local_airflow(server, port, connections))
        api = wait_until_up(airflow, port)
        if not api.wait_for_dag("coa_migrate", 120):
            raise SystemExit("coa_migrate is not listed")
        known = {
            "url": f"http://localhost:{port}",
            "staging": server.url(),
            "passwords": json.loads(passwords_file().read_text()),
            "orgs": [org.url for org in orgs],
        }
        print(json.dumps(known), flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
