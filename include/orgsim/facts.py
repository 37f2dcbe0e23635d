"""Behaviour by evidence: what this org does is switched by the ids of the contract's facts, one answer a fact.

``--fact ID=ANSWER`` sets one, ``--profile cassette.json`` takes those that an org has given (docs/contract.md). The
file is all that this has in common with who recorded it: answers are words, and what each means here stands below.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orgsim.schema.coa import CUSTOMER, NS

if TYPE_CHECKING:
    from orgsim.schema.model import Schema
    from orgsim.settings import Settings

FORMAT, VERSION = "coa-contract-cassette", 1

Switch = Callable[["Settings"], None]


def _set(name: str, value: object) -> Switch:
    return lambda settings: setattr(settings, name, value)


def _add(name: str, value: str) -> Switch:
    def act(settings: Settings) -> None:
        values = getattr(settings, name)
        if value not in values:
            setattr(settings, name, [*values, value])

    return act


def _where_it_acts(_settings: Settings) -> None:
    """The code that acts asks `Facts.says`."""


_REFUSED = "refused:FIELD_CUSTOM_VALIDATION_EXCEPTION"
#: What each fact can be switched to. The answer that an org gives without any switch is not listed.
SWITCHES: dict[str, dict[str, Switch]] = {
    # the package's rules
    "order.insert.status": {"as_sent": _where_it_acts},
    "order.insert.received-date": {"emptied": _where_it_acts, "stamped_over": _where_it_acts},
    "order.insert.received-stamp": {"stamped": _where_it_acts},
    "order.update.received-stamp": {"kept": _where_it_acts},
    "order.update.date-only": {"stamped_over": _where_it_acts},
    "order.update.other-status": {"stamped_over": _where_it_acts},
    "order.insert.submitted-date": {"emptied": _where_it_acts, "stamped_over": _where_it_acts},
    "order.insert.version-stamp": {"stamped": _where_it_acts},
    "order.insert.blank-contract": {"accepted": _add("validation_off", "Contract_is_Required")},
    "order.insert.blank-type": {"accepted": _add("validation_off", "OrderTypeRequired")},
    "detail.insert.fixed-price": {"as_sent": _where_it_acts},
    "detail.update.fixed-price": {"catalog_price": _where_it_acts},
    "detail.insert.pc-fields-sent": {"changed": _where_it_acts},
    "detail.insert.pc-fields-not-sent": {"filled": _where_it_acts},
    "detail.insert.blank-contract": {"accepted": _add("validation_off", "Order_must_belong_to_contract_terms")},
    "detail.insert.blank-product": {"accepted": _where_it_acts},
    "detail.insert.other-contract": {"accepted": _where_it_acts},
    "detail.insert.blank-quantity": {"accepted": _add("validation_off", "Quantity_is_required")},
    "detail.insert.released-order": {_REFUSED: _where_it_acts},
    "detail.update.frozen-terms": {"accepted": _add("validation_off", "Special_Fields")},
    "contract.insert.external-id": {"as_sent": _where_it_acts},
    "package.rule.draft": {"inactive": _where_it_acts},
    "package.rule.received": {"inactive": _where_it_acts},
    "package.rule.pricing": {"inactive": _where_it_acts},
    "package.rule.contract-key": {"inactive": _where_it_acts},
    "package.submit-jobs": {"found": _set("draft_job", True)},
    "package.status-values": {"more": _add("add_picklist_value", "Service_Order__c.Service_Order_Status__c=Recalled")},
    "package.order-types": {"more": _add("add_picklist_value", "Service_Order__c.Order_Type__c=New Cloud")},
    # values
    "audit.describe": {"not_createable": _set("audit_fields", False)},
    "audit.insert.created-date": {"refused:INVALID_FIELD_FOR_INSERT_UPDATE": _set("audit_fields", False)},
    "audit.upsert.new": {"kept": _set("audit_on_upsert", True)},
    "owner.inactive": {"refused:INACTIVE_OWNER_OR_USER": _set("inactive_owner", False)},
    "text.rest.crlf": {"line_feeds": _where_it_acts},
    "text.rest.cr": {"line_feeds": _where_it_acts},
    "text.bulk.crlf": {"job_failed": _set("crlf_in_quotes", False)},
    "text.bulk.empty-cell-insert": {"false": _where_it_acts},
    "text.bulk.boolean-digits": {"refused": _where_it_acts},
    "text.leading-blanks": {"trimmed": _where_it_acts},
    "text.trailing-blanks": {"trimmed": _set("trim_text", True)},
    "text.length-unit": {"utf16": _set("utf16_lengths", True)},
    "number.bulk-query": {"plain": _where_it_acts},
    "number.bulk-results": {"as_sent": _set("rerender_numbers", False)},
    "number.scale": {"rounded_down": _where_it_acts},
    "datetime.milliseconds": {"kept": _where_it_acts},
    "picklist.restricted": {"accepted": _set("restricted_picklists", False)},
    "key.unique": {"accepted": _where_it_acts},
    "key.case": {"refused:DUPLICATE_VALUE": _where_it_acts},
    # the APIs
    "bulk.results.order": {"same_order": _set("shuffle", False)},
    "bulk.results.columns": {"other_order": _where_it_acts},
    "bulk.results.empty": {"no_content": _set("empty_as_204", True)},
    "rest.content-links": {"accepted": _where_it_acts},
    "rest.delete.hard": {"allowed": _set("hard_delete", True)},
}  # fmt: skip


class Facts:
    """The answers of one org; its settings are brought in line with them when it is made."""

    def __init__(self, settings: Settings) -> None:
        self.ignored: list[str] = []
        """Entries of the profile that have no switch here, as ``ID=ANSWER``."""
        self._answers = self._from_profile(settings.profile) if settings.profile else {}
        self._answers |= dict(_parsed(one) for one in settings.fact)
        for fact_id, answer in self._answers.items():
            SWITCHES[fact_id][answer](settings)
        # A snapshot of this org needs the file no more.
        settings.fact, settings.profile = [f"{name}={one}" for name, one in self._answers.items()], ""

    def says(self, fact_id: str, answer: str) -> bool:
        """Whether this org was switched to that answer."""
        return self._answers.get(fact_id) == answer

    def _from_profile(self, path: str) -> dict[str, str]:
        """Answers of a cassette that differ from what this org does by itself."""
        try:
            document = json.loads(Path(path).read_text("utf-8"))
            if (document["format"], document["version"]) != (FORMAT, VERSION):
                raise ValueError("it is of another format")
            answers = {
                str(one["id"]): str(one["answer"])
                for one in document["facts"]
                if one["state"] == "answered" and one["answer"] != one["expected"]
            }
        except (OSError, KeyError, TypeError, ValueError) as problem:
            raise ValueError(f"{path} is no cassette that can be a profile: {problem}") from None
        known = {name: one for name, one in answers.items() if one in SWITCHES.get(name, {})}
        self.ignored = sorted(f"{name}={one}" for name, one in answers.items() if name not in known)
        return known

    def shape(self, schema: Schema) -> None:
        """What fields do to values."""
        for sobject in schema:
            for field in sobject.fields:
                if sobject.name.startswith(NS):
                    field.trims_start = self.says("text.leading-blanks", "trimmed")
                field.no_digits = self.says("text.bulk.boolean-digits", "refused")
                field.rounds_down = self.says("number.scale", "rounded_down")
                field.milliseconds = self.says("datetime.milliseconds", "kept")
                field.rest_crlf_to_lf = self.says("text.rest.crlf", "line_feeds")
                field.rest_cr_to_lf = self.says("text.rest.cr", "line_feeds")
        customer = schema.get(CUSTOMER)
        if customer is not None:
            key = customer[NS + "Customer_Org_ID__c"]
            if self.says("key.unique", "accepted"):
                key.unique = False
            if self.says("key.case", "refused:DUPLICATE_VALUE"):
                key.case_sensitive = False

    def rule_is_listed_active(self, key: str, active: bool) -> bool:
        """What the Tooling API tells of a workflow rule that acts, or does not."""
        return active and not self.says(f"package.rule.{key.replace('_', '-')}", "inactive")


def _parsed(given: str) -> tuple[str, str]:
    fact_id, _, answer = given.partition("=")
    if fact_id not in SWITCHES:
        raise ValueError(
            f"no fact {fact_id!r} switches anything here; there are {', '.join(sorted(SWITCHES))}"
        )
    if answer not in SWITCHES[fact_id]:
        raise ValueError(f"{fact_id} can be switched to {' or '.join(SWITCHES[fact_id])}, not to {answer!r}")
    return fact_id, answer


def pc_fields(values: dict[str, Any], facts: Facts) -> set[str]:
    """What a hidden trigger does to the frozen copies of a new detail; the fields touched."""
    names = [NS + "pc_PNR__c", NS + "pc_Floor_Price__c", NS + "pc_Product_ID__c"]
    touched = set()
    for name, other in zip(names, (1.0, 1.0, "from catalog"), strict=True):
        sent = values.get(name) is not None
        if (
            facts.says("detail.insert.pc-fields-sent", "changed")
            if sent
            else facts.says("detail.insert.pc-fields-not-sent", "filled")
        ):
            values[name] = other
            touched.add(name)
    return touched
