"""Which Airflow this is, and which of its runs a task belongs to.

Several Airflows may share a staging database, and the ids of their DAGs and runs may be equal. Each Airflow has
an id of its own, made at its first run and kept in the variable `coa_deployment` of its metadata database. A
headless run, whose metadata is deleted with the run, is identified by its token.
"""

from __future__ import annotations

import json
import os
from hashlib import sha256
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from coa.config import Settings
from coa_airflow.environment import HEADLESS

if TYPE_CHECKING:
    from coa.staging.database import Database
    from coa.staging.origin import Origin

VARIABLE = "coa_deployment"


def deployment(db: Database) -> str:
    """The id of this Airflow; made, and written to its variables, on the first call. For tasks."""
    token = os.environ.get(HEADLESS)
    if token:
        return f"headless {token}"
    return _known() or _made(db)


def _known() -> str:
    from airflow.sdk import Variable

    return str(Variable.get(VARIABLE, default="") or "")


def _made(db: Database) -> str:
    from airflow.sdk import Variable

    # Of tasks that start at once, one makes it.
    with db.advisory_lock("coa deployment"):
        if not _known():
            Variable.set(
                VARIABLE,
                uuid4().hex,
                description="Id of this Airflow in the staging database; do not change it.",
            )
        return _known()


def origin_of(dag_run: Any, db: Database) -> Origin:
    """What a task is told of the Airflow run that it belongs to."""
    from importlib.metadata import version

    from coa.staging.origin import Origin

    conf = json.dumps(dag_run.conf or {}, sort_keys=True, default=str)
    return Origin(
        deployment=deployment(db),
        airflow_version=version("apache-airflow-core"),
        born=str(dag_run.run_after or ""),
        airflow_started_at=dag_run.start_date,
        airflow_clears=getattr(dag_run, "clear_number", 0) or 0,
        conf_sha256=sha256(conf.encode()).hexdigest(),
        headless_token=os.environ.get(HEADLESS, ""),
        triggered_for=Settings.from_environment("triggered_by").triggered_by,
    )


def bundle_of(ti: Any) -> str:
    """`name@version` of the DAG bundle that the task instance `ti` was parsed from; only `name` without versions.

    A Git bundle's version is its commit; Airflow keeps a run at the version that it began with. A folder has none.
    Empty for headless runs and `dag.test()`, which take the DAG from memory.
    """
    bundle = getattr(ti, "bundle_instance", None)
    if bundle is None:
        return ""
    return f"{bundle.name}@{bundle.version}" if bundle.version else str(bundle.name)
