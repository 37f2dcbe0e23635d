-- Names in the field's terms, and which schema version made the tables of a run.

ALTER TABLE coa.ledger RENAME COLUMN proved_hash TO verified_hash;
ALTER TABLE coa.finding RENAME COLUMN grade TO severity;
ALTER TABLE coa.finding RENAME CONSTRAINT finding_grade_check TO finding_severity_check;
ALTER TABLE coa.difference RENAME COLUMN origin TO cause;

-- Tables of earlier runs are read by deltas, roll-backs and resumed loads: they get the new names as well.
DO $$
DECLARE
    found record;
BEGIN
    FOR found IN
        SELECT n.nspname, c.relname,
               CASE c.relname WHEN 'rehearsal' THEN 'expected_corrections' ELSE 'changed_since_plan' END AS now
        FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE n.nspname ~ '^run_[0-9]{8}t[0-9]{6}z_[0-9a-f]{6}$' AND c.relname IN ('rehearsal', 'holdback')
          AND c.relkind = 'r'
    LOOP
        EXECUTE format('ALTER TABLE %I.%I RENAME TO %I', found.nspname, found.relname, found.now);
    END LOOP;
END $$;

-- The newest schema version when the run began. Runs that are there were begun with version 1, or before it.
ALTER TABLE coa.run ADD COLUMN schema_version int NOT NULL DEFAULT 1;
ALTER TABLE coa.run ALTER COLUMN schema_version DROP DEFAULT;
