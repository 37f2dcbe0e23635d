"""What the trigger form shows for each value of a choice instead of the bare code: `values_display` of Airflow."""

from __future__ import annotations

from coa.config import CHOICES

WORDS: dict[str, dict[str, str]] = {
    "mode": {"full": "Read everything", "delta": "Read what changed since the last run"},
    "on_row_failure": {"stop": "End the load at the first refused row", "continue": "Load the rest"},
    "received_dates": {
        "restore": "Write the source's dates back",
        "accept_reset": "Leave the package's stamp",
    },
    "created_dates": {
        "required": "Set them, or stop",
        "auto": "Set them if the target lets us",
        "off": "Do not set them",
    },
    "draft_orders": {"hold": "Leave them in the source", "load": "Move them"},
    "in_flight_orders": {"load": "Move them", "hold": "Leave them until they are settled"},
    "incomplete_orders": {
        "block": "Hold the whole order back",
        "load": "Move it without the blocked details",
    },
    "picklist_policy": {
        "stop": "Stop the run",
        "blank": "Leave the field blank",
        "block_record": "Leave the record behind",
    },
    "too_long_policy": {
        "stop": "Stop the run",
        "truncate": "Cut the text off",
        "block_record": "Leave the record behind",
    },
    "invalid_values": {
        "block_record": "Leave the record behind",
        "blank": "Leave the field blank",
        "stop": "Stop the run",
    },
    "unmatched_contract_policy": {"stop": "Stop the run", "block_record": "Leave their orders behind"},
    "unmatched_product_policy": {"block_record": "Leave their details behind", "stop": "Stop the run"},
    "unmatched_lookup_policy": {"blank": "Leave the lookup blank", "block_record": "Leave the record behind"},
    "possible_duplicates": {
        "block_record": "Leave them for a person to decide",
        "load": "Move them all the same",
    },
    "conflict_policy": {
        "block_record": "Leave it as it is, and list it",
        "source_wins": "Write the source's values over it",
        "target_wins": "Keep the target's values",
    },
    "deletions": {"report": "List them", "carry": "Delete them in the target"},
    "attachments": {"report": "Count and list them", "carry": "Move them"},
    "activities": {"report": "Count and list them", "carry": "Move them"},
    "history": {"off": "Leave it", "archive": "Archive it in the artifacts"},
    "hidden_fields": {"stop": "Stop the run", "report": "Move the records without these values"},
    "masked_values": {"block_record": "Leave the record behind", "stop": "Stop the run"},
    "blank_contract": {
        "from_order": "Take the order's contract terms",
        "block_record": "Leave the record behind",
    },
    "learned_passes": {
        "use": "Use it: read back only where needed",
        "ignore": "Ignore it: read everything back",
    },
    "canary_gate": {
        "continue": "Load the rest when the canary is proved",
        "ask": "Ask a person first",
        "only": "End the run there",
    },
}


def values_display(name: str) -> dict[str, str]:
    """Code -> what is shown: the words with the code behind them, by which docs and `PARAMS` name the value."""
    words = WORDS.get(name, {})
    return {code: f"{words[code]} ({code})" if code in words else code for code in CHOICES[name]}
