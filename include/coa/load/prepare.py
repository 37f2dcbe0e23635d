"""Between approval and the first write: is it this plan, do we hold the pair, what has changed since?"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import psycopg
from psycopg import sql

from coa import approval
from coa.errors import RunStopped
from coa.load.work import create_work_tables
from coa.model import CUSTOMER, DETAIL, DETAIL_ORDER, LOADED, ORDER, SOURCE_ID
from coa.reconcile.deletions import planned_deletions
from coa.reconcile.plan import plan_hash
from coa.salesforce.session import Org
from coa.staging.database import Row
from coa.staging.runs import SOURCE, TARGET, Run

OVERLAP = timedelta(minutes=5)
"""SystemModstamp is set before the commit: a record may show up with a stamp older than one already read."""


def prepare_load(run: Run, source: Org, target: Org) -> list[int]:
    """Checks everything that load rests on and cuts the lanes; their numbers.

    Raises `RunStopped` (not_approved) without an approval of exactly this plan, `RunStopped` (blocked)
    when the target changed under the plan, `PairBusy` when another run took the pair over.
    """
    current = plan_hash(run)
    if current != run.row["plan_hash"]:
        raise RunStopped(
            f"The plan of run {run.run_id} was changed after it was made.",
            state="not_approved",
            next_step="trigger a new run and have its plan approved.",
        )
    approval.require(run, current)
    run.require_lease()
    create_work_tables(run)
    if run.row["loaded_at"] is None:
        # A retry has written already: what it wrote itself must not count as a foreign change.
        if not nothing_to_write(run):
            _refuse_changed_target(run, target)
            hold_back_changed(run, source)
        run.update(loaded_at=datetime.now(UTC))
    return _cut_lanes(run)


def changed_since(run: Run, org: Org, kind: str, sobject: str) -> dict[str, str]:
    """Id -> SystemModstamp (or `deleted`) of records that changed, came or went since an extract.

    `kind` is the extract, source or target. Three calls where nothing changed, whatever the size: a
    count beyond the newest stamp of the extract, a count of the window before it in which a late commit
    could hide, and the deletions.
    """
    table = run.table(kind, sobject)
    newest = run.db.value(sql.SQL('SELECT max("SystemModstamp"::timestamptz) FROM {}').format(table))
    if newest is None:
        return {
            r["Id"]: str(r["SystemModstamp"]) for r in org.query(f"SELECT Id, SystemModstamp FROM {sobject}")
        }
    since, until = _soql(newest - OVERLAP), _soql(newest)
    found: dict[str, str] = {}
    if org.count(sobject, f"SystemModstamp > {until}"):
        found |= _stamps(org, sobject, f"SystemModstamp > {until}")
    window = f"SystemModstamp >= {since} AND SystemModstamp <= {until}"
    expected = run.db.value(
        sql.SQL('SELECT count(*) FROM {} WHERE "SystemModstamp"::timestamptz >= %s').format(table),
        [newest - OVERLAP],
    )
    # A record that changed has left the window for a newer stamp: only what is missing otherwise is searched.
    if org.count(sobject, window) != expected - _moved(run, table, found, newest - OVERLAP):
        found |= _stamps(org, sobject, window)
    deleted = org.query(
        f"SELECT Id FROM {sobject} WHERE IsDeleted = true AND SystemModstamp >= {since}", all_rows=True
    )
    found |= {str(r["Id"]): "deleted" for r in deleted}
    return _without_same(run, table, found)


def _soql(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"


def _stamps(org: Org, sobject: str, where: str) -> dict[str, str]:
    records = org.query(f"SELECT Id, SystemModstamp FROM {sobject} WHERE {where}")
    return {str(r["Id"]): str(r["SystemModstamp"]) for r in records}


def _moved(run: Run, table: sql.Identifier, found: dict[str, str], since: datetime) -> int:
    """How many of the changed records stood in the window when they were extracted."""
    return int(
        run.db.value(
            sql.SQL(
                'SELECT count(*) FROM {} WHERE "Id" = ANY (%s) AND "SystemModstamp"::timestamptz >= %s'
            ).format(table),
            [list(found), since],
        )
    )


def _without_same(run: Run, table: sql.Identifier, found: dict[str, str]) -> dict[str, str]:
    """Drops records that stand in the extract with the very same stamp, and deletions that it never held."""
    known = {
        str(r["Id"]): r["stamp"]
        for r in run.db.rows(
            sql.SQL(
                'SELECT "Id", "SystemModstamp"::timestamptz AS stamp FROM {} WHERE "Id" = ANY (%s)'
            ).format(table),
            [list(found)],
        )
    }
    return {
        i: stamp
        for i, stamp in found.items()
        if (i in known if stamp == "deleted" else known.get(i) != datetime.fromisoformat(stamp))
    }


def hold_back_changed(run: Run, source: Org) -> int:
    """Holds back planned records that changed in the source since the extract; an order is held whole."""
    held: list[tuple[str, str, str]] = []
    for sobject in LOADED:
        held += [(sobject, i, s) for i, s in changed_since(run, source, SOURCE, sobject).items()]
    with run.db.transaction() as connection:
        for sobject, source_id, stamp in held:
            reason = "deleted in the source" if stamp == "deleted" else "changed in the source"
            connection.execute(
                sql.SQL(
                    """INSERT INTO {} SELECT sobject, source_id, %s FROM {}
                       WHERE sobject = %s AND source_id = %s AND action IN ('insert', 'update')
                       ON CONFLICT DO NOTHING"""
                ).format(run.table("holdback"), run.table("plan")),
                [f"The record was {reason} after the plan was made.", sobject, source_id],
            )
        _hold_whole_orders(run, connection, held, source)
    count = int(run.db.value(sql.SQL("SELECT count(*) FROM {}").format(run.table("holdback"))))
    if count:
        run.event("held_back_changed_since_plan", level="warning", records=count)
    return count


def _hold_whole_orders(
    run: Run, connection: psycopg.Connection[Row], held: list[tuple[str, str, str]], source: Org
) -> None:
    """An order with a changed or new detail, or of a new customer that is held, waits with all its details."""
    plan, holdback = run.table("plan"), run.table("holdback")
    details = [i for sobject, i, _ in held if sobject == DETAIL]
    new_parents: list[str] = []
    for start in range(0, len(details), 300):
        quoted = ", ".join(f"'{i}'" for i in details[start : start + 300])
        new_parents += [
            str(r[DETAIL_ORDER])
            for r in source.query(
                f"SELECT {DETAIL_ORDER} FROM {DETAIL} WHERE Id IN ({quoted})", all_rows=True
            )
        ]
    connection.execute(
        sql.SQL(
            """INSERT INTO {h} SELECT p.sobject, p.source_id, 'A detail of the order changed after the plan was made.'
               FROM {p} p WHERE p.sobject = %s AND p.action IN ('insert', 'update', 'unchanged')
                 AND p.source_id = ANY (%s) ON CONFLICT DO NOTHING"""
        ).format(h=holdback, p=plan),
        [ORDER, new_parents],
    )
    connection.execute(
        sql.SQL(
            """INSERT INTO {h} SELECT p.sobject, p.source_id, 'Its customer changed after the plan was made.'
               FROM {p} p JOIN {p} c ON c.sobject = %s AND c.source_id = p.parent_id AND c.action = 'insert'
               JOIN {h} x ON x.sobject = c.sobject AND x.source_id = c.source_id
               WHERE p.sobject = %s AND p.action = 'insert' ON CONFLICT DO NOTHING"""
        ).format(h=holdback, p=plan),
        [CUSTOMER, ORDER],
    )
    connection.execute(
        sql.SQL(
            """INSERT INTO {h} SELECT p.sobject, p.source_id, 'Its order changed after the plan was made.'
               FROM {p} p JOIN {h} x ON x.sobject = %s AND x.source_id = p.parent_id
               WHERE p.sobject = %s AND p.action IN ('insert', 'update') ON CONFLICT DO NOTHING"""
        ).format(h=holdback, p=plan),
        [ORDER, DETAIL],
    )


def _refuse_changed_target(run: Run, target: Org) -> None:
    """Records that the plan updates, or that bear our key, must stand as the plan saw them."""
    for sobject in LOADED:
        changed = changed_since(run, target, TARGET, sobject)
        if not changed:
            continue
        touched = _planned_among(run, sobject, list(changed))
        if not touched:
            touched = _new_with_our_key(run, target, sobject, list(changed))
        if touched:
            raise RunStopped(
                f"{len(touched)} records of {sobject} changed in the target after the plan was made "
                f"(such as {touched[0]}).",
                state="blocked",
                next_step="trigger a new run: its plan will take the target as it is now.",
            )


def _planned_among(run: Run, sobject: str, ids: list[str]) -> list[str]:
    """Of these records of the target, those that the plan updates or deletes."""
    query = sql.SQL("SELECT target_id FROM {} WHERE sobject = %s AND action = %s AND target_id = ANY (%s)")
    rows = run.db.rows(query.format(run.table("plan")), [sobject, "update", ids])
    if run.has_table("deletion"):
        rows += run.db.rows(query.format(run.table("deletion")), [sobject, "delete", ids])
    return [str(r["target_id"]) for r in rows]


def nothing_to_write(run: Run) -> bool:
    """Whether the plan holds no write at all: then no org has to be asked anything more."""
    if planned_deletions(run):
        return False
    return not run.db.value(
        sql.SQL("SELECT EXISTS (SELECT FROM {} WHERE action IN ('insert', 'update'))").format(
            run.table("plan")
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
        quoted = ", ".join(f"'{i}'" for i in new[start : start + 300])
        found += [
            str(r["Id"])
            for r in target.query(f"SELECT Id FROM {sobject} WHERE Id IN ({quoted}) AND {SOURCE_ID} != null")
        ]
    return found


def _cut_lanes(run: Run) -> list[int]:
    """One row a chunk, dealt out to the lanes in turn; lane numbers with work."""
    run.db.execute(
        sql.SQL(
            """INSERT INTO {chunk} (chunk_no, lane, orders)
               SELECT chunk_no, chunk_no %% %s, count(*) FROM {plan}
               WHERE sobject = %s AND chunk_no IS NOT NULL GROUP BY 1 ON CONFLICT DO NOTHING"""
        ).format(chunk=run.table("chunk"), plan=run.table("plan")),
        [run.params.lanes, ORDER],
    )
    _set_totals(run)
    lanes = run.db.rows(sql.SQL("SELECT DISTINCT lane FROM {} ORDER BY lane").format(run.table("chunk")))
    return [int(r["lane"]) for r in lanes]


def _set_totals(run: Run) -> None:
    """How many rows each step will send, for whoever watches."""
    for step, sobject in (("customers", CUSTOMER), ("orders", ORDER), ("details", DETAIL)):
        total = run.db.value(
            sql.SQL(
                """SELECT count(*) FROM {} p WHERE sobject = %s AND action = 'insert' AND NOT EXISTS (
                     SELECT FROM {} h WHERE h.sobject = p.sobject AND h.source_id = p.source_id)"""
            ).format(run.table("plan"), run.table("holdback")),
            [sobject],
        )
        run.progress(step, sobject, total=int(total))
    statuses = run.db.value(
        sql.SQL(
            """SELECT count(*) FROM {} WHERE sobject = %s AND ((action = 'insert' AND status <> 'Draft')
                 OR (action = 'update' AND %s = ANY (changed)))"""
        ).format(run.table("plan")),
        [ORDER, "CHANNEL_ORDERS__Service_Order_Status__c"],
    )
    run.progress("statuses", ORDER, total=int(statuses))
