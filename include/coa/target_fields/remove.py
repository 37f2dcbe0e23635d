"""Takes the fields and the permission set out of the target, when nothing is left to be moved, compared or undone.

The id map is exported first, and a mark of each source stays behind (`coa.preflight.fields_removed`): without the keys
a fresh staging database would take every record for new.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from psycopg import sql

from coa.codes import JOB_OVER, LOAD_UNFINISHED
from coa.errors import ConfigurationError, OrgRefused
from coa.model import LOADED, SOURCE_ID
from coa.preflight.fields_removed import mark_of
from coa.salesforce.metadata import Deployed, deploy
from coa.salesforce.session import Org, id18
from coa.staging.database import Database
from coa.staging.fragments import list_of
from coa.staging.lease import Connection, hold_org
from coa.target_fields.id_map import export_id_map
from coa.target_fields.package import PERMISSION_SET, removal_archive
from coa.target_fields.state import State
from coa.wording import counted


@dataclass(frozen=True)
class Removed:
    """`records`: lines of the id map in `file`."""

    deployed: Deployed
    file: Path
    records: int


def steps(state: State, sources: dict[str, int]) -> list[str]:
    """What there is to do, a sentence each; empty when nothing is. `sources`: as `moved_from` gives it."""
    todo = []
    if state.seen:
        todo.append(f"delete, with all their values: {', '.join(state.seen)}.")
    if state.permission_set:
        todo.append(
            f"take the permission set {PERMISSION_SET} from {counted(len(state.assignments), 'user')} and delete it."
        )
    if todo:
        todo[:0] = [f"export the id map of {counted(sum(sources.values()), 'record')}."]
        todo += [f"leave the permission set {mark_of(one)}, without any right, as a mark." for one in sources]
    return todo


def moved_from(db: Database, target_id: str) -> dict[str, int]:
    """Source org -> records that the ledger knows in this target."""
    found = db.rows(
        """SELECT p.source_org_id, count(*) AS n FROM coa.ledger l JOIN coa.org_pair p USING (pair_id)
           WHERE p.target_org_id = %s AND NOT p.masked AND l.target_id IS NOT NULL AND l.origin <> 'none'
           GROUP BY 1 ORDER BY 1""",
        [target_id],
    )
    return {str(row["source_org_id"]): int(row["n"]) for row in found}


def require_confirmed(state: State, confirmed: str) -> None:
    """Raises `ConfigurationError` unless the org's own id was given."""
    if id18(confirmed) == state.org_id:
        return
    said = f"CONFIRM is {confirmed!r}" if confirmed else "CONFIRM is not given"
    raise ConfigurationError(
        f"{said}; nothing was removed from {state.org_id} ({state.identity['name']}).",
        next_step=f"if this is the org: make remove-target-fields CONFIRM={state.org_id}",
    )


def require_nothing_open(connection: Connection, target_id: str) -> None:
    """Raises `ConfigurationError` while a run into this target is unfinished, or a standing approval stands."""
    found = connection.execute(
        sql.SQL(
            """WITH pair AS (SELECT pair_id FROM coa.org_pair WHERE target_org_id = %s)
               SELECT
                 (SELECT array_agg(run_id ORDER BY run_id) FROM coa.run JOIN pair USING (pair_id)
                    WHERE state IS NULL) AS runs,
                 (SELECT count(*) FROM coa.job JOIN pair USING (pair_id) WHERE state NOT IN {job_over}) AS jobs,
                 (SELECT count(*) FROM coa.ledger JOIN pair USING (pair_id)
                    WHERE origin = 'inserted' AND step IN {load_unfinished}) AS records,
                 (SELECT max(expires_at) FROM coa.standing_approval JOIN pair USING (pair_id)
                    WHERE revoked_at IS NULL AND expires_at > clock_timestamp()) AS standing"""
        ).format(job_over=list_of(JOB_OVER), load_unfinished=list_of(LOAD_UNFINISHED)),
        [target_id],
    ).fetchone()
    assert found is not None
    faults, advice = [], []
    if found["runs"]:
        faults.append(f"Runs that have no end yet: {', '.join(found['runs'])}.")
        advice.append("let them end, or clear what was killed")
    if found["jobs"] or found["records"]:
        faults.append(
            f"{counted(found['records'], 'record')} and {counted(found['jobs'], 'Bulk job')} are unfinished in the "
            "ledger."
        )
        advice.append("finish them by coa_migrate, or undo their run by coa_rollback with scope unfinished")
    if found["standing"]:
        faults.append(f"A standing approval is valid until {found['standing']:%Y-%m-%d %H:%M} UTC.")
        advice.append("withdraw it on the migration page, or let it expire")
    if faults:
        raise ConfigurationError(
            " ".join(faults) + " Nothing was removed.",
            next_step="; ".join(advice) + ". Then run the command again.",
        )


def require_all_known(org: Org, state: State, db: Database) -> None:
    """Raises `ConfigurationError` when the target has more records with a key than the ledger:
    the export would lack them."""
    for sobject in LOADED:
        if f"{sobject}.{SOURCE_ID}" not in state.seen:
            continue
        keyed = org.count(sobject, f"{SOURCE_ID} != null")
        known = db.value(
            """SELECT count(DISTINCT l.target_id) FROM coa.ledger l JOIN coa.org_pair p USING (pair_id)
               WHERE p.target_org_id = %s AND l.sobject = %s AND l.origin = 'inserted'""",
            [state.org_id, sobject],
        )
        if keyed > known:
            raise ConfigurationError(
                f"{keyed} records of {sobject} in {state.org_id} bear a migration key, and this staging database knows "
                f"{known} of them: the id map would not be whole. Nothing was removed.",
                next_step="run the command with the staging database of the migration (AIRFLOW_CONN_COA_STAGING).",
            )


def remove(db: Database, org: Org, state: State, file: Path) -> Removed:
    """Exports, takes the assignments away, deletes, marks; no run can begin on this target meanwhile.

    Raises `ConfigurationError` as the checks above do, with nothing done; a deployment that fails leaves the fields
    where they are, and the assignments may be gone: the same command goes on from there. The org is bound to the one
    that was looked at.
    """
    org.bind(state.org_id, "this removal")
    require_all_known(org, state, db)
    with db.transaction() as connection:
        hold_org(connection, state.org_id)
        require_nothing_open(connection, state.org_id)
        records = export_id_map(db, state.org_id, file)
        # On its own, and before: a delta's base from before the removal is none, whatever becomes of this process.
        db.execute("INSERT INTO coa.fields_removed (target_org_id) VALUES (%s)", [state.org_id])
        for assignment in state.assignments.values():
            _take_away(org, assignment)
        archive = removal_archive(
            state.seen,
            permission_set=bool(state.permission_set),
            marks=_marks(moved_from(db, state.org_id), file.name),
            version=org.api_version,
        )
        return Removed(deploy(org, archive), file, records)


def _take_away(org: Org, assignment: str) -> None:
    """Salesforce deletes no permission set that somebody has (inferred)."""
    path = f"{org.data_path}/sobjects/PermissionSetAssignment/{assignment}"
    try:
        org.request("DELETE", path, kind="rest_write", safe=True)
    except OrgRefused as refused:
        # An earlier call whose answer was lost has done it.
        if refused.status != 404:
            raise


def _marks(sources: dict[str, int], file: str) -> dict[str, str]:
    """Name -> description; a description holds 255 characters."""
    day = datetime.now(UTC)
    return {
        mark_of(
            source
        ): f"{counted(number, 'record')} were moved here from {source}; the migration's fields were removed on "
        f"{day:%Y-%m-%d}. Import {file} before migrating from there again. Grants nothing."
        for source, number in sources.items()
    }


def file_name(target_id: str, now: datetime) -> str:
    """
    >>> file_name("00D000000000001EAA", datetime(2026, 11, 28, 9, 30, tzinfo=UTC))
    'id_map-00D000000000001EAA-20261128T093000Z.csv'
    """
    return f"id_map-{target_id}-{now:%Y%m%dT%H%M%SZ}.csv"
