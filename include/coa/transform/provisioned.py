"""Matches what Salesforce provisions: contract terms, pricebook entries, products.

They are never inserted: Salesforce imports them when the target's app is connected and refreshed.
Contract terms go by Name (its external id is a copy of Name, and not unique), products by Product_ID__c
under the matched contract, pricebook entries by Salesforce's own entry id.
"""

from __future__ import annotations

from psycopg import sql

from coa.mapping.model import Mapping
from coa.model import CONTRACT, NS, PRICEBOOK_ENTRY, PRICEBOOK_ENTRY_ID, PRODUCT, PRODUCT_CONTRACT, PRODUCT_ID
from coa.staging.runs import SOURCE, TARGET, Run
from coa.staging.tables import Table
from coa.transform.maps import create_map, map_given_records


def map_provisioned(run: Run, mapping: Mapping) -> None:
    """Fills the three maps, contracts first: a product is looked for under its matched contract."""
    for sobject in (CONTRACT, PRICEBOOK_ENTRY, PRODUCT):
        create_map(run, sobject)
        map_given_records(run, sobject, mapping)
    _map_given_contracts(run, mapping)
    _map_contracts_by_name(run)
    _map_pricebook_entries(run)
    _map_given_products(run, mapping)
    _map_products(run, by=PRODUCT_ID)
    _map_products(run, by="Name")
    for sobject in (CONTRACT, PRICEBOOK_ENTRY, PRODUCT):
        run.db.execute(sql.SQL("ANALYZE {}").format(run.table(Table.MAP, sobject)))


def _map_given_contracts(run: Run, mapping: Mapping) -> None:
    for theirs, ours in mapping.contracts.items():
        run.db.execute(
            sql.SQL(
                """INSERT INTO {} SELECT s."Id", t."Id", 'mapping file' FROM {} s, {} t
                   WHERE (s."Name" = %(s)s OR s."Id" = coa.id18(%(s)s))
                     AND (t."Name" = %(t)s OR t."Id" = coa.id18(%(t)s))
                   ON CONFLICT DO NOTHING"""
            ).format(
                run.table(Table.MAP, CONTRACT), run.table(SOURCE, CONTRACT), run.table(TARGET, CONTRACT)
            ),
            {"s": theirs, "t": ours},
        )


def _score(run: Run, sobject: str, names: list[str]) -> sql.Composed:
    """How alike two records of one name are, in fields that both orgs have; the first field weighs most."""
    shared = set(run.columns(SOURCE, sobject)) & set(run.columns(TARGET, sobject))
    parts = [
        sql.SQL("(s.{f} IS NOT DISTINCT FROM t.{f})::int * {w}").format(
            f=sql.Identifier(name), w=sql.Literal(2 ** (len(names) - n))
        )
        for n, name in enumerate(names)
        if name in shared
    ]
    return sql.SQL("({})").format(sql.SQL(" + ").join(parts) if parts else sql.SQL("0"))


def _insert_best(run: Run, sobject: str, condition: sql.Composed, score: sql.Composed, rule: str) -> None:
    """Takes the one best candidate of each source record; two equally good ones leave it unmatched."""
    run.db.execute(
        sql.SQL(
            """WITH candidate AS (
                 SELECT s."Id" AS source_id, t."Id" AS target_id,
                        rank() OVER (PARTITION BY s."Id" ORDER BY {score} DESC) AS place
                 FROM {source} s JOIN {target} t ON {condition}),
               best AS (SELECT source_id, min(target_id) AS target_id, count(*) AS n
                        FROM candidate WHERE place = 1 GROUP BY source_id)
               INSERT INTO {map} SELECT source_id, target_id, {rule} FROM best WHERE n = 1
               ON CONFLICT DO NOTHING"""
        ).format(
            score=score,
            source=run.table(SOURCE, sobject),
            target=run.table(TARGET, sobject),
            condition=condition,
            map=run.table(Table.MAP, sobject),
            rule=sql.Literal(rule),
        )
    )


def _map_contracts_by_name(run: Run) -> None:
    score = _score(run, CONTRACT, [NS + "Type__c", NS + "Default_Contract_Currency__c", NS + "Status__c"])
    _insert_best(run, CONTRACT, sql.SQL('s."Name" = t."Name"').format(), score, "by Name")


def _map_pricebook_entries(run: Run) -> None:
    key = sql.Identifier(PRICEBOOK_ENTRY_ID)
    _insert_best(
        run,
        PRICEBOOK_ENTRY,
        sql.SQL("coa.id18(s.{k}) = coa.id18(t.{k})").format(k=key),
        sql.SQL("{}").format(0),
        f"by {PRICEBOOK_ENTRY_ID}",
    )


def _map_given_products(run: Run, mapping: Mapping) -> None:
    for contract, products in mapping.products.items():
        for theirs, ours in products.items():
            run.db.execute(
                sql.SQL(
                    """INSERT INTO {map} SELECT s."Id", t."Id", 'mapping file'
                       FROM {source} s JOIN {contracts} c ON c."Id" = s.{contract}
                       JOIN {contract_map} m ON m.source_id = c."Id"
                       JOIN {target} t ON t.{contract} = m.target_id
                       WHERE (c."Name" = %(c)s OR c."Id" = coa.id18(%(c)s))
                         AND (s.{pid} = %(s)s OR s."Name" = %(s)s OR s."Id" = coa.id18(%(s)s))
                         AND (t.{pid} = %(t)s OR t."Name" = %(t)s OR t."Id" = coa.id18(%(t)s))
                       ON CONFLICT DO NOTHING"""
                ).format(
                    map=run.table(Table.MAP, PRODUCT),
                    source=run.table(SOURCE, PRODUCT),
                    target=run.table(TARGET, PRODUCT),
                    contracts=run.table(SOURCE, CONTRACT),
                    contract_map=run.table(Table.MAP, CONTRACT),
                    contract=sql.Identifier(PRODUCT_CONTRACT),
                    pid=sql.Identifier(PRODUCT_ID),
                ),
                {"c": contract, "s": theirs, "t": ours},
            )


def _map_products(run: Run, by: str) -> None:
    """Under the matched contract; a Name decides only where there is no Product_ID__c to compare."""
    only_without_id = (
        sql.SQL("AND (s.{p} IS NULL OR t.{p} IS NULL)").format(p=sql.Identifier(PRODUCT_ID))
        if by == "Name"
        else sql.SQL("").format()
    )
    condition = sql.SQL(
        """s.{by} = t.{by} {extra}
           AND t.{contract} = (SELECT target_id FROM {contract_map} m WHERE m.source_id = s.{contract})"""
    ).format(
        by=sql.Identifier(by),
        extra=only_without_id,
        contract=sql.Identifier(PRODUCT_CONTRACT),
        contract_map=run.table(Table.MAP, CONTRACT),
    )
    score = _score(run, PRODUCT, ["Name", NS + "Pricing_Type__c", NS + "Status__c"])
    _insert_best(run, PRODUCT, condition, score, f"by contract and {by}")
