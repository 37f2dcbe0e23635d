"""What a verification finds of everything that was carried beside the records: each is still there,
each file by its bytes.

The target gives the bytes back once more; their SHA-256 is compared with that of the bytes which the source gave when
they were carried (`coa.attached`). The source is not asked: its files may have changed since,
and are no part of what was moved.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from psycopg import sql

from coa.attachments import copies
from coa.attachments.transfer import download
from coa.batches import in_batches
from coa.codes import ARRIVED, DifferenceCause, DifferenceKind
from coa.errors import OrgRefused
from coa.findings.finding import Finding, finding
from coa.hanging import DOCUMENT, KINDS, LINK, MB, VERSION, Hanging
from coa.model import LOADED
from coa.salesforce.bulk import raise_worst
from coa.salesforce.session import Org
from coa.salesforce.soql import text_list
from coa.staging import tables
from coa.staging.database import Row
from coa.staging.fragments import list_of, same_record
from coa.staging.runs import Run
from coa.staging.tables import Table

STAGE = "verify_attachments"
PAGE = 1000
PARENTS_A_QUERY = 200


def read_carried(run: Run, target: Org, of_run: str = "") -> None:
    """Lists what is missing or has other bytes by now, after the records were compared; `of_run`: of that run alone.

    Fills the run's table `attached`, by which summary and `attached.csv` count. A kind that the target does not let us
    read is a finding, and its records are differences. Nothing is asked where nothing was carried.
    """
    findings: list[Finding] = []
    _list_carried(run, of_run)
    for kind in KINDS:
        try:
            for rows in in_batches(_carried(run, kind.sobject), PAGE):
                _read_page(run, target, kind, list(rows))
        except OrgRefused as refused:
            said = refused.code or refused.said
            findings.append(finding("warning", "attached_not_read", sobject=kind.sobject, said=said))
            _add_unread(run, kind)
    run.findings.replace(STAGE, [*findings, *_told(run)])


def _list_carried(run: Run, of_run: str) -> None:
    with run.db.transaction() as connection:
        tables.drop(connection, run, Table.ATTACHED)
        rows = sql.SQL(
            """FROM coa.attached m LEFT JOIN coa.ledger p
                 ON p.pair_id = m.pair_id AND p.sobject = ANY ({loaded}) AND p.source_id = m.parent_id
               WHERE m.pair_id = {pair} AND m.state IN {arrived} AND m.target_id IS NOT NULL
                 AND ({of_run} = '' OR m.inserted_run = {of_run})"""
        ).format(
            arrived=list_of(ARRIVED),
            loaded=sql.Literal(list(LOADED)),
            pair=sql.Literal(run.pair_id),
            of_run=sql.Literal(of_run),
        )
        if connection.execute(sql.SQL("SELECT 1 {} LIMIT 1").format(rows)).fetchone() is None:
            return
        table = tables.create(connection, run, Table.ATTACHED)
        connection.execute(
            sql.SQL(
                """INSERT INTO {} (sobject, source_id, parent_sobject, parent_id, bytes, data)
                   SELECT m.sobject, m.source_id, COALESCE(p.sobject, {document}), m.parent_id, m.bytes, '{{}}' {rows}
                   ON CONFLICT DO NOTHING"""
            ).format(table, document=sql.Literal(DOCUMENT), rows=rows)
        )


def _carried(run: Run, sobject: str) -> Iterator[Row]:
    if run.has_table(Table.ATTACHED):
        yield from run.db.stream(
            sql.SQL(
                """SELECT m.source_id, m.target_id, m.target_parent, m.sha256, m.state FROM {} a
                   JOIN coa.attached m ON m.pair_id = %s AND {m_is_a}
                   WHERE a.sobject = %s ORDER BY m.source_id"""
            ).format(run.table(Table.ATTACHED), m_is_a=same_record("m", "a")),
            [run.pair_id, sobject],
        )


def _read_page(run: Run, target: Org, kind: Hanging, rows: list[Row]) -> None:
    there = _there(target, kind, rows)
    for row in rows:
        if row["target_id"] not in there:
            _add(run, kind, row, DifferenceKind.MISSING, reason="it is not in the target")
    if not kind.body or not kind.size:
        return

    def compare(row: Row) -> None:
        with download(target, kind, str(row["target_id"]), size=None) as spooled:
            actual = spooled.sha256
        if actual != row["sha256"]:
            field, reason = f"SHA-256 of {kind.body}", "the target gives other bytes back"
            _add(run, kind, row, DifferenceKind.FIELD, field, row["sha256"], actual, reason)

    # What an earlier, unknown run brought has no hash, until a migration has proved it.
    hashed = [row for row in rows if row["target_id"] in there and row["sha256"]]
    with ThreadPoolExecutor(run.settings.file_threads) as pool:
        raise_worst([pool.submit(compare, row) for row in hashed])


def _there(target: Org, kind: Hanging, rows: list[Row]) -> set[str]:
    """Ids of those that the target has."""
    if kind.sobject == VERSION:
        return {str(r["Id"]) for r in copies.versions_by_id(target, [row["target_id"] for row in rows], ())}
    parents = [str(row["target_parent"]) for row in rows]
    if kind.sobject != LINK:
        return {str(r["Id"]) for r in copies.children_of(target, kind, parents, ())}
    found: set[str] = set()
    for ids in in_batches(sorted(set(parents)), PARENTS_A_QUERY):
        soql = f"SELECT Id FROM {LINK} WHERE {kind.parent} IN ({text_list(ids)})"
        found |= {str(r["Id"]) for r in target.query(soql)}
    return found


def _add(
    run: Run,
    kind: Hanging,
    row: Row,
    of_kind: DifferenceKind,
    field: str = "",
    before: Any = None,
    after: Any = None,
    reason: str = "",
) -> None:
    # What was proved when it was carried has changed in the target since.
    cause = DifferenceCause.TARGET if row["state"] == "proved" else DifferenceCause.MIGRATION
    run.db.execute(
        """INSERT INTO coa.difference
             (run_id, sobject, source_id, target_id, field, source_value, target_value, kind, reason, cause)
           VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)""",
        [
            *(run.run_id, kind.sobject, row["source_id"], row["target_id"], field),
            *(before, after, of_kind, reason, cause),
        ],
    )


def _add_unread(run: Run, kind: Hanging) -> None:
    """What nobody may read is not proved."""
    run.db.execute(
        sql.SQL(
            """INSERT INTO coa.difference (run_id, sobject, source_id, target_id, kind, reason, cause)
               SELECT %s, a.sobject, a.source_id, m.target_id, %s, 'the target does not let it be read', %s
               FROM {} a JOIN coa.attached m ON m.pair_id = %s AND {m_is_a}
               WHERE a.sobject = %s"""
        ).format(run.table(Table.ATTACHED), m_is_a=same_record("m", "a")),
        [run.run_id, DifferenceKind.FIELD, DifferenceCause.UNKNOWN, run.pair_id, kind.sobject],
    )


def _told(run: Run) -> list[Finding]:
    """How many files were read again, and how many items are not as they were carried."""
    if not run.has_table(Table.ATTACHED):
        return []
    bodies = [kind.sobject for kind in KINDS if kind.body and kind.size]
    row = run.db.row(
        sql.SQL(
            """SELECT count(*) FILTER (WHERE a.sobject = ANY (%(bodies)s)) AS files, count(*) AS items,
                      COALESCE(sum(a.bytes) FILTER (WHERE a.sobject = ANY (%(bodies)s)), 0) AS bytes,
                      count(*) FILTER (WHERE d.source_id IS NOT NULL) AS wrong
               FROM {} a LEFT JOIN (SELECT DISTINCT sobject, source_id FROM coa.difference WHERE run_id = %(run)s) d
                 USING (sobject, source_id)"""
        ).format(run.table(Table.ATTACHED)),
        {"bodies": bodies, "run": run.run_id},
    )
    assert row is not None
    megabytes = f"{int(row['bytes']) / MB:,.1f}"
    found = [
        finding(
            "note",
            "attached_read_again",
            count=int(row["items"]),
            files=int(row["files"]),
            megabytes=megabytes,
        )
    ]
    if row["wrong"]:
        found.append(finding("warning", "attached_changed", count=int(row["wrong"])))
    return found
