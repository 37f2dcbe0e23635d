"""Verification at any time: new extracts of both orgs, everything that was migrated, changes told from errors.

Neither the orgs nor the ledger are changed. Field map and policies are those of the migration that is verified,
so that what a policy changed on purpose is explained here as well.
"""

from __future__ import annotations

from typing import Any

from psycopg import sql

from coa.codes import MIGRATING
from coa.config import ALL_SOURCES, RunParams, verification_params
from coa.errors import ConfigurationError
from coa.extract.extract import extract_org
from coa.fields.compare import comparisons
from coa.fields.field_map import lookup_objects
from coa.fields.links import explain_links_in_texts, explain_links_outside
from coa.fields.saved import saved_carried
from coa.findings.finding import Finding, finding
from coa.mapping.model import Mapping
from coa.mapping.store import adopt
from coa.model import COA_OBJECTS, LOADED, ORDER
from coa.preflight.orgs import describe_objects, identify
from coa.salesforce.session import Org
from coa.staging import tables
from coa.staging.fragments import list_of
from coa.staging.lease import writer_of
from coa.staging.runs import SOURCE, TARGET, Run
from coa.staging.tables import Table, identifier, table_name
from coa.transform.transform import run_transform
from coa.verify.drift import (
    class_field_differences,
    class_hazards,
    class_presence,
    class_rollups,
    list_deleted_in_source,
)
from coa.verify.expected import expect_migrated
from coa.verify.licenses import extract_licenses
from coa.verify.verify import prove

LEARNT_BY_PREFLIGHT = ("inactive_validation_rules", "keeps_inactive_owners")


def begin(run: Run, source: Org, target: Org) -> str:
    """Identifies both orgs and takes pair and policies from the migration; the run that is meant, '' for all.

    Raises `ConfigurationError` when nothing was migrated between these orgs, or the run is of another pair.
    """
    of_run = ""
    if run.params.run_id not in ("", ALL_SOURCES):
        run.name_other()
        of_run = run.params.run_id
    run.update(source_org=identify(source), target_org=identify(target))
    migrated = run.db.row(
        sql.SQL(
            """SELECT run_id, pair_id, params, target_org FROM coa.run JOIN coa.org_pair p USING (pair_id)
               WHERE p.source_org_id = %(source)s AND p.target_org_id = %(target)s AND loaded_at IS NOT NULL
                 AND mode IN {migrating} AND (%(named)s = '' OR run_id = %(named)s)
               -- Of a rehearsal only where there was no real run.
               ORDER BY p.masked, run_id DESC LIMIT 1"""
        ).format(migrating=list_of(MIGRATING)),
        {
            "source": run.record.source_org["id"],
            "target": run.record.target_org["id"],
            # A retry stays with the migration that it began with.
            "named": run.record.policies_of or of_run,
        },
    )
    if migrated is None:
        what = f"Run {of_run} moved nothing" if of_run else "Nothing was moved"
        raise ConfigurationError(
            f"{what} from {run.record.source_org['name']} ({run.record.source_org['id']}) to "
            f"{run.record.target_org['name']} ({run.record.target_org['id']}), as far as this staging "
            "database knows.",
            next_step="check coa_source, coa_target, coa_staging and the param run_id.",
        )
    # What its preflight learnt of the target decided what was written.
    learnt = {k: v for k, v in migrated["target_org"].items() if k in LEARNT_BY_PREFLIGHT}
    adopt(run, migrated["run_id"])
    run.update(
        pair_id=migrated["pair_id"],
        policies_of=migrated["run_id"],
        target_org={**learnt, **run.record.target_org},
    )
    run.params = RunParams.parse(verification_params(run.record.params, migrated["params"]))
    run.events.add("verifies", migration=migrated["run_id"], run_id=of_run)
    return of_run


def extract_both(run: Run, source: Org, target: Org, mapping: Mapping) -> None:
    """Describes and extracts of both orgs; the target's extract is also what is verified."""
    for role, org in ((SOURCE, source), (TARGET, target)):
        describe_objects(run, org, role, list(COA_OBJECTS))
    others = set().union(*(lookup_objects(f) for f in saved_carried(run, mapping).values()))
    for role, org in ((SOURCE, source), (TARGET, target)):
        describe_objects(run, org, role, sorted(others - set(COA_OBJECTS)))
    for role, org in ((SOURCE, source), (TARGET, target)):
        for sobject, rows in extract_org(run, org, role, mapping).items():
            run.events.add("extracted", org=role, sobject=sobject, rows=rows)
    extract_licenses(run, target, TARGET)
    for sobject in LOADED:
        with run.db.transaction() as connection:
            tables.show_as(connection, run, Table.VERIFY, Table.TARGET, sobject)


def compare_migrated(run: Run, mapping: Mapping, of_run: str) -> dict[str, int]:
    """Compares; unexplained differences by cause: migration, source, target, both, unknown."""
    run_transform(run, mapping)
    carried = saved_carried(run, mapping)
    explain_links_outside(run, carried)
    expect_migrated(run, of_run)
    explain_links_in_texts(run, carried)
    first = _first_snapshot(run)
    prove(run, mapping, first, remember=False)
    for sobject, fields in carried.items():
        compared, joins = comparisons(run, sobject, fields)
        class_field_differences(run, sobject, compared, joins)
    class_presence(run)
    class_hazards(run)
    list_deleted_in_source(run, of_run)
    class_rollups(run)
    found = causes(run)
    run.findings.replace("verify", _findings(run, found))
    return found


def causes(run: Run) -> dict[str, int]:
    """Unexplained differences of a verification by where they come from."""
    return {
        str(r["cause"]): int(r["n"])
        for r in run.db.rows(
            """SELECT cause, count(*) AS n FROM coa.difference
               WHERE run_id = %s AND kind <> 'explained' GROUP BY 1 ORDER BY 1""",
            [run.run_id],
        )
    }


def _first_snapshot(run: Run) -> Any:
    """Tables of the target as it was before the first migration of the pair, as long as they are kept."""
    kept = run.db.value(
        """SELECT r.run_id FROM coa.run r JOIN information_schema.tables t
             ON t.table_schema = 'run_' || lower(replace(r.run_id, '-', '_')) AND t.table_name = %s
           WHERE r.pair_id = %s AND r.loaded_at IS NOT NULL ORDER BY r.run_id LIMIT 1""",
        [table_name(TARGET, ORDER), run.pair_id],
    )

    def snapshot(sobject: str) -> sql.Identifier | None:
        # Without it nothing can be told apart from what stood there before: nothing is called a copy of ours.
        if kept is None:
            return run.table(TARGET, sobject)
        return identifier(kept, TARGET, sobject)

    return snapshot


def _findings(run: Run, found: dict[str, int]) -> list[Finding]:
    findings = [finding("warning", f"differences_{cause}", count=count) for cause, count in found.items()]
    waiting = run.db.row(
        sql.SQL(
            """SELECT count(*) AS n FROM {source} s WHERE NOT EXISTS (
                 SELECT FROM coa.ledger l WHERE l.pair_id = %s AND l.sobject = %s AND l.source_id = s."Id"
                   AND l.target_id IS NOT NULL)"""
        ).format(source=run.table(SOURCE, ORDER)),
        [run.pair_id, ORDER],
    )
    if waiting and waiting["n"]:
        findings.append(finding("note", "orders_not_moved", sobject=ORDER, count=int(waiting["n"])))
    other = writer_of(run.db, run.record.target_org["id"])
    if other:
        findings.append(finding("warning", "migration_under_way", run_id=other))
    return findings
