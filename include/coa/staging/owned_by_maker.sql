-- Statements that give the plain role what the cluster's maker (oid 10) owns in the database at hand.
SELECT format('ALTER SCHEMA %I OWNER TO coa', nspname)
FROM pg_namespace
WHERE nspowner = 10 AND nspname !~ '^pg_' AND nspname <> 'information_schema'
UNION ALL
SELECT format('ALTER %s %I.%I OWNER TO coa',
              CASE c.relkind WHEN 'v' THEN 'VIEW' WHEN 'm' THEN 'MATERIALIZED VIEW' WHEN 'S' THEN 'SEQUENCE'
                             WHEN 'c' THEN 'TYPE' WHEN 'f' THEN 'FOREIGN TABLE' ELSE 'TABLE' END,
              nspname, relname)
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relowner = 10 AND c.relkind IN ('r', 'p', 'v', 'm', 'S', 'f', 'c')
  AND nspname !~ '^pg_' AND nspname <> 'information_schema'
  -- A sequence of a column follows its table; what an extension brought stays the extension's.
  AND NOT EXISTS (SELECT 1 FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid
                  AND d.deptype IN ('a', 'i', 'e') AND (c.relkind = 'S' OR d.deptype = 'e'))
UNION ALL
SELECT format('ALTER ROUTINE %s OWNER TO coa', p.oid::regprocedure)
FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
WHERE p.proowner = 10 AND nspname !~ '^pg_' AND nspname <> 'information_schema'
  AND NOT EXISTS (SELECT 1 FROM pg_depend d WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid
                  AND d.deptype = 'e')
UNION ALL
SELECT format('ALTER TYPE %s OWNER TO coa', t.oid::regtype)
FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace
WHERE t.typowner = 10 AND t.typtype IN ('e', 'd', 'r')
  AND nspname !~ '^pg_' AND nspname <> 'information_schema'
  AND NOT EXISTS (SELECT 1 FROM pg_depend d WHERE d.classid = 'pg_type'::regclass AND d.objid = t.oid
                  AND d.deptype = 'e')
