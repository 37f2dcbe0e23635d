-- What a standing approval binds (coa.approval.terms). Without it, a grant is from before and no longer valid.
ALTER TABLE coa.standing_approval ADD COLUMN terms jsonb;
