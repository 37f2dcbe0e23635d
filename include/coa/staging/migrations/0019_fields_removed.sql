-- When the migration's fields were taken out of a target: what was read of it before says nothing of their values now.

CREATE TABLE coa.fields_removed (
    target_org_id text NOT NULL,
    removed_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (target_org_id, removed_at)
);
