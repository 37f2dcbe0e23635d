"""The transform stage: maps, desired records, and problems that prevent them."""

from __future__ import annotations

from psycopg import sql

from coa.fields.field_map import lookup_objects, not_carried_fields
from coa.fields.saved import saved_carried, saved_describes
from coa.findings.finding import Finding, finding
from coa.mapping.model import Mapping
from coa.model import COA_OBJECTS, CURRENCY, LOADED, MIGRATION_FIELDS
from coa.staging import tables
from coa.staging.runs import SOURCE, TARGET, Run
from coa.staging.tables import Table
from coa.transform.blank_contracts import fill_blank_contracts
from coa.transform.desired import build_desired
from coa.transform.explain import explain
from coa.transform.findings import data_findings
from coa.transform.invalid_values import find_invalid_values
from coa.transform.links_in_texts import cut_up_texts
from coa.transform.maps import map_by_keys
from coa.transform.provisioned import map_provisioned
from coa.transform.references import find_references
from coa.transform.rules import all_rules, apply_rule, create_problem_table


def run_transform(run: Run, mapping: Mapping) -> None:
    """Builds maps and desired tables, applies every rule, records findings about the data."""
    carried = saved_carried(run, mapping)
    _complete_target_tables(run)
    map_provisioned(run, mapping)
    for name in sorted(set().union(*(lookup_objects(f) for f in carried.values())) - set(COA_OBJECTS)):
        map_by_keys(run, name, mapping)
    findings: list[Finding] = []
    fallback_owner = _fallback_owner(run, findings)
    for sobject, fields in carried.items():
        build_desired(run, sobject, fields, fallback_owner)
    inactive = frozenset(run.record.target_org.get("inactive_validation_rules", []))
    fill_blank_contracts(run, inactive)
    if mapping.custom:
        # Most runs have none: they are spared pandas, whose import takes longer than those of all our modules.
        from coa.transform.custom import apply_custom_rules, create_custom_tables

        create_custom_tables(run, mapping)
        apply_custom_rules(run, carried, mapping)
    create_problem_table(run)
    for rule in all_rules(run, carried, inactive):
        apply_rule(run, rule)
    find_invalid_values(run, carried)
    explain(run, carried, mapping)
    findings += _not_carried_findings(run, mapping)
    findings += data_findings(run, carried, mapping)
    cut_up_texts(run, carried)
    findings += find_references(run, carried)
    run.findings.replace("transform", findings)


def _complete_target_tables(run: Run) -> None:
    """Adds migration fields that the target lacks as empty columns: the run is blocked because of them, but
    its data can be examined.
    """
    for sobject in LOADED:
        missing = [n for n in MIGRATION_FIELDS if n not in run.columns(TARGET, sobject)]
        for name in missing:
            with run.db.transaction() as connection:
                tables.add_field(connection, run, Table.TARGET, sobject, name)


def _fallback_owner(run: Run, findings: list[Finding]) -> str:
    """Target id of the user who gets records whose owner has no active counterpart."""
    policy = run.params.owner_policy
    if policy == "stop":
        return ""
    if policy == "running_user":
        return str(run.record.target_org.get("user_id", ""))
    if run.has_table(TARGET, "User"):
        found = run.db.value(
            sql.SQL(
                """SELECT "Id" FROM {} WHERE lower("Username") = lower(%s) AND "IsActive" = 'true'"""
            ).format(run.table(TARGET, "User")),
            [policy],
        )
        if found:
            return str(found)
    findings.append(finding("blocker", "owner_policy_user", user=policy))
    return ""


def _not_carried_findings(run: Run, mapping: Mapping) -> list[Finding]:
    """Source fields with data that have no place in the target, with how many records use them."""
    source, target = saved_describes(run, SOURCE), saved_describes(run, TARGET)
    findings = []
    for sobject in LOADED:
        lost = [
            one
            for one in not_carried_fields(sobject, source[sobject], target[sobject], mapping)
            if one.field != CURRENCY  # a finding of its own
        ]
        if not lost:
            continue
        counts = run.db.row(
            sql.SQL("SELECT {} FROM {}").format(
                sql.SQL(", ").join(
                    sql.SQL("count(*) FILTER (WHERE NULLIF({f}, {blank}) IS NOT NULL) AS {f}").format(
                        f=sql.Identifier(one.field),
                        # An unticked checkbox says nothing.
                        blank=sql.Literal(
                            "false" if source[sobject].fields[one.field].type == "boolean" else ""
                        ),
                    )
                    for one in lost
                ),
                run.table(SOURCE, sobject),
            )
        )
        for one in lost:
            used = int((counts or {}).get(one.field, 0))
            if used:
                findings.append(
                    finding(
                        "warning",
                        "field_not_carried",
                        sobject=sobject,
                        field=one.field,
                        count=used,
                        why=one.reason,
                    )
                )
    return findings
