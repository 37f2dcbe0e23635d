-- An explained difference has a code, by which SQL decides; the sentence beside it is for people only.

ALTER TABLE coa.explained ADD COLUMN cause text;
UPDATE coa.explained SET cause = CASE
    WHEN reason LIKE 'by the custom rule %' THEN 'custom_rule'
    WHEN reason LIKE 'owner without an active counterpart%' THEN 'owner_policy'
    WHEN reason LIKE 'creator without a counterpart%' THEN 'creator_unmatched'
    WHEN reason LIKE 'not found in the target%' THEN 'lookup_blank'
    WHEN reason LIKE 'value missing in the target%' THEN 'picklist_blank'
    WHEN reason LIKE 'longer than %' THEN 'truncated'
    WHEN reason LIKE 'changed in the target%' THEN 'target_wins'
    WHEN reason LIKE 'the order that it was cloned from%' THEN 'clone_not_moved'
    ELSE 'mapping_file' END;
ALTER TABLE coa.explained ALTER COLUMN cause SET NOT NULL;
ALTER TABLE coa.explained ADD CONSTRAINT explained_cause_check CHECK (cause IN (
    'custom_rule', 'mapping_file', 'owner_policy', 'creator_unmatched', 'lookup_blank', 'picklist_blank', 'truncated',
    'target_wins', 'clone_not_moved', 'received_dates_reset', 'follows_from_details', 'detail_left'));
