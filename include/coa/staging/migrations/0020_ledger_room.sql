-- A new order or detail gets its row when its record is created, and the proof writes that row once more: with room for
-- a second version of each on its page, no index has to follow.
ALTER TABLE coa.ledger SET (fillfactor = 45);
