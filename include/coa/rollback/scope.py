"""What a roll-back works on: the run that is undone, the orgs it ran between, the target as it is now."""

from __future__ import annotations

from dataclasses import replace

from coa.codes import RunMode
from coa.errors import ConfigurationError
from coa.extract.bulk import ExtractSpec, ensure_state_table
from coa.extract.extract import coa_specs, extract_all
from coa.fields.field_map import FieldMapping
from coa.fields.saved import saved_carried, saved_describes
from coa.findings.finding import Finding, finding
from coa.mapping.model import FieldRule, Mapping
from coa.model import COA_OBJECTS, LOADED
from coa.preflight.check import stop_on_blockers
from coa.preflight.orgs import describe_objects, identify
from coa.relink.scope import check_rules, objects_of, rules_of
from coa.relink.scope import snapshot as relinked_snapshot
from coa.salesforce.describe import Field
from coa.salesforce.session import Org
from coa.staging.lease import HolderEnded
from coa.staging.runs import TARGET, Run
from coa.staging.tables import READABLE_FROM, Table

"""The mode of such a run, and the table of its plan."""


def is_relinking(original: Run) -> bool:
    """Whether the run that is undone set lookups of other records (`coa_relink`)."""
    return original.record.mode == RunMode.RELINK


def undone_objects(run: Run) -> tuple[str, ...]:
    """The sObjects of the roll-back's plan: those of a migration, or those whose lookups a re-linking set."""
    mode = run.db.value("SELECT mode FROM coa.run WHERE run_id = %s", [run.params.run_id])
    return objects_of(original_of(run)) if mode == RunMode.RELINK else tuple(LOADED)


def original_of(run: Run) -> Run:
    """The run that is undone. Raises `ConfigurationError` when there is none of that id."""
    return Run.load(run.db, run.settings, run.params.run_id)


def begin(run: Run, target: Org, lease_holder_ended: HolderEnded | None = None) -> None:
    """Takes the pair of the run that is undone; raises `RunStopped` (blocked) when it cannot be undone.

    Raises `ConfigurationError` when no run is named.
    """
    if not run.params.run_id:
        raise ConfigurationError(
            "No run is named to be undone.",
            next_step="set the param run_id: its id, as in the names of the artifacts folders, "
            "or that of its Airflow run.",
        )
    run.name_other()
    original = original_of(run)
    findings = _check_original(original)
    run.findings.replace("preflight", findings)
    stop_on_blockers(run)
    identity = identify(target)
    expected = original.record.target_org
    # The orgs are those of the run that is undone, whatever the connection says: no later task gets at another.
    same = identity["id"] == expected["id"]
    run.update(
        pair_id=original.pair_id,
        source_org=original.record.source_org,
        target_org=identity if same else expected,
    )
    if not same:
        findings.append(
            finding(
                "blocker",
                "other_target",
                connection=target.name,
                org_id=identity["id"],
                name=identity["name"],
                run_id=original.run_id,
                expected_id=expected["id"],
                expected_name=expected["name"],
            )
        )
        run.findings.replace("preflight", findings)
        stop_on_blockers(run)
    run.lease.take(lease_holder_ended)
    if is_relinking(original):
        rules = rules_of(original)
        found = describe_objects(run, target, TARGET, sorted(rules))
        run.findings.replace("preflight", findings + check_rules(rules, found))
        stop_on_blockers(run)
        return
    described = describe_objects(run, target, TARGET, list(COA_OBJECTS))
    for name in LOADED:
        if name not in described or not described[name].raw.get("deletable"):
            findings.append(finding("blocker", "no_right_to_delete", sobject=name))
    run.findings.replace("preflight", findings)
    stop_on_blockers(run)


def _check_original(original: Run) -> list[Finding]:
    if original.record.mode == RunMode.ROLLBACK:
        return [finding("blocker", "not_a_migration", run_id=original.run_id)]
    if original.record.loaded_at is None or original.record.pair_id is None:
        return [finding("blocker", "nothing_written", run_id=original.run_id)]
    if not original.has_table(Table.RELINK if is_relinking(original) else Table.PLAN):
        return [finding("blocker", "run_purged", run_id=original.run_id)]
    if original.record.schema_version < READABLE_FROM:
        return [
            finding(
                "blocker",
                "tables_too_old",
                run_id=original.run_id,
                version=original.record.schema_version,
                readable=READABLE_FROM,
            )
        ]
    return []


def snapshot_specs(run: Run, kind: str) -> list[ExtractSpec]:
    """What is read of the target: the fields that a migration reads, of the loaded sObjects."""
    return [
        ExtractSpec(kind, spec.sobject, spec.fields)
        for spec in coa_specs(run, TARGET)
        if spec.sobject in LOADED
    ]


def snapshot(run: Run, target: Org, kind: str) -> dict[str, int]:
    """The customers, orders and details of the target as they are now, in tables of this `kind`."""
    original = original_of(run)
    if is_relinking(original):
        return relinked_snapshot(run, target, rules_of(original), kind)
    ensure_state_table(run)
    return extract_all(run, target, snapshot_specs(run, kind))


def restorable_fields(run: Run, original: Run, mapping: Mapping) -> dict[str, list[FieldMapping]]:
    """What the run wrote and what can be written back as it was.

    Links hold the target's own ids here, so the ledger is not needed, neither for them nor for links in
    texts.
    """
    there = saved_describes(run, TARGET)
    return {
        sobject: [
            replace(one, kind="lookup" if one.kind == "parent" else one.kind, rule=FieldRule())
            for one in fields
            if one.updateable
            and one.name in there[sobject].fields
            and there[sobject].fields[one.name].updateable
        ]
        for sobject, fields in saved_carried(original, mapping).items()
    }


def watched_fields(run: Run, original: Run, sobject: str) -> list[Field]:
    """Every field that a person could have changed since, carried or not, if both readings have it."""
    there = saved_describes(run, TARGET)[sobject]
    known = set(original.columns(Table.TARGET, sobject)) & set(run.columns(TARGET, sobject))
    return [f for f in there.fields.values() if f.updateable and not f.computed and f.name in known]
