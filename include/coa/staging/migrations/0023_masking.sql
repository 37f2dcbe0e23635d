-- A dress rehearsal with masked values has a pair of its own: its ledger, extracts and grants never serve a real run.

ALTER TABLE coa.org_pair ADD COLUMN masked boolean NOT NULL DEFAULT false;
ALTER TABLE coa.org_pair DROP CONSTRAINT org_pair_source_org_id_target_org_id_key;
ALTER TABLE coa.org_pair ADD UNIQUE (source_org_id, target_org_id, masked);

-- What masks follow from. Whoever has it can try names against masks; it goes with the database.
CREATE TABLE coa.masking_key (
    target_org_id text PRIMARY KEY,
    key           bytea NOT NULL,
    made_at       timestamptz NOT NULL DEFAULT clock_timestamp()
);
