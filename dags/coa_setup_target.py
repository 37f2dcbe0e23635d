"""DAG `coa_setup_target`: deploys the migration's fields and permission set to the target, after an approval."""

from __future__ import annotations

from coa_airflow import migration_dag

dag = migration_dag("setup_target")
