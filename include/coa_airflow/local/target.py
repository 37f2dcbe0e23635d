"""The target org and the staging database, for commands that work on them without a run."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from coa.config import RunParams, Settings
from coa.errors import CoaError, ConfigurationError
from coa.preflight.orgs import identify
from coa.salesforce.session import Org
from coa.staging.database import Database
from coa.staging.embedded import EmbeddedPostgres
from coa_airflow.local.follow import staging_address
from coa_airflow.local.headless import params_from_environment
from coa_airflow.local.home import common_environment
from coa_airflow.local.named_connection import named_connection
from coa_airflow.pair import Pair, chosen


@dataclass(frozen=True)
class Surroundings:
    """`sources`: ids of the orgs behind the source connection; `not_asked`: why there is none."""

    target: Org
    staging: Database
    sources: list[str] = field(default_factory=list)
    not_asked: str = ""


@contextmanager
def surroundings() -> Iterator[Surroundings]:
    """The org behind `target_conn_id` of PARAMS (default `coa_target`) and staging. Raises `CoaError`."""
    settings = Settings.from_environment()
    raw = params_from_environment()
    with EmbeddedPostgres().in_use() as server:
        params = RunParams.parse({**raw, **chosen(raw, Pair().params())})
        os.environ.update(common_environment(server))
        os.environ["AIRFLOW__LOGGING__LOGGING_LEVEL"] = "ERROR"
        target = Org(named_connection(params.target_conn_id), settings)
        sources, not_asked = _sources(params.source_conn_id, settings)
        staging = Database(staging_address(server))
        try:
            yield Surroundings(target, staging, sources, not_asked)
        finally:
            staging.dispose()


def _sources(name: str, settings: Settings) -> tuple[list[str], str]:
    try:
        connection = named_connection(name)
    except ConfigurationError as error:
        if os.environ.get(f"AIRFLOW_CONN_{name.upper()}"):
            raise
        return [], error.message
    return [str(identify(Org(connection, settings))["id"])], ""


def carried_out(work: Callable[[Surroundings], None]) -> int:
    """Exit status of a command: 0, or 1 with what is wrong and the next step on standard error."""
    try:
        with surroundings() as found:
            work(found)
    except CoaError as error:
        print(f"{error.message}\nNext step: {error.next_step}", file=sys.stderr)
        return 1
    return 0
