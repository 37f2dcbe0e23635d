-- Statistics of the ledger from 3,000 rows instead of 30,000: conditions name few of its columns, and each of them has one
-- value in all rows or another in each. PostgreSQL analyzes the table again and again while a load makes it grow.
ALTER TABLE coa.ledger
    ALTER COLUMN pair_id SET STATISTICS 10,
    ALTER COLUMN sobject SET STATISTICS 10,
    ALTER COLUMN source_id SET STATISTICS 10,
    ALTER COLUMN target_id SET STATISTICS 10,
    ALTER COLUMN origin SET STATISTICS 10,
    ALTER COLUMN inserted_run SET STATISTICS 10,
    ALTER COLUMN last_run SET STATISTICS 10,
    ALTER COLUMN step SET STATISTICS 10,
    ALTER COLUMN job_key SET STATISTICS 10,
    ALTER COLUMN attempts SET STATISTICS 10,
    ALTER COLUMN error_code SET STATISTICS 10,
    ALTER COLUMN error SET STATISTICS 10,
    ALTER COLUMN draft_since SET STATISTICS 10,
    ALTER COLUMN draft_until SET STATISTICS 10,
    ALTER COLUMN verified_hash SET STATISTICS 10,
    ALTER COLUMN updated_at SET STATISTICS 10;
