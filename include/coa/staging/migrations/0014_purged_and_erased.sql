-- A purged run has no data any more, and one from which a person's data was deleted lacks some: neither goes on.
-- Runs that an earlier program purged have none of these stamps, and are purged once more, by what is known today.

ALTER TABLE coa.run ADD COLUMN purged_at timestamptz;
ALTER TABLE coa.run ADD COLUMN erased_at timestamptz;
