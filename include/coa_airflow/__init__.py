"""Everything that imports Airflow: hook, approval gate, tasks of the DAGs, local runner."""
