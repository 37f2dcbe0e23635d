-- A roll-up over details in another currency than their order's follows the rates of its org.

ALTER TABLE coa.explained DROP CONSTRAINT explained_cause_check;
ALTER TABLE coa.explained ADD CONSTRAINT explained_cause_check CHECK (cause IN (
    'custom_rule', 'mapping_file', 'owner_policy', 'creator_unmatched', 'lookup_blank', 'picklist_blank', 'invalid_blank',
    'truncated', 'target_wins', 'clone_not_moved', 'link_not_moved', 'link_changed_since', 'links_rewritten',
    'contract_from_order', 'received_dates_reset', 'follows_from_details', 'detail_left', 'currency_rates'));
