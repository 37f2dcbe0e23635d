"""DAG `coa_relink`: sets lookups of other records to what was moved, with a plan and an approval of its own."""

from __future__ import annotations

from coa_airflow import migration_dag

dag = migration_dag("relink")
