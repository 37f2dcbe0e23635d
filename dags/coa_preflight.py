"""DAG `coa_preflight`: everything up to the plan; writes nothing to any org."""

from __future__ import annotations

from coa_airflow import migration_dag

dag = migration_dag("preflight")
