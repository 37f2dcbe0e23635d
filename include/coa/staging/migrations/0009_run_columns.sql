-- What a run keeps of how it was made and of how it ended, each in a column of its own.

ALTER TABLE coa.run
    ADD COLUMN coa_version     text NOT NULL DEFAULT '',
    ADD COLUMN airflow_version text NOT NULL DEFAULT '',
    ADD COLUMN python_version  text NOT NULL DEFAULT '',
    ADD COLUMN source_package  text NOT NULL DEFAULT '',  -- version of the Channel Order App, found by preflight
    ADD COLUMN target_package  text NOT NULL DEFAULT '',
    ADD COLUMN artifacts       text NOT NULL DEFAULT '',  -- path or URL of the run's folder
    ADD COLUMN headless_token  text NOT NULL DEFAULT '',  -- names the lock that the process of a headless run holds
    ADD COLUMN triggered_for   text NOT NULL DEFAULT '',  -- what COA_TRIGGERED_BY said: a note, no identity
    ADD COLUMN born            text NOT NULL DEFAULT '',  -- when Airflow made its run
    ADD COLUMN stopped_state   text;                      -- the state that the rule named which stopped the run

UPDATE coa.run SET
    coa_version     = COALESCE(versions ->> 'coa', ''),
    airflow_version = COALESCE(versions ->> 'airflow', ''),
    python_version  = COALESCE(versions ->> 'python', ''),
    source_package  = COALESCE(versions ->> 'coa_source', ''),
    target_package  = COALESCE(versions ->> 'coa_target', ''),
    artifacts       = COALESCE(versions ->> 'artifacts', ''),
    headless_token  = COALESCE(versions ->> 'headless', ''),
    triggered_for   = COALESCE(versions ->> 'triggered_for', ''),
    born            = COALESCE(versions ->> 'born', ''),
    stopped_state   = versions ->> 'stopped_state';

ALTER TABLE coa.run DROP COLUMN versions;
CREATE INDEX run_by_headless_token ON coa.run (headless_token) WHERE headless_token <> '';
