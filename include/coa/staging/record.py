"""The row of a run in `coa.run`, as an immutable record: whoever changes it writes the database and reads it again."""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

from coa.errors import ConfigurationError
from coa.staging.database import Database, Row

Json = dict[str, Any]

QUERY = """SELECT r.*, p.params AS policies FROM coa.run r LEFT JOIN coa.run p ON p.run_id = r.policies_of
           WHERE r.run_id = %s"""


@dataclass(frozen=True, kw_only=True)
class RunRecord:
    """One row of `coa.run`, each column under its own name. JSON columns must not be changed in place."""

    run_id: str
    pair_id: int | None
    """Null until preflight knows both orgs."""
    dag_id: str
    airflow_run_id: str
    triggered_by: str
    triggered_for: str
    deployment: str
    born: str
    airflow_started_at: datetime | None
    airflow_clears: int
    conf_sha256: str
    headless_token: str
    mode: str
    given_params: Json
    """As the run was triggered."""
    params: Json
    """What the run goes by; those of a verification are completed by `policies`."""
    policies_of: str | None
    """The migration that a verification looks at."""
    policies: Json | None
    """That migration's params: not a column, but joined to it."""
    mapping_name: str
    mapping_sha256: str
    stage: str
    state: str | None
    """Null while the run is under way."""
    stopped_state: str | None
    message: str
    plan_hash: str | None
    source_org: Json
    """Empty until preflight; id, name, instance_url, api_version, is_sandbox, user_id ..."""
    target_org: Json
    source_package: str
    target_package: str
    artifacts: str
    coa_version: str
    airflow_version: str
    python_version: str
    dag_bundle: str
    """Airflow's DAG bundle that the run follows: its name, and `@` its version where it has versions."""
    schema_version: int
    started_at: datetime
    loaded_at: datetime | None
    """The first write to the target."""
    finished_at: datetime | None
    purged_at: datetime | None
    """When what it kept was deleted (`coa.retention`); it can go on no more."""
    erased_at: datetime | None
    """When one person's data was deleted from it; it can go on no more."""
    summary: Json | None

    @classmethod
    def of(cls, row: Row) -> RunRecord:
        """From a row of `coa.run`; `policies` may be missing in it."""
        return cls(
            **{f.name: row[f.name] for f in fields(cls) if f.name != "policies"}, policies=row.get("policies")
        )

    @classmethod
    def read(cls, db: Database, run_id: str) -> RunRecord:
        """Raises `ConfigurationError` for an unknown run."""
        row = db.row(QUERY, [run_id])
        if row is None:
            raise ConfigurationError(
                f"There is no run {run_id} in the staging database {db.display_url}.",
                next_step="take a run_id from the artifacts folder or from the table coa.run.",
            )
        return cls.of(row)

    def require_pair(self) -> int:
        """The pair of orgs; raises `ConfigurationError` before preflight."""
        if self.pair_id is None:
            raise ConfigurationError(
                f"Run {self.run_id} has not passed preflight: it does not know its orgs yet.",
                next_step="run its preflight task first.",
            )
        return self.pair_id

    def org(self, role: str) -> Json:
        """What is known of the `source` or `target`; empty until preflight."""
        return self.source_org if role == "source" else self.target_org

    @property
    def inactive_workflow_rules(self) -> frozenset[str]:
        """The package's workflow rules that preflight read as switched off in the target; empty until preflight."""
        return frozenset(self.target_org.get("inactive_workflow_rules") or [])

    def package(self, role: str) -> str:
        """Version of the Channel Order App in the `source` or `target`; empty where it is not known."""
        return self.source_package if role == "source" else self.target_package

    def versions(self) -> dict[str, str]:
        """What the run was made with, by name; empty texts where the run did not get so far."""
        return {
            "coa": self.coa_version,
            "airflow": self.airflow_version,
            "python": self.python_version,
            "dag_bundle": self.dag_bundle,
            "coa_source": self.source_package,
            "coa_target": self.target_package,
            "mapping": self.mapping_name,
            "mapping_sha256": self.mapping_sha256,
        }
