-- Which Airflow a run is of, and which of its runs: several may share this database, and Airflow gives an id again
-- once its run was deleted.

ALTER TABLE coa.run
    ADD COLUMN deployment         text NOT NULL DEFAULT '',  -- id of the Airflow, made once (coa_airflow.deployment)
    ADD COLUMN airflow_started_at timestamptz,               -- start of Airflow's run when our task `start` last saw it
    ADD COLUMN airflow_clears     int NOT NULL DEFAULT 0,    -- how often Airflow's run had been cleared then
    ADD COLUMN conf_sha256        text NOT NULL DEFAULT '';  -- of what Airflow's run was triggered with

DROP INDEX coa.run_by_airflow;
CREATE UNIQUE INDEX run_by_airflow ON coa.run (dag_id, airflow_run_id, deployment) WHERE airflow_run_id <> '';
