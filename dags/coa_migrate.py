"""DAG `coa_migrate`: one migration run, full or delta, dry or real."""

from __future__ import annotations

from coa_airflow import migration_dag

dag = migration_dag("migrate")
