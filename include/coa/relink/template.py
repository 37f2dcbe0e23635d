"""`relink_template.yaml`: rules for the lookups of the target that can lead to moved records,
filled in from its records.

For each lookup it names the text field in which most of the latest records name a moved record. What was not found
becomes a comment for a person to fill in.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby, islice

from psycopg import sql

from coa.codes import MIGRATING
from coa.errors import CoaError
from coa.extract.inbound_references import MOST_LOOKUPS, lookups_to
from coa.mapping.file import MANAGED
from coa.model import LOADED, NS
from coa.preflight.orgs import describe_objects
from coa.relink.scope import TEXTS
from coa.salesforce.describe import Describe
from coa.salesforce.session import Org, id18
from coa.staging.fragments import list_of
from coa.staging.runs import TARGET, Run
from coa.staging.tables import Table, identifier
from coa.wording import counted

LOOKED_AT = 200
"""Records of an sObject that are looked at: enough to know in which field ids stand, one page of a query."""
MOST_TEXTS = 20
"""Text fields of an sObject that are looked at: the condition names each of them."""
AN_ID = re.compile(r"\b[A-Za-z0-9]{15}(?:[A-Za-z0-9]{3})?\b")
HEAD = """# Lookups of the target that can lead to moved records, with the text field in which their old ids were found.
# Check them, remove what is not meant, and give the file to coa_relink (param mapping).
version: 1
"""


@dataclass(frozen=True)
class Suggestion:
    """A lookup of the target: `found_in` is None where no text field names a moved record; `texts`: where one could.

    `named` of `looked_at` records name one there. `in_source`: records of the source that had this lookup filled.
    """

    sobject: str
    field: str
    to: str
    found_in: str | None
    texts: tuple[str, ...] = ()
    named: int = 0
    looked_at: int = 0
    in_source: int = 0


def relink_template(run: Run, target: Org) -> str:
    """The file's text. Costs two reads of describes and a query for each pointing sObject; never fails the run."""
    described = describe_objects(run, target, TARGET, list(LOADED))
    lookups = [
        (child, field, to)
        for child, field, to in lookups_to(described)
        if to in LOADED and not field.startswith(MANAGED)
    ][:MOST_LOOKUPS]
    children = describe_objects(run, target, TARGET, sorted({child for child, _, _ in lookups}))
    filled = _filled_in_source(run)
    found = []
    for child, of_child in groupby(lookups, key=lambda one: one[0]):
        if child in children:
            found += _of_object(run, target, children[child], [(f, to) for _, f, to in of_child], filled)
    return template_text(found)


def template_text(suggestions: Sequence[Suggestion]) -> str:
    """The YAML; names of fields and sObjects are API names, which need no quotes.

    >>> print(template_text([Suggestion("Visit__c", "Order__c", "CHANNEL_ORDERS__Service_Order__c", "Old__c",
    ...     named=3, looked_at=4)]).split("version: 1")[1].strip())
    relink:
      Visit__c:
        Order__c: {from: Old__c, to: Service_Order__c}  # 3 of 4 records name a moved record
    """
    lines = []
    for sobject, rows in groupby(suggestions, key=lambda one: one.sobject):
        rules = list(rows)
        # A key without a value would be a rule for nothing.
        lines.append(f"  {sobject}:" if any(one.found_in for one in rules) else f"  # {sobject}:")
        lines += [_line(one) for one in rules]
    if not any(one.found_in for one in suggestions):
        return HEAD + "\n".join(["relink: {}", *lines]) + "\n"
    return HEAD + "\n".join(["relink:", *lines]) + "\n"


def _line(one: Suggestion) -> str:
    to = one.to.removeprefix(NS)
    told = f"; {counted(one.in_source, 'record')} of the source had it" if one.in_source else ""
    if one.found_in:
        rule = f"{one.field}: {{from: {one.found_in}, to: {to}}}"
        return f"    {rule}  # {one.named} of {counted(one.looked_at, 'record')} name a moved record{told}"
    texts = ", ".join(one.texts) or "none"
    rule = f"{one.field}: {{from: , to: {to}}}"
    return f"    # {rule}  # no old id was found; text fields: {texts}{told}"


def _of_object(
    run: Run,
    target: Org,
    child: Describe,
    lookups: list[tuple[str, str]],
    filled: dict[tuple[str, str], int],
) -> list[Suggestion]:
    """`lookups`: (field, sObject that it leads to) of one sObject of the target."""
    texts = [
        one.name
        for one in child.fields.values()
        if one.name.endswith("__c") and one.type in TEXTS and one.flag("filterable") and one.length >= 15
    ][:MOST_TEXTS]
    records = _latest(run, target, child.name, texts)
    ids = {name: [AN_ID.findall(str(r.get(name) or "")) for r in records] for name in texts}
    moved = _moved(run, {id18(i) for rows in ids.values() for row in rows for i in row})
    found = []
    for field, to in lookups:
        hits = Counter(
            {
                name: sum(any((to, id18(i)) in moved for i in row) for row in rows)
                for name, rows in ids.items()
            }
        )
        best, named = hits.most_common(1)[0] if hits else ("", 0)
        found.append(
            Suggestion(
                child.name,
                field,
                to,
                best if named else None,
                tuple(texts),
                named,
                len(records),
                filled.get((child.name, field), 0),
            )
        )
    return found


def _latest(run: Run, target: Org, sobject: str, texts: list[str]) -> list[dict[str, object]]:
    if not texts:
        return []
    where = " OR ".join(f"{name} != null" for name in texts)
    try:
        return list(
            islice(
                target.query(
                    f"SELECT Id, {', '.join(texts)} FROM {sobject} WHERE {where} ORDER BY Id DESC LIMIT {LOOKED_AT}"
                ),
                LOOKED_AT,
            )
        )
    except CoaError as error:
        run.events.add("lookup_not_followed", level="warning", org=TARGET, lookup=sobject, message=str(error))
        return []


def _moved(run: Run, ids: set[str]) -> set[tuple[str, str]]:
    """(sObject, source id) of those that have a counterpart in the target."""
    return {
        (str(r["sobject"]), str(r["source_id"]))
        for r in run.db.rows(
            "SELECT sobject, source_id FROM coa.ledger WHERE pair_id = %s AND source_id = ANY (%s) "
            "AND target_id IS NOT NULL",
            [run.pair_id, sorted(ids)],
        )
    }


def _filled_in_source(run: Run) -> dict[tuple[str, str], int]:
    """(sObject, lookup) -> records of the source in which it led to a COA record,
    by the latest migration that kept it."""
    for row in run.db.rows(
        sql.SQL("SELECT run_id FROM coa.run WHERE pair_id = %s AND mode IN {} ORDER BY run_id DESC").format(
            list_of(MIGRATING)
        ),
        [run.pair_id],
    ):
        pointing = identifier(row["run_id"], Table.POINTING)
        if run.db.has_table(pointing):
            return {
                (str(r["sobject"]), str(r["field"])): int(r["n"])
                for r in run.db.rows(
                    sql.SQL("SELECT sobject, field, count(*) AS n FROM {} GROUP BY 1, 2").format(pointing)
                )
            }
    return {}
