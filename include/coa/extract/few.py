"""sObjects that are only looked up, and of which an org has few records: read by REST, five of them in a call.

A Bulk query waits in the org's queue and costs three calls at the least, for ten users as for a million orders. The
tables are the same, and so are the values in them (`coa.extract.rest_values`).
"""

from __future__ import annotations

import logging

from psycopg import sql

from coa.errors import OrgRefused
from coa.extract.bulk import ExtractSpec
from coa.extract.rest_values import LONGEST_QUERY, keep_records
from coa.load_steps import extract_step
from coa.salesforce.composite import MOST_QUERIES, Read, count_of, read_together, records_of
from coa.salesforce.session import Org
from coa.staging import tables
from coa.staging.database import Row
from coa.staging.runs import Run
from coa.staging.tables import Table

log = logging.getLogger(__name__)


def extract_few(run: Run, org: Org, specs: list[ExtractSpec]) -> dict[str, int]:
    """Extracts those of which the org counts at most `extract_rest_rows` records; sObject -> rows.

    What is left is for Bulk queries: more records, longer queries, what an earlier try began, and what the org refuses,
    for there it is told in full.
    """
    limit = run.settings.extract_rest_rows
    if not limit:
        return {}
    begun = _begun(run)
    fresh = [s for s in specs if (s.kind, s.sobject) not in begun and len(s.soql) <= LONGEST_QUERY]
    counts = read_together(org, [count_of(spec.sobject, spec.where) for spec in fresh])
    small = [
        spec
        for spec, count in zip(fresh, counts, strict=True)
        if not isinstance(count, OrgRefused) and int(count["totalSize"]) <= limit
    ]
    found: dict[str, int] = {}
    for start in range(0, len(small), MOST_QUERIES):
        part = small[start : start + MOST_QUERIES]
        answers = read_together(org, [Read(soql=spec.soql, all_rows=spec.all_rows) for spec in part])
        for spec, answer in zip(part, answers, strict=True):
            if isinstance(answer, OrgRefused):
                log.info("%s is read by a Bulk query: %s", spec.sobject, answer.message)
                continue
            found[spec.sobject] = _keep(run, spec, list(records_of(org, answer)))
    return found


def _begun(run: Run) -> set[tuple[str, str]]:
    rows = run.db.rows(sql.SQL("SELECT kind, sobject FROM {}").format(run.table(Table.EXTRACT_STATE)))
    return {(str(r["kind"]), str(r["sobject"])) for r in rows}


def _keep(run: Run, spec: ExtractSpec, records: list[Row]) -> int:
    """The table, and the note that it is whole, in one transaction; a broken try leaves neither."""
    table = Table(spec.kind)
    with run.db.transaction() as connection:
        tables.create(connection, run, table, spec.sobject, fields=spec.fields, keyed=False)
        keep_records(run, connection, spec, run.table(table, spec.sobject), records)
        tables.add_key(connection, run, table, spec.sobject)
        connection.execute(
            sql.SQL(
                "INSERT INTO {} (kind, sobject, job_id, rows, done) VALUES (%s, %s, '', %s, true)"
            ).format(run.table(Table.EXTRACT_STATE)),
            [spec.kind, spec.sobject, len(records)],
        )
        tables.analyze(connection, run, table, spec.sobject)
    step = extract_step(spec.kind).name
    run.progress.reset(step, spec.sobject, total=len(records))
    run.progress.add(step, spec.sobject, done=len(records))
    log.info("extracted %s %s: %d rows by REST", spec.kind, spec.sobject, len(records))
    return len(records)
