"""DAG `coa_verify`: compares what was migrated, at any time; writes nothing to any org."""

from __future__ import annotations

from coa_airflow import migration_dag

dag = migration_dag("verify")
