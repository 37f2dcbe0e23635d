"""A real Airflow over two local orgs, as a program of its own: `python live.py FOLDER`, or `live_airflow(FOLDER)`.

Prints one line of JSON when all is up and ends, with all that it started, when its input closes. A
process of its own, because tests of the same session have an Airflow of theirs in their process.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import requests

from coa.staging.database import Database

ORDERS = int(os.environ.get("COA_UI_ORDERS", "60"))
# It is one Airflow among other tests: nobody edits its DAGs, and it need not look ten times a second.
CALM = {
    "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.3",
    "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "600",
    "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "600",
}
JOB_DELAY = 0.02
USERS = "admin:admin,operator:op,viewer:viewer,guest:"
CALL_SECONDS = 120


@dataclass
class Live:
    """The running Airflow: its address, its users, its staging database, its orgs (source, target)."""

    url: str
    passwords: dict[str, str]
    db: Database
    orgs: list[str]

    def token(self, user: str) -> str:
        login = {"username": user, "password": self.passwords[user]}
        answer = requests.post(f"{self.url}/auth/token", json=login, timeout=CALL_SECONDS)
        answer.raise_for_status()
        return str(answer.json()["access_token"])

    def request(
        self, method: str, path: str, user: str = "operator", body: object = None
    ) -> requests.Response:
        headers = {"Authorization": f"Bearer {self.token(user)}"}
        return requests.request(method, self.url + path, headers=headers, json=body, timeout=CALL_SECONDS)

    def hold_jobs(self, held: bool) -> None:
        """The target's Bulk jobs stay where they are, or go on."""
        requests.patch(
            f"{self.orgs[1]}/control/settings", json={"hold_jobs": held}, timeout=CALL_SECONDS
        ).raise_for_status()


@contextmanager
def live_airflow(folder: Path, **environment: str) -> Iterator[Live]:
    """An Airflow in a process of its own, as long as the block lasts; `environment` is added to ours without
    what is meant for the Airflow of the tests' own process."""
    clean = {
        k: v for k, v in os.environ.items() if not k.startswith(("AIRFLOW", "COA_")) or k == "COA_UI_ORDERS"
    }
    program = subprocess.Popen(
        [sys.executable, str(Path(__file__)), str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**clean, **environment},
    )
    assert program.stdout is not None
    assert program.stdin is not None
    line = next((line for line in program.stdout if line.startswith("{")), None)
    assert line is not None, f"Airflow did not start: see {folder}"
    known = json.loads(line)
    db = Database(known["staging"])
    try:
        yield Live(known["url"], known["passwords"], db, known["orgs"])
    finally:
        db.dispose()
        program.stdin.close()
        program.wait(60)


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
        airflow = stack.enter_context(local_airflow(server, port, {**connections, **CALM}))
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
