"""Why a record is blocked, held or left, and what to do next: one entry for each code of `coa.codes.ReasonCode`.

`plan`, `problem` and `rollback` keep the code, by which SQL decides, and the filled sentences, which people read. To
add a reason: its code in `coa.codes.ReasonCode`, an entry here, and whoever finds it. A key with a colon is a variant
of the sentence of the code before the colon. What the org refuses while loading is in `coa.report.reasons`.
"""

from __future__ import annotations

from typing import NamedTuple

from psycopg import sql

from coa.wording import Text, filled, parts

PARENT = "see why the parent is blocked."
KEY_TAKEN = (
    "the key is unique in the target, so the record cannot be inserted: if both are the same order, name the target's "
    "in the mapping file (duplicates); if not, enter it by hand, or roll back the other source's run."
)

REASONS: dict[str, Text] = {
    # ---- values that do not fit
    "value_masked:source": Text(
        "The source shows {field} masked: its value cannot be read.",
        "give the user of coa_source the permission View Encrypted Data, or drop the field in the mapping file.",
    ),
    "value_masked:target": Text(
        "The target shows {field} masked: its value cannot be proved.",
        "give the user of coa_target the permission View Encrypted Data, or drop the field in the mapping file.",
    ),
    "picklist_value_missing": Text(
        "The target's picklist {field} does not have the record's value.",
        "add the value to the target's picklist, map it in the mapping file, or set picklist_policy.",
    ),
    "picklist_value_missing:no_order_type": Text(
        "The order has no order type; the package's rule OrderTypeRequired refuses it.",
        "fill in the order type in the source, or give it a default in the mapping file.",
    ),
    "value_too_long": Text(
        "The value is longer than the {length} characters of the target's {field}.",
        "lengthen the target's field, or set too_long_policy.",
    ),
    "value_too_long:digits": Text(
        "The number has more decimal places than the {scale} that the target's {field} keeps.",
        "widen the target's field, or drop or map it in the mapping file.",
    ),
    "value_invalid": Text(
        "{why}.", "correct it in the source, map the field in the mapping file, or set invalid_values."
    ),
    "refused_by_org:required": Text(
        "The target requires {field}, and it is empty in the source.",
        "fill it in in the source, or give it a default in the mapping file.",
    ),
    # ---- links that lead nowhere
    "owner_unmatched": Text(
        "The owner has no active counterpart among the target's users.",
        "map the owner in the mapping file (owners), activate the user, or set owner_policy.",
    ),
    "lookup_unmatched": Text(
        "The record that {field} points at is not found in the target.",
        "create it there, configure its key in the mapping file (lookups), or set unmatched_lookup_policy.",
    ),
    "lookup_unmatched:parent_unseen": Text(
        "The record that {field} points at is not visible in the source.",
        "give the user of coa_source access to it (Modify All Data or View All), or correct the link in the source.",
    ),
    # ---- rules of the package
    "contract_unmatched": Text(
        "The record's contract terms are not found in the target, or several fit equally well.",
        "refresh the target's Channel Order App, or map the contract in the mapping file (contracts).",
    ),
    "contract_unmatched:none": Text(
        "The order has no contract terms; the package's rule Contract_is_Required refuses it.",
        "fill in the contract in the source.",
    ),
    "contract_mismatch:detail": Text(
        "The detail's contract terms are not those of its order; the package refuses such a detail.",
        "correct the contract of the detail in the source.",
    ),
    "contract_mismatch:product": Text(
        "The product belongs to contract terms with a different name than its order's; the package refuses it.",
        "name a product of the order's contract in the mapping file (products).",
    ),
    "contract_blank": Text(
        "The detail has no contract terms (it was written by an app before version 2); the package refuses it.",
        "set blank_contract to from_order, or fill in the contract in the source.",
    ),
    "product_unmatched": Text(
        "The product is not found in the target's catalog under the matched contract, or several fit.",
        "refresh the target's catalog, or name a substitute in the mapping file (products).",
    ),
    "product_unmatched:none": Text(
        "The detail has no product (it was deleted from the source's catalog); the package refuses it.",
        "give the detail a product in the source.",
    ),
    "quantity_missing": Text(
        "The detail has no quantity; the package's rule Quantity_is_required refuses it.",
        "fill in the quantity in the source.",
    ),
    "terms_missing": Text(
        "{field} is empty, and the target's contract terms allow overrides ({flag}); the package's rule {rule} "
        "refuses it.",
        "fill in {field} in the source, or give it a default in the mapping file.",
    ),
    "refused_by_org:frozen_terms": Text(
        "The package refuses changed special terms of an order that is neither Draft nor Error.",
        "change them by hand through Salesforce, or accept the difference.",
    ),
    "refused_by_org:late_terms": Text(
        "Its special terms contain line ends or a mark that a Bulk job cannot carry, and its order has left Draft: the "
        "package would refuse to correct them afterwards.",
        "enter the detail by hand, or remove the carriage returns from the text.",
    ),
    "currency_missing": Text(
        "The record's currency is missing or inactive in the target.",
        "add or activate it in the target (Setup, Manage Currencies); a currency is never left out, for the record "
        "would take another one with the same amounts.",
    ),
    # ---- what the plan finds by comparing
    "conflict": Text(
        "The target's record was changed after we wrote it: {fields}.",
        "decide which side is right, or set conflict_policy.",
    ),
    "possible_duplicate": Text(
        "The target has an order {target_id} of the same customer, contract, type, dates and lines that does not "
        "come from this migration.",
        "decide in the mapping file (duplicates): load, or the id of the order that it is.",
    ),
    "key_of_other_source": Text(
        "The target has a record with this record's id as its migration key that came from the source {org_id}.",
        KEY_TAKEN,
    ),
    "key_of_other_source:unknown": Text(
        "The target has a record with this record's id as its migration key that did not come from this source: its "
        "number or its age does not fit.",
        KEY_TAKEN,
    ),
    "match_changed:created": Text(
        "It was matched with {target_id} by an org id that has changed since.",
        "nothing: it is created, and its orders are linked to it; if the old match was right, correct the org id "
        "in the source.",
    ),
    "match_changed:matched": Text(
        "It was matched with {target_id} by an org id that has changed since.",
        "nothing: its orders are linked to the customer that has the org id now.",
    ),
    "parent_blocked:order": Text("The order's customer is blocked.", PARENT),
    "parent_blocked:detail": Text("The detail's order is blocked.", PARENT),
    "order_incomplete": Text(
        "A detail of the order is blocked, and incomplete_orders is block.",
        "correct the detail, or set incomplete_orders to load.",
    ),
    "held_draft": Text(
        "A Draft in both orgs could be submitted twice (draft_orders is hold).",
        "submit or delete it in the source, or set draft_orders to load.",
    ),
    "held_in_flight": Text(
        "Salesforce is still processing the order, and reports to the source org (in_flight_orders is hold).",
        "run again when Salesforce has processed it, or set in_flight_orders to load.",
    ),
    "changed_since_plan:changed": Text(
        "The record was changed in the source after the plan was made.", "nothing: the next delta carries it."
    ),
    "changed_since_plan:deleted": Text(
        "The record was deleted in the source after the plan was made.", "nothing: the next delta carries it."
    ),
    "deleted_in_source": Text(
        "It is gone from the source and stays in the target ({target_id}): {why}.",
        "delete it in the target by hand, or run with deletions carry.",
    ),
    # ---- what a run of coa_relink leaves
    "conflict:relink": Text(
        "{field} holds another record: {held}.",
        "look at the record; clear the lookup if the text beside it is right, or give the rule replace: true.",
    ),
    "lookup_unmatched:relink": Text(
        "{text} names no record that was moved.",
        "move the record, correct the text, or set the lookup by hand.",
    ),
    "lookup_unmatched:several": Text(
        "{text} names several records that were moved.", "leave one id in it, or set {field} by hand."
    ),
    "lookup_unmatched:two_sources": Text(
        "Another source has a record of this id too, so {text} does not say which is meant.",
        "find out where the record comes from, and set {field} by hand.",
    ),
    "changed_since_plan:relinked": Text(
        "Somebody changed the lookup after the plan was made.",
        "look at the record; run again to plan it anew.",
    ),
    "changed_since_plan:gone": Text(
        "It was deleted after the plan was made.", "look at the record; run again to plan it anew."
    ),
    # ---- what a roll-back leaves
    "conflict:rollback": Text(
        "It was changed in the target after the run wrote it: {fields}.",
        "check the record; force rolls it back anyway.",
    ),
    "pre_image_erased": Text(
        "Its former values are no longer known: personal data was deleted from the run.",
        "correct the record by hand.",
    ),
    "deleted_by_run": Text(
        "The run deleted it, because it was gone from the source.",
        "restore it from the target's recycle bin, where it stays for 15 days.",
    ),
    "order_incomplete:rollback": Text(
        "One of its details stays, or does not belong to this run.", "see its details in the target."
    ),
    "parent_blocked:rollback": Text("Its order stays.", "see why its order stays."),
    "in_use:clone": Text(
        "An order that stays was cloned from it.", "roll back the later run first, or clear the link by hand."
    ),
    "in_use:customer": Text("Orders that stay use it.", "see why these orders stay."),
}

CLAUSES: dict[str, str] = {
    # Why a value is refused.
    "no_email": "{field} is not an e-mail address that Salesforce accepts",
    "outside_years": "{field} is outside the years {first} to {last}",
    "too_large_int": "{field} is too large for a whole number of the target",
    "too_many_digits": "{field} has more than the target's {digits} digits before the point",
    # Why a record that is gone from the source stays in the target.
    "deletions_reported": "deletions is report",
    "never_proved": "it was never proved equal",
    "changed_in_target": "it was changed in the target after we wrote it",
    "detail_stays": "one of its details stays",
    "used_by_orders": "orders of the target use it",
    "order_stays": "its order stays",
}
"""Parts of the sentences above and of those in `coa.explanations`, where these have a placeholder `why`."""


class Reason(NamedTuple):
    """A filled entry: a member of `ReasonCode`, and both sentences."""

    code: str
    message: str
    next_step: str


class SqlReason(NamedTuple):
    """The same as SQL expressions of text."""

    code: sql.Composable
    message: sql.Composable
    next_step: sql.Composable


def reason(entry: str, **facts: object) -> Reason:
    """An entry of the catalogue, filled. Raises `KeyError` for a missing fact or entry.

    >>> reason("value_too_long", length=40, field="Name").message
    "The value is longer than the 40 characters of the target's Name."
    """
    text = REASONS[entry]
    return Reason(entry.partition(":")[0], filled(text.message, **facts), filled(text.next_step, **facts))


def clause(entry: str, **facts: object) -> str:
    """A part of a sentence, filled. Raises `KeyError` for a missing fact or entry."""
    return filled(CLAUSES[entry], **facts)


def reason_sql(entry: str, **facts: sql.Composable) -> SqlReason:
    """The entry for a statement: `facts` are SQL expressions of text. Raises `KeyError` as `reason` does.

    >>> reason_sql("in_use:customer").message.as_string(None)
    "'Orders that stay use it.'"
    """
    text = REASONS[entry]
    return SqlReason(
        sql.Literal(entry.partition(":")[0]),
        _expression(text.message, facts),
        _expression(text.next_step, facts),
    )


def _expression(text: str, facts: dict[str, sql.Composable]) -> sql.Composable:
    pieces: list[sql.Composable] = []
    for literal, name in parts(text):
        if literal:
            pieces.append(sql.Literal(literal))
        if name:
            pieces.append(facts[name])
    return pieces[0] if len(pieces) == 1 else sql.SQL("concat({})").format(sql.SQL(", ").join(pieces))
