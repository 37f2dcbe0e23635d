-- The permanent tables of the staging database. Tables of one run live in a schema of their own,
-- run_<run_id>, so that a purge of a run is one DROP SCHEMA.
-- Every statement can be run again: the file is executed at each connect of a new version.

CREATE SCHEMA IF NOT EXISTS coa;

-- Canonical values: two values are equal when their canonical texts are equal.
-- Empty counts as null, numbers compare by value, date-times by instant to the second.
CREATE OR REPLACE FUNCTION coa.canon_text(v text) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE RETURN NULLIF(v, '');
-- A set of values: an org returns them in the order of its own picklist.
CREATE OR REPLACE FUNCTION coa.canon_multipicklist(v text) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN (SELECT string_agg(p, ';' ORDER BY p COLLATE "C") FROM unnest(string_to_array(NULLIF(v, ''), ';')) AS p);
CREATE OR REPLACE FUNCTION coa.canon_number(v text) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE RETURN trim_scale(NULLIF(v, '')::numeric)::text;
CREATE OR REPLACE FUNCTION coa.canon_boolean(v text) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN CASE lower(v) WHEN 'true' THEN 'true' WHEN '1' THEN 'true' WHEN 'false' THEN 'false'
                         WHEN '0' THEN 'false' END;
CREATE OR REPLACE FUNCTION coa.canon_date(v text) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE RETURN left(NULLIF(v, ''), 10);
-- Milliseconds are kept for writing; comparisons cut them off (coa.to_second).
-- Bulk queries give date-times in canonical form already: PostgreSQL can inline the test of the form, but not
-- a body with to_char, and a call for each of millions of values would cost more than everything else.
CREATE OR REPLACE FUNCTION coa.convert_datetime(v text) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN to_char(NULLIF(v, '')::timestamptz AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"');
CREATE OR REPLACE FUNCTION coa.canon_datetime(v text) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN CASE WHEN v LIKE '____-__-__T__:__:__.___Z' THEN v ELSE coa.convert_datetime(v) END;
CREATE OR REPLACE FUNCTION coa.to_second(v text) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE RETURN left(v, 19);
-- 15-character ids get their three check characters; anything else stays as it is.
CREATE OR REPLACE FUNCTION coa.extend_id(v text) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN CASE WHEN v ~ '^[A-Za-z0-9]{15}$' THEN v || (
        SELECT string_agg(substr('ABCDEFGHIJKLMNOPQRSTUVWXYZ012345', 1 + (
                   SELECT COALESCE(sum(1 << (i - 1)), 0)::int FROM generate_series(1, 5) i
                   WHERE substr(v, g * 5 + i, 1) COLLATE "C" BETWEEN 'A' AND 'Z'), 1), '' ORDER BY g)
        FROM generate_series(0, 2) g)
      ELSE NULLIF(v, '') END;
CREATE OR REPLACE FUNCTION coa.id18(v text) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN CASE WHEN length(v) = 18 THEN v ELSE coa.extend_id(v) END;
-- Customer org ids are compared on their first 15 characters, case kept, when they look like ids.
CREATE OR REPLACE FUNCTION coa.org_key(v text) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN CASE WHEN v ~ '^[A-Za-z0-9]{18}$' THEN left(v, 15) ELSE NULLIF(v, '') END;

CREATE TABLE IF NOT EXISTS coa.org_pair (
    pair_id       bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    source_org_id text NOT NULL,
    target_org_id text NOT NULL,
    UNIQUE (source_org_id, target_org_id)
);

CREATE TABLE IF NOT EXISTS coa.run (
    run_id         text PRIMARY KEY,
    pair_id        bigint REFERENCES coa.org_pair,
    dag_id         text NOT NULL,
    airflow_run_id text NOT NULL DEFAULT '',
    triggered_by   text NOT NULL DEFAULT '',
    mode           text NOT NULL,
    params         jsonb NOT NULL,
    stage          text NOT NULL DEFAULT 'created',
    state          text,                             -- null while the run is under way
    message        text NOT NULL DEFAULT '',         -- why it ended so, in a sentence or two
    plan_hash      text,
    source_org     jsonb NOT NULL DEFAULT '{}',      -- id, name, instance_url, api_version, is_sandbox, user_id
    target_org     jsonb NOT NULL DEFAULT '{}',
    versions       jsonb NOT NULL DEFAULT '{}',
    started_at     timestamptz NOT NULL DEFAULT now(),
    loaded_at      timestamptz,                      -- first write to the target
    finished_at    timestamptz,
    summary        jsonb
);
CREATE INDEX IF NOT EXISTS run_by_airflow ON coa.run (dag_id, airflow_run_id);

-- One run at a time works on a pair of orgs: whoever holds the lease.
CREATE TABLE IF NOT EXISTS coa.lease (
    pair_id    bigint PRIMARY KEY REFERENCES coa.org_pair,
    run_id     text NOT NULL REFERENCES coa.run ON DELETE CASCADE,
    expires_at timestamptz NOT NULL
);

CREATE TABLE IF NOT EXISTS coa.event (
    event_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    run_id   text NOT NULL REFERENCES coa.run ON DELETE CASCADE,
    at       timestamptz NOT NULL DEFAULT clock_timestamp(),
    level    text NOT NULL,                          -- info, warning, error
    event    text NOT NULL,
    data     jsonb NOT NULL DEFAULT '{}'
);
CREATE INDEX IF NOT EXISTS event_by_run ON coa.event (run_id, event_id);

CREATE TABLE IF NOT EXISTS coa.finding (
    run_id    text NOT NULL REFERENCES coa.run ON DELETE CASCADE,
    code      text NOT NULL,
    sobject   text NOT NULL DEFAULT '',
    field     text NOT NULL DEFAULT '',
    grade     text NOT NULL CHECK (grade IN ('blocker', 'warning', 'note')),
    stage     text NOT NULL,                         -- preflight, transform, ...: a stage replaces its own
    count     bigint NOT NULL DEFAULT 0,
    examples  text[] NOT NULL DEFAULT '{}',          -- record ids, at most ten
    message   text NOT NULL,
    next_step text NOT NULL DEFAULT '',
    PRIMARY KEY (run_id, code, sobject, field)
);

CREATE TABLE IF NOT EXISTS coa.describe (
    run_id   text NOT NULL REFERENCES coa.run ON DELETE CASCADE,
    org      text NOT NULL CHECK (org IN ('source', 'target')),
    sobject  text NOT NULL,
    describe jsonb NOT NULL,
    PRIMARY KEY (run_id, org, sobject)
);

-- The plan in numbers, written with the plan: reading it never counts the plan's rows.
CREATE TABLE IF NOT EXISTS coa.plan_count (
    run_id      text NOT NULL REFERENCES coa.run ON DELETE CASCADE,
    sobject     text NOT NULL,
    action      text NOT NULL,
    reason_code text NOT NULL,
    records     bigint NOT NULL,
    reason      text NOT NULL DEFAULT '',            -- of one of the records, where there is a reason
    next_step   text NOT NULL DEFAULT '',
    examples    text[] NOT NULL DEFAULT '{}',
    PRIMARY KEY (run_id, sobject, action, reason_code)
);

-- Written only by the code of the approval gate.
CREATE TABLE IF NOT EXISTS coa.approval (
    approval_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    run_id      text NOT NULL REFERENCES coa.run ON DELETE CASCADE,
    plan_hash   text NOT NULL,
    kind        text NOT NULL CHECK (kind IN ('approval', 'waiver', 'standing')),
    approved    boolean NOT NULL,
    answered_by text NOT NULL,
    answered_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    reason      text NOT NULL DEFAULT '',
    form        jsonb NOT NULL DEFAULT '{}'
);
CREATE INDEX IF NOT EXISTS approval_by_run ON coa.approval (run_id, approval_id);

-- A standing approval lets scheduled deltas of a pair load without a person, within its limits.
CREATE TABLE IF NOT EXISTS coa.standing_approval (
    standing_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    pair_id     bigint NOT NULL REFERENCES coa.org_pair,
    granted_by  text NOT NULL,
    granted_in  text NOT NULL,                       -- run_id of the migrate run whose form granted it
    granted_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    expires_at  timestamptz NOT NULL,
    max_records bigint NOT NULL,
    actions     text[] NOT NULL,
    revoked_at  timestamptz
);

-- One row a Bulk ingest job, written before the job is created.
-- planned -> open -> uploaded -> submitted -> ended -> settled (results applied) | abandoned (nothing was processed)
CREATE TABLE IF NOT EXISTS coa.job (
    job_key      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    pair_id      bigint NOT NULL REFERENCES coa.org_pair,
    run_id       text NOT NULL REFERENCES coa.run ON DELETE CASCADE,
    step         text NOT NULL,
    sobject      text NOT NULL,
    operation    text NOT NULL,
    chunk_no     int NOT NULL DEFAULT 0,
    rows_planned bigint NOT NULL DEFAULT 0,
    bytes        bigint NOT NULL DEFAULT 0,
    job_id       text,                               -- Salesforce's id, once known
    state        text NOT NULL DEFAULT 'planned',
    org_state    text NOT NULL DEFAULT '',           -- JobComplete, Failed, Aborted, as the org said
    message      text NOT NULL DEFAULT '',
    accepted     bigint NOT NULL DEFAULT 0,
    rejected     bigint NOT NULL DEFAULT 0,
    created_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
    updated_at   timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX IF NOT EXISTS job_open ON coa.job (pair_id) WHERE state NOT IN ('settled', 'abandoned');
CREATE INDEX IF NOT EXISTS job_by_run ON coa.job (run_id, step, chunk_no);

-- One row a source record: what became of it in the target. Also the id map of the pair.
CREATE TABLE IF NOT EXISTS coa.ledger (
    pair_id       bigint NOT NULL REFERENCES coa.org_pair,
    sobject       text NOT NULL,
    source_id     text NOT NULL,
    target_id     text,
    origin        text NOT NULL DEFAULT 'none',      -- inserted (by us), matched (not ours), none (not there yet)
    inserted_run  text,                              -- run that inserted it
    last_run      text,                              -- run that last worked on it
    step          text NOT NULL DEFAULT 'none',      -- none, sent, created, released, done
    job_key       bigint,
    attempts      int NOT NULL DEFAULT 0,
    error_code    text,
    error         text,
    draft_since   timestamptz,
    draft_until   timestamptz,
    proved_hash   text,                              -- hash of the carried values when last proved equal
    updated_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (pair_id, sobject, source_id)
) WITH (fillfactor = 70);                            -- each row is written again as its record comes on
CREATE INDEX IF NOT EXISTS ledger_by_target ON coa.ledger (pair_id, sobject, target_id);
DROP INDEX IF EXISTS coa.ledger_by_job;              -- of older versions, used by no statement

-- Rows done of rows to do, a step and sObject at a time: what terminal and UI show.
CREATE TABLE IF NOT EXISTS coa.progress (
    run_id     text NOT NULL REFERENCES coa.run ON DELETE CASCADE,
    step       text NOT NULL,                        -- extract_source, extract_target, orders, details, ...
    sobject    text NOT NULL,
    total      bigint NOT NULL DEFAULT 0,
    done       bigint NOT NULL DEFAULT 0,
    rejected   bigint NOT NULL DEFAULT 0,
    started_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    updated_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (run_id, step, sobject)
);
-- Of CSV, before compression.
ALTER TABLE coa.progress ADD COLUMN IF NOT EXISTS bytes bigint NOT NULL DEFAULT 0;

CREATE TABLE IF NOT EXISTS coa.api_usage (
    run_id text NOT NULL REFERENCES coa.run ON DELETE CASCADE,
    org    text NOT NULL,
    kind   text NOT NULL,                            -- login, describe, query, bulk_query, bulk_ingest, rest_write, limits
    calls  bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (run_id, org, kind)
);

CREATE TABLE IF NOT EXISTS coa.stage_time (
    run_id     text NOT NULL REFERENCES coa.run ON DELETE CASCADE,
    stage      text NOT NULL,
    started_at timestamptz NOT NULL,
    seconds    double precision NOT NULL,
    PRIMARY KEY (run_id, stage, started_at)
);

-- The text `truncate` cut off, and what a policy changed: explained differences of a run.
CREATE TABLE IF NOT EXISTS coa.explained (
    run_id       text NOT NULL REFERENCES coa.run ON DELETE CASCADE,
    sobject      text NOT NULL,
    source_id    text NOT NULL,
    field        text NOT NULL,
    source_value text,
    target_value text,
    reason       text NOT NULL,
    PRIMARY KEY (run_id, sobject, source_id, field)
);

-- What verify found; written anew by each verification of a run.
CREATE TABLE IF NOT EXISTS coa.difference (
    run_id       text NOT NULL REFERENCES coa.run ON DELETE CASCADE,
    sobject      text NOT NULL,
    source_id    text NOT NULL DEFAULT '',
    target_id    text NOT NULL DEFAULT '',
    field        text NOT NULL DEFAULT '',
    source_value text,
    target_value text,
    kind         text NOT NULL,
    reason       text NOT NULL DEFAULT ''
);
CREATE INDEX IF NOT EXISTS difference_by_run ON coa.difference (run_id, kind);
CREATE INDEX IF NOT EXISTS difference_by_record ON coa.difference (run_id, sobject, source_id);
-- Where it comes from: migration, or changes since the last proof in source, target, both (unknown: fields changed).
ALTER TABLE coa.difference ADD COLUMN IF NOT EXISTS origin text NOT NULL DEFAULT 'migration';

-- Control totals of the moved orders, source beside target; written anew by each verification of a run.
CREATE TABLE IF NOT EXISTS coa.total (
    run_id    text NOT NULL REFERENCES coa.run ON DELETE CASCADE,
    side      text NOT NULL CHECK (side IN ('source', 'target')),
    dimension text NOT NULL,                         -- all, status, order_type, contract, year
    label     text NOT NULL,
    currency  text NOT NULL,                         -- '': all currencies together, without a value
    orders    bigint NOT NULL,
    details   bigint NOT NULL,
    quantity  numeric NOT NULL,
    value     numeric,
    PRIMARY KEY (run_id, side, dimension, label, currency)
);

-- Rows that the org refused for good in this run.
CREATE TABLE IF NOT EXISTS coa.rejection (
    run_id     text NOT NULL REFERENCES coa.run ON DELETE CASCADE,
    sobject    text NOT NULL,
    source_id  text NOT NULL,
    step       text NOT NULL,
    error_code text NOT NULL DEFAULT '',
    error      text NOT NULL DEFAULT '',
    fields     text NOT NULL DEFAULT '',
    at         timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (run_id, sobject, source_id, step)
);
