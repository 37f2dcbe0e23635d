-- A proved canary may stand for that of a later run: what it held, and under what it was loaded.
ALTER TABLE coa.canary ADD COLUMN strata jsonb;              -- [kind, sObject, field, value] of its orders
ALTER TABLE coa.canary ADD COLUMN fingerprint jsonb;         -- null where part of it could not be read: no reuse
ALTER TABLE coa.canary ADD COLUMN rechecked boolean;         -- after a reuse: did the first chunk read back show the same?
-- sObjects of which the proof's reading had to mend more than a hundredth: nothing is learnt of them in the next run.
ALTER TABLE coa.canary ADD COLUMN much_mended text[] NOT NULL DEFAULT '{}';
