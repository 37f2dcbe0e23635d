-- Where the DAG that a run follows came from: name and version of Airflow's DAG bundle, such as a commit of a Git bundle.

ALTER TABLE coa.run ADD COLUMN dag_bundle text NOT NULL DEFAULT '';
