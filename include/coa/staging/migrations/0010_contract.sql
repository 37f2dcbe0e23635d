-- What probes of coa_contract have written in an org, and what they learnt.

-- A key marks all records of one walk through the probes. It is open until a query has proved that none is left.
CREATE TABLE coa.contract_key (
    key        text PRIMARY KEY,
    org_id     text NOT NULL,
    run_id     text NOT NULL,
    made_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
    cleaned_at timestamptz
);
CREATE INDEX contract_key_open ON coa.contract_key (org_id) WHERE cleaned_at IS NULL;

CREATE TABLE coa.contract_record (
    key       text NOT NULL REFERENCES coa.contract_key ON DELETE CASCADE,
    sobject   text NOT NULL,
    mark      text NOT NULL,                         -- written before the request that makes the record
    record_id text,                                  -- null: no answer came
    PRIMARY KEY (key, sobject, mark)
);

CREATE TABLE coa.contract_job (
    key    text NOT NULL REFERENCES coa.contract_key ON DELETE CASCADE,
    job_id text NOT NULL,
    PRIMARY KEY (key, job_id)
);

-- The cassette of a run, anonymous, and the org that it is of; the newest one of an org answers for it in reports.
CREATE TABLE coa.contract_cassette (
    run_id     text PRIMARY KEY REFERENCES coa.run ON DELETE CASCADE,
    org_id     text NOT NULL,
    role       text NOT NULL,
    made_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
    cassette   jsonb NOT NULL,
    made       jsonb NOT NULL,                       -- sObject -> records that were made
    deleted    int NOT NULL,
    in_recycle_bin int NOT NULL,
    remaining  int                                   -- what the proof found; null: not proved yet
);
CREATE INDEX contract_cassette_of ON coa.contract_cassette (org_id, made_at DESC);
