"""The checks of preflight, in the order in which they are made: each declared once.

To add one: a row in `CHECKS`, its sentences in `coa.findings.texts`, its row in docs/preflight.md (a test compares).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto

from coa.errors import ConfigurationError, OrgRefused
from coa.findings.finding import Finding, finding
from coa.masking.key import key_of
from coa.masking.of_run import is_masked
from coa.model import LOADED, ORDER
from coa.preflight import checks
from coa.preflight.automation import check_automation, entries_of
from coa.preflight.capacity import check_capacity, moved_before
from coa.preflight.case_facts import keep_case_facts, read_case_facts
from coa.preflight.currencies import check_currencies, currencies_of
from coa.preflight.fields_removed import asked_for_mark, check_fields_removed
from coa.preflight.hanging import check_hanging
from coa.preflight.hidden_fields import check_hidden_fields, is_structural
from coa.preflight.jobs import check_submit_jobs
from coa.preflight.look import Look, Orgs
from coa.preflight.mapping_check import check_mapping, check_sections
from coa.preflight.masked_fields import check_masked_fields, masked_fields
from coa.preflight.not_migrated import check_elsewhere
from coa.preflight.orgs import identify
from coa.preflight.package import (
    check_validation_rules,
    check_versions,
    check_workflow_rules,
    inactive_validation_rules,
    package_version,
    version_text,
    workflow_rules,
)
from coa.preflight.probe import Probe
from coa.preflight.rehearsal import check_masking, check_other_kind
from coa.preflight.rights import INACTIVE_OWNERS, check_user, has_permission, permission_sets
from coa.staging.runs import SOURCE, TARGET, Run


class Need(Enum):
    """What a check needs; it is left out where that cannot be had."""

    NOTHING = auto()
    IDENTITIES = auto()
    """Both orgs have let us in."""
    DESCRIBES = auto()
    """The describes of the app's objects, as far as the users see them; the lease on the pair is ours by then."""
    APP = auto()
    """The app's objects in both orgs."""
    FILTER = auto()
    """The same, and the source takes `orders_where`."""


class Scope(Enum):
    """How far a blocker of a check reaches."""

    ALONE = auto()
    """Whatever else could be found is a mere consequence of it: no other check is made."""
    ORGS = auto()
    """The data is not looked at: there is nothing to look at, or nothing to look at it with."""
    PLAN = auto()
    """The data is looked at as well, so that all obstacles are known at once; the plan stage then stops the run."""


Ask = Callable[[Look, Probe], object]


@dataclass(frozen=True)
class Check:
    """`codes`: of the findings that it may give, each with the scope of its blockers."""

    find: Callable[[Look], list[Finding]]
    needs: Need
    codes: dict[str, Scope]
    asks: dict[str, Ask] | None = None
    """Role -> what it will ask that org, to be asked ahead with the questions of the others."""
    kept: bool = False
    """It follows from what a run keeps: identities, describes, params, mapping. A what-if makes it anew."""


@dataclass(frozen=True)
class QuickCheck(Check):
    """One that `make check` makes as well: of identities and describes alone."""

    find: Callable[[Orgs], list[Finding]]


def _codes(*codes: str, scope: Scope = Scope.PLAN) -> dict[str, Scope]:
    return dict.fromkeys(codes, scope)


def _each_role(code: str, scope: Scope = Scope.PLAN) -> dict[str, Scope]:
    return _codes(f"{code}_source", f"{code}_target", scope=scope)


def reaches(check: Check, found: Finding) -> Scope | None:
    """How far a finding reaches; None for what is no blocker."""
    if found.severity != "blocker":
        return None
    return Scope.ORGS if is_structural(found) else check.codes[found.code]


# ---- the orgs --------------------------------------------------------------------------------------------
def _entered(look: Look) -> list[Finding]:
    """Fills the identities; what stands in the way of either org is reported together."""
    found = []
    for role, org in look.orgs.items():
        try:
            look.identities[role] = identify(org)
            found += checks.check_api_version(role, org.api_version)
        except ConfigurationError as error:
            found.append(finding("blocker", f"connection_{role}", said=error.message, remedy=error.next_step))
    return found


def _same_org(orgs: Orgs) -> list[Finding]:
    if len(orgs.identities) < 2:
        return []
    return checks.check_same_org(orgs.identities[SOURCE], orgs.identities[TARGET])


def _sections(look: Look) -> list[Finding]:
    return check_sections(look.whole_mapping, *look.source_names)


def _masking(look: Look) -> list[Finding]:
    if look.whole_mapping.masking is None:
        return []
    return check_masking(look.identities[TARGET], look.params)


def _other_kind(look: Look) -> list[Finding]:
    if is_masked(look.run):
        # Before anything is read: a key that cannot be used, or that is not the one of before, ends the run.
        key_of(look.run)
    return check_other_kind(look.run)


def _swapped(look: Look) -> list[Finding]:
    return checks.check_swapped(look.describes[SOURCE], look.describes[TARGET])


def _objects(orgs: Orgs) -> list[Finding]:
    return [f for role, found in orgs.describes.items() for f in checks.check_objects(role, found)]


def _extras(look: Look) -> list[Finding]:
    return [f for role, org in look.orgs.items() for f in checks.check_extras(role, org.connection)]


def _migration_fields(orgs: Orgs) -> list[Finding]:
    return checks.check_migration_fields(orgs.describes.get(TARGET, {}))


def _structure_writeable(look: Look) -> list[Finding]:
    return checks.check_structure_writeable(look.describes[TARGET])


def _rights(orgs: Orgs) -> list[Finding]:
    return checks.check_rights(orgs.describes.get(TARGET, {}), orgs.params)


# ---- with the app in both orgs ---------------------------------------------------------------------------
def _fields(look: Look) -> list[Finding]:
    return checks.check_fields(look.carried, look.describes[SOURCE], look.describes[TARGET])


def _mapping(look: Look) -> list[Finding]:
    return check_mapping(look.mapping, look.describes[SOURCE], look.describes[TARGET])


def _filter(look: Look) -> list[Finding]:
    """Whether the source takes `orders_where`, and whether it leaves any order."""
    if not look.params.orders_where:
        return []
    try:
        chosen = look.source.org.count(ORDER, look.params.orders_where)
    except OrgRefused as refused:
        look.filter_refused = True
        said = f"{refused.status} {refused.code} {refused.said}".strip()
        return [finding("blocker", "orders_where_refused", sobject=ORDER, said=said)]
    return [] if chosen else [finding("warning", "orders_where_empty", sobject=ORDER)]


def _capacity(look: Look) -> list[Finding]:
    return [f for probe in (look.source, look.target) for f in check_capacity(look.run, probe, look.volume)]


def _versions(look: Look) -> list[Finding]:
    source, target = look.versions[SOURCE], look.versions[TARGET]
    look.run.update(source_package=version_text(source), target_package=version_text(target))
    return check_versions(source, target)


def _hidden_fields(look: Look) -> list[Finding]:
    return check_hidden_fields(look.describes, look.versions, look.mapping, look.params.hidden_fields)


def _validation_rules(look: Look) -> list[Finding]:
    inactive = inactive_validation_rules(look.target)
    if inactive is not None:
        look.run.learn(TARGET, inactive_validation_rules=inactive)
    return check_validation_rules(inactive)


def _workflow_rules(look: Look) -> list[Finding]:
    rules = workflow_rules(look.target)
    off = sorted(name for name, active in (rules or {}).items() if active is False)
    if rules is not None:
        look.run.learn(TARGET, workflow_rules=rules, inactive_workflow_rules=off)
    return check_workflow_rules(off, _loaded_with_rules_off(look.run, off))


def _loaded_with_rules_off(run: Run, off: list[str]) -> bool:
    """Whether an earlier run on this pair has written while one of these rules was off."""
    return bool(
        run.db.value(
            """SELECT EXISTS (SELECT FROM coa.run WHERE pair_id = %s AND run_id <> %s AND loaded_at IS NOT NULL
                 AND jsonb_exists_any(target_org -> 'inactive_workflow_rules', %s::text[]))""",
            [run.record.pair_id, run.run_id, off],
        )
    )


def _automation(look: Look) -> list[Finding]:
    found = check_automation(look.target)
    look.run.learn(TARGET, automation=entries_of(found))
    return found


def _submit_jobs(look: Look) -> list[Finding]:
    return check_submit_jobs(look.target, look.params.accept_submit_jobs)


def _fields_removed(look: Look) -> list[Finding]:
    return check_fields_removed(look.run, look.target)


def _users(look: Look) -> list[Finding]:
    found = [f for role, probe in look.probes.items() for f in check_user(probe, look.user_id(role))]
    user_id = look.user_id(TARGET)
    if user_id and has_permission(look.target, user_id, INACTIVE_OWNERS):
        look.run.learn(TARGET, keeps_inactive_owners=True)
    return found


def _not_migrated(look: Look) -> list[Finding]:
    """What of the case work needs no finding is kept for its texts."""
    keep_case_facts(look.run, *look.probes.values())
    return check_elsewhere(look.source, look.describes[SOURCE], look.params)


def _hanging(look: Look) -> list[Finding]:
    return check_hanging(look.params, look.describes)


def _masked(look: Look) -> list[Finding]:
    """Kept with the run: the rules of the transform block the records by it."""
    masked = {}
    for role, probe in look.probes.items():
        found = masked_fields(probe, look.user_id(role), look.carried)
        if found:
            masked[role] = found
            look.run.learn(role, masked_fields=found)
    return check_masked_fields(masked, look.params.masked_values)


def _currencies(look: Look) -> list[Finding]:
    found = {role: currencies_of(probe, look.describes[role]) for role, probe in look.probes.items()}
    target = found[TARGET]
    if target:
        look.run.learn(TARGET, active_currencies=target.active)
    return check_currencies(found)


def _not_told(look: Look) -> list[Finding]:
    """What the orgs did not let us ask.

    It is kept with the run, beside the permission sets: what a canary shows was seen with these rights, and
    another run may reuse it only while they are the same.
    """
    look.run.learn(
        TARGET,
        permission_sets=permission_sets(look.target, look.user_id(TARGET)),
        not_told=sorted(look.target.refused),
    )
    return [f for probe in look.probes.values() for f in probe.findings()]


CHECKS: tuple[Check, ...] = (
    Check(_entered, Need.NOTHING, _each_role("connection", Scope.ALONE)),
    QuickCheck(_same_org, Need.IDENTITIES, _codes("same_org", scope=Scope.ALONE)),
    Check(
        _masking,
        Need.IDENTITIES,
        _codes("masking_needs_sandbox", "masking_not_of_files", scope=Scope.ALONE),
        kept=True,
    ),
    Check(_sections, Need.IDENTITIES, _codes("mapping_without_source"), kept=True),
    Check(_other_kind, Need.DESCRIBES, _codes("rehearsal_in_target", scope=Scope.ALONE)),
    Check(_swapped, Need.DESCRIBES, _codes("orgs_swapped", scope=Scope.ALONE)),
    QuickCheck(_objects, Need.DESCRIBES, _each_role("coa_missing", Scope.ORGS)),
    Check(_extras, Need.DESCRIBES, _each_role("connection_extra_unknown")),
    QuickCheck(
        _migration_fields,
        Need.DESCRIBES,
        _codes("migration_fields_missing", "migration_key_not_unique")
        | _codes("migration_field_type", scope=Scope.ORGS),
    ),
    Check(_structure_writeable, Need.DESCRIBES, _codes("field_not_writeable", scope=Scope.ORGS)),
    QuickCheck(
        _rights,
        Need.DESCRIBES,
        _codes("no_right_to_write", "audit_fields_not_writeable", "field_not_updateable"),
        kept=True,
    ),
    Check(_fields, Need.APP, _codes("type_differs", "required_without_source"), kept=True),
    Check(_mapping, Need.APP, _codes("mapping_wrong", scope=Scope.ORGS), kept=True),
    Check(
        _filter,
        Need.APP,
        _codes("orders_where_refused", scope=Scope.ORGS) | _codes("orders_where_empty"),
    ),
    Check(
        _capacity,
        Need.FILTER,
        _each_role("api_allowance", Scope.ORGS) | _codes("bulk_allowance", "data_storage"),
        asks={
            SOURCE: lambda look, probe: [probe.count("", name) for name in LOADED],
            TARGET: lambda look, probe: moved_before(probe, look.describes[TARGET]),
        },
    ),
    Check(
        _versions,
        Need.APP,
        _codes("package_older"),
        asks=dict.fromkeys((SOURCE, TARGET), lambda look, probe: package_version(probe)),
    ),
    Check(_hidden_fields, Need.APP, _codes("field_hidden"), kept=True),
    Check(
        _currencies,
        Need.APP,
        _codes("currencies_differ", "currency_rates_differ") | _each_role("currency_rates_dated"),
        asks=dict.fromkeys(
            (SOURCE, TARGET), lambda look, probe: currencies_of(probe, look.describes[probe.role])
        ),
    ),
    Check(
        _validation_rules,
        Need.APP,
        _codes("validation_rules_off"),
        asks={TARGET: lambda look, probe: inactive_validation_rules(probe)},
    ),
    Check(
        _workflow_rules,
        Need.APP,
        _codes("workflow_rules_off"),
        asks={TARGET: lambda look, probe: workflow_rules(probe)},
    ),
    Check(
        _automation,
        Need.APP,
        _codes("partner_triggers", "partner_flows", "partner_validation_rules", "partner_workflow_rules"),
        asks={TARGET: lambda look, probe: check_automation(probe)},
    ),
    Check(
        _submit_jobs,
        Need.APP,
        _codes("submit_jobs", "submit_jobs_not_checked", "package_jobs"),
        asks={TARGET: lambda look, probe: check_submit_jobs(probe, look.params.accept_submit_jobs)},
    ),
    Check(
        _fields_removed,
        Need.APP,
        _codes("ledger_missing"),
        asks={TARGET: lambda look, probe: asked_for_mark(probe, look.identities[SOURCE]["id"])},
    ),
    Check(
        _users,
        Need.APP,
        _each_role("not_all_records_visible") | _codes("inactive_owner_permission", "hard_delete_permission"),
        asks=dict.fromkeys((SOURCE, TARGET), lambda look, probe: check_user(probe, look.user_id(probe.role))),
    ),
    Check(
        _not_migrated,
        Need.APP,
        _codes(
            "notes_not_carried",
            "attachments_not_carried",
            "tasks_not_carried",
            "events_not_carried",
            "emails_not_carried",
            "files_not_carried",
            "history_not_carried",
            "records_pointing_here",
        ),
        asks={
            SOURCE: lambda look, probe: (
                check_elsewhere(probe, look.describes[SOURCE], look.params),
                read_case_facts(probe),
            ),
            TARGET: lambda look, probe: read_case_facts(probe),
        },
    ),
    Check(_hanging, Need.APP, _codes("attached_not_writeable", "attached_not_seen"), kept=True),
    Check(_masked, Need.APP, _each_role("field_masked")),
    Check(
        _not_told,
        Need.APP,
        _each_role("not_checked"),
        asks={TARGET: lambda look, probe: permission_sets(probe, look.user_id(TARGET))},
    ),
)
