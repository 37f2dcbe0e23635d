"""The proof of the canary: its records are read again and compared, as all records are at the end of a load,
before the rest is sent.

A link to a record that is not loaded yet is not expected. The proof works on the tables of the complete proof.
They stay if the run ends with its canary, and are dropped otherwise, because they cover too few records.
"""

from __future__ import annotations

from psycopg import sql

from coa.extract.extract import coa_specs
from coa.extract.rest_values import keep_records
from coa.fields.compare import Unresolved
from coa.load.observation import read_canary
from coa.mapping.model import Mapping
from coa.model import LOADED, NS, ORDER
from coa.salesforce.session import Org
from coa.staging import tables
from coa.staging.database import Row
from coa.staging.fragments import same_record
from coa.staging.runs import TARGET, Run
from coa.staging.tables import Table
from coa.verify.expected import expect_planned
from coa.verify.verify import prove

EXAMPLES = 3


def prove_canary(run: Run, target: Org, mapping: Mapping, *, last: bool) -> list[Row]:
    """Unexplained differences of the canary (sobject, field, kind, step, records), most records first.

    `last`: nothing else will be written in this run, so that what is proved is noted in the ledger. Otherwise more
    may be sent to these records, and the proof at the end notes it.
    """
    specs = coa_specs(run, TARGET, Table.VERIFY)
    found = read_canary(run, target, specs)
    with run.db.transaction() as connection:
        for spec in specs:
            table = tables.create(connection, run, Table.VERIFY, spec.sobject, fields=spec.fields)
            keep_records(run, connection, spec, table, found[spec.sobject])
    expect_planned(run, only=run.table(Table.CANARY))
    prove(
        run,
        mapping,
        lambda sobject: run.table(TARGET, sobject),
        remember=last,
        unresolved=Unresolved.EMPTY,
    )
    return _differences(run)


def proved_orders(run: Run) -> int:
    """Orders of the canary that were proved equal, each with all its details."""
    return int(
        run.db.value(
            sql.SQL(
                """SELECT count(*) FROM {expected} e WHERE NOT e.rejected AND NOT EXISTS (
                     SELECT FROM coa.difference x LEFT JOIN {plan} p
                       ON {p_is_x}
                     WHERE x.run_id = %s AND x.kind <> 'explained'
                       AND e.source_id IN (x.source_id, p.parent_id))"""
            ).format(
                expected=run.table(Table.EXPECTED, ORDER),
                plan=run.table(Table.PLAN),
                p_is_x=same_record("p", "x"),
            ),
            [run.run_id],
        )
    )


def forget_canary_proof(run: Run) -> None:
    """Drops the tables of the canary's proof before more is written: so few records must not be taken for
    the whole target.
    """
    with run.db.transaction() as connection:
        for sobject in LOADED:
            tables.drop(connection, run, Table.VERIFY, sobject)
            tables.drop(connection, run, Table.EXPECTED, sobject)
        connection.execute("DELETE FROM coa.difference WHERE run_id = %s", [run.run_id])
        connection.execute("DELETE FROM coa.total WHERE run_id = %s", [run.run_id])


def _differences(run: Run) -> list[Row]:
    return run.db.rows(
        sql.SQL(
            """SELECT x.sobject, x.field, x.kind, COALESCE(e.step, '') AS step, count(*) AS records,
                      (array_agg(x.source_id ORDER BY x.source_id))[1:%s] AS examples
               FROM coa.difference x
               -- The last step in which the target changed the field says when it became what it is.
               LEFT JOIN LATERAL (SELECT f.step FROM {} f WHERE {f_is_x} AND f.field = x.field
                                  ORDER BY f.nth DESC LIMIT 1) e ON true
               WHERE x.run_id = %s AND x.kind <> 'explained'
               GROUP BY 1, 2, 3, 4 ORDER BY records DESC, 1, 2, 4"""
        ).format(run.table(Table.EFFECT), f_is_x=same_record("f", "x")),
        [EXAMPLES, run.run_id],
    )


def in_words(differences: list[Row]) -> str:
    """What a canary's proof found, in a sentence a field."""
    return " ".join(_sentence(r) for r in differences[:10])


def _sentence(r: Row) -> str:
    name = r["sobject"].removeprefix(NS)
    such = f"such as {', '.join(r['examples'])}"
    if not r["field"]:
        return f"{r['records']} of {name} are {r['kind']} ({such})."
    step = f", changed by the target in step {r['step']}" if r["step"] else ""
    return f"{r['field']} of {r['records']} {name} differs{step} ({such})."
