-- The cases that Salesforce wants beside the data: one row a pair of orgs and topic, from when somebody first said
-- anything about it (coa.casework).

CREATE TABLE coa.case_work (
    pair_id     bigint NOT NULL REFERENCES coa.org_pair,
    topic       text NOT NULL,
    state       text NOT NULL,
    owner       text NOT NULL DEFAULT '',  -- who looks after it
    case_number text NOT NULL DEFAULT '',
    scenario    text,                      -- of the consolidation: which one it is
    changed_by  text NOT NULL,
    changed_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (pair_id, topic)
);
ALTER TABLE coa.case_work ADD CONSTRAINT case_work_topic_check CHECK (topic IN (
    'consolidation', 'lma', 'agentexchange', 'checkout', 'partner_community', 'environment_hub', 'trialforce',
    'coa_connection'));
ALTER TABLE coa.case_work ADD CONSTRAINT case_work_state_check CHECK (state IN (
    'open', 'logged', 'done', 'not_needed'));
ALTER TABLE coa.case_work ADD CONSTRAINT case_work_scenario_check CHECK (scenario IN (
    'into_own', 'into_other', 'taken_over'));
