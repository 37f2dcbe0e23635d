"""Why a value in the target differs from the source on purpose: codes, and the sentence that goes with each.

`coa.explained` keeps the code, by which SQL decides, and the sentence, which people read; nothing decides by the
sentence. To add one: a member and its sentence here, and the migration that lets the column take it.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum


class Cause(StrEnum):
    """What made an explained difference."""

    CUSTOM_RULE = "custom_rule"
    MAPPING_FILE = "mapping_file"
    OWNER_POLICY = "owner_policy"
    CREATOR_UNMATCHED = "creator_unmatched"
    LOOKUP_BLANK = "lookup_blank"
    PICKLIST_BLANK = "picklist_blank"
    INVALID_BLANK = "invalid_blank"
    TRUNCATED = "truncated"
    TARGET_WINS = "target_wins"
    CLONE_NOT_MOVED = "clone_not_moved"
    LINK_NOT_MOVED = "link_not_moved"
    LINK_CHANGED_SINCE = "link_changed_since"
    LINKS_REWRITTEN = "links_rewritten"
    CONTRACT_FROM_ORDER = "contract_from_order"
    RECEIVED_DATES_RESET = "received_dates_reset"
    FOLLOWS_FROM_DETAILS = "follows_from_details"
    DETAIL_LEFT = "detail_left"
    CURRENCY_RATES = "currency_rates"


SENTENCES: dict[Cause, str] = {
    Cause.CUSTOM_RULE: "by the custom rule {function}",
    Cause.MAPPING_FILE: "by the mapping file",
    Cause.OWNER_POLICY: "owner without an active counterpart: owner_policy {policy}",
    Cause.CREATOR_UNMATCHED: "creator without a counterpart: the user who loads",
    Cause.LOOKUP_BLANK: "not found in the target: unmatched_lookup_policy blank",
    Cause.PICKLIST_BLANK: "value missing in the target's picklist: picklist_policy blank",
    Cause.INVALID_BLANK: "{why}: invalid_values blank",
    Cause.TRUNCATED: "longer than {length} characters: truncated",
    Cause.TARGET_WINS: "changed in the target: conflict_policy target_wins",
    Cause.CLONE_NOT_MOVED: "the order that it was cloned from is not moved",
    Cause.LINK_NOT_MOVED: "the record that it points at is not moved",
    Cause.LINK_CHANGED_SINCE: "the record that it points at changed in the source after the plan was made",
    Cause.LINKS_REWRITTEN: "links lead to the records of the target: rewrite_links",
    Cause.CONTRACT_FROM_ORDER: "blank in the source, taken from its order: blank_contract from_order",
    Cause.RECEIVED_DATES_RESET: "received_dates is accept_reset",
    Cause.FOLLOWS_FROM_DETAILS: "follows from explained differences of its details",
    Cause.DETAIL_LEFT: "a detail that is gone from the source stays in the target",
    Cause.CURRENCY_RATES: "details in another currency than their order's: each org converts them by its own rates",
}


TITLES: dict[str, str] = {
    Cause.CUSTOM_RULE: "by a custom rule",
    Cause.MAPPING_FILE: "by the mapping file",
    Cause.OWNER_POLICY: "owners replaced (owner_policy)",
    Cause.CREATOR_UNMATCHED: "creators without a counterpart",
    Cause.LOOKUP_BLANK: "lookups left blank (unmatched_lookup_policy)",
    Cause.PICKLIST_BLANK: "picklist values left blank (picklist_policy)",
    Cause.INVALID_BLANK: "values that the target refuses, left blank (invalid_values)",
    Cause.TRUNCATED: "texts cut off (too_long_policy)",
    Cause.TARGET_WINS: "changed in the target, which wins (conflict_policy)",
    Cause.CLONE_NOT_MOVED: "clone links to orders that are not moved",
    Cause.LINK_NOT_MOVED: "links to records that are not moved",
    Cause.LINK_CHANGED_SINCE: "links to records that changed since the plan",
    Cause.LINKS_REWRITTEN: "links in texts rewritten (rewrite_links)",
    Cause.CONTRACT_FROM_ORDER: "contract terms taken from the order (blank_contract)",
    Cause.RECEIVED_DATES_RESET: "received dates reset (received_dates)",
    Cause.FOLLOWS_FROM_DETAILS: "roll-ups that follow from their details",
    Cause.DETAIL_LEFT: "details that stay in the target",
    Cause.CURRENCY_RATES: "order totals over several currencies, converted by each org's rates",
}
"""What a group of explained differences is called where only their numbers are told."""


def told(counts: Mapping[str, int]) -> str:
    """Numbers of explained differences by cause, as a text; most first, empty for none.

    >>> told({"truncated": 2, "owner_policy": 1080})
    '1,080 owners replaced (owner_policy), 2 texts cut off (too_long_policy)'
    """
    most = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return ", ".join(f"{number:,} {TITLES.get(cause, 'for another stated reason')}" for cause, number in most)


def sentence(cause: Cause, **facts: object) -> str:
    """As people read it. Raises `KeyError` when a fact that the sentence names is missing.

    >>> sentence(Cause.TRUNCATED, length=80)
    'longer than 80 characters: truncated'
    """
    return SENTENCES[cause].format(**facts)
