-- Codes are closed sets (coa.codes, coa.states): the database takes no others.

ALTER TABLE coa.run ADD CONSTRAINT run_state_check CHECK (state IN (
    'failed', 'blocked', 'not_approved', 'rows_rejected', 'differences', 'dry_run', 'canary_verified', 'verified'));
ALTER TABLE coa.run ADD CONSTRAINT run_stopped_state_check CHECK (stopped_state IN (
    'failed', 'blocked', 'not_approved', 'rows_rejected', 'differences', 'dry_run', 'canary_verified', 'verified'));
ALTER TABLE coa.event ADD CONSTRAINT event_level_check CHECK (level IN (
    'info', 'warning', 'error'));
ALTER TABLE coa.plan_count ADD CONSTRAINT plan_count_action_check CHECK (action IN (
    'insert', 'update', 'unchanged', 'match', 'blocked', 'held'));
ALTER TABLE coa.job ADD CONSTRAINT job_state_check CHECK (state IN (
    'planned', 'open', 'uploaded', 'submitted', 'ended', 'settled', 'abandoned'));
ALTER TABLE coa.ledger ADD CONSTRAINT ledger_origin_check CHECK (origin IN (
    'none', 'inserted', 'matched'));
ALTER TABLE coa.ledger ADD CONSTRAINT ledger_step_check CHECK (step IN (
    'none', 'sent', 'created', 'released', 'done'));
ALTER TABLE coa.difference ADD CONSTRAINT difference_kind_check CHECK (kind IN (
    'field', 'price', 'status', 'received_date', 'created_date', 'link', 'clone_link', 'owner', 'rollup', 'missing',
    'duplicate', 'unexpected', 'hazard', 'disagreement', 'explained'));
ALTER TABLE coa.difference ADD CONSTRAINT difference_cause_check CHECK (cause IN (
    'migration', 'source', 'target', 'both', 'unknown'));
