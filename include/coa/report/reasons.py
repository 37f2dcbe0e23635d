"""Salesforce's error codes in plain words, each with what to do."""

from __future__ import annotations

WORDS: dict[str, tuple[str, str]] = {
    "FIELD_CUSTOM_VALIDATION_EXCEPTION": (
        "a validation rule of the target refused the record",
        "correct the record in the source, or switch the rule off for the load.",
    ),
    "REQUIRED_FIELD_MISSING": (
        "a field that the target requires is empty",
        "fill it in in the source, or give it a default in the mapping file.",
    ),
    "STRING_TOO_LONG": ("a value is too long", "lengthen the target's field, or set too_long_policy."),
    "INVALID_EMAIL_ADDRESS": (
        "the target does not accept this as an e-mail address",
        "correct it in the source, or set invalid_values to blank.",
    ),
    "NUMBER_OUTSIDE_VALID_RANGE": (
        "a number or date is out of the target's range",
        "correct it in the source, widen the target's field, or set invalid_values to blank.",
    ),
    "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST": (
        "a picklist of the target does not have the value",
        "add the value to the picklist, or map it in the mapping file.",
    ),
    "INVALID_CROSS_REFERENCE_KEY": (
        "a link leads to no record of the target",
        "run again: the plan matches links again.",
    ),
    "INSUFFICIENT_ACCESS_ON_CROSS_REFERENCE_ENTITY": (
        "the user may not use the record that a link leads to",
        "share that record with the user behind coa_target.",
    ),
    "INACTIVE_OWNER_OR_USER": ("the owner is inactive", "activate the user, or set owner_policy."),
    "DUPLICATE_VALUE": (
        "another record of the target has the same unique value",
        "find that record; if it is the same one, delete it or set its migration key.",
    ),
    "DUPLICATES_DETECTED": (
        "a duplicate rule of the target refused the record",
        "switch the rule off for the user behind coa_target during the load.",
    ),
    "CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY": (
        "a trigger of the target failed",
        "switch the partner's automation off for the load, and on again afterwards.",
    ),
    "CANNOT_EXECUTE_FLOW_TRIGGER": (
        "a flow of the target failed",
        "switch the flow off for the load, and on again afterwards.",
    ),
    "UNABLE_TO_LOCK_ROW": (
        "the record stayed locked through all tries",
        "run again when fewer others write to the target.",
    ),
    "INVALID_FIELD_FOR_INSERT_UPDATE": (
        "the user may not write one of the fields",
        "assign the permission sets again, or set created_dates to auto.",
    ),
    "ENTITY_IS_DELETED": ("the record was deleted in the meantime", "run again: the plan takes it as gone."),
    "STORAGE_LIMIT_EXCEEDED": ("the target's storage is full", "free or buy storage, then run again."),
    "PARENT_REJECTED": (
        "its parent was refused",
        "see the row of its customer or order, and run again.",
    ),
    "DETAILS_REJECTED": (
        "the order stays a Draft in the target, because not all of its details are correct there",
        "correct its details and run again soon: a Draft could be submitted to Salesforce.",
    ),
    "INCOMPLETE": (
        "the order was created released, and not all of its details are there",
        "correct its details and run again: the next run loads them.",
    ),
    "NO_RESULT": ("the org gave no result for the row in any try", "run again."),
}


def plain_words(code: str, error: str) -> tuple[str, str]:
    """(reason, next step) for an error of the org; the org's own text is kept behind ours."""
    reason, next_step = WORDS.get(
        code, ("the target refused the record", "read the org's message, fix the cause, run again.")
    )
    detail = " ".join(error.split())[:500]
    return f"{reason} ({code}: {detail})" if detail else f"{reason} ({code})", next_step
