"""An Airflow for the tests' own process: import this before the first import of airflow, which reads its home once.

Its tables are made once a session; each worker gets a copy.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).resolve().parents[1]
HOME = Path(tempfile.mkdtemp(prefix="coa-airflow-tests-"))
TABLES = HOME / "airflow.db"

os.environ.update(
    {
        "AIRFLOW_HOME": str(HOME),
        "AIRFLOW__CORE__DAGS_FOLDER": str(PROJECT / "dags"),
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(PROJECT / "plugins"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__UNIT_TEST_MODE": "False",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{TABLES}",
        "AIRFLOW__API__BASE_URL": "http://localhost:8080",
        "AIRFLOW__LOGGING__LOGGING_LEVEL": "WARNING",
        "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(HOME / "logs"),
        "COA_LOCAL_FOLDER": str(HOME / "local"),
    }
)


@cache
def make_tables(shared: Path) -> None:
    """Airflow's tables in this home; `shared` is a folder that all workers of the session see."""
    from airflow.utils import db

    kept = shared / "airflow.db"
    with (shared / "airflow.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if kept.exists():
            shutil.copyfile(kept, TABLES)
            return
        db.initdb()
        _checkpoint()
        shutil.copyfile(TABLES, shared / "unfinished.db")
        (shared / "unfinished.db").rename(kept)


def _checkpoint() -> None:
    """What is still in the write-ahead log goes to the file."""
    import sqlite3
    from contextlib import closing

    with closing(sqlite3.connect(TABLES)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


@cache
def be_quick() -> None:
    """Work that Airflow does again at each `dag.test()`, with the same outcome, is done once.

    Parsing and storing all DAGs of the folder, and checking that the schema of each param is a schema.
    """
    from airflow.dag_processing import dagbag
    from jsonschema import Draft202012Validator

    bag, sync, check = dagbag.BundleDagBag, dagbag.sync_bag_to_db, Draft202012Validator.check_schema
    synced: dict[str, Any] = {}
    known: set[str] = set()

    def same_bag(*, bundle_name: str, **arguments: Any) -> Any:
        if bundle_name not in synced:
            synced[bundle_name] = bag(bundle_name=bundle_name, **arguments)
            sync(synced[bundle_name], bundle_name, None)
        return synced[bundle_name]

    def check_once(schema: Any, *arguments: Any, **named: Any) -> None:
        key = json.dumps(schema, sort_keys=True, default=repr)
        if key not in known:
            check(schema, *arguments, **named)
            known.add(key)

    dagbag.BundleDagBag = same_bag
    dagbag.sync_bag_to_db = lambda *_, **__: None
    Draft202012Validator.check_schema = check_once
