"""DAG `coa_contract`: asks a sandbox how it behaves, with marked records that are deleted again."""

from __future__ import annotations

from coa_airflow import migration_dag

dag = migration_dag("contract")
