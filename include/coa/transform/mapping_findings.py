"""Entries of the mapping file that match no record; a misspelt name should be known before the load."""

from __future__ import annotations

from psycopg import sql

from coa.findings.finding import Finding, finding
from coa.mapping.model import Mapping
from coa.model import CONTRACT, ORDER, PRODUCT, PRODUCT_CONTRACT, PRODUCT_ID
from coa.staging.runs import SOURCE, TARGET, Run
from coa.staging.tables import Table


def check_mapping_used(run: Run, mapping: Mapping) -> list[Finding]:
    """Entries of the mapping file that name what neither org has, as findings."""
    unused: list[tuple[str, tuple[str, ...]]] = []
    for theirs, ours in mapping.contracts.items():
        for role, name in ((SOURCE, theirs), (TARGET, ours)):
            if not _exists(run, role, CONTRACT, ['"Name" = %(v)s'], name):
                unused.append((f"the {role} has no contract terms {name!r}", ("contracts", theirs)))
    for contract, products in mapping.products.items():
        for theirs, ours in products.items():
            if not _mapped_product(run, contract, theirs):
                unused.append(
                    (
                        f"{contract!r}: product {theirs!r} or its substitute {ours!r} is not found",
                        ("products", contract, theirs),
                    )
                )
    for theirs in mapping.owners:
        if run.has_table(SOURCE, "User") and not _owner_mapped(run, theirs):
            unused.append((f"owner {theirs!r} or the user named for it is not found", ("owners", theirs)))
    for sobject, records in mapping.records.items():
        for theirs, ours in records.items():
            if run.has_table(TARGET, sobject) and not _exists(run, TARGET, sobject, [], ours):
                unused.append((f"the target has no {sobject} {ours}", ("records", sobject, theirs)))
    for theirs, decision in mapping.duplicates.items():
        if decision != "load" and not _exists(run, TARGET, ORDER, [], decision):
            unused.append((f"the target has no order {decision}", ("duplicates", theirs)))
    if not unused:
        return []
    told = [f"line {mapping.line(*path)}: {text}" if mapping.line(*path) else text for text, path in unused]
    return [
        finding("warning", "mapping_unused", count=len(unused), examples=told, entries="; ".join(told[:20]))
    ]


def _exists(run: Run, role: str, sobject: str, conditions: list[str], value: str) -> bool:
    where = " OR ".join([*conditions, '"Id" = coa.id18(%(v)s)'])
    return bool(
        run.db.value(
            sql.SQL("SELECT EXISTS (SELECT FROM {} WHERE " + where + ")").format(run.table(role, sobject)),
            {"v": value},
        )
    )


def _mapped_product(run: Run, contract: str, product: str) -> bool:
    return bool(
        run.db.value(
            sql.SQL(
                """SELECT EXISTS (SELECT FROM {source} s JOIN {contracts} c ON c."Id" = s.{contract}
                   JOIN {map} m ON m.source_id = s."Id" AND m.rule = 'mapping file'
                   WHERE (c."Name" = %(c)s OR c."Id" = coa.id18(%(c)s))
                     AND (s.{pid} = %(p)s OR s."Name" = %(p)s OR s."Id" = coa.id18(%(p)s)))"""
            ).format(
                source=run.table(SOURCE, PRODUCT),
                contracts=run.table(SOURCE, CONTRACT),
                contract=sql.Identifier(PRODUCT_CONTRACT),
                map=run.table(Table.MAP, PRODUCT),
                pid=sql.Identifier(PRODUCT_ID),
            ),
            {"c": contract, "p": product},
        )
    )


def _owner_mapped(run: Run, user: str) -> bool:
    names = [
        n for n in ("Id", "Username", "Email", "FederationIdentifier") if n in run.columns(SOURCE, "User")
    ]
    said = sql.SQL(" OR ").join(
        sql.SQL("lower(s.{}) = lower(%(v)s)").format(sql.Identifier(n)) for n in names
    )
    return bool(
        run.db.value(
            sql.SQL(
                """SELECT EXISTS (SELECT FROM {} s JOIN {} m ON m.source_id = s."Id" AND m.rule = 'mapping file'
                   WHERE {})"""
            ).format(run.table(SOURCE, "User"), run.table(Table.MAP, "User"), said),
            {"v": user},
        )
    )
