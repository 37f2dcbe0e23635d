-- Runs that hold a lease on the target or on one of the orgs of the pair, beside the run itself.
-- `coa.lease` is asked for other pairs of the target too: a run of an earlier version renews nothing else.
SELECT r.*, h.expires_at, p.pair_id = mine.pair_id AS same_pair,
       p.target_org_id = mine.target_org_id AS same_target
FROM coa.org_pair mine
JOIN coa.org_pair p ON p.target_org_id = mine.target_org_id
  OR (p.source_org_id = p.target_org_id AND p.target_org_id = mine.source_org_id)
  OR (mine.source_org_id = mine.target_org_id AND p.source_org_id = mine.target_org_id)
JOIN coa.run r ON r.pair_id = p.pair_id
JOIN (SELECT run_id, max(expires_at) AS expires_at FROM (
        SELECT run_id, expires_at FROM coa.target_lease UNION ALL SELECT run_id, expires_at FROM coa.lease) x
      GROUP BY run_id) h USING (run_id)
WHERE mine.pair_id = %(pair)s AND r.run_id <> %(run)s AND h.expires_at >= clock_timestamp() AND r.state IS NULL
ORDER BY h.expires_at, r.run_id
