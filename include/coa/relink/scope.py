"""What a run of `coa_relink` works on: the pair of orgs, the rules, the pointing records of the target."""

from __future__ import annotations

from psycopg import sql

from coa.codes import MIGRATING
from coa.errors import ConfigurationError
from coa.extract.bulk import ExtractSpec, ensure_state_table
from coa.extract.extract import extract_all
from coa.fields.field_map import FieldMapping
from coa.fields.saved import saved_describes
from coa.findings.finding import Finding, finding
from coa.mapping.model import FieldRule, RelinkRule
from coa.mapping.store import mapping_of
from coa.preflight.check import stop_on_blockers
from coa.preflight.checks import check_same_org
from coa.preflight.orgs import describe_objects, identify
from coa.salesforce.describe import Describe
from coa.salesforce.session import Org
from coa.staging.fragments import list_of
from coa.staging.lease import HolderEnded
from coa.staging.runs import TARGET, Run
from coa.staging.tables import Table

TEXTS = ("string", "textarea", "url")

Rules = dict[str, dict[str, RelinkRule]]


def rules_of(run: Run) -> Rules:
    """sObject -> lookup -> rule, as the mapping file of the run says."""
    return mapping_of(run).relink


def objects_of(run: Run) -> tuple[str, ...]:
    """The sObjects whose lookups are set; one that no table has, where the run did not get as far as its rules."""
    return tuple(rules_of(run)) if run.has_table(Table.MAPPING_FILE) and rules_of(run) else ("",)


def begin(run: Run, source: Org, target: Org, lease_holder_ended: HolderEnded | None = None) -> None:
    """Takes the pair of orgs that was migrated. Raises `ConfigurationError` when nothing was moved between these orgs,
    or not by the run that the param `run_id` names."""
    orgs = {"source_org": identify(source), "target_org": identify(target)}
    run.findings.replace("preflight", check_same_org(orgs["source_org"], orgs["target_org"]))
    stop_on_blockers(run)
    pair_id = run.db.value(
        """SELECT p.pair_id FROM coa.org_pair p WHERE source_org_id = %s AND target_org_id = %s
             AND EXISTS (SELECT FROM coa.ledger l WHERE l.pair_id = p.pair_id AND l.target_id IS NOT NULL)
           -- Of a rehearsal only where there was no real run.
           ORDER BY p.masked LIMIT 1""",
        [orgs["source_org"]["id"], orgs["target_org"]["id"]],
    )
    if pair_id is None:
        raise ConfigurationError(
            f"Nothing was moved from {orgs['source_org']['name']} ({orgs['source_org']['id']}) to "
            f"{orgs['target_org']['name']} ({orgs['target_org']['id']}), as far as this staging database knows.",
            next_step="check coa_source, coa_target and coa_staging; run coa_migrate first.",
        )
    run.update(pair_id=pair_id, **orgs)
    if run.params.run_id:
        run.name_other()
        _require_migration(run)
    run.lease.take(lease_holder_ended)


def _require_migration(run: Run) -> None:
    if not run.db.value(
        sql.SQL(
            """SELECT EXISTS (SELECT FROM coa.run WHERE run_id = %s AND pair_id = %s AND loaded_at IS NOT NULL
                 AND mode IN {})"""
        ).format(list_of(MIGRATING)),
        [run.params.run_id, run.pair_id],
    ):
        raise ConfigurationError(
            f"Run {run.params.run_id} moved nothing from {run.record.source_org['name']} to "
            f"{run.record.target_org['name']}.",
            next_step="name a run of coa_migrate or coa_sync between these orgs, or leave the param run_id empty.",
        )


def check(run: Run, target: Org) -> None:
    """Raises `RunStopped` (blocked) for rules that cannot be followed in the target."""
    rules = rules_of(run)
    described = describe_objects(run, target, TARGET, sorted(rules))
    run.findings.replace("preflight", check_rules(rules, described))
    stop_on_blockers(run)


def check_rules(rules: Rules, described: dict[str, Describe]) -> list[Finding]:
    """Every rule that cannot be followed in the target; a blocker where there is no rule at all."""
    if not any(rules.values()):
        return [finding("blocker", "relink_without_rules")]
    found = []
    for sobject, lookups in rules.items():
        if sobject not in described:
            found.append(finding("blocker", "relink_object", sobject=sobject))
        else:
            for name, rule in lookups.items():
                found += _check_rule(described[sobject], sobject, name, rule)
    return found


def _check_rule(described: Describe, sobject: str, name: str, rule: RelinkRule) -> list[Finding]:
    lookup, text = described.field(name), described.field(rule.found_in)
    if lookup is None:
        return [finding("blocker", "relink_field", sobject=sobject, field=name)]
    if lookup.type != "reference" or rule.to not in lookup.reference_to:
        return [finding("blocker", "relink_field:leads_elsewhere", sobject=sobject, field=name, to=rule.to)]
    if not lookup.updateable:
        return [finding("blocker", "relink_field:not_updateable", sobject=sobject, field=name)]
    if text is None or text.type not in TEXTS:
        return [finding("blocker", "relink_text", sobject=sobject, field=rule.found_in)]
    return []


def specs(run: Run, rules: Rules, kind: str) -> list[ExtractSpec]:
    """What is read of the target: id, texts and lookups of the records in which one of them is filled.

    SOQL takes no condition on a long text (SOQL and SOSL reference, "WHERE"): then all records are read.
    """
    described = saved_describes(run, TARGET)
    found = []
    for sobject, lookups in rules.items():
        names = sorted({*lookups, *(rule.found_in for rule in lookups.values())})
        filterable = all(described[sobject].fields[name].flag("filterable") for name in names)
        where = " OR ".join(f"{name} != null" for name in names) if filterable else ""
        found.append(ExtractSpec(kind, sobject, ["Id", *names], where))
    return found


def snapshot(run: Run, target: Org, rules: Rules, kind: str) -> dict[str, int]:
    """The pointing records of the target as they are now, in tables of this `kind`."""
    ensure_state_table(run)
    return extract_all(run, target, specs(run, rules, kind))


def lookup_fields(run: Run, sobject: str, rules: Rules) -> list[FieldMapping]:
    """The lookups as the load writes fields: the value stands in `desired__`."""
    fields = saved_describes(run, TARGET)[sobject].fields
    return [FieldMapping(fields[name], None, "lookup", FieldRule()) for name in sorted(rules[sobject])]
