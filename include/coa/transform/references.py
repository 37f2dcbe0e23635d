"""References to the source org inside texts: record links, image addresses, ids in sentences.

A text arrives byte for byte, and with it what leads back to the org that it came from: the link opens the old org,
and breaks when that org closes. They are found here, counted in the plan, and listed in `references.csv`; a lookup
that merely stands in a text field is better named in the mapping file (`id_fields`), and links to records that are
moved can be rewritten (`rewrite_links`, `coa.fields.text_links`).

An id counts where it bears the key prefix of an sObject that the run knows and is one: 18 characters whose last three
check the others, or 15 that a record of the source has. A link counts by its host: the source's own, or another host
of the same My Domain (Salesforce Help, "My Domain URL Formats"); images of rich text also by a relative address.
"""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from psycopg import sql

from coa.fields.field_map import FieldMapping
from coa.fields.text_links import TEXTS
from coa.findings.finding import Finding, finding
from coa.model import LOADED
from coa.staging import tables
from coa.staging.runs import SOURCE, Run
from coa.staging.tables import Table

SHORTEST = 15
"""Characters of an id: no shorter field can hold a reference."""
CODE = "reference_in_text"
REWRITTEN = "links_rewritten"
ID = r"\m[a-zA-Z0-9]{15}(?:[A-Z0-5]{3})?\M"
IMAGE = r"/servlet/(?:rtaImage|servlet\.ImageServer|servlet\.FileDownload)[^\s\"'<>]*"
SALESFORCE_HOSTS = (
    r"(?:salesforce|force|visualforce|documentforce"
    r"|salesforce-setup|salesforce-sites|salesforce-experience|site)"
)


def find_references(run: Run, carried: dict[str, list[FieldMapping]]) -> list[Finding]:
    """Fills the table `reference`; a finding a field, and one where links are rewritten.

    `record_id`: the 18-character id that a link or sentence names, empty where it names none that is known. `kept`:
    `not_asked` (the mapping file does not want links rewritten), `no_record_link` (an image, a bare id, a page that is
    not that of a moved object's record), `too_long` (the text would not fit); empty for what is rewritten.
    """
    with run.db.transaction() as connection:
        tables.create(connection, run, Table.REFERENCE)
    known = _known_records(run)
    for sobject, fields in carried.items():
        for one in fields:
            if one.kind == "value" and one.source is not None and _may_refer(one):
                _find_links(run, sobject, one)
                _find_ids(run, sobject, one, known)
    _tell_rewritten(run)
    return [*_findings(run), *_rewritten_findings(run)]


def _may_refer(one: FieldMapping) -> bool:
    source = one.source
    return (
        source is not None
        and source.type in TEXTS
        and (source.length or SHORTEST) >= SHORTEST
        and one.rule.constant is None
    )


def host_pattern(instance_url: str) -> str:
    """Regular expression of the hosts of one org, in PostgreSQL's syntax.

    >>> bool(re.fullmatch(host_pattern("https://acme.my.salesforce.com"), "acme--c.vf.force.com"))
    True
    >>> bool(re.fullmatch(host_pattern("https://acme.my.salesforce.com"), "acmecorp.my.salesforce.com"))
    False
    """
    host = urlsplit(instance_url).netloc.lower()
    own = re.escape(host)
    domain = host.split(".")[0]
    if not host.endswith(".salesforce.com") or not domain:
        return own
    return rf"(?:{own}|{re.escape(domain)}(?:--[a-z0-9-]+)?(?:\.[a-z0-9-]+)*\.{SALESFORCE_HOSTS}\.com)"


def _find_links(run: Run, sobject: str, one: FieldMapping) -> None:
    host = host_pattern(str(run.record.source_org.get("instance_url", "")))
    address = rf"https?://{host}(?::\d+)?(?![\w.-])[^\s\"'<>]*"
    _insert(
        run,
        sobject,
        one,
        sql.SQL(
            """SELECT s."Id", {field}, CASE WHEN m[1] ~* {image} THEN 'image' ELSE 'link' END, m[1],
                      COALESCE((SELECT coa.id18(i[1]) FROM regexp_matches(m[1], {id}, 'g') i LIMIT 1), '')
               FROM {source} s, regexp_matches(s.{column}, {pattern}, 'gi') m
               WHERE s.{column} LIKE '%//%' OR s.{column} LIKE '%/servlet/%'"""
        ).format(
            field=sql.Literal(one.name),
            image=sql.Literal(IMAGE),
            id=sql.Literal(f"({ID})"),
            source=run.table(SOURCE, sobject),
            column=sql.Identifier(one.source.name if one.source else ""),
            pattern=sql.Literal(f"({address}|{IMAGE})"),
        ),
    )


def _find_ids(run: Run, sobject: str, one: FieldMapping, known: sql.Composed) -> None:
    """Ids in sentences: those inside a link are told with the link,
    fields that hold nothing else by `id_stored_as_text`."""
    _insert(
        run,
        sobject,
        one,
        sql.SQL(
            """SELECT DISTINCT s."Id", {field}, 'id', m[1], coa.id18(m[1])
               FROM {source} s, regexp_matches(s.{column}, {pattern}, 'g') m
               WHERE length(s.{column}) > 18 AND left(m[1], 3) = ANY ({prefixes}) AND m[1] ~ '[0-9]'
                 AND (CASE WHEN length(m[1]) = 18 THEN coa.extend_id(left(m[1], 15)) = m[1]
                           ELSE coa.id18(m[1]) IN ({known}) END)
                 AND NOT EXISTS (SELECT FROM {references} r WHERE r.sobject = {sobject} AND r.source_id = s."Id"
                                   AND r.field = {field} AND position(m[1] in r.found) > 0)"""
        ).format(
            field=sql.Literal(one.name),
            source=run.table(SOURCE, sobject),
            column=sql.Identifier(one.source.name if one.source else ""),
            pattern=sql.Literal(f"({ID})"),
            prefixes=sql.Literal(_prefixes(run)),
            known=known,
            references=run.table(Table.REFERENCE),
            sobject=sql.Literal(sobject),
        ),
    )


def _insert(run: Run, sobject: str, one: FieldMapping, query: sql.Composed) -> None:
    run.db.execute(
        sql.SQL(
            """INSERT INTO {} (sobject, source_id, field, kind, found, record_id, kept)
               SELECT {}, q.*, {} FROM ({}) q ON CONFLICT DO NOTHING"""
        ).format(
            run.table(Table.REFERENCE),
            sql.Literal(sobject),
            sql.Literal("no_record_link" if one.rule.rewrite_links else "not_asked"),
            query,
        )
    )


def _tell_rewritten(run: Run) -> None:
    """Which of the links found are among those that are rewritten."""
    run.db.execute(
        sql.SQL(
            """UPDATE {} r SET kept = CASE WHEN x.fits THEN '' ELSE 'too_long' END
               FROM {} x WHERE x.sobject = r.sobject AND x.field = r.field AND x.source_id = r.source_id
                 AND x.record_id = r.record_id AND r.kind = 'link' AND starts_with(r.found, x.literal)"""
        ).format(run.table(Table.REFERENCE), run.table(Table.TEXT_LINK))
    )


def _prefixes(run: Run) -> list[str]:
    """Key prefixes of the sObjects that the source's describes name."""
    rows = run.db.rows(
        """SELECT DISTINCT describe ->> 'keyPrefix' AS prefix FROM coa.describe
           WHERE run_id = %s AND org = 'source' AND describe ->> 'keyPrefix' IS NOT NULL""",
        [run.run_id],
    )
    return sorted(str(r["prefix"]) for r in rows)


def _known_records(run: Run) -> sql.Composed:
    return sql.SQL(" UNION ALL ").join(
        sql.SQL('SELECT "Id" FROM {}').format(run.table(SOURCE, sobject)) for sobject in LOADED
    )


def _findings(run: Run) -> list[Finding]:
    rows = run.db.rows(
        sql.SQL(
            """SELECT sobject, field, count(*) AS n, count(DISTINCT source_id) AS records,
                      count(*) FILTER (WHERE kind = 'image') AS images, count(*) FILTER (WHERE kind = 'link') AS links,
                      (array_agg(DISTINCT source_id))[1:10] AS examples,
                      count(*) FILTER (WHERE kept = 'too_long') AS too_long
               FROM {} WHERE kept <> '' GROUP BY 1, 2 ORDER BY 1, 2"""
        ).format(run.table(Table.REFERENCE))
    )
    return [
        finding(
            "warning",
            CODE,
            sobject=r["sobject"],
            field=r["field"],
            count=r["records"],
            examples=r["examples"],
            links=r["links"],
            images=r["images"],
            ids=r["n"] - r["links"] - r["images"],
            too_long=f" {r['too_long']} links are not rewritten, for their texts would not fit."
            * bool(r["too_long"]),
        )
        for r in rows
    ]


def _rewritten_findings(run: Run) -> list[Finding]:
    rows = run.db.rows(
        sql.SQL(
            """SELECT sobject, field, count(*) AS links, count(DISTINCT source_id) AS records,
                      (array_agg(DISTINCT source_id))[1:10] AS examples
               FROM {} WHERE kept = '' GROUP BY 1, 2 ORDER BY 1, 2"""
        ).format(run.table(Table.REFERENCE))
    )
    return [
        finding(
            "note",
            REWRITTEN,
            sobject=r["sobject"],
            field=r["field"],
            count=r["records"],
            examples=r["examples"],
            links=r["links"],
        )
        for r in rows
    ]
