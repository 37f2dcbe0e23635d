"""The tables of a what-if: the kept snapshots, shown as its own, and a copy of the ledger that it may change.

No lease is taken, because nothing is written to an org, to the tables of another run or to the pair's ledger.
So runs on the same orgs are not disturbed or delayed.
"""

from __future__ import annotations

from psycopg import sql

from coa.errors import InvalidParams
from coa.explanations import Cause
from coa.fields.field_map import lookup_objects
from coa.fields.lookups import lookup_fields
from coa.fields.other_sources import other_pairs
from coa.fields.saved import fitting_or_not, saved_carried, saved_describes
from coa.hanging import KINDS
from coa.mapping.model import Mapping
from coa.model import COA_OBJECTS
from coa.plan.counterparts import MATCH_CHANGED
from coa.preflight.mapping_check import objects_named
from coa.preflight.masked_fields import maskable_fields
from coa.staging import tables
from coa.staging.database import Database, is_locked
from coa.staging.fragments import same_record
from coa.staging.lease import work_lock
from coa.staging.runs import SOURCE, TARGET, WHAT_IF, Run
from coa.staging.tables import Table
from coa.what_if.params import NEW_RUN

ROLES = (SOURCE, TARGET)
EXTRACTS = {SOURCE: Table.SOURCE, TARGET: Table.TARGET}


def take_over(run: Run, base: Run) -> None:
    """Gives the what-if what the run knew of its orgs: identities, describes, versions, pair."""
    run.update(
        pair_id=base.pair_id,
        source_org=base.record.source_org,
        target_org=base.record.target_org,
        source_package=base.record.source_package,
        target_package=base.record.target_package,
    )
    run.db.execute(
        """INSERT INTO coa.describe (run_id, org, sobject, describe)
           SELECT %s, org, sobject, describe FROM coa.describe WHERE run_id = %s""",
        [run.run_id, base.run_id],
    )


def require_kept_fields(run: Run, base: Run, mapping: Mapping, of_base: Mapping) -> None:
    """Raises `InvalidParams` when the mapping file needs records, fields or values that the run did not read."""
    faults = [
        f"the object {name}" for name in sorted(objects_named(mapping) - _described(run, base, of_base))
    ]
    faults += _fields_not_read(run, base, mapping, of_base)
    if mapping.masking != of_base.masking:
        faults.append("values masked otherwise, which happens while they are read")
    if faults:
        raise InvalidParams(
            f"The mapping file {run.record.mapping_name or '(none)'} needs what run {base.run_id} did not read: "
            f"{'; '.join(faults)}.",
            next_step=NEW_RUN,
        )


def _described(run: Run, base: Run, of_base: Mapping) -> set[str]:
    """sObjects that preflight asked the orgs for; one that an org lacks has no describe, and is known all the same."""
    pointed_at = set().union(*(lookup_objects(fields) for fields in saved_carried(base, of_base).values()))
    hanging = {kind.sobject for kind in KINDS}
    known = set().union(*(saved_describes(run, role) for role in ROLES))
    return known | pointed_at | objects_named(of_base) | hanging | set(COA_OBJECTS)


def _fields_not_read(run: Run, base: Run, mapping: Mapping, of_base: Mapping) -> list[str]:
    source, target = (saved_describes(run, role) for role in ROLES)
    carried = fitting_or_not(source, target, mapping, run.params.created_dates)
    faults = []
    wanted = set().union(*(lookup_objects(fields) for fields in carried.values())) - set(COA_OBJECTS)
    for name in sorted(wanted & source.keys() & target.keys()):
        fields = lookup_fields(name, source[name], target[name], mapping)
        read = [set(base.columns(EXTRACTS[role], name)) for role in ROLES]
        missing = [field for field in fields if not all(field in columns for columns in read)]
        if missing:
            faults.append(f"{name}.{', '.join(missing)}")
    for role in ROLES:
        before = maskable_fields(role, saved_carried(base, of_base))
        for sobject, names in maskable_fields(role, carried).items():
            new = sorted(set(names) - set(before.get(sobject, ())))
            faults += [f"whether the {role} shows {sobject}.{field} masked" for field in new]
    return faults


def show_snapshots(run: Run, base: Run) -> None:
    """The extracts of the run, as tables of the what-if. What a plan does not change is shown and not copied."""
    with run.db.transaction() as connection:
        for role, kind in EXTRACTS.items():
            for sobject in saved_describes(run, role):
                if base.has_table(kind, sobject):
                    tables.show_of(connection, run, kind, sobject, base)
        if base.has_table(Table.ATTACHED):
            rows = sql.SQL("SELECT * FROM {}").format(base.table(Table.ATTACHED))
            tables.create_as(connection, run, Table.ATTACHED, rows)
            tables.add_index(connection, run, Table.ATTACHED, "attached_by_parent")


def copy_ledger(run: Run, base: Run) -> None:
    """The ledger of the pair and of the target's other sources, as the run's plan was made with it.

    What was created since points at records that the snapshot does not have: the plan forgets it by itself. What was
    proved since was proved with other values than the snapshot has, and is no sign of a person's change; what the plan
    found changed by a person stays so.
    """
    since = base.db.value(
        "SELECT max(started_at) FROM coa.stage_time WHERE run_id = %s AND stage = 'reconcile'", [base.run_id]
    )
    with run.db.transaction() as connection:
        tables.create(connection, run, Table.LEDGER)
        connection.execute(
            sql.SQL(
                """INSERT INTO {ledger} (pair_id, sobject, source_id, target_id, origin, inserted_run, last_run, step,
                                         error_code, error, verified_hash, updated_at)
                   SELECT l.pair_id, l.sobject, l.source_id, l.target_id, l.origin, l.inserted_run,
                          CASE WHEN l.error_code = {changed} AND l.last_run = {base} THEN {run} ELSE l.last_run END,
                          l.step, CASE WHEN l.error_code = {changed} THEN l.error_code END,
                          CASE WHEN l.error_code = {changed} THEN l.error END,
                          CASE WHEN l.updated_at <= {since} THEN l.verified_hash
                               WHEN p.reason_code = 'conflict' OR x.source_id IS NOT NULL
                                 THEN split_part(l.verified_hash, ':', 1) || ':changed' END,
                          l.updated_at
                   FROM coa.ledger l
                   LEFT JOIN {plan} p ON l.pair_id = {pair} AND {p_is_l}
                   LEFT JOIN (SELECT DISTINCT sobject, source_id FROM coa.explained
                              WHERE run_id = {base} AND cause = {target_wins}) x
                     ON l.pair_id = {pair} AND {x_is_l}
                   WHERE l.pair_id = ANY ({pairs})"""
            ).format(
                ledger=run.ledger,
                changed=sql.Literal(MATCH_CHANGED),
                base=sql.Literal(base.run_id),
                run=sql.Literal(run.run_id),
                since=sql.Literal(since),
                plan=base.table(Table.PLAN),
                pair=sql.Literal(run.pair_id),
                target_wins=sql.Literal(Cause.TARGET_WINS.value),
                pairs=sql.Literal([run.pair_id, *other_pairs(base)]),
                p_is_l=same_record("p", "l"),
                x_is_l=same_record("x", "l"),
            )
        )
        tables.add_index(connection, run, Table.LEDGER, "ledger_by_target")
        tables.analyze(connection, run, Table.LEDGER)


def drop_tables(db: Database, run_id: str) -> None:
    """What is told of a what-if is in its artifacts: nothing of its records stays in staging."""
    with db.transaction() as connection:
        tables.drop_all(connection, run_id)
        for table in ("describe", "explained"):
            connection.execute(
                sql.SQL("DELETE FROM {} WHERE run_id = %s").format(sql.Identifier("coa", table)), [run_id]
            )


def drop_left_over(db: Database) -> None:
    """The tables of what-ifs that were killed."""
    for row in db.rows("SELECT run_id FROM coa.run WHERE mode = %s AND state IS NULL", [WHAT_IF]):
        with db.transaction() as connection:
            works = is_locked(connection, work_lock(row["run_id"]))
        if not works:
            drop_tables(db, row["run_id"])
            db.execute(
                "UPDATE coa.run SET state = 'failed', message = 'It was killed.', finished_at = clock_timestamp() "
                "WHERE run_id = %s",
                [row["run_id"]],
            )
