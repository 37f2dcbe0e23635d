"""Where the value of each target field comes from: for `plan.json`, the report, and whoever asks."""

from __future__ import annotations

from typing import Any

from psycopg import sql

from coa.config import RunParams
from coa.fields.field_map import FieldMapping
from coa.fields.lookups import lookup_keys
from coa.fields.refused import refused
from coa.fields.saved import saved_carried, saved_describes
from coa.mapping.model import Mapping
from coa.model import (
    AUDIT_FIELDS,
    CONTRACT,
    ORIGINAL_RECEIVED_AT,
    PRICEBOOK_ENTRY,
    PRODUCT,
    RECEIVED_AT,
    SOURCE_ID,
    SOURCE_NUMBER,
)
from coa.policies import Policies
from coa.salesforce.describe import Describe
from coa.staging.runs import SOURCE, TARGET, Run

PACKAGE_KEYS = {
    CONTRACT: "Name, of several the one alike in type and currency",
    PRODUCT: "Product_ID__c under the matched contract",
    PRICEBOOK_ENTRY: "Pricebook_Entry_Id__c",
}


AS_IS = "as in the source"


def lineage(run: Run, mapping: Mapping) -> list[dict[str, Any]]:
    """One entry a target field that is written: `sobject`, `field`, `source`, `sources`, `rule` and `as_is`.

    `source` is for people; `sources` are the fields that it names, in the order in which they are asked. `as_is`: the
    value arrives as it left, by no rule.
    """
    source, target = saved_describes(run, SOURCE), saved_describes(run, TARGET)
    entries = []
    for sobject, fields in saved_carried(run, mapping).items():
        for one in fields:
            origins = [f.name for f in (one.source, one.fallback) if f is not None]
            steps = _steps(one, source, target, mapping, run.params)
            custom = mapping.custom.get(sobject)
            if custom is not None and one.kind != "parent":
                steps.append(f"then custom rule {custom.function}, where it changes the value")
            entries.append(
                {
                    "sobject": sobject,
                    "field": one.name,
                    "source": " else ".join(origins),
                    "sources": origins,
                    "rule": "; ".join(steps),
                    "as_is": steps == [AS_IS],
                }
            )
    return entries


def _steps(
    one: FieldMapping,
    source: dict[str, Describe],
    target: dict[str, Describe],
    mapping: Mapping,
    params: RunParams,
) -> list[str]:
    if one.kind == "key":
        return [_KEY_RULES.get(one.name, AS_IS)]
    if one.kind == "parent":
        return [f"id of the {' or '.join(one.refers_to)} that this migration created or matched"]
    if one.kind == "lookup":
        return _lookup_steps(one, source, target, mapping, params)
    rule, policies, steps = one.rule, Policies(params), []
    if rule.constant is not None:
        steps.append(f"constant {rule.constant!r}")
    if rule.source:
        steps.append("renamed by the mapping file")
    if rule.values:
        steps.append(f"value map of {len(rule.values)} entries")
    if rule.default is not None:
        steps.append(f"default {rule.default!r} where empty")
    if one.target.length and (rule.truncate or policies.truncates):
        steps.append(f"cut to {one.target.length} characters")
    if one.target.restricted_picklist and policies.blanks_missing_picklist_values:
        steps.append("blank where the target's picklist lacks the value")
    if policies.blanks_invalid_values and refused(one, sql.SQL("d")):
        steps.append("blank where the target's type refuses the value")
    if rule.rewrite_links:
        steps.append("links to moved records lead to the target, set after all records are there")
    if one.name in AUDIT_FIELDS:
        steps.append("set on insert only")
    if one.name == RECEIVED_AT:
        steps.append(
            "written last, alone, after the package's stamp"
            if policies.restores_received_dates
            else "the package's stamp stays (accept_reset)"
        )
    return steps or [AS_IS]


def _lookup_steps(
    one: FieldMapping,
    source: dict[str, Describe],
    target: dict[str, Describe],
    mapping: Mapping,
    params: RunParams,
) -> list[str]:
    steps = []
    for name in one.refers_to:
        if name in PACKAGE_KEYS:
            keys: Any = PACKAGE_KEYS[name]
        elif name in source and name in target:
            keys = ", then ".join(lookup_keys(name, source[name], target[name], mapping)) or "nothing"
        else:
            keys = "nothing: only one org has the object"
        given = " the mapping file, then" if _is_mapped(name, mapping) else ""
        steps.append(f"{name} of the target by{given} {keys}")
    if one.name == "OwnerId":
        steps.append(f"without an active user: owner_policy {params.owner_policy}")
    return steps


def _is_mapped(name: str, mapping: Mapping) -> bool:
    sections = {CONTRACT: mapping.contracts, PRODUCT: mapping.products, "User": mapping.owners}
    return bool(sections.get(name) or mapping.records.get(name))


_KEY_RULES = {
    SOURCE_ID: "the record's id in the source: the migration key",
    SOURCE_NUMBER: "the record's auto-number in the source",
    ORIGINAL_RECEIVED_AT: "the received date as the source has it, whatever the package stamps",
}
