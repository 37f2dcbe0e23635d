-- Who writes to a target, whichever source it reads: several sources move into one org, never two at once.

CREATE TABLE coa.target_lease (
    target_org_id text PRIMARY KEY,
    run_id        text NOT NULL REFERENCES coa.run ON DELETE CASCADE,
    expires_at    timestamptz NOT NULL
);

-- A run that holds its pair goes on holding what it writes to; of several on one target, the one that lives longest.
INSERT INTO coa.target_lease (target_org_id, run_id, expires_at)
SELECT DISTINCT ON (p.target_org_id) p.target_org_id, l.run_id, l.expires_at
FROM coa.lease l JOIN coa.org_pair p USING (pair_id)
ORDER BY p.target_org_id, l.expires_at DESC, l.run_id;
