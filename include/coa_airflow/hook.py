"""The hook to an org: the provider's connection type, our session."""

from __future__ import annotations

import os
from functools import cached_property
from typing import Any
from urllib.parse import urlsplit

from airflow.providers.salesforce.hooks.salesforce import SalesforceHook
from airflow.sdk.exceptions import AirflowException, AirflowNotFoundException
from requests import PreparedRequest, Response, Session
from requests.adapters import HTTPAdapter
from simple_salesforce.api import Salesforce

from coa.config import Settings
from coa.errors import CoaError, ConfigurationError
from coa.salesforce.session import Org
from coa_airflow.connections import org_connection
from coa_airflow.pair import Pair


class CoaSalesforceHook(SalesforceHook):  # type: ignore[misc]  # Airflow has no types for us
    """Reads a `salesforce` connection and opens the org behind it with time-outs, renewal and retries.

    The provider's own login reaches neither My Domain hosts by their address nor local orgs, and
    has no time-outs. `org` is what the engine works with; the inherited methods work on its session.
    """

    def __init__(self, salesforce_conn_id: str = Pair.source, settings: Settings | None = None) -> None:
        super().__init__(salesforce_conn_id=salesforce_conn_id)
        self.settings = settings or Settings.from_environment()

    @cached_property
    def org(self) -> Org:
        """Raises `ConfigurationError` when the connection is missing or says too little; no request yet."""
        name = self.conn_id
        # The messages of Airflow and of the JSON parser may repeat the connection with its secrets,
        # so they are neither quoted nor chained.
        try:
            fields = self.get_connection(name)
        except (AirflowException, ValueError, TypeError) as error:
            problem, advice = reading_problem(name, error)
        else:
            return Org(org_connection(name, fields), self.settings)
        raise ConfigurationError(problem, next_step=advice)

    @cached_property
    def conn(self) -> Salesforce:
        """simple-salesforce on the session of `org`, for the methods inherited from the provider."""
        base = self.org.instance_url
        session = Session()
        # The token would go along to wherever a redirect leads.
        session.max_redirects = 0
        if base.startswith("http://"):
            session.mount("https://", _PlainHttp(base))
        return Salesforce(
            session_id=self.org.token.access_token,
            instance=urlsplit(base).netloc,
            version=self.org.api_version,
            session=session,
        )

    def test_connection(self) -> tuple[bool, str]:
        """Whether the org lets us in, and as whom."""
        try:
            version = self.org.api_version
            user = self.org.user_id()
        except CoaError as error:
            return False, str(error)
        return True, f"{self.org.instance_url} lets user {user or '(unknown)'} in; API {version}."


class _PlainHttp(HTTPAdapter):
    """simple-salesforce writes https into every address; a local org speaks http."""

    def __init__(self, base: str) -> None:
        super().__init__()
        self.base = base

    def send(self, request: PreparedRequest, *args: Any, **kwargs: Any) -> Response:
        parts = urlsplit(request.url or "")
        request.url = self.base + parts.path + (f"?{parts.query}" if parts.query else "")
        return super().send(request, *args, **kwargs)


def reading_problem(name: str, error: Exception) -> tuple[str, str]:
    """What is wrong with a connection that Airflow could not give, and what to do; without its secrets."""
    variable = f"AIRFLOW_CONN_{name.upper()}"
    # Airflow says "isn't defined" also of a variable that is set and that it could not parse.
    if os.environ.get(variable):
        return (
            f"The connection {name} cannot be read: the environment variable {variable} is neither valid "
            "JSON nor a valid URI.",
            "write it as JSON, or percent-encode every value of the URI (an address inside it needs "
            "http%3A%2F%2F...); docs/connect-your-orgs.md has examples.",
        )
    if isinstance(error, AirflowNotFoundException):
        return (
            f"There is no Airflow connection {name}.",
            f"define it under Admin, Connections (type Salesforce), or as the environment variable {variable}; "
            "docs/connect-your-orgs.md shows how.",
        )
    return (
        f"The connection {name} cannot be read ({type(error).__name__}).",
        "open it under Admin, Connections and save it again; its extra must be a JSON object.",
    )
