"""Checks between approval and first write: is it this plan, do we hold the pair, what has changed since?"""

from __future__ import annotations

import psycopg
from psycopg import sql

from coa.approval import record as approval
from coa.codes import MOVED, WRITTEN
from coa.errors import RunStopped
from coa.extract.changed_since import DELETED, changed_since
from coa.fields.saved import saved_carried
from coa.load.canary import choose_canary
from coa.load.totals import set_totals
from coa.load.write_gate import begin_to_write, refuse_changed_target, require_go_ahead
from coa.mapping.model import Mapping
from coa.model import CUSTOMER, DETAIL, DETAIL_ORDER, ORDER, SOURCE_ID
from coa.plan.deletions import planned_deletions
from coa.plan.document import plan_hash
from coa.policies import Policies
from coa.reasons import reason
from coa.salesforce.session import Org
from coa.salesforce.soql import text_list
from coa.staging.database import Row
from coa.staging.fragments import ledger_of, list_of, same_record
from coa.staging.runs import SOURCE, TARGET, Run
from coa.staging.tables import Table


def prepare_load(run: Run, source: Org, target: Org, mapping: Mapping) -> list[int]:
    """Checks everything that the load depends on, chooses the canary and distributes chunks to lanes; gives
    the lanes' numbers.

    Raises `RunStopped` (not_approved) without an approval of exactly this plan, `RunStopped` (blocked) when
    the target changed since the plan, `PairBusy` when another run took the pair over.
    """
    if require_go_ahead(run, plan_hash(run)):
        if not nothing_to_write(run):
            refuse_changed_target(run, target, lambda name, ids: _rests_on(run, target, name, list(ids)))
            hold_back_changed(run, source)
        if not choose_canary(run, saved_carried(run, mapping)):
            _refuse_without_canary(run)
        begin_to_write(run)
    return _cut_lanes(run)


def _refuse_without_canary(run: Run) -> None:
    """Raises `RunStopped` (blocked) for a run that may write only its canary when the plan is too small for
    one: it would write and prove nothing.
    """
    if Policies(run.params).needs_canary and not nothing_to_write(run):
        raise RunStopped(
            f"canary_gate is {run.params.canary_gate}, and the plan has no canary: one of {run.params.canary} orders "
            "is taken of plans with more than twice as many new orders.",
            state="blocked",
            next_step="lower the param canary, or set canary_gate to continue.",
        )


def check_again(run: Run, source: Org, target: Org) -> None:
    """Repeats the checks before the first write; to be called after a wait, before the next write.

    What the canary wrote is left out; changes to it are left to the next delta. Raises as `prepare_load`
    does.
    """
    approval.require(run, plan_hash(run))
    run.lease.require()
    ours = {
        str(r["target_id"])
        for r in run.db.rows(
            sql.SQL(
                """SELECT l.target_id FROM {} c JOIN coa.ledger l ON {}
                   WHERE l.target_id IS NOT NULL"""
            ).format(run.table(Table.CANARY), ledger_of(run.pair_id, "c"))
        )
    }
    refuse_changed_target(
        run, target, lambda name, ids: _rests_on(run, target, name, [i for i in ids if i not in ours])
    )
    hold_back_changed(run, source)
    set_totals(run)


def _leave_canary(run: Run, connection: psycopg.Connection[Row]) -> None:
    """What the canary wrote cannot be held back any more."""
    if run.has_table(Table.CANARY):
        connection.execute(
            sql.SQL("DELETE FROM {} h USING {} c WHERE {c_is_h}").format(
                run.table(Table.CHANGED_SINCE_PLAN), run.table(Table.CANARY), c_is_h=same_record("c", "h")
            )
        )


def hold_back_changed(run: Run, source: Org) -> int:
    """Holds back planned records that changed in the source since the extract; an order is held whole."""
    held = [
        (sobject, i, s)
        for sobject, changes in changed_since(run, source, SOURCE).items()
        for i, s in changes.items()
    ]
    with run.db.transaction() as connection:
        for sobject, source_id, stamp in held:
            why = reason("changed_since_plan:deleted" if stamp == DELETED else "changed_since_plan:changed")
            connection.execute(
                sql.SQL(
                    """INSERT INTO {} SELECT sobject, source_id, %s FROM {}
                       WHERE sobject = %s AND source_id = %s AND action IN {written}
                       ON CONFLICT DO NOTHING"""
                ).format(
                    run.table(Table.CHANGED_SINCE_PLAN), run.table(Table.PLAN), written=list_of(WRITTEN)
                ),
                [why.message, sobject, source_id],
            )
        _leave_canary(run, connection)
        _hold_whole_orders(run, connection, held, source)
        _leave_canary(run, connection)
    count = int(run.db.value(sql.SQL("SELECT count(*) FROM {}").format(run.table(Table.CHANGED_SINCE_PLAN))))
    if count:
        run.events.add("held_back_changed_since_plan", level="warning", records=count)
    return count


def _hold_whole_orders(
    run: Run, connection: psycopg.Connection[Row], held: list[tuple[str, str, str]], source: Org
) -> None:
    """An order waits with all its details if a detail is changed or new, or if its new customer is held."""
    plan, changed = run.table(Table.PLAN), run.table(Table.CHANGED_SINCE_PLAN)
    details = [i for sobject, i, _ in held if sobject == DETAIL]
    new_parents: list[str] = []
    for start in range(0, len(details), 300):
        some = text_list(details[start : start + 300])
        new_parents += [
            str(r[DETAIL_ORDER])
            for r in source.query(f"SELECT {DETAIL_ORDER} FROM {DETAIL} WHERE Id IN ({some})", all_rows=True)
        ]
    connection.execute(
        sql.SQL(
            """INSERT INTO {h} SELECT p.sobject, p.source_id, 'A detail of the order changed after the plan was made.'
               FROM {p} p WHERE p.sobject = %s AND p.action IN {moved}
                 AND p.source_id = ANY (%s) ON CONFLICT DO NOTHING"""
        ).format(h=changed, p=plan, moved=list_of(MOVED)),
        [ORDER, new_parents],
    )
    connection.execute(
        sql.SQL(
            """INSERT INTO {h} SELECT p.sobject, p.source_id, 'Its customer changed after the plan was made.'
               FROM {p} p JOIN {p} c ON c.sobject = %s AND c.source_id = p.parent_id AND c.action = 'insert'
               JOIN {h} x ON {x_is_c}
               WHERE p.sobject = %s AND p.action = 'insert' ON CONFLICT DO NOTHING"""
        ).format(h=changed, p=plan, x_is_c=same_record("x", "c")),
        [CUSTOMER, ORDER],
    )
    connection.execute(
        sql.SQL(
            """INSERT INTO {h} SELECT p.sobject, p.source_id, 'Its order changed after the plan was made.'
               FROM {p} p JOIN {h} x ON x.sobject = %s AND x.source_id = p.parent_id
               WHERE p.sobject = %s AND p.action IN {written} ON CONFLICT DO NOTHING"""
        ).format(h=changed, p=plan, written=list_of(WRITTEN)),
        [ORDER, DETAIL],
    )


def _rests_on(run: Run, target: Org, sobject: str, ids: list[str]) -> list[str]:
    """Records that the plan updates or deletes must be as the plan saw them, and no other record may have
    our keys.
    """
    return _planned_among(run, sobject, ids) or _new_with_our_key(run, target, sobject, ids)


def _planned_among(run: Run, sobject: str, ids: list[str]) -> list[str]:
    """Of these records of the target, those that the plan updates or deletes."""
    query = sql.SQL("SELECT target_id FROM {} WHERE sobject = %s AND action = %s AND target_id = ANY (%s)")
    rows = run.db.rows(query.format(run.table(Table.PLAN)), [sobject, "update", ids])
    if run.has_table(Table.DELETION):
        rows += run.db.rows(query.format(run.table(Table.DELETION)), [sobject, "delete", ids])
    return [str(r["target_id"]) for r in rows]


def nothing_to_write(run: Run) -> bool:
    """Whether the plan holds no write at all: then no org has to be asked anything more."""
    if planned_deletions(run):
        return False
    return not run.db.value(
        sql.SQL("SELECT EXISTS (SELECT FROM {} WHERE action IN {written})").format(
            run.table(Table.PLAN), written=list_of(WRITTEN)
        )
    )


def _new_with_our_key(run: Run, target: Org, sobject: str, ids: list[str]) -> list[str]:
    """Records created since the snapshot that claim to be one of the plan's inserts."""
    known = {
        str(r["Id"])
        for r in run.db.rows(
            sql.SQL('SELECT "Id" FROM {} WHERE "Id" = ANY (%s)').format(run.table(TARGET, sobject)), [ids]
        )
    }
    new = [i for i in ids if i not in known]
    found: list[str] = []
    for start in range(0, len(new), 300):
        some = text_list(new[start : start + 300])
        found += [
            str(r["Id"])
            for r in target.query(f"SELECT Id FROM {sobject} WHERE Id IN ({some}) AND {SOURCE_ID} != null")
        ]
    return found


def _cut_lanes(run: Run) -> list[int]:
    """Writes one row a chunk and distributes them to the lanes in turn; gives the numbers of lanes with
    work. The canary is in no lane.
    """
    run.db.execute(
        sql.SQL(
            """INSERT INTO {chunk} (chunk_no, lane, orders)
               SELECT chunk_no, CASE WHEN chunk_no < 0 THEN -1 ELSE chunk_no %% %s END, count(*) FROM {plan}
               WHERE sobject = %s AND chunk_no IS NOT NULL GROUP BY 1 ON CONFLICT DO NOTHING"""
        ).format(chunk=run.table(Table.CHUNK), plan=run.table(Table.PLAN)),
        [run.params.lanes, ORDER],
    )
    set_totals(run)
    lanes = run.db.rows(
        sql.SQL("SELECT DISTINCT lane FROM {} WHERE lane >= 0 ORDER BY lane").format(run.table(Table.CHUNK))
    )
    return [int(r["lane"]) for r in lanes]
