"""`make connect ALIAS=old-pbo ROLE=source`: a connection of the local Airflow, from an org that `sf` knows.

    ALIAS=old-pbo ROLE=source python -m coa_airflow.local.connect

Asks `sf` for the org's address and a session, and keeps both as the connection `coa_source` or `coa_target`. A session
ends after some hours and is not renewed: for a try, not for a schedule.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from coa.child_environment import Child, child_environment
from coa.errors import CoaError, ConfigurationError
from coa.private_files import keep_files_private
from coa_airflow.connections import org_connection
from coa_airflow.environment import connection_in
from coa_airflow.local import command

SECONDS = 60
CONNECTIONS = {"source": "coa_source", "target": "coa_target"}


def main() -> int:
    """Exit status 0 when the connection was kept."""
    keep_files_private()
    try:
        alias, name = _asked_for()
        org = org_of_alias(alias)
        fields = connection_of(org)
        # The same checks as every run makes, before anything is kept.
        org_connection(name, connection_in(name, json.dumps(fields)))
        _keep(name, fields)
    except CoaError as error:
        print(f"{error.message}\nNext step: {error.next_step}", file=sys.stderr)
        return 1
    print(f"{name}: {org['username']} at {org['instanceUrl']}. The session is not renewed when it ends.")
    print("Next: make check")
    return 0


def _asked_for() -> tuple[str, str]:
    alias, role = os.environ.get("ALIAS", "").strip(), os.environ.get("ROLE", "").strip()
    if not alias or role not in CONNECTIONS:
        raise ConfigurationError(
            f"ALIAS is {alias!r} and ROLE is {role!r}.",
            next_step="make connect ALIAS=old-pbo ROLE=source, or ROLE=target; `sf org list` shows the aliases.",
        )
    return alias, CONNECTIONS[role]


def org_of_alias(alias: str) -> dict[str, str]:
    """`instanceUrl`, `accessToken`, `username` and `apiVersion` of an org. Raises `ConfigurationError`.

    Since May 2026 `sf org display` leaves the token out, and a command of its own gives it
    (https://github.com/forcedotcom/cli/issues/3560); older versions know only the first.
    """
    found = _sf("org", "display", alias=alias)
    token = str(found.get("accessToken") or "")
    if not token or "REDACTED" in token:
        found["accessToken"] = _sf("org", "auth", "show-access-token", alias=alias).get("accessToken")
    missing = [name for name in ("instanceUrl", "accessToken", "username") if not found.get(name)]
    if missing:
        raise ConfigurationError(
            f"The Salesforce CLI does not show {', '.join(missing)} of {alias}.",
            next_step=f"log in again: sf org login web --alias {alias}.",
        )
    return found


def connection_of(org: dict[str, str]) -> dict[str, Any]:
    """An Airflow connection of type `salesforce`, as the JSON that Airflow reads."""
    extra = {"session_id": org["accessToken"], "instance_url": org["instanceUrl"]}
    return {"conn_type": "salesforce", "host": org["instanceUrl"], "login": org["username"], "extra": extra}


def _sf(*words: str, alias: str) -> dict[str, Any]:
    """`result` of a command of the Salesforce CLI. Raises `ConfigurationError` with what it said; never its output."""
    program = shutil.which("sf")
    if program is None:
        raise ConfigurationError(
            "The Salesforce CLI (sf) is not on the PATH.",
            next_step="install it, or write the connection yourself: docs/connect-your-orgs.md.",
        )
    try:
        done = subprocess.run(
            [program, *words, "--target-org", alias, "--json"],
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
            # Its warnings about newer versions would stand before the JSON.
            env={**child_environment(Child.SALESFORCE_CLI), "SF_SKIP_NEW_VERSION_CHECK": "true"},
        )
        answer = json.loads(done.stdout)
    except subprocess.TimeoutExpired:
        raise ConfigurationError(
            f"sf {' '.join(words)} has not answered within {SECONDS} seconds.",
            next_step="run it yourself and see what it waits for.",
        ) from None
    except ValueError:
        raise ConfigurationError(
            f"sf {' '.join(words)} did not answer in JSON.", next_step="update it: sf update."
        ) from None
    if answer.get("status"):
        raise ConfigurationError(
            f"sf {' '.join(words)}: {answer.get('message', 'it failed')}",
            next_step=f"see `sf org list`; log in by sf org login web --alias {alias}.",
        )
    result = answer.get("result")
    return dict(result) if isinstance(result, dict) else {}


def _keep(name: str, fields: dict[str, Any]) -> None:
    """Into the local Airflow's own tables, encrypted by its key; by a file, for arguments of a command can be seen."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "connection.json"
        file.touch(mode=0o600)
        file.write_text(json.dumps({name: fields}), "utf-8")
        if command.main(["connections", "import", "--overwrite", str(file)], quiet=True):
            raise ConfigurationError(
                f"Airflow did not accept the connection {name}.",
                next_step="make airflow ARGS='connections list' says more.",
            )


if __name__ == "__main__":
    sys.exit(main())
