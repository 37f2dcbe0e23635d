"""The proof: reads the target anew and compares it with what the plan wanted, in SQL.

Differences go to `coa.difference`, totals to `coa.total`; records proved equal get their hash into the
ledger, by which a later change is recognised (`coa.verify.drift`).
"""

from __future__ import annotations

from coa.extract.bulk import ensure_state_table, forget_outdated, mark_used
from coa.extract.delta import read_back
from coa.extract.extract import coa_specs, extract_all
from coa.fields.compare import Unresolved, comparisons
from coa.fields.hazards import find_hazards
from coa.fields.links import explain_links_in_texts, explain_links_to_held
from coa.fields.saved import saved_carried
from coa.mapping.model import Mapping
from coa.model import ORDER
from coa.salesforce.session import Org
from coa.staging.runs import TARGET, Run
from coa.staging.tables import Table
from coa.verify.expected import expect_planned
from coa.verify.licenses import extract_licenses
from coa.verify.presence import (
    Snapshot,
    find_duplicates_by_key,
    find_duplicates_without_key,
    find_missing,
    find_unknown_keys,
)
from coa.verify.totals import count_totals
from coa.verify.values import (
    find_field_differences,
    find_rollup_differences,
    index_parents,
    list_explained,
    note_proved,
)


def read_for_proof(run: Run, target: Org) -> None:
    """The target as it is after the load, into `verify__<slug>`, and its licenses."""
    read_target(run, target)
    extract_licenses(run, target, TARGET)


def read_target(run: Run, target: Org) -> None:
    """The target as it is now, into `verify__<slug>`; a reading that is younger than the last write is kept."""
    ensure_state_table(run)
    forget_outdated(run, Table.VERIFY)
    read_back(run, target, coa_specs(run, TARGET, Table.VERIFY), extract_all)


def run_verify(run: Run, mapping: Mapping) -> None:
    """Compares what was read with the plan; writes `coa.difference` and `coa.total` anew."""
    expect_planned(run)
    carried = saved_carried(run, mapping)
    explain_links_to_held(run, carried)
    explain_links_in_texts(run, carried)
    prove(run, mapping, lambda sobject: run.table(TARGET, sobject), remember=True)
    mark_used(run, Table.VERIFY)


def prove(
    run: Run,
    mapping: Mapping,
    snapshot: Snapshot,
    *,
    remember: bool,
    unresolved: Unresolved = Unresolved.MISSING,
) -> None:
    """Every check over `expected__`, `desired__` and `verify__`; `remember` notes in the ledger what is proved.

    `unresolved`: what is expected of links to records that are not in the target.
    """
    carried = saved_carried(run, mapping)
    run.db.execute("DELETE FROM coa.difference WHERE run_id = %s", [run.run_id])
    index_parents(run)
    for sobject, fields in carried.items():
        find_missing(run, sobject)
        find_duplicates_by_key(run, sobject)
        compared, joins = comparisons(run, sobject, fields, unresolved)
        find_field_differences(run, sobject, compared, joins)
        if remember:
            note_proved(run, sobject, compared)
    find_duplicates_without_key(run, snapshot)
    for sobject in carried:
        find_unknown_keys(run, sobject, snapshot)
    find_rollup_differences(run)
    find_hazards(run)
    list_explained(run)
    count_totals(run, carried[ORDER])
    run.db.execute("ANALYZE coa.difference")
