"""Corrects what the canary could not show, from the reading for the proof, before the proof itself.

Only records that we wrote last are touched. What somebody else changed since is a difference, and for a person
to decide. They go the careful way, at most once more; then the proof decides. If nothing differs, the proof
uses the same reading.
"""

from __future__ import annotations

from psycopg import sql

from coa.codes import WRITTEN
from coa.fields.compare import changed_fields, comparisons
from coa.fields.field_map import FieldMapping
from coa.fields.saved import saved_carried
from coa.findings.finding import finding
from coa.load.canary_state import canary_of
from coa.load.conditions import not_held_back
from coa.load.corrections import MEND, correct, is_corrected
from coa.load.load import stop_if_rejected
from coa.load_steps import MENDING_CHUNK
from coa.mapping.model import Mapping
from coa.model import CUSTOMER, DETAIL, ORDER, RECEIVED_AT
from coa.policies import Policies
from coa.salesforce.session import Org
from coa.staging import tables
from coa.staging.fragments import examples, ledger_of, list_of
from coa.staging.runs import Run
from coa.staging.tables import Table
from coa.verify.verify import read_target

ROUNDS = 2
MUCH = 0.01
"""Above this share of an sObject's new records what was learnt of it was not worth much: what is left to load, and the
next run, go the careful way (`coa.load.learned`)."""


def may_need_mending(run: Run) -> bool:
    """Whether records were corrected by what was learnt, without being read back."""
    canary = canary_of(run)
    return bool(Policies(run.params).learns_from_canary and canary and canary["proved"] and canary["learned"])


def mend(run: Run, target: Org, mapping: Mapping) -> int:
    """Reads the target, and corrects what differs in records of ours; how many records that were.

    Raises `RowsRejected` when the org refused some and `on_row_failure` is stop.
    """
    carried = saved_carried(run, mapping)
    run.lease.require()
    with run.db.transaction() as connection:
        tables.ensure(connection, run, Table.MEND)
    for number in range(1, ROUNDS + 1):
        read_target(run, target)
        if not _find(run, carried, number):
            break
        for sobject in (CUSTOMER, DETAIL, ORDER):
            correct(run, target, sobject, MENDING_CHUNK, carried[sobject], MEND)
        stop_if_rejected(run)
    return _tell(run)


def _find(run: Run, carried: dict[str, list[FieldMapping]], number: int) -> int:
    """Fills `mend` with what differs now in a field that a correction may write; records found in this round."""
    found = 0
    for sobject, fields in carried.items():
        compared, joins = comparisons(run, sobject, fields)
        wanted = [c for c in compared if is_corrected(c.field) or c.field.name == RECEIVED_AT]
        if not wanted:
            continue
        found += run.db.execute(
            sql.SQL(
                """INSERT INTO {mend} AS m (sobject, source_id, fields, round)
                   SELECT {sobject}, p.source_id, c.changed, {number}
                   FROM {plan} p JOIN coa.ledger l
                     ON {ledger}
                   JOIN {verify} t ON t."Id" = l.target_id JOIN {desired} d ON d.source_id = p.source_id {joins}
                   CROSS JOIN LATERAL (SELECT {changed} AS changed) c
                   WHERE p.sobject = {sobject} AND p.action IN {written} AND c.changed <> '{{}}'
                     AND coa.id18(t."LastModifiedById") = {us} AND {not_held}
                     -- Where the org's clock is ahead of ours too little is mended, and told as a difference.
                     AND t."SystemModstamp"::timestamptz <= (
                       SELECT max(updated_at) FROM coa.job WHERE run_id = {run})
                   ON CONFLICT (sobject, source_id) DO UPDATE SET round = EXCLUDED.round, fields = ARRAY(
                     SELECT DISTINCT unnest(m.fields || EXCLUDED.fields) ORDER BY 1)"""
            ).format(
                ledger=ledger_of(run.pair_id, "p"),
                mend=run.table(Table.MEND),
                sobject=sql.Literal(sobject),
                number=sql.Literal(number),
                plan=run.table(Table.PLAN),
                verify=run.table(Table.VERIFY, sobject),
                desired=run.table(Table.DESIRED, sobject),
                joins=joins,
                changed=changed_fields(wanted),
                us=sql.Literal(str(run.record.target_org.get("user_id", ""))),
                not_held=not_held_back(run),
                run=sql.Literal(run.run_id),
                written=list_of(WRITTEN),
            )
        )
    return found


def _tell(run: Run) -> int:
    """Records a finding for each sObject that had to be mended; gives the records of all."""
    rows = run.db.rows(
        sql.SQL(
            """SELECT m.sobject, count(*) AS records, {examples} AS examples,
                      (SELECT string_agg(DISTINCT f, ', ') FROM {mend} n, unnest(n.fields) f
                       WHERE n.sobject = m.sobject) AS fields,
                      (SELECT count(*) FROM {plan} p WHERE p.sobject = m.sobject AND p.action = 'insert') AS written
               FROM {mend} m GROUP BY 1 ORDER BY 1"""
        ).format(mend=run.table(Table.MEND), plan=run.table(Table.PLAN), examples=examples("m.source_id"))
    )
    much = [str(r["sobject"]) for r in rows if r["records"] > MUCH * r["written"]]
    run.db.execute("UPDATE coa.canary SET much_mended = %s WHERE run_id = %s", [much, run.run_id])
    run.findings.replace(
        "mend",
        [
            finding(
                "warning" if r["sobject"] in much else "note",
                "mended",
                sobject=r["sobject"],
                count=r["records"],
                examples=r["examples"],
                fields=r["fields"],
            )
            for r in rows
        ],
    )
    return sum(int(r["records"]) for r in rows)
