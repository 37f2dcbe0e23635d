"""The ledger of what was carried beside the records: `coa.attached`, one row each, written before the call.

States: `sent` -> `created` -> `proved`, or `refused`; `deleted` by a roll-back. A row without an answer stays
`sent` until its copy is found, or until the call has certainly ended (`lost_call_seconds`) without a copy.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from psycopg import sql

from coa.codes import ARRIVED, Passage
from coa.load_steps import ATTACHMENTS
from coa.staging.database import Row
from coa.staging.fragments import list_of, same_record
from coa.staging.runs import Run
from coa.staging.tables import Table

PAGE = 1000
"""Items in memory at a time: an e-mail's text may be 128 KB."""


@dataclass(frozen=True)
class Item:
    """Something to be carried.

    `parent`: the target's record that it belongs to; of a version the document, empty for the first
    version. `document`: of a link, the target's document. `waits`: an earlier version is not in the target
    yet.
    """

    sobject: str
    source_id: str
    parent_id: str
    parent: str
    document: str
    nth: int
    bytes: int
    data: dict[str, Any]
    waits: bool

    @classmethod
    def of(cls, row: Row) -> Item:
        """An item from a row of the query over `run_x.attached`."""
        return cls(
            str(row["sobject"]),
            str(row["source_id"]),
            str(row["parent_id"]),
            str(row["parent"] or ""),
            str(row["document"] or ""),
            int(row["nth"]),
            int(row["bytes"]),
            dict(row["data"]),
            bool(row["waits"]),
        )


_ITEMS = sql.SQL(
    """SELECT a.sobject, a.source_id, a.parent_id, a.nth, a.bytes, a.data, m.sha256, m.target_id, m.state,
              m.target_parent, m.inserted_run,
              CASE WHEN a.sobject = 'ContentVersion' THEN d.target_parent ELSE p.target_id END AS parent,
              CASE WHEN a.sobject = 'ContentDocumentLink' THEN d.target_parent END AS document,
              p.inserted_run IS DISTINCT FROM {run} AS parent_was_there,
              a.nth > 1 AND EXISTS (
                SELECT FROM {attached} e LEFT JOIN coa.attached w
                  ON w.pair_id = {pair} AND {w_is_e}
                  AND w.state IN {arrived}
                WHERE e.sobject = a.sobject AND e.parent_id = a.parent_id AND e.nth < a.nth AND e.action = 'carry'
                  AND w.source_id IS NULL) AS waits
       FROM {attached} a
       LEFT JOIN coa.attached m ON m.pair_id = {pair} AND {m_is_a}
       LEFT JOIN coa.ledger p ON p.pair_id = {pair} AND p.sobject = a.parent_sobject AND p.source_id = a.parent_id
       LEFT JOIN LATERAL (
         SELECT v.target_parent FROM coa.attached v
         WHERE v.pair_id = {pair} AND v.sobject = 'ContentVersion' AND v.target_parent IS NOT NULL
           AND v.state IN {arrived}
           AND v.parent_id = CASE WHEN a.sobject = 'ContentVersion' THEN a.parent_id ELSE a.document_id END
         LIMIT 1) d ON a.sobject IN ('ContentVersion', 'ContentDocumentLink')
       WHERE a.sobject = %s AND a.action = 'carry' AND (a.parent_id, a.nth, a.source_id) > (%s, %s, %s)
         AND {condition}
       ORDER BY a.parent_id, a.nth, a.source_id LIMIT %s"""
)
_NOT_REFUSED = sql.SQL("""NOT EXISTS (SELECT FROM coa.rejection x WHERE x.run_id = {run} AND {x_is_a})""")


def _pages(run: Run, sobject: str, condition: sql.Composable) -> Iterator[list[Row]]:
    """In the order of the parents. Items that are settled meanwhile do not appear again."""
    query = _ITEMS.format(
        run=sql.Literal(run.run_id),
        pair=sql.Literal(run.pair_id),
        attached=run.table(Table.ATTACHED),
        condition=condition,
        arrived=list_of(ARRIVED),
        w_is_e=same_record("w", "e"),
        m_is_a=same_record("m", "a"),
    )
    last: tuple[str, int, str] = ("", 0, "")
    while rows := run.db.rows(query, [sobject, *last, PAGE]):
        yield rows
        last = (str(rows[-1]["parent_id"]), int(rows[-1]["nth"]), str(rows[-1]["source_id"]))


def pending(run: Run, sobject: str) -> Iterator[list[tuple[Item, bool]]]:
    """Pages of items that are still to be sent and whose record is in the target; with each, whether the
    record was there before this run.
    """
    condition = sql.SQL(
        "(m.state IS NULL OR m.state IN {again} OR (m.state <> 'sent' AND a.sobject <> 'ContentVersion' "
        "AND m.target_parent IS DISTINCT FROM p.target_id)) AND {} AND (a.sobject = 'ContentVersion' OR p.target_id "
        "IS NOT NULL) AND (a.sobject <> 'ContentDocumentLink' OR d.target_parent IS NOT NULL)"
    ).format(
        _NOT_REFUSED.format(run=sql.Literal(run.run_id), x_is_a=same_record("x", "a")),
        again=list_of({Passage.REFUSED, Passage.DELETED}),
    )
    for rows in _pages(run, sobject, condition):
        yield [(Item.of(r), bool(r["parent_was_there"])) for r in rows]


def unanswered(run: Run, sobject: str) -> Iterator[list[tuple[Item, str]]]:
    """Page by page what was sent without an answer, with the SHA-256 of its bytes."""
    for rows in _pages(run, sobject, sql.SQL("m.state = 'sent'")):
        yield [(Item.of(r), str(r["sha256"])) for r in rows]


def carried(run: Run, sobject: str) -> Iterator[list[tuple[Item, Row]]]:
    """Pages of items that this run brought to the target, or an earlier run that did not come to its proof."""
    condition = sql.SQL("m.target_id IS NOT NULL AND (m.state = 'created' OR m.last_run = {})").format(
        sql.Literal(run.run_id)
    )
    for rows in _pages(run, sobject, condition):
        yield [(Item.of(r), r) for r in rows]


def copies_among(run: Run, target_ids: Sequence[str]) -> set[str]:
    """Those of these records of the target that are the copy of something."""
    found = run.db.rows(
        sql.SQL(
            """SELECT target_id FROM coa.attached WHERE pair_id = %s AND target_id = ANY (%s)
             AND state IN {arrived}"""
        ).format(arrived=list_of(ARRIVED)),
        [run.pair_id, list(target_ids)],
    )
    return {str(r["target_id"]) for r in found}


def is_taken(run: Run, target_id: str) -> bool:
    """Whether a record of the target is the copy of something already."""
    return bool(copies_among(run, [target_id]))


def note_sent(run: Run, items: Sequence[Item], sha256: str = "") -> None:
    """Written before the call."""
    with run.db.transaction() as connection, connection.cursor() as cursor:
        cursor.executemany(
            """INSERT INTO coa.attached (pair_id, sobject, source_id, parent_id, state, bytes, sha256,
                                         inserted_run, last_run)
               VALUES (%s, %s, %s, %s, 'sent', %s, %s, %s, %s)
               ON CONFLICT (pair_id, sobject, source_id) DO UPDATE
                 SET state = 'sent', bytes = EXCLUDED.bytes, sha256 = EXCLUDED.sha256, target_id = NULL,
                     target_parent = NULL, sent_at = clock_timestamp(),
                     inserted_run = EXCLUDED.inserted_run, last_run = EXCLUDED.last_run""",
            [
                (
                    *(run.pair_id, one.sobject, one.source_id, one.parent_id),
                    *(one.bytes, sha256, run.run_id, run.run_id),
                )
                for one in items
            ],
        )


def note_created(
    run: Run, found: Iterable[tuple[Item, str, str]], *, sha256: str = "", adopted: bool = False
) -> None:
    """(item, its id in the target, what it hangs on there). `adopted`: it was there and nobody knew; no run sent it."""
    rows = list(found)
    if not rows:
        return
    with run.db.transaction() as connection, connection.cursor() as cursor:
        cursor.executemany(
            """INSERT INTO coa.attached (pair_id, sobject, source_id, parent_id, target_id, target_parent, state, bytes,
                                         sha256, inserted_run, last_run)
               VALUES (%s, %s, %s, %s, %s, %s, 'created', %s, %s, %s, %s)
               ON CONFLICT (pair_id, sobject, source_id) DO UPDATE
                 SET state = 'created', target_id = EXCLUDED.target_id, target_parent = EXCLUDED.target_parent,
                     last_run = EXCLUDED.last_run""",
            [
                (
                    *(run.pair_id, one.sobject, one.source_id, one.parent_id, target_id, parent),
                    *(one.bytes, sha256, "" if adopted else run.run_id, run.run_id),
                )
                for one, target_id, parent in rows
            ],
        )
    by_kind: dict[str, list[Item]] = {}
    for one, _, _ in rows:
        by_kind.setdefault(one.sobject, []).append(one)
    for sobject, items in by_kind.items():
        run.progress.add(
            ATTACHMENTS.name,
            sobject,
            done=len(items),
            bytes_moved=0 if adopted else sum(i.bytes for i in items),
        )


def note_refused(run: Run, refused: Iterable[tuple[Item, str, str, str]]) -> None:
    """(item, code, message, fields): listed as refused rows are; the next run tries again."""
    for one, code, message, fields in refused:
        with run.db.transaction() as connection:
            connection.execute(
                """UPDATE coa.attached SET state = %s, last_run = %s
                   WHERE pair_id = %s AND sobject = %s AND source_id = %s""",
                [Passage.REFUSED, run.run_id, run.pair_id, one.sobject, one.source_id],
            )
            connection.execute(
                """INSERT INTO coa.rejection (run_id, sobject, source_id, step, error_code, error, fields)
                   VALUES (%s, %s, %s, %s, %s, %s, %s)
                   ON CONFLICT (run_id, sobject, source_id, step) DO UPDATE
                     SET error_code = EXCLUDED.error_code, error = EXCLUDED.error, fields = EXCLUDED.fields""",
                [run.run_id, one.sobject, one.source_id, ATTACHMENTS.name, code, message, fields],
            )
        run.progress.add(ATTACHMENTS.name, one.sobject, rejected=1)


def forget_lost(run: Run, items: Sequence[Item]) -> None:
    """Makes items that were sent long ago and are not in the target ready to be sent again; younger ones wait."""
    run.db.execute(
        """DELETE FROM coa.attached WHERE pair_id = %s AND state = 'sent'
             AND (sobject, source_id) IN (SELECT * FROM unnest(%s::text[], %s::text[]))
             AND clock_timestamp() - sent_at >= make_interval(secs => %s)""",
        [
            run.pair_id,
            [one.sobject for one in items],
            [one.source_id for one in items],
            run.settings.lost_call_seconds,
        ],
    )


def seconds_to_wait(run: Run) -> float | None:
    """Until the oldest call without an answer is over; None where every call has its answer."""
    found = run.db.value(
        sql.SQL(
            """SELECT min(extract(epoch FROM m.sent_at - clock_timestamp())) FROM coa.attached m
               JOIN {} a ON {a_is_m}
               WHERE m.pair_id = %s AND m.state = 'sent' AND a.action = 'carry'"""
        ).format(run.table(Table.ATTACHED), a_is_m=same_record("a", "m")),
        [run.pair_id],
    )
    return None if found is None else max(0.0, float(found) + run.settings.lost_call_seconds)
