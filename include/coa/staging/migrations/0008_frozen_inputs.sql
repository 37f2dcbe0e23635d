-- What a run was told is frozen when it starts: params as they were given beside those that it goes by, and its mapping
-- file. A verification goes by the policies of a migration, which it names.

ALTER TABLE coa.run ADD COLUMN given_params jsonb;
UPDATE coa.run SET given_params = CASE
    WHEN versions ? 'orders_where_given' THEN params || jsonb_build_object('orders_where', versions -> 'orders_where_given')
    ELSE params END;
ALTER TABLE coa.run ALTER COLUMN given_params SET NOT NULL;

ALTER TABLE coa.run ADD COLUMN policies_of text REFERENCES coa.run;
ALTER TABLE coa.run ADD COLUMN mapping_name text NOT NULL DEFAULT '';
ALTER TABLE coa.run ADD COLUMN mapping_sha256 text NOT NULL DEFAULT '';
UPDATE coa.run SET mapping_name = COALESCE(versions ->> 'mapping', ''),
                   mapping_sha256 = COALESCE(versions ->> 'mapping_sha256', '');
UPDATE coa.run SET versions = versions - 'mapping' - 'mapping_sha256' - 'orders_where_given' - 'params_sha256';
