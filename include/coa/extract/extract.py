"""The extract stage: what is needed of each org, several sObjects at a time."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from psycopg import sql

from coa.extract.bulk import ExtractSpec, ensure_state_table, extract_object
from coa.extract.delta import extract_changes
from coa.extract.few import extract_few
from coa.fields.field_map import lookup_objects
from coa.fields.lookups import lookup_fields
from coa.fields.saved import saved_carried, saved_describes
from coa.findings.finding import finding
from coa.mapping.model import Mapping
from coa.model import COA_OBJECTS, CUSTOMER, DETAIL, DETAIL_ORDER, LOADED, ORDER, ORDER_CUSTOMER
from coa.salesforce.bulk import raise_worst
from coa.salesforce.session import Org
from coa.staging.runs import SOURCE, TARGET, Run


def extract_org(run: Run, org: Org, role: str, mapping: Mapping) -> dict[str, int]:
    """Extracts all that is needed of one org; sObject -> rows. A delta starts from an earlier extract."""
    ensure_state_table(run)
    specs = [*coa_specs(run, role), *_lookup_specs(run, role, mapping)]
    if run.params.mode == "delta" and not (role == SOURCE and run.params.orders_where):
        return extract_changes(run, org, specs, extract_all)
    counts = extract_all(run, org, specs)
    if role == SOURCE and run.params.orders_where:
        _keep_only_what_orders_use(run)
    _compare_with_count(run, org, role, specs, counts)
    return counts


def coa_specs(run: Run, role: str, kind: str = "") -> list[ExtractSpec]:
    """The COA objects with every field that Bulk queries return, formulas and roll-ups included."""
    described = saved_describes(run, role)
    return [
        ExtractSpec(
            kind or role,
            name,
            described[name].selectable_fields,
            # Only orders: an arbitrary filter cannot be put into a semi-join without risk (no nesting), so
            # details and customers are narrowed down here afterwards.
            run.params.orders_where if role == SOURCE and name == ORDER else "",
        )
        for name in COA_OBJECTS
        if not kind or name in LOADED
    ]


def extract_all(run: Run, org: Org, specs: list[ExtractSpec]) -> dict[str, int]:
    """Several sObjects at a time; the first error ends the stage when the others are through.

    What is loaded comes by Bulk however few it is: the second reading, by REST, shall be another way.
    """
    few = extract_few(run, org, [spec for spec in specs if spec.sobject not in LOADED])
    with ThreadPoolExecutor(run.settings.extract_threads) as pool:
        waiting = [
            (spec.sobject, pool.submit(extract_object, run, org, spec))
            for spec in specs
            if spec.sobject not in few
        ]
        raise_worst([future for _, future in waiting])
        return few | {sobject: future.result() for sobject, future in waiting}


def _lookup_specs(run: Run, role: str, mapping: Mapping) -> list[ExtractSpec]:
    source, target = saved_describes(run, SOURCE), saved_describes(run, TARGET)
    wanted: set[str] = set()
    for fields in saved_carried(run, mapping).values():
        wanted |= lookup_objects(fields)
    return [
        ExtractSpec(role, name, lookup_fields(name, source[name], target[name], mapping))
        for name in sorted(wanted - set(COA_OBJECTS))
        # An object that only one org has cannot be matched; its lookups count as unmatched.
        if name in source and name in target
    ]


def _keep_only_what_orders_use(run: Run) -> None:
    """With `orders_where`: details of the chosen orders only, and the customers that these use."""
    with run.db.transaction() as connection:
        connection.execute(
            sql.SQL('DELETE FROM {} d WHERE NOT EXISTS (SELECT FROM {} o WHERE o."Id" = d.{})').format(
                run.table(SOURCE, DETAIL), run.table(SOURCE, ORDER), sql.Identifier(DETAIL_ORDER)
            )
        )
        connection.execute(
            sql.SQL('DELETE FROM {} c WHERE NOT EXISTS (SELECT FROM {} o WHERE o.{} = c."Id")').format(
                run.table(SOURCE, CUSTOMER), run.table(SOURCE, ORDER), sql.Identifier(ORDER_CUSTOMER)
            )
        )


def _compare_with_count(
    run: Run, org: Org, role: str, specs: list[ExtractSpec], counts: dict[str, int]
) -> None:
    """`SELECT COUNT()` beside the rows that arrived; records that came or went meanwhile are no fault."""
    findings = []
    for spec in specs:
        if spec.sobject not in LOADED:
            continue
        counted = org.count(spec.sobject, spec.where)
        if counted != counts[spec.sobject]:
            findings.append(
                finding(
                    "warning",
                    f"count_differs_{role}",
                    sobject=spec.sobject,
                    count=abs(counted - counts[spec.sobject]),
                    role=role,
                    counted=counted,
                    read=counts[spec.sobject],
                )
            )
    run.findings.replace(f"extract_{role}", findings)
