"""What Airflow has to know of the page: its app, the tab on a run, the entry in the navigation."""

from __future__ import annotations

import logging
from functools import cached_property
from typing import Any

from airflow.plugins_manager import AirflowPlugin

from coa_airflow.ui.links import LIST_ROUTE, MOUNT, RUN_ROUTE, MigrationPageLink, base_path

log = logging.getLogger(__name__)


class CoaPlugin(AirflowPlugin):  # type: ignore[misc]  # Airflow has no types for us
    """Registers the page. Parts are made when they are asked for: every task process loads plugins, and
    only the API server needs the app (0.7 s of imports)."""

    name = "coa_plugin"
    # Airflow gives up on a task's link of a class that no plugin names.
    operator_extra_links = [MigrationPageLink()]  # noqa: RUF012

    @cached_property
    def fastapi_apps(self) -> list[dict[str, Any]]:
        """The page's app, for Airflow's API server; none where it cannot be made."""
        try:
            from coa_airflow.ui.app import create_app

            app = create_app()
        except Exception:
            # An error here would keep Airflow's whole API server from starting: better no page than no Airflow.
            log.exception("the migration page is not available")
            return []
        return [{"app": app, "url_prefix": MOUNT, "name": "Migration page"}]

    @cached_property
    def listeners(self) -> list[Any]:
        """Modules that hear of Airflow's events."""
        from coa_airflow.ui import notes

        return [notes]

    @cached_property
    def external_views(self) -> list[dict[str, Any]]:
        """The tab of a run and the entry in the menu Browse."""
        icons = f"{base_path()}{MOUNT}/static"
        look = {"icon": f"{icons}/icon.svg", "icon_dark_mode": f"{icons}/icon-dark.svg"}
        return [
            {
                "name": "Migration",
                # Airflow fills the two in, URL-encoded.
                "href": f"{base_path()}{MOUNT}/run?dag_id={{DAG_ID}}&run_id={{RUN_ID}}",
                "destination": "dag_run",
                "url_route": RUN_ROUTE,
                **look,
            },
            {
                "name": "Migrations",
                "href": f"{base_path()}{MOUNT}/runs",
                "destination": "nav",
                "category": "browse",
                "url_route": LIST_ROUTE,
                **look,
            },
        ]
