"""Links inside texts to records that are moved: split once, joined again with the ids of the target.

Where the mapping file asks for it (`rewrite_links`), a link to a record of the source is changed to lead to the
same record in the target. A text is split into pieces when the plan is made. The final text follows from the
pieces and the ledger; a link to a record that is not in the target stays as in the source, byte for byte.

What counts as a link to a record (Salesforce Help, "Navigate to Records with URLs", "My Domain URL Formats"):
the org's own host or its Lightning host, then `/<id>`, `/lightning/r/<id>`, `/lightning/r/<object>/<id>` or
`/one/one.app#/sObject/<id>`, whatever follows; ids of 15 or 18 characters. The form of the id stays, so a text
grows only by the difference of the hosts.
"""

from __future__ import annotations

import re
from collections.abc import Mapping as Dict
from dataclasses import dataclass
from functools import cached_property
from urllib.parse import urlsplit

from psycopg import sql

from coa.config import Settings
from coa.fields.field_map import FieldMapping
from coa.model import LOADED
from coa.salesforce.session import id18
from coa.staging.runs import Run
from coa.staging.tables import Table

TEXTS = frozenset({"string", "textarea", "url"})
"""Types of fields that can hold a link, or an id in a sentence."""
MY_DOMAIN = ".my.salesforce.com"
LIGHTNING = ".lightning.force.com"
PATH = r"/(?:lightning/r/(?:\w+/)?|one/one\.app(?:\?\S*?)?#/sObject/)?"
ID = r"([a-zA-Z0-9]{18}|[a-zA-Z0-9]{15})(?![a-zA-Z0-9_-])"


@dataclass(frozen=True)
class Piece:
    """A part of a text. `literal`: as it stands in the source; all pieces together are the text.

    A link also has the record that it leads to (`sobject`, `record_id` of 18 characters), the address before the id in
    the target (`before`) and how many characters its id has.
    """

    literal: str
    sobject: str = ""
    record_id: str = ""
    before: str = ""
    id_length: int = 0

    def with_id(self, target_id: str | None) -> str:
        """As it stands in the target; without an id as in the source."""
        return self.before + target_id[: self.id_length] if target_id and self.record_id else self.literal


@dataclass(frozen=True)
class Orgs:
    """What a link between two orgs depends on. `prefixes`: key prefix -> sObject of the records that are moved."""

    source_url: str
    target_url: str
    prefixes: Dict[str, str]

    @cached_property
    def link(self) -> re.Pattern[str]:
        """Groups: scheme and host, path, id."""
        hosts = "|".join(re.escape(host) for host in sorted(self._bases))
        return re.compile(rf"((?i:https?://(?:{hosts})))({PATH}){ID}")

    def base(self, address: str) -> str:
        """Scheme and host in the target of an address in the source."""
        return self._bases[urlsplit(address).netloc.lower()]

    @cached_property
    def _bases(self) -> dict[str, str]:
        own, theirs = (urlsplit(url).netloc.lower() for url in (self.source_url, self.target_url))
        target = self.target_url.rstrip("/")
        bases = {own: target}
        if own.endswith(MY_DOMAIN):
            lightning = f"https://{theirs.removesuffix(MY_DOMAIN)}{LIGHTNING}"
            # An org without a My Domain sends the paths of Lightning on by itself.
            bases[own.removesuffix(MY_DOMAIN) + LIGHTNING] = (
                lightning if theirs.endswith(MY_DOMAIN) else target
            )
        return bases


def cut_up(text: str, orgs: Orgs) -> list[Piece]:
    """The pieces of a text; none for a text without a link to a record that could be moved.

    >>> orgs = Orgs("https://a.my.salesforce.com", "https://b.my.salesforce.com", {"a0X": "Order__c"})
    >>> [p.with_id("a0Y000000000002AAA") for p in cut_up("see https://a.my.salesforce.com/a0X000000000001?x=1", orgs)]
    ['see ', 'https://b.my.salesforce.com/a0Y000000000002', '?x=1']
    """
    pieces, end = [], 0
    for found in orgs.link.finditer(text):
        address, path, written = found.groups()
        record_id = id18(written[:15])
        sobject = orgs.prefixes.get(written[:3])
        if sobject is None or (len(written) == 18 and written != record_id):
            continue
        if found.start() > end:
            pieces.append(Piece(text[end : found.start()]))
        pieces.append(Piece(found[0], sobject, record_id, orgs.base(address) + path, len(written)))
        end = found.end()
    if pieces and end < len(text):
        pieces.append(Piece(text[end:]))
    return pieces


def rewritten(pieces: list[Piece], targets: Dict[tuple[str, str], str]) -> str:
    """The text in the target; `targets`: (sObject, source id) -> target id of what is there."""
    return "".join(p.with_id(targets.get((p.sobject, p.record_id))) for p in pieces)


def fits(pieces: list[Piece], length: int, settings: Settings) -> bool:
    """Whether a field of so many characters holds the text with all its links rewritten; 0: no limit is known."""
    whole = "".join(p.with_id(p.record_id) for p in pieces)
    counted = len(whole) if settings.text_length == "code_points" else len(whole.encode("utf-16-le")) // 2
    return not length or counted <= length


def orgs_of(run: Run) -> Orgs:
    """What the links of a run depend on: the orgs that it identified,
    and the key prefixes of the source's describes."""
    rows = run.db.rows(
        """SELECT sobject, describe ->> 'keyPrefix' AS prefix FROM coa.describe
           WHERE run_id = %s AND org = 'source' AND sobject = ANY (%s) AND describe ->> 'keyPrefix' IS NOT NULL""",
        [run.run_id, list(LOADED)],
    )
    source, target = (str(run.record.org(role).get("instance_url", "")) for role in ("source", "target"))
    return Orgs(source, target, {str(r["prefix"]): str(r["sobject"]) for r in rows})


# ---- SQL -----------------------------------------------------------------------------------------
def text_join(run: Run, sobject: str, one: FieldMapping, alias: sql.Identifier) -> sql.Composed:
    """Joins the text with its links as far as the ledger knows where they lead (`value`), for `d` the desired row."""
    return sql.SQL(
        """LEFT JOIN LATERAL (SELECT string_agg(CASE WHEN m.target_id IS NULL THEN x.literal
                               ELSE x.before || left(m.target_id, x.id_length) END, '' ORDER BY x.nth) AS value
             FROM {links} x LEFT JOIN {ledgers} m
               ON m.pair_id = {pair} AND m.sobject = x.record_sobject AND m.source_id = x.record_id
             WHERE x.sobject = {sobject} AND x.field = {field} AND x.source_id = d.source_id AND x.fits) {alias}
           ON true"""
    ).format(
        ledgers=run.ledger,
        links=run.table(Table.TEXT_LINK),
        pair=sql.Literal(run.pair_id),
        sobject=sql.Literal(sobject),
        field=sql.Literal(one.name),
        alias=alias,
    )


def text_value(one: FieldMapping, alias: sql.Identifier) -> sql.Composed:
    """SQL over `d` and the join: the text with its links as they lead now."""
    return sql.SQL("COALESCE({}.value, d.{})").format(alias, sql.Identifier(one.name))
