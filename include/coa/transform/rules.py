"""What prevents a record from being moved: values that do not fit, links to nothing, rules of the package.

Each rule adds rows to `problem` (sobject, source_id, reason_code, field, reason, next_step, verdict).
`verdict`: `block` blocks the record, `stop` stops the run (it becomes a finding).
"""

from __future__ import annotations

from dataclasses import dataclass

from psycopg import sql

from coa.codes import Verdict
from coa.fields.compare import parent_of
from coa.fields.field_map import FieldMapping
from coa.fields.refused import digits
from coa.fields.text_length import text_length
from coa.model import (
    CONTRACT,
    CURRENCY,
    DETAIL,
    DETAIL_CONTRACT,
    DETAIL_ORDER,
    DETAIL_PRODUCT,
    NS,
    ORDER,
    ORDER_CONTRACT,
    ORDER_TYPE,
    PRODUCT,
    PRODUCT_CONTRACT,
    QUANTITY,
)
from coa.policies import Policies
from coa.reasons import Reason, reason
from coa.staging import tables
from coa.staging.runs import SOURCE, TARGET, Run
from coa.staging.tables import Table
from coa.transform.desired import NEVER_BLANKED, mapped_value, may_truncate, picklist_fits, source_value

# Validation rule -> (flag of the target's contract terms, field of the detail that it then requires).
TERMS_RULES = {
    "CancellationTerms_is_required": ("Allow_Cancellation_Terms_Override__c", "pc_Cancellation_Terms__c"),
    "ContractLength_is_required": ("Allow_Contract_Length_Override__c", "pc_Contract_Length__c"),
    "RenewalTerms_is_required": ("Allow_Renewal_Length_Override__c", "pc_Renewal_Terms__c"),
}


@dataclass(frozen=True)
class Rule:
    """One kind of problem: `condition` is SQL over `s` (raw source), `d` (desired) and `joins`."""

    sobject: str
    field: str
    condition: sql.Composed
    reason: Reason
    verdict: Verdict = Verdict.BLOCK
    joins: sql.Composed | None = None


def create_problem_table(run: Run) -> None:
    """An empty table `problem`, in place of one of an earlier try."""
    with run.db.transaction() as connection:
        tables.create(connection, run, Table.PROBLEM)


def apply_rule(run: Run, rule: Rule) -> int:
    """Adds the records that a rule hits; how many."""
    return run.db.execute(
        sql.SQL(
            """INSERT INTO {problem}
               SELECT {sobject}, s."Id", {code}, {field}, {reason}, {next_step}, {verdict}
               FROM {source} s JOIN {desired} d ON d.source_id = s."Id" {joins}
               WHERE {condition} ON CONFLICT DO NOTHING"""
        ).format(
            problem=run.table(Table.PROBLEM),
            sobject=sql.Literal(rule.sobject),
            code=sql.Literal(rule.reason.code),
            field=sql.Literal(rule.field),
            reason=sql.Literal(rule.reason.message),
            next_step=sql.Literal(rule.reason.next_step),
            verdict=sql.Literal(rule.verdict),
            source=run.table(SOURCE, rule.sobject),
            desired=run.table(Table.DESIRED, rule.sobject),
            joins=rule.joins or sql.SQL(""),
            condition=rule.condition,
        )
    )


def all_rules(run: Run, carried: dict[str, list[FieldMapping]], inactive_rules: frozenset[str]) -> list[Rule]:
    """Every rule that the params, the describes and the target's active validation rules call for."""
    rules: list[Rule] = []
    masked = {role: run.record.org(role).get("masked_fields", {}) for role in (SOURCE, TARGET)}
    for sobject, fields in carried.items():
        for one in fields:
            rules += [
                _masked_rule(run, sobject, one, role)
                for role, by_object in masked.items()
                if one.name in by_object.get(sobject, [])
            ]
            rules += _value_rules(run, sobject, one)
            rules += _lookup_rules(run, sobject, one)
            rules += _required_rules(sobject, one)
            rules += _parent_rules(run, sobject, one)
    return rules + _order_rules(run, inactive_rules) + _detail_rules(run, carried, inactive_rules)


def _currency_rule(run: Run, sobject: str, one: FieldMapping, value: sql.Composed) -> Rule:
    """A record whose currency is none of the target's active ones; no policy takes another one in its place."""
    active = run.record.target_org.get("active_currencies") or list(one.target.picklist_values)
    return Rule(
        sobject,
        one.name,
        sql.SQL("{} IS NOT NULL AND {} <> ALL ({}::text[])").format(value, value, sql.Literal(active)),
        reason("currency_missing"),
    )


def _value_rules(run: Run, sobject: str, one: FieldMapping) -> list[Rule]:
    # The desired value, custom rules included; policies that change it make no rule.
    value = sql.SQL("d.{}").format(sql.Identifier(one.name))
    rules, policies = _number_rules(run, sobject, one), Policies(run.params)
    if one.name == CURRENCY:
        return [_currency_rule(run, sobject, one, value)]
    may_be_blanked = one.name not in NEVER_BLANKED and policies.blanks_missing_picklist_values
    if one.target.restricted_picklist and one.kind == "value" and not may_be_blanked:
        rules.append(
            Rule(
                sobject,
                one.name,
                sql.SQL("{} IS NOT NULL AND NOT {}").format(value, picklist_fits(one, value)),
                reason("picklist_value_missing", field=one.name),
                policies.verdict("picklist_policy"),
            )
        )
    length = one.target.length
    comes_longer = one.source is None or not one.source.length or one.source.length > length
    is_text = one.target.canonical_function == "canon_text" and one.kind in ("value", "key")
    if is_text and length and comes_longer and not may_truncate(one, run.params):
        rules.append(
            Rule(
                sobject,
                one.name,
                sql.SQL("{} > {}").format(text_length(value, run.settings), sql.Literal(length)),
                reason("value_too_long", length=length, field=one.name),
                policies.verdict("too_long_policy"),
            )
        )
    return rules


def _number_rules(run: Run, sobject: str, one: FieldMapping) -> list[Rule]:
    """Numbers with more digits after the point than the target keeps; only where it keeps fewer than the source.

    Salesforce rounds them without a word. More digits before the point it refuses: `coa.transform.invalid_values`.
    """
    if one.target.canonical_function != "canon_number" or one.kind != "value":
        return []
    whole, scale = digits(one.target.raw)
    if not whole + scale or (one.source is not None and digits(one.source.raw)[1] <= scale):
        return []
    return [
        Rule(
            sobject,
            one.name,
            sql.SQL("scale(d.{}::numeric) > {}").format(sql.Identifier(one.name), sql.Literal(scale)),
            reason("value_too_long:digits", scale=scale, field=one.name),
            Policies(run.params).verdict("too_long_policy"),
        )
    ]


def _lookup_rules(run: Run, sobject: str, one: FieldMapping) -> list[Rule]:
    if one.kind != "lookup" or one.name == "CreatedById":
        return []
    unmatched = sql.SQL("{} IS NOT NULL AND d.{} IS NULL").format(mapped_value(one), sql.Identifier(one.name))
    if one.name == "OwnerId":
        if run.params.owner_policy != "stop":
            return []
        return [
            Rule(
                sobject,
                one.name,
                unmatched,
                reason("owner_unmatched"),
                Verdict.STOP,
            )
        ]
    if one.refers_to == (CONTRACT,):
        return [
            Rule(
                sobject,
                one.name,
                unmatched,
                reason("contract_unmatched"),
                Policies(run.params).verdict("unmatched_contract_policy"),
            )
        ]
    if one.refers_to == (PRODUCT,):
        return [
            Rule(
                sobject,
                one.name,
                unmatched,
                reason("product_unmatched"),
                Policies(run.params).verdict("unmatched_product_policy"),
            )
        ]
    if run.params.unmatched_lookup_policy == "blank" and not one.target.required:
        return []
    return [
        Rule(
            sobject,
            one.name,
            unmatched,
            reason("lookup_unmatched", field=one.name),
        )
    ]


def _required_rules(sobject: str, one: FieldMapping) -> list[Rule]:
    if not one.target.required or one.target.type == "boolean" or one.name in (DETAIL_ORDER,):
        return []
    if one.kind in ("lookup", "parent"):
        condition = sql.SQL("{} IS NULL").format(mapped_value(one))
    else:
        condition = sql.SQL("d.{} IS NULL").format(sql.Identifier(one.name))
    return [
        Rule(
            sobject,
            one.name,
            condition,
            reason("refused_by_org:required", field=one.name),
        )
    ]


def _masked_rule(run: Run, sobject: str, one: FieldMapping, role: str) -> Rule:
    return Rule(
        sobject,
        one.name,
        sql.SQL("{} IS NOT NULL").format(source_value(one)),
        reason(f"value_masked:{role}", field=one.name),
        Policies(run.params).verdict("masked_values"),
    )


def _parent_rules(run: Run, sobject: str, one: FieldMapping) -> list[Rule]:
    """What a record hangs on has to be among the records that we read: else it would arrive without it."""
    if one.kind != "parent" or one.deferred:
        return []
    return [
        Rule(
            sobject,
            one.name,
            sql.SQL('d.{f} IS NOT NULL AND NOT EXISTS (SELECT FROM {source} x WHERE x."Id" = d.{f})').format(
                f=sql.Identifier(one.name), source=run.table(SOURCE, parent_of(sobject, one))
            ),
            reason("lookup_unmatched:parent_unseen", field=one.name),
        )
    ]


def _order_rules(run: Run, inactive: frozenset[str]) -> list[Rule]:
    rules = []
    if "Contract_is_Required" not in inactive:
        rules.append(
            Rule(
                ORDER,
                ORDER_CONTRACT,
                sql.SQL("NULLIF(s.{}, '') IS NULL AND d.{} IS NULL").format(
                    sql.Identifier(ORDER_CONTRACT), sql.Identifier(ORDER_CONTRACT)
                ),
                reason("contract_unmatched:none"),
            )
        )
    if "OrderTypeRequired" not in inactive:
        rules.append(
            Rule(
                ORDER,
                ORDER_TYPE,
                sql.SQL("d.{} IS NULL").format(sql.Identifier(ORDER_TYPE)),
                reason("picklist_value_missing:no_order_type"),
            )
        )
    return rules


def _detail_rules(run: Run, carried: dict[str, list[FieldMapping]], inactive: frozenset[str]) -> list[Rule]:
    names = {f.name for f in carried[DETAIL]}
    of_order = sql.SQL("JOIN {} o ON o.source_id = d.{}").format(
        run.table(Table.DESIRED, ORDER), sql.Identifier(DETAIL_ORDER)
    )
    order_contract = sql.SQL("o.{}").format(sql.Identifier(ORDER_CONTRACT))
    rules = []
    if "Order_must_belong_to_contract_terms" not in inactive and DETAIL_CONTRACT in names:
        rules.append(
            Rule(
                DETAIL,
                DETAIL_CONTRACT,
                sql.SQL("{} <> d.{}").format(order_contract, sql.Identifier(DETAIL_CONTRACT)),
                reason("contract_mismatch:detail"),
                joins=of_order,
            )
        )
        rules.append(
            Rule(
                DETAIL,
                DETAIL_CONTRACT,
                # With blank_contract from_order it is filled by now, unless the order has none either.
                sql.SQL("{oc} IS NOT NULL AND d.{dc} IS NULL AND NULLIF(s.{dc}, '') IS NULL").format(
                    oc=order_contract, dc=sql.Identifier(DETAIL_CONTRACT)
                ),
                reason("contract_blank"),
                joins=of_order,
            )
        )
    if "Product_must_belong_to_contract_terms" not in inactive and DETAIL_PRODUCT in names:
        rules.append(
            Rule(
                DETAIL,
                DETAIL_PRODUCT,
                sql.SQL("NULLIF(s.{p}, '') IS NULL AND d.{p} IS NULL").format(
                    p=sql.Identifier(DETAIL_PRODUCT)
                ),
                reason("product_unmatched:none"),
            )
        )
        rules.append(
            Rule(
                DETAIL,
                DETAIL_PRODUCT,
                sql.SQL('pc."Name" IS DISTINCT FROM cc."Name"').format(),
                reason("contract_mismatch:product"),
                joins=sql.SQL(
                    """{of_order} JOIN {products} p ON p."Id" = d.{product}
                       LEFT JOIN {contracts} pc ON pc."Id" = p.{product_contract}
                       JOIN {contracts} cc ON cc."Id" = {oc}"""
                ).format(
                    of_order=of_order,
                    products=run.table(TARGET, PRODUCT),
                    contracts=run.table(TARGET, CONTRACT),
                    product=sql.Identifier(DETAIL_PRODUCT),
                    product_contract=sql.Identifier(PRODUCT_CONTRACT),
                    oc=order_contract,
                ),
            )
        )
    if "Quantity_is_required" not in inactive and QUANTITY in names:
        rules.append(
            Rule(
                DETAIL,
                QUANTITY,
                sql.SQL("d.{} IS NULL").format(sql.Identifier(QUANTITY)),
                reason("quantity_missing"),
            )
        )
    contract_columns = set(run.columns(TARGET, CONTRACT))
    for rule_name, (flag, field) in TERMS_RULES.items():
        if rule_name in inactive or NS + flag not in contract_columns or NS + field not in names:
            continue
        rules.append(
            Rule(
                DETAIL,
                NS + field,
                sql.SQL("d.{} IS NULL AND cc.{} = 'true'").format(
                    sql.Identifier(NS + field), sql.Identifier(NS + flag)
                ),
                reason("terms_missing", field=NS + field, flag=flag, rule=rule_name),
                joins=sql.SQL('{} JOIN {} cc ON cc."Id" = {}').format(
                    of_order, run.table(TARGET, CONTRACT), order_contract
                ),
            )
        )
    return rules
