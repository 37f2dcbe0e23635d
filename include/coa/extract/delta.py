"""Extracts what changed since an earlier extract: its tables are copied, and the changes are merged in.

The result is the same full snapshot that a full extract gives, so later stages do not distinguish them. The
watermark of each sObject is the newest SystemModstamp of the copied table: the org's own time, not our clock.

Everything from `delta_overlap_seconds` before the watermark is read again: a stamp is set before its
transaction commits, so a record may appear with an older stamp than one already read, and several records may
have the stamp of the watermark. Merging is by Id, so reading twice does no harm.

Deleted records are read by queryAll. A COUNT() at the end finds what that does not show (emptied recycle bins,
records that are no longer shared with us); then the sObject is extracted anew.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from psycopg import sql

from coa.extract.baseline import Base, find_base
from coa.extract.bulk import ExtractSpec, ensure_state_table, extract_object
from coa.extract.delta_query import changed_table, read_changes
from coa.fields.saved import saved_describes
from coa.load_steps import extract_step
from coa.model import LOADED
from coa.salesforce.composite import count_of, granted, read_together
from coa.salesforce.session import Org
from coa.staging import tables
from coa.staging.runs import SOURCE, TARGET, Run
from coa.staging.tables import Table

log = logging.getLogger(__name__)

FullExtract = Callable[[Run, Org, list[ExtractSpec]], dict[str, int]]


def extract_changes(run: Run, org: Org, specs: list[ExtractSpec], full: FullExtract) -> dict[str, int]:
    """Extracts each spec from its base; those without one by `full`. sObject -> rows."""
    counts: dict[str, int] = {}
    from_base: list[tuple[ExtractSpec, Base]] = []
    whole: list[ExtractSpec] = []
    for spec in specs:
        done = _rows_if_done(run, spec)
        base = None if done is not None else find_base(run, spec)
        if done is not None:
            counts[spec.sobject] = done
        elif base is None:
            whole.append(spec)
        else:
            from_base.append((spec, base))
    changed = read_changes(run, org, from_base)
    gone = {spec.sobject: _advance(run, spec, base, changed[spec.sobject]) for spec, base in from_base}
    counts |= full(run, org, whole) if whole else {}
    _clear_links_to_deleted(run, specs, gone)
    counts |= _finish(run, org, [spec for spec, _ in from_base])
    run.events.add(
        "delta_extracted",
        kind=specs[0].kind if specs else "",
        from_base=sorted(gone),
        whole=sorted(s.sobject for s in whole),
    )
    return counts


def read_back(run: Run, target: Org, specs: list[ExtractSpec], full: FullExtract) -> dict[str, int]:
    """What the target holds after the load, for the proof.

    A full run reads everything again. A delta reads what changed since its own snapshot of the target, and
    one that wrote nothing takes that snapshot as it is.
    """
    ensure_state_table(run)
    if run.params.mode != "delta":
        return full(run, target, specs)
    if _wrote_nothing(run):
        return {spec.sobject: _take_over(run, spec) for spec in specs}
    return extract_changes(run, target, specs, full)


def _advance(run: Run, spec: ExtractSpec, base: Base, changed: sql.Identifier) -> list[str]:
    """Copies the base and merges what changed; ids of the records that are deleted."""
    table = run.table(spec.kind, spec.sobject)
    step = extract_step(spec.kind).name
    run.progress.reset(step, spec.sobject)
    with_bin = "IsDeleted" in run.columns(changed_table(spec), spec.sobject)
    with run.db.transaction() as connection:
        tables.create_as(connection, run, Table(spec.kind), _copy_of(base.table(spec.sobject)), spec.sobject)
        deleted: list[str] = []
        if with_bin:
            deleted = [
                str(r["Id"])
                for r in connection.execute(
                    sql.SQL("""SELECT "Id" FROM {} WHERE "IsDeleted" = 'true'""").format(changed)
                ).fetchall()
            ]
        connection.execute(
            sql.SQL('DELETE FROM {} t USING {} c WHERE t."Id" = c."Id"').format(table, changed)
        )
        names = sql.SQL(", ").join(map(sql.Identifier, spec.fields))
        merged = connection.execute(
            sql.SQL('INSERT INTO {} ({names}) SELECT {names} FROM {} WHERE NOT "Id" = ANY (%s)').format(
                table, changed, names=names
            ),
            [deleted],
        ).rowcount
        tables.drop(connection, run, changed_table(spec), spec.sobject)
        tables.analyze(connection, run, Table(spec.kind), spec.sobject)
    run.progress.add(step, spec.sobject, total=merged + len(deleted), done=merged + len(deleted))
    log.info(
        "delta of %s %s: watermark %s, %d read, %d deleted",
        spec.kind,
        spec.sobject,
        base.watermark,
        merged,
        len(deleted),
    )
    return deleted


def _clear_links_to_deleted(run: Run, specs: list[ExtractSpec], gone: dict[str, list[str]]) -> None:
    """Lookups to a deleted record are empty (the package's lookups are all SetNull), stamped or not."""
    described = saved_describes(run, SOURCE if specs and specs[0].kind == SOURCE else TARGET)
    for spec in specs:
        if spec.sobject not in gone or spec.sobject not in described:
            continue
        for name in spec.fields:
            one = described[spec.sobject].field(name)
            ids = [i for parent in (one.reference_to if one else []) for i in gone.get(parent, [])]
            if not ids:
                continue
            run.db.execute(
                sql.SQL("UPDATE {} SET {f} = NULL WHERE {f} = ANY (%s)").format(
                    run.table(spec.kind, spec.sobject), f=sql.Identifier(name)
                ),
                [ids],
            )


def _finish(run: Run, org: Org, specs: list[ExtractSpec]) -> dict[str, int]:
    """Counts what we load against the org, and marks the extracts as done; sObject -> rows."""
    loaded = [spec.sobject for spec in specs if spec.sobject in LOADED]
    answers = read_together(org, [count_of(name) for name in loaded])
    counted = {name: int(granted(a)["totalSize"]) for name, a in zip(loaded, answers, strict=True)}
    found = {}
    for spec in specs:
        rows = int(
            run.db.value(sql.SQL("SELECT count(*) FROM {}").format(run.table(spec.kind, spec.sobject)))
        )
        if counted.get(spec.sobject, rows) != rows:
            log.warning(
                "%s: %s counts %d records, the delta leads to %d: extracting it anew.",
                org.name,
                spec.sobject,
                counted[spec.sobject],
                rows,
            )
            found[spec.sobject] = extract_object(run, org, spec)
            continue
        _mark_done(run, spec, rows)
        found[spec.sobject] = rows
    return found


def _mark_done(run: Run, spec: ExtractSpec, rows: int) -> None:
    run.db.execute(
        sql.SQL(
            """INSERT INTO {} (kind, sobject, job_id, locator, rows, done) VALUES (%s, %s, 'delta', 'null', %s, true)
               ON CONFLICT (kind, sobject) DO UPDATE
                 SET job_id = 'delta', locator = 'null', rows = EXCLUDED.rows, done = true"""
        ).format(run.table(Table.EXTRACT_STATE)),
        [spec.kind, spec.sobject, rows],
    )


def _rows_if_done(run: Run, spec: ExtractSpec) -> int | None:
    """Rows of an extract that an earlier try of the task finished."""
    row = run.db.row(
        sql.SQL("SELECT rows FROM {} WHERE kind = %s AND sobject = %s AND done").format(
            run.table(Table.EXTRACT_STATE)
        ),
        [spec.kind, spec.sobject],
    )
    return int(row["rows"]) if row else None


def _take_over(run: Run, spec: ExtractSpec) -> int:
    """Uses the snapshot of the target for the proof: nothing was written since."""
    with run.db.transaction() as connection:
        rows = tables.create_as(
            connection, run, Table(spec.kind), _copy_of(run.table(TARGET, spec.sobject)), spec.sobject
        )
        tables.analyze(connection, run, Table(spec.kind), spec.sobject)
    _mark_done(run, spec, rows)
    return rows


def _copy_of(table: sql.Identifier) -> sql.Composed:
    return sql.SQL("SELECT * FROM {}").format(table)


def _wrote_nothing(run: Run) -> bool:
    """Whether no row of this run was sent to the org."""
    if not run.has_table(Table.WORK):
        return True
    return not run.db.value(sql.SQL("SELECT EXISTS (SELECT FROM {})").format(run.table(Table.WORK)))
