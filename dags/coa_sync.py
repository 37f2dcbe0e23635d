"""DAG `coa_sync`: scheduled deltas until cut-over, under a standing approval."""

from __future__ import annotations

from coa_airflow import migration_dag

dag = migration_dag("sync")
