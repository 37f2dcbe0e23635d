-- The key of a rehearsal's masks may be a file of the deployment: then only its fingerprint is kept here.

ALTER TABLE coa.masking_key ALTER COLUMN key DROP NOT NULL;
ALTER TABLE coa.masking_key ADD COLUMN fingerprint text;
ALTER TABLE coa.masking_key ADD CHECK (key IS NOT NULL OR fingerprint IS NOT NULL);
