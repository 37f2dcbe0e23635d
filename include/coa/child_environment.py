"""The environment of every process that we start: what is named here, and nothing else.

A shell holds tokens of other tools, and each process that inherits them is one more place to read them from. So no
child gets our environment as it is. What a child needs beyond these names, a deployment adds by
COA_PASS_ENVIRONMENT: names with commas, a trailing `*` for all that begin so.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from enum import Enum

from coa.config import Settings

ORG_CONNECTION = "AIRFLOW_CONN_"
STAGING_CONNECTION = "AIRFLOW_CONN_COA_STAGING"

PROGRAM = (
    *("PATH", "HOME", "USER", "LOGNAME", "SHELL", "TMPDIR", "TZ", "LANG", "LANGUAGE", "LC_*"),
    *("TERM", "COLUMNS", "NO_COLOR", "FORCE_COLOR", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH"),
)
PYTHON = (
    *("VIRTUAL_ENV", "PYTHONPATH", "PYTHONWARNINGS", "PYTHONUNBUFFERED", "PYTHONDONTWRITEBYTECODE"),
    *("PYTHONUTF8", "PYTHONIOENCODING", "PYTHONHASHSEED", "PYTHONFAULTHANDLER", "COVERAGE_*"),
)
# A proxy's address may hold a password: only what speaks to an org or an object store gets it.
NETWORK = (
    *(
        "HTTP_PROXY",
        "HTTPS_PROXY",
        "NO_PROXY",
        "ALL_PROXY",
        "http_proxy",
        "https_proxy",
        "no_proxy",
        "all_proxy",
    ),
    *("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"),
)
AIRFLOW = ("AIRFLOW_*", "COA_*", "OPENLINEAGE_*", "OTEL_*")
# How libpq, the object stores and Airflow's secrets backends are told who they are.
STORES = ("PG*", "AWS_*", "GOOGLE_*", "GCLOUD_*", "CLOUDSDK_*", "AZURE_*", "VAULT_*")
NEVER = ("COA_STAGING_URL", "PARAMS")
"""Read by the command that is told them, and by none that it starts."""


class Child(Enum):
    """What is started, by what it has to know."""

    SERVER = "server"
    """PostgreSQL: it holds the data, and no credential of anything else."""
    SIMULATOR = "simulator"
    """A local org."""
    AIRFLOW = "airflow"
    """A part of Airflow that runs no task: metadata and staging, not the orgs."""
    SALESFORCE_CLI = "salesforce_cli"
    """`sf`, which keeps its logins in the user's home."""
    WORKER = "worker"
    """What runs tasks or waits for an org's jobs: the orgs' connections too."""


NAMES = {
    Child.SERVER: PROGRAM,
    Child.SIMULATOR: (*PROGRAM, *PYTHON),
    Child.SALESFORCE_CLI: (*PROGRAM, *NETWORK, "XDG_*", "SF_*", "SFDX_*"),
    Child.AIRFLOW: (*PROGRAM, *PYTHON, *NETWORK, *AIRFLOW, *STORES),
    Child.WORKER: (*PROGRAM, *PYTHON, *NETWORK, *AIRFLOW, *STORES),
}


def child_environment(child: Child, given: Mapping[str, str] | None = None) -> dict[str, str]:
    """What such a process gets of an environment, ours unless another is given."""
    environment = os.environ if given is None else given
    names = NAMES[child]
    if child in (Child.AIRFLOW, Child.WORKER):
        names = (
            *names,
            *Settings.from_environment("pass_environment", environment=environment).pass_environment,
        )
    return {
        name: value
        for name, value in environment.items()
        if any(_matches(name, pattern) for pattern in names)
        and name not in NEVER
        and not (child is Child.AIRFLOW and _is_org_connection(name))
    }


def _matches(name: str, pattern: str) -> bool:
    return name.startswith(pattern[:-1]) if pattern.endswith("*") else name == pattern


def _is_org_connection(name: str) -> bool:
    return name.startswith(ORG_CONNECTION) and name != STAGING_CONNECTION
