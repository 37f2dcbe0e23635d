"""Whether records changed in an org since the run read it: a few API calls when nothing did, whatever the size."""

from __future__ import annotations

from datetime import datetime, timedelta

from psycopg import sql

from coa.model import LOADED
from coa.salesforce.composite import Read, count_of, granted, read_together, records_of
from coa.salesforce.session import Org
from coa.salesforce.soql import date_time
from coa.staging.runs import Run

DELETED = "deleted"
Changes = dict[str, str]
"""Id -> SystemModstamp, or `deleted`."""


def changed_since(run: Run, org: Org, kind: str) -> dict[str, Changes]:
    """sObject -> records that changed, came or went since an extract; `kind` is the extract, source or target.

    Asked of each sObject: a count beyond the newest stamp of the extract, a count of the window before it in which
    a late commit could hide, and the deletions. Ids are read only where a count says that there are some.
    """
    newest = {
        sobject: run.db.value(
            sql.SQL('SELECT max("SystemModstamp"::timestamptz) FROM {}').format(run.table(kind, sobject))
        )
        for sobject in LOADED
    }
    # A stamp is set before its transaction commits: a record may show up with one that is older than one already read.
    overlap = timedelta(seconds=run.settings.delta_overlap_seconds)
    asked = {name: _questions(name, stamp, overlap) for name, stamp in newest.items()}
    answers = iter([granted(a) for a in read_together(org, [r for reads in asked.values() for r in reads])])
    found: dict[str, Changes] = {}
    for sobject, reads in asked.items():
        own = [next(answers) for _ in reads]
        stamp = newest[sobject]
        if stamp is None:
            found[sobject] = _stamps(org, own[0])
            continue
        beyond, window, deleted = own
        changes: Changes = {}
        if int(beyond["totalSize"]):
            changes |= _query(org, sobject, f"SystemModstamp > {date_time(stamp)}")
        table = run.table(kind, sobject)
        # A record that changed has left the window for a newer stamp: only what is missing otherwise is searched.
        if int(window["totalSize"]) != _in_window(run, table, stamp - overlap) - _moved(
            run, table, changes, stamp - overlap
        ):
            changes |= _query(org, sobject, _window(stamp, overlap))
        changes |= {str(r["Id"]): DELETED for r in records_of(org, deleted)}
        found[sobject] = _without_same(run, table, changes)
    return found


def _questions(sobject: str, newest: datetime | None, overlap: timedelta) -> list[Read]:
    if newest is None:
        return [Read(soql=f"SELECT Id, SystemModstamp FROM {sobject}")]
    since = date_time(newest - overlap)
    deleted = f"SELECT Id FROM {sobject} WHERE IsDeleted = true AND SystemModstamp >= {since}"
    return [
        count_of(sobject, f"SystemModstamp > {date_time(newest)}"),
        count_of(sobject, _window(newest, overlap)),
        Read(soql=deleted, all_rows=True),
    ]


def _window(newest: datetime, overlap: timedelta) -> str:
    return f"SystemModstamp >= {date_time(newest - overlap)} AND SystemModstamp <= {date_time(newest)}"


def _query(org: Org, sobject: str, where: str) -> Changes:
    return _stamps(org, Read(soql=f"SELECT Id, SystemModstamp FROM {sobject} WHERE {where}").alone(org))


def _stamps(org: Org, answer: dict[str, object]) -> Changes:
    return {str(r["Id"]): str(r["SystemModstamp"]) for r in records_of(org, answer)}


def _in_window(run: Run, table: sql.Identifier, since: datetime) -> int:
    return int(
        run.db.value(
            sql.SQL('SELECT count(*) FROM {} WHERE "SystemModstamp"::timestamptz >= %s').format(table),
            [since],
        )
    )


def _moved(run: Run, table: sql.Identifier, found: Changes, since: datetime) -> int:
    """How many of the changed records stood in the window when they were extracted."""
    return int(
        run.db.value(
            sql.SQL(
                'SELECT count(*) FROM {} WHERE "Id" = ANY (%s) AND "SystemModstamp"::timestamptz >= %s'
            ).format(table),
            [list(found), since],
        )
    )


def _without_same(run: Run, table: sql.Identifier, found: Changes) -> Changes:
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
        if (i in known if stamp == DELETED else known.get(i) != datetime.fromisoformat(stamp))
    }
