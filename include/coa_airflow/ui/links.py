"""Addresses of the page inside Airflow, and the link that a task shows to it."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote, urlsplit

from airflow.sdk import BaseOperatorLink
from airflow.sdk.configuration import conf

MOUNT = "/coa"
"""Where the page's own app is mounted in Airflow's API server."""
RUN_ROUTE = "coa-migration"
LIST_ROUTE = "coa-migrations"


def base_path() -> str:
    """Path of `[api] base_url`: Airflow behind a proxy may live below one; the app is mounted below it."""
    return urlsplit(str(conf.get("api", "base_url", fallback="") or "")).path.rstrip("/")


def page_url(dag_id: str, airflow_run_id: str) -> str:
    """Path of the page of one run, as a tab of Airflow's own page."""
    return f"{base_path()}/dags/{quote(dag_id, safe='')}/runs/{quote(airflow_run_id, safe='')}/plugin/{RUN_ROUTE}"


def file_url(dag_id: str, airflow_run_id: str, name: str) -> str:
    """Path of a file of a run: `plan.json`, `corrections.csv` ..."""
    query = f"run_id={quote(airflow_run_id, safe='')}"
    return f"{base_path()}{MOUNT}/files/{quote(dag_id, safe='')}/{name}?{query}"


class MigrationPageLink(BaseOperatorLink):  # type: ignore[misc]  # Airflow has no types for us
    """Button on a task: to the migration page of its run."""

    name = "Migration page"

    def get_link(self, operator: Any, *, ti_key: Any) -> str:
        """URL of the page."""
        return page_url(ti_key.dag_id, ti_key.run_id)


def link_to_page(*operators: Any) -> None:
    """Gives tasks the button: `link_to_page(*dag.tasks)` at the end of a DAG file.

    Airflow stores the address when a task ends: the button works from then on.
    """
    for one in operators:
        operator = getattr(one, "operator", one)  # a TaskFlow call gives an XComArg
        links = list(operator.operator_extra_links or ())
        if not any(isinstance(link, MigrationPageLink) for link in links):
            operator.operator_extra_links = (*links, MigrationPageLink())
