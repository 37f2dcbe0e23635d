"""`make check`: are connections, staging and rights in order? Writes nothing to any org.

    python -m coa_airflow.local.check       PARAMS='{"target_conn_id": "..."}' in the environment

One line an item, with the next step where there is one. Exit status 0 when a run could start, 1 when not.
What needs data, or more than a few seconds, is asked by `make preflight`.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from contextlib import closing
from pathlib import Path
from typing import Any

from coa.config import RunParams, Settings
from coa.errors import CoaError
from coa.private_files import keep_files_private
from coa.salesforce.auth import OrgConnection
from coa.salesforce.session import Org
from coa.staging.embedded import EmbeddedPostgres
from coa.staging.folders import logs_folder
from coa_airflow.connection_check import Item, Seen, asked, look_at, told
from coa_airflow.environment import STAGING_CONNECTION, artifacts_root
from coa_airflow.local.follow import staging_address
from coa_airflow.local.headless import params_from_environment
from coa_airflow.local.home import common_environment
from coa_airflow.local.imports import uncollected
from coa_airflow.local.named_connection import named_connection
from coa_airflow.local.server import known_server
from coa_airflow.local.supervisor import State
from coa_airflow.notify.channels import channels_of
from coa_airflow.pair import Pair, chosen

SECONDS = 15.0
"""So long an org may take to answer; most have within two."""
OLDEST_POSTGRES = 14


def main() -> int:
    """`make check`: prints one line for each thing that was looked at. Gives the exit status."""
    keep_files_private()
    try:
        Settings.from_environment()
        with EmbeddedPostgres().in_use() as server:
            items = check(server, params_from_environment())
    except CoaError as error:
        items = [Item("settings", False, error.message, error.next_step)]
    for item in items:
        print(item)
    return 1 if any(item.good is False for item in items) else 0


def check(server: EmbeddedPostgres, raw: dict[str, Any]) -> list[Item]:
    """All items, the orgs side by side."""
    params = RunParams.parse({**raw, **chosen(raw, Pair().params())})
    # Connections that were made in the browser are in the local Airflow's own tables.
    os.environ.update(common_environment(server))
    os.environ["AIRFLOW__LOGGING__LOGGING_LEVEL"] = "ERROR"
    settings = _impatient(Settings.from_environment())
    names = {"source": params.source_conn_id, "target": params.target_conn_id}
    connections = {role: _connection(name) for role, name in names.items()}

    answers: dict[str, Seen | Item] = {}

    def look(role: str, connection: OrgConnection) -> None:
        answers[role] = asked(f"{role} ({connection.name})", lambda: look_at(Org(connection, settings)))

    deadline = time.monotonic() + SECONDS
    threads = [
        # Daemons: an org that never answers must not keep this command from ending.
        threading.Thread(target=look, args=(role, connection), daemon=True)
        for role, connection in connections.items()
        if isinstance(connection, OrgConnection)
    ]
    for thread in threads:
        thread.start()
    items = [_staging(server), _artifacts(), *_notifications(), *_local_airflow()]
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))

    found = {
        role: one if isinstance(one, Item) else answers.get(role) or _silent(role, one)
        for role, one in connections.items()
    }
    return [*items, *told(found, params)]


def _impatient(settings: Settings) -> Settings:
    return settings.model_copy(
        update={
            "connect_timeout": min(settings.connect_timeout, 2.0),
            "read_timeout": min(settings.read_timeout, SECONDS),
            "request_retries": 1,
        }
    )


def _silent(role: str, connection: OrgConnection) -> Item:
    return Item(
        f"{role} ({connection.name})",
        False,
        f"{connection.login_url} has not answered within {SECONDS:g} seconds.",
        "check its address, the network and status.salesforce.com; then run make check again.",
    )


def _connection(name: str) -> OrgConnection | Item:
    try:
        return named_connection(name)
    except CoaError as error:
        return Item(name, False, error.message, error.next_step)


def _staging(server: EmbeddedPostgres) -> Item:
    import psycopg

    own = not os.environ.get(f"AIRFLOW_CONN_{STAGING_CONNECTION.upper()}")
    name = "staging (embedded)" if own else f"staging ({STAGING_CONNECTION})"
    try:
        address = staging_address(server)
    except CoaError as error:
        return Item(name, False, error.message, error.next_step)
    try:
        with closing(psycopg.connect(address, connect_timeout=3)) as connection:
            version = connection.info.server_version // 10_000
            row = connection.execute(
                "SELECT has_database_privilege(current_database(), 'CREATE'), current_database()"
            ).fetchone()
    except psycopg.Error as error:
        # The message of a driver may hold the address; the password never is in its first line.
        return Item(
            name,
            False,
            f"it cannot be reached ({type(error).__name__}).",
            f"check host, port, database, login and password of {STAGING_CONNECTION}.",
        )
    assert row is not None
    if version < OLDEST_POSTGRES:
        return Item(name, False, f"PostgreSQL {version} is too old.", f"use {OLDEST_POSTGRES} or newer.")
    if not row[0]:
        return Item(
            name, False, "its user may not create schemas.", f'GRANT CREATE ON DATABASE "{row[1]}" to it.'
        )
    return Item(name, True, f"PostgreSQL {version}, database {row[1]}.")


def _local_airflow() -> list[Item]:
    """How the Airflow of `make up` is; nothing where none was started."""
    known = known_server()
    if known is None:
        return []
    name = "Airflow of make up"
    if not known.kept:
        return [Item(name, False, "it is no longer supervised.", "make up ends what is left and starts it.")]
    if known.down:
        given_up = State.GIVEN_UP.value in known.down.values()
        parts = ", ".join(f"{part}: {state}" for part, state in known.down.items())
        return [Item(name, False if given_up else None, f"{parts}.", f"read {logs_folder() / 'server.log'}.")]
    if known.restarted:
        parts = ", ".join(f"{part}: {state}" for part, state in known.restarted.items())
        return [Item(name, None, f"{parts}.", f"read {logs_folder() / 'server.log'}.")]
    return [Item(name, True, f"http://localhost:{known.port}.")]


def _artifacts() -> Item:
    folder = artifacts_root(Settings.from_environment("artifacts_path").artifacts_path)
    if not isinstance(folder, Path):
        return Item("artifacts", True, f"{folder} (an object store: tried by the first run).")
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    if existing.is_dir() and os.access(existing, os.W_OK):
        return Item("artifacts", True, f"{folder}.")
    return Item(
        "artifacts", False, f"{folder} cannot be written.", "set COA_ARTIFACTS_PATH to a folder that can."
    )


def _notifications() -> list[Item]:
    """Whether the setting of the environment can be used; nothing where nobody is to be told.

    A variable that was made in the browser is not looked at: asking Airflow for it would take seconds.
    """
    try:
        channels = channels_of(
            os.environ.get("AIRFLOW_VAR_COA_NOTIFY") or Settings.from_environment("notify").notify
        )
    except CoaError as error:
        return [Item("notifications", False, error.message, error.next_step)]
    return [Item("notifications", True, f"{', '.join(one.name for one in channels)}.")] if channels else []


if __name__ == "__main__":
    # Most of what it takes is importing Airflow, to read the connections.
    with uncollected():
        status = main()
    sys.stdout.flush()
    # Not sys.exit: Airflow's and the orgs' threads are not waited for.
    os._exit(status)
