"""`mapping_template.yaml`: the map of contract terms, products and owners, filled in as far as the orgs agree.

On a merger Salesforce recreates contract terms under another name, and people have other user names; what is left to a
person is to write the right name behind each source entry that is empty here.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import groupby
from operator import itemgetter

import yaml
from psycopg import sql

from coa.fields.other_sources import other_pairs
from coa.fields.text_links import orgs_of
from coa.mapping.store import mapping_of
from coa.model import CONTRACT, DETAIL, FROZEN_DETAIL_FIELDS, PRODUCT, PRODUCT_CONTRACT, PRODUCT_ID
from coa.staging.database import Row
from coa.staging.runs import SOURCE, TARGET, Run
from coa.staging.tables import Table
from coa.transform.catalog_findings import used_contracts, used_products
from coa.transform.owners import owners_left
from coa.wording import counted

LONGEST_KEY = 1000
HEAD = """# Contract terms, products and owners in use in the source, with what was found in the target.
# Fill in what is commented out, remove the #, and give the file to the next run (param mapping).
version: 1
"""


def mapping_template(run: Run) -> str:
    """The file's text, from the run's contract terms, products, owners and texts with links.

    Where several sources move into the target, a section of this source, to be added to their common file.
    """
    one_of_several = bool(mapping_of(run).sources or other_pairs(run))
    return template_text(
        _contracts(run),
        _products(run),
        owners_left(run),
        _texts_with_links(run),
        source=run.org_id(SOURCE) if one_of_several else "",
    )


def template_text(
    contracts: list[Row],
    products: list[Row],
    owners: list[Row],
    texts: Sequence[Row] = (),
    *,
    source: str = "",
) -> str:
    """The file's text: a YAML document in which names are data, whatever characters they hold.

    `contracts`: rows (name, target, rule, choices); `products`: the same with `contract`, sorted by it, and `product`
    for the name; `owners`: see `owners_left`. What has no `target`, and every owner, becomes a comment. `texts`: rows
    (sobject, field, records), sorted by sObject. `source`: org id for which alone all of it holds.
    """
    lines = ["contracts:"]
    for row in contracts:
        lines += _entry("  ", row["name"], row["target"], row["rule"], row["choices"])
    if not contracts:
        lines[-1] = "contracts: {}"
    lines.append("products:")
    before, contract = len(lines), None
    for row in products:
        if row["contract"] != contract or len(lines) == before:
            contract = row["contract"]
            lines += _key("  ", contract or "")
        lines += _entry("    ", row["product"], row["target"], row["rule"], row["choices"])
    if not products:
        lines[-1] = "products: {}"
    lines.append("owners:")
    lines += [_owner(row) for row in owners]
    if not owners:
        lines[-1] = "owners: {}"
    lines += _link_lines(texts)
    if source:
        lines = ["sources:", *_key("  ", source), *("    " + line for line in lines)]
    return "\n".join([HEAD.rstrip(), *lines]) + "\n"


def _link_lines(texts: Sequence[Row]) -> list[str]:
    """Rules that nobody has asked for yet, as comments."""
    if not texts:
        return []
    lines = [
        "# Texts with links to records that are moved; without the # these lead to the target.",
        "# fields:",
    ]
    for sobject, rows in groupby(texts, key=itemgetter("sobject")):
        lines.append(f"#   {_scalar(sobject)}:")
        lines += [f"#     {_scalar(r['field'])}: rewrite_links  # {r['records']} records" for r in rows]
    return lines


def _scalar(text: str) -> str:
    """One line of YAML: double quotes, every line break escaped, those of Unicode (U+0085, U+2028, U+2029) too."""
    return str(yaml.safe_dump(text, default_style='"', allow_unicode=True, width=math.inf)).rstrip("\n")


def _key(indent: str, name: str) -> list[str]:
    """The lines that a value follows: YAML takes a key of more than 1,024 characters only with its question mark."""
    key = _scalar(name)
    return [f"{indent}? {key}", f"{indent}:"] if len(key) > LONGEST_KEY else [f"{indent}{key}:"]


def _entry(
    indent: str, name: str, target: str | None, rule: str | None, choices: list[str] | None
) -> list[str]:
    if target is not None:
        *before, last = _key(indent, name or "")
        return [*before, f"{last} {_scalar(target)}  # {rule}"]
    told = ", ".join(_scalar(c) for c in choices or [])
    return [f"{indent}# {_scalar(name or '')}:   # not found; the target has: {told or 'nothing alike'}"]


def _owner(row: Row) -> str:
    why = (
        f"inactive in the target as {_scalar(row['target'] or '')}"
        if row["inactive"]
        else "not found in the target"
    )
    return f"  # {_scalar(row['key'])}:   # {_scalar(row['name'] or '')}, {counted(row['records'], 'record')}: {why}"


def _contracts(run: Run) -> list[Row]:
    return run.db.rows(
        sql.SQL(
            """SELECT s."Name" AS name, t."Name" AS target, m.rule,
                      (SELECT array_agg(c."Name" ORDER BY c."Name") FROM (SELECT DISTINCT "Name" FROM {target}
                        WHERE "Id" NOT IN (SELECT target_id FROM {map}) ORDER BY "Name" LIMIT 10) c) AS choices
               FROM {source} s LEFT JOIN {map} m ON m.source_id = s."Id" LEFT JOIN {target} t ON t."Id" = m.target_id
               WHERE s."Id" IN ({used}) ORDER BY s."Name", s."Id" """
        ).format(
            source=run.table(SOURCE, CONTRACT),
            target=run.table(TARGET, CONTRACT),
            map=run.table(Table.MAP, CONTRACT),
            used=used_contracts(run),
        )
    )


def _products(run: Run) -> list[Row]:
    """Only what was not found: a product that is found needs no line."""
    return run.db.rows(
        sql.SQL(
            """SELECT c."Name" AS contract, COALESCE(NULLIF(s.{pid}, ''), s."Name") AS product,
                      NULL::text AS target, NULL::text AS rule,
                      (SELECT array_agg(x.k) FROM (SELECT DISTINCT COALESCE(NULLIF(t.{pid}, ''), t."Name") AS k
                         FROM {target} t WHERE t.{contract} = cm.target_id ORDER BY 1 LIMIT 10) x) AS choices
               FROM {source} s LEFT JOIN {contracts} c ON c."Id" = s.{contract}
               LEFT JOIN {map} m ON m.source_id = s."Id"
               LEFT JOIN {contract_map} cm ON cm.source_id = c."Id"
               WHERE m.source_id IS NULL AND s."Id" IN ({used}) ORDER BY 1, 2"""
        ).format(
            pid=sql.Identifier(PRODUCT_ID),
            contract=sql.Identifier(PRODUCT_CONTRACT),
            source=run.table(SOURCE, PRODUCT),
            target=run.table(TARGET, PRODUCT),
            contracts=run.table(SOURCE, CONTRACT),
            map=run.table(Table.MAP, PRODUCT),
            contract_map=run.table(Table.MAP, CONTRACT),
            used=used_products(run),
        )
    )


def _texts_with_links(run: Run) -> list[Row]:
    """Fields with links that could be rewritten, and are not."""
    if not run.has_table(Table.TEXT_LINK):
        # An earlier version made the tables of this run.
        return []
    return run.db.rows(
        sql.SQL(
            """SELECT sobject, field, count(DISTINCT source_id) AS records FROM {}
               WHERE kind = 'link' AND kept = 'not_asked' AND left(record_id, 3) = ANY (%s)
                 AND NOT (sobject = %s AND field = ANY (%s))
               GROUP BY 1, 2 ORDER BY 1, 2"""
        ).format(run.table(Table.REFERENCE)),
        [list(orgs_of(run).prefixes), DETAIL, sorted(FROZEN_DETAIL_FIELDS)],
    )
