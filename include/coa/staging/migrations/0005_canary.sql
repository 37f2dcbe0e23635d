-- The canary of a run: how many orders were loaded first, what their proof found, what was learnt.
CREATE TABLE coa.canary (
    run_id        text PRIMARY KEY REFERENCES coa.run ON DELETE CASCADE,
    orders        int NOT NULL,
    verified      int NOT NULL DEFAULT 0,            -- orders proved equal with their details
    careful       text[] NOT NULL DEFAULT '{}',      -- sObjects that showed a surprise
    learned       text[] NOT NULL DEFAULT '{}',      -- sObjects that it showed well enough
    observed_hash text NOT NULL DEFAULT '',
    proved        boolean,                           -- null: the proof is not made yet
    reused_from   text,                              -- run whose canary stands for this one
    ended_at      timestamptz,
    resumed_at    timestamptz                        -- the checks were made again, after an answer and before the next write
);

-- What the target did with the canary's records: by field and step, into what, how often.
CREATE TABLE coa.observed (
    run_id   text NOT NULL REFERENCES coa.run ON DELETE CASCADE,
    sobject  text NOT NULL,
    field    text NOT NULL,
    step     text NOT NULL,
    effect   text NOT NULL,
    surprise text NOT NULL DEFAULT '' CHECK (surprise IN ('', 'unexpected', 'did_not_happen')),
    records  bigint NOT NULL,
    becomes  text,                                   -- where all records got the same value, and it is no text
    example  text NOT NULL,                          -- a source id
    PRIMARY KEY (run_id, sobject, field, step, effect, surprise)
);

-- A second answer, to what the canary showed: it adds to the first one and never takes its place.
ALTER TABLE coa.approval DROP CONSTRAINT approval_kind_check;
ALTER TABLE coa.approval ADD CONSTRAINT approval_kind_check
    CHECK (kind IN ('approval', 'waiver', 'standing', 'canary'));
ALTER TABLE coa.approval ADD COLUMN observed_hash text NOT NULL DEFAULT '';
