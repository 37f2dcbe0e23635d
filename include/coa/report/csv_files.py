"""The CSV artifacts: stable columns, UTF-8 with a mark that spreadsheets need, formulas neutralised."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator
from typing import IO, Any

from psycopg import sql

from coa.artifacts import Folder
from coa.codes import LEFT_OUT, WRITTEN
from coa.load.conditions import DETAILS_REJECTED, INCOMPLETE, PARENT_REJECTED
from coa.model import DETAIL, ORDER
from coa.plan.deletions import left_rows
from coa.reasons import REASONS
from coa.report.named import NAMED_COLUMNS, named, place_of
from coa.report.reasons import plain_words
from coa.staging.fragments import ledger_of, list_of, same_record
from coa.staging.runs import SOURCE, Run
from coa.staging.tables import Table, table_name
from coa.verify.freeze_check import open_orders

ID_MAP_COLUMNS = ("sobject", "source_id", "target_id", "action", "origin", "inserted_run", "order_number")
"""No customer's name: the file stays when personal data is purged."""
REJECTED_COLUMNS = (
    "sobject",
    "source_id",
    "reason_code",
    "reason",
    "next_step",
    "field",
    "action",
    "step",
    "error_code",
    "source_url",
    *NAMED_COLUMNS,
)
DIFFERENCE_COLUMNS = (
    "sobject",
    "source_id",
    "target_id",
    "field",
    "source_value",
    "target_value",
    "kind",
    "reason",
    "origin",
    "source_url",
    "target_url",
    *NAMED_COLUMNS,
)
OPEN_ORDER_COLUMNS = (
    "topic",
    "sobject",
    "source_id",
    "target_id",
    "status",
    "next_step",
    "source_url",
    "target_url",
    *NAMED_COLUMNS,
)
# What spreadsheets take for a formula at the start of a cell, the full-width forms too; and the quote itself,
# so that taking one leading quote away always gives back what was there.
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "'", "＝", "＋", "－", "＠")
PLAIN_NUMBER = re.compile(r"[+-]?\d+(\.\d+)?")


def neutral(value: Any) -> str:
    """A cell that no spreadsheet runs: a leading quote before what would start a formula.

    >>> neutral("=1+1")
    "'=1+1"
    >>> neutral("-12.5")
    '-12.5'
    """
    text = "" if value is None else str(value)
    if text.startswith(FORMULA_STARTS) and not PLAIN_NUMBER.fullmatch(text):
        return "'" + text
    return text


def original(cell: str) -> str:
    """What `neutral` was given: how a program reads the cells.

    >>> original(neutral("'=1+1"))
    "'=1+1"
    """
    return cell[1:] if cell.startswith("'") else cell


def write_csv(file: IO[str], columns: tuple[str, ...], rows: Iterable[dict[str, Any]]) -> int:
    """Rows written. The file is opened with encoding utf-8-sig and newline=''."""
    writer = csv.writer(file, lineterminator="\r\n")
    writer.writerow(columns)
    count = 0
    for row in rows:
        writer.writerow([neutral(row.get(c)) for c in columns])
        count += 1
    return count


def write_csv_file(
    folder: Folder, name: str, columns: tuple[str, ...], rows: Iterable[dict[str, Any]]
) -> int:
    """Writes the rows as a file that spreadsheets read as UTF-8; how many."""
    with (folder / name).open("w", encoding="utf-8-sig", newline="") as file:
        return write_csv(file, columns, rows)


def id_map_rows(run: Run) -> Iterable[dict[str, Any]]:
    """Every record of the plan with its counterpart, matched ones too, and the matched reference records."""
    if run.has_table(Table.PLAN):
        yield from run.db.stream(
            sql.SQL(
                """SELECT p.sobject, p.source_id, l.target_id, p.action, COALESCE(l.origin, 'none') AS origin,
                          l.inserted_run, o."Name" AS order_number
                   FROM {plan} p LEFT JOIN coa.ledger l ON {ledger}
                   LEFT JOIN {orders} o ON o."Id" = CASE p.sobject WHEN {order} THEN p.source_id
                                                        WHEN {detail} THEN p.parent_id END
                   ORDER BY {place}, 2"""
            ).format(
                plan=run.table(Table.PLAN),
                orders=run.table(SOURCE, ORDER),
                order=sql.Literal(ORDER),
                detail=sql.Literal(DETAIL),
                place=place_of("p.sobject"),
                ledger=ledger_of(run.pair_id, "p"),
            )
        )
    if run.has_table(Table.ATTACHED):
        yield from run.db.stream(
            sql.SQL(
                """SELECT a.sobject, a.source_id, m.target_id, a.action, 'inserted' AS origin, m.inserted_run
                   FROM {} a JOIN coa.attached m ON m.pair_id = %s AND {m_is_a}
                   WHERE m.target_id IS NOT NULL ORDER BY 1, 2"""
            ).format(run.table(Table.ATTACHED), m_is_a=same_record("m", "a")),
            [run.pair_id],
        )
    for table in run.db.rows(
        "SELECT table_name FROM information_schema.tables "
        "WHERE table_schema = %s AND table_name LIKE 'map\\_\\_%%' ORDER BY 1",
        [run.schema],
    ):
        name = str(table["table_name"])
        yield from run.db.stream(
            sql.SQL(
                "SELECT %s AS sobject, source_id, target_id, 'match' AS action, rule AS origin FROM {} ORDER BY 2"
            ).format(sql.Identifier(run.schema, name)),
            [_sobject_of(run, name)],
        )


def _sobject_of(run: Run, table: str) -> str:
    """API name of the sObject whose map a table is."""

    for r in run.db.rows("SELECT DISTINCT sobject FROM coa.describe WHERE run_id = %s", [run.run_id]):
        if table_name(Table.MAP, r["sobject"]) == table:
            return str(r["sobject"])
    return table.removeprefix("map__")


REASON_OF_CODE = {
    PARENT_REJECTED: "parent_blocked",
    DETAILS_REJECTED: "order_incomplete",
    INCOMPLETE: "incomplete",
}
"""What follows from another record's refusal; everything else the org itself refused."""


def rejected_rows(run: Run) -> Iterable[dict[str, Any]]:
    """Blocked and held by the plan, held back since, left although gone from the source, and refused by the org:
    one list, with what to do."""
    base = str(run.record.source_org.get("instance_url", ""))
    if run.has_table(Table.PLAN):
        for r in _named_stream(
            run,
            sql.SQL(
                """SELECT sobject, source_id, reason_code, reason, next_step, field, action FROM {}
                   WHERE action IN {left_out}"""
            ).format(run.table(Table.PLAN), left_out=list_of(LEFT_OUT)),
            "reason_code",
        ):
            yield {**r, "step": "plan", "source_url": f"{base}/{r['source_id']}"}
    if run.has_table(Table.CHANGED_SINCE_PLAN):
        for r in _named_stream(
            run,
            sql.SQL(
                """SELECT sobject, source_id, h.reason FROM {} h JOIN {} p USING (sobject, source_id)
                   WHERE p.action IN {written}"""
            ).format(run.table(Table.CHANGED_SINCE_PLAN), run.table(Table.PLAN), written=list_of(WRITTEN)),
            "reason",
        ):
            yield {
                **r,
                "reason_code": "changed_since_plan",
                "field": "",
                "action": "held",
                "step": "load",
                "next_step": REASONS["changed_since_plan:changed"].next_step,
                "source_url": f"{base}/{r['source_id']}",
            }
    for r in left_rows(run):
        yield {**r, "field": "", "action": "left", "step": "plan", "source_url": f"{base}/{r['source_id']}"}
    for r in _named_stream(
        run,
        sql.SQL(
            "SELECT sobject, source_id, step, error_code, error, fields FROM coa.rejection WHERE run_id = {}"
        ).format(sql.Literal(run.run_id)),
        "error_code",
    ):
        reason, next_step = plain_words(r["error_code"], r["error"])
        yield {
            **r,
            "reason_code": REASON_OF_CODE.get(r["error_code"], "refused_by_org"),
            "reason": reason,
            "next_step": next_step,
            "field": r["fields"],
            "action": "rejected",
            "source_url": f"{base}/{r['source_id']}",
        }


def _named_stream(run: Run, query: sql.Composed, group: str) -> Iterator[dict[str, Any]]:
    """Customers before orders before details, and within each by the column `group` and what people know it by."""
    return run.db.stream(
        sql.SQL("SELECT * FROM ({}) n ORDER BY {}, {}, order_number, source_id").format(
            named(run, query), place_of(), sql.Identifier(group)
        )
    )


REFERENCE_COLUMNS = (
    "sobject",
    "source_id",
    "target_id",
    "field",
    "kind",
    "found",
    "record_id",
    "record_sobject",
    "record_target_id",
    "rewritten_to",
    "kept_because",
    "source_url",
    "target_url",
)


def reference_rows(run: Run) -> Iterable[dict[str, Any]]:
    """Ids and links of the source org inside texts, with what became of the record that they name, and of the link."""
    if not run.has_table(Table.REFERENCE) or not run.has_table(Table.TEXT_LINK):
        return
    bases = _bases(run)
    for row in run.db.stream(
        sql.SQL(
            """SELECT r.sobject, r.source_id, l.target_id, r.field, r.kind, r.found, r.record_id,
                      m.sobject AS record_sobject, m.target_id AS record_target_id,
                      CASE WHEN r.kept = '' AND m.target_id IS NOT NULL
                           THEN x.before || left(m.target_id, x.id_length) || substr(r.found, length(x.literal) + 1)
                           ELSE '' END AS rewritten_to,
                      CASE WHEN r.kept <> '' THEN r.kept WHEN m.target_id IS NULL THEN 'not_in_target' ELSE '' END
                        AS kept_because
               FROM {references} r
               LEFT JOIN coa.ledger l ON {ledger}
               LEFT JOIN coa.ledger m ON m.pair_id = %s AND m.source_id = r.record_id
               LEFT JOIN LATERAL (SELECT q.* FROM {links} q WHERE q.sobject = r.sobject AND q.field = r.field
                 AND q.source_id = r.source_id AND q.record_id = r.record_id AND starts_with(r.found, q.literal)
                 ORDER BY q.nth LIMIT 1) x ON r.kept = ''
               ORDER BY r.sobject, r.source_id, r.field, r.found"""
        ).format(
            references=run.table(Table.REFERENCE),
            links=run.table(Table.TEXT_LINK),
            ledger=ledger_of(run.pair_id, "r"),
        ),
        [run.pair_id],
    ):
        yield row | _urls(row, bases)


def open_rows(run: Run) -> Iterable[dict[str, Any]]:
    """Moved orders that are not settled: in flight, or Drafts in both orgs."""
    bases = _bases(run)
    query = open_orders(run)
    if query is None:
        return
    for row in run.db.stream(
        sql.SQL("{} ORDER BY topic, status, order_number, source_id").format(named(run, query))
    ):
        yield row | _urls(row, bases)


def _bases(run: Run) -> dict[str, str]:
    return {role: str(run.record.org(role).get("instance_url", "")) for role in ("source", "target")}


def _urls(row: dict[str, Any], bases: dict[str, str]) -> dict[str, str]:
    return {
        f"{role}_url": f"{base}/{row[f'{role}_id']}" if row[f"{role}_id"] else ""
        for role, base in bases.items()
    }


def difference_rows(run: Run, limit: int | None = None) -> Iterable[dict[str, Any]]:
    """Unexplained ones first."""
    bases = _bases(run)
    found = sql.SQL(
        """SELECT sobject, source_id, target_id, field, source_value, target_value, kind, reason,
                  cause AS origin
           FROM coa.difference WHERE run_id = {}
           ORDER BY kind = 'explained', {place}, source_id, target_id, field LIMIT {}"""
    ).format(sql.Literal(run.run_id), sql.Literal(limit), place=place_of())
    for row in run.db.stream(
        sql.SQL("SELECT * FROM ({}) n ORDER BY kind = 'explained', {}, source_id, target_id, field").format(
            named(run, found), place_of()
        )
    ):
        yield row | _urls(row, bases)
