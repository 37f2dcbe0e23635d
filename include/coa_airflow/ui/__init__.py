"""The migration page in the Airflow UI: a tab on the runs of our DAGs, and a list of all migrations."""
