-- What hangs on records (files, attachments, notes, activities) and was carried to the target: the ledger of it.

CREATE TABLE coa.attached (
    pair_id       bigint NOT NULL REFERENCES coa.org_pair,
    sobject       text NOT NULL,
    source_id     text NOT NULL,
    parent_id     text NOT NULL,              -- in the source: the record; of a version of a file its document
    target_id     text,
    target_parent text,                       -- in the target: the document of a version of a file, else the record
    state         text NOT NULL CHECK (state IN ('sent', 'created', 'proved', 'refused', 'deleted')),
    bytes         bigint NOT NULL DEFAULT 0,
    sha256        text NOT NULL DEFAULT '',   -- of the bytes as the source gave them; empty for what has none
    stamp         text NOT NULL DEFAULT '',   -- SystemModstamp in the target when it was proved
    sent_at       timestamptz NOT NULL DEFAULT clock_timestamp(),
    inserted_run  text NOT NULL DEFAULT '',   -- the run that sent it; empty for what was found in the target
    last_run      text NOT NULL,
    PRIMARY KEY (pair_id, sobject, source_id)
);
CREATE INDEX attached_by_target ON coa.attached (pair_id, target_id);
CREATE INDEX attached_by_run ON coa.attached (inserted_run);
