"""Which two connections a run uses: those that its DAG names, or others that the deployment lists.

A run keeps both names in its row, and they are checked before that row is written. Every task, trigger and page
reads them there. Nothing else decides which org is read and which is written.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from coa.config import RunParams, Settings
from coa.errors import ConfigurationError, InvalidParams

if TYPE_CHECKING:
    from coa.staging.runs import Run

OTHERS = "COA_CONNECTIONS"
"""Environment variable: connections, comma separated, that a run may be pointed at beside those of its DAG."""

DEFAULTS = RunParams()
ROLES = {"source_conn_id": "source", "target_conn_id": "target"}


@dataclass(frozen=True)
class Pair:
    """The connections that a set of DAGs names. Raises `ConfigurationError` for names that cannot be meant."""

    source: str = DEFAULTS.source_conn_id
    target: str = DEFAULTS.target_conn_id

    def __post_init__(self) -> None:
        for param, name in self.params().items():
            if not re.fullmatch(r"[\w.\-]+", name):
                raise ConfigurationError(
                    f"{param} is {name!r}.", next_step="set it to the id of an Airflow connection."
                )
        if self.source == self.target:
            raise ConfigurationError(
                f"source_conn_id and target_conn_id are both {self.source}.",
                next_step="use a separate connection for the org that the orders are to be moved to.",
            )

    def params(self, *only: str) -> dict[str, str]:
        """Names by param, as `tasks.start` takes them; `only` those params that the DAG has."""
        both = {"source_conn_id": self.source, "target_conn_id": self.target}
        return {name: value for name, value in both.items() if not only or name in only}


def allowed(named: str) -> list[str]:
    """What a param may be set to: the connection that the DAG names for this role, and those of COA_CONNECTIONS.

    The other role's connection is not among them: nobody turns a migration around by a slip in the form.
    """
    return list(dict.fromkeys([named, *Settings.from_environment("connections").connections]))


def chosen(raw: dict[str, Any], named: dict[str, str]) -> dict[str, str]:
    """The connections of a run by param: what its params say, else what its DAG names.

    Airflow's form and API refuse other names by the schema; this is asked in the task itself, whose
    environment counts. Raises `InvalidParams` with the param and what it may be.
    """
    found = {name: str(raw.get(name) or value) for name, value in named.items()}
    faults = [
        f"{name} is {found[name]!r}, which is not one of {', '.join(allowed(value))}"
        for name, value in named.items()
        if found[name] not in allowed(value)
    ]
    faults += [
        f"{name} is not a param of this DAG"
        for name in ROLES
        if name not in named and raw.get(name) not in (None, "", getattr(DEFAULTS, name))
    ]
    if len(found) == 2 and len(set(found.values())) == 1:
        faults.append(f"source_conn_id and target_conn_id are both {found['source_conn_id']!r}")
    if faults:
        raise InvalidParams(
            "The connections of the run are not usable: " + "; ".join(faults) + ".",
            next_step=f"choose one of those, or list another in {OTHERS} for all Airflow processes.",
        )
    return found


def conn_id(run: Run, role: str) -> str:
    """The connection of a role, `source` or `target`, in this run."""
    return run.params.source_conn_id if role == "source" else run.params.target_conn_id


def role_of(run: Run, connection: str) -> str:
    """The role in which this run uses a connection."""
    return next(role for role in ("source", "target") if conn_id(run, role) == connection)
