-- One pass of a run: tried where the package's Draft rule reads as off, over as soon as the target shows otherwise.
CREATE TABLE coa.one_pass (
    run_id    text PRIMARY KEY REFERENCES coa.run ON DELETE CASCADE,
    ended_at  timestamptz,                           -- null: orders that can be are created as they are
    seen_late boolean NOT NULL DEFAULT false,        -- a rule was on again: what the canary showed is not so any more
    why       text NOT NULL DEFAULT ''
);
