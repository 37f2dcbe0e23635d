"""Owners of records without an active counterpart in the target: the finding, and their lines in the template."""

from __future__ import annotations

from psycopg import sql

from coa.findings.finding import Finding, finding
from coa.model import LOADED
from coa.staging.database import Row
from coa.staging.runs import SOURCE, TARGET, Run
from coa.staging.tables import Table
from coa.transform.desired import keeps_inactive_owners
from coa.wording import counted

NAMED_OWNERS = 3
"""Of an owners' finding: the mapping template has all of them."""


def check_owners(run: Run) -> list[Finding]:
    """Owners of records without a counterpart among the target's users, or with an inactive one,
    those of most first."""
    found: dict[bool, list[Row]] = {}
    for row in owners_left(run):
        found.setdefault(bool(row["inactive"]), []).append(row)
    return [
        finding(
            "warning",
            "owners_inactive" if inactive else "owners_unmatched",
            sobject="User",
            field="OwnerId",
            count=sum(o["records"] for o in owners),
            examples=[o["id"] for o in owners],
            owners=len(owners),
            most=_most(owners),
            policy=run.params.owner_policy,
        )
        for inactive, owners in sorted(found.items(), reverse=True)
    ]


def _most(owners: list[Row]) -> str:
    told = ", ".join(
        f"{o['name'] or o['id']} ({counted(o['records'], 'record')})" for o in owners[:NAMED_OWNERS]
    )
    rest = len(owners) - NAMED_OWNERS
    return f"{told} and {rest} more" if rest > 0 else told


def owners_left(run: Run) -> list[Row]:
    """Owners of records of ours who have no active counterpart in the target; those of most records first.

    Rows: id, `name` as people know the user (name and e-mail or user name), `key` (what the mapping file calls the user
    by), records, inactive (there is a counterpart), `target` (its user name or e-mail).
    """
    if not (
        run.has_table(SOURCE, "User") and run.has_table(Table.MAP, "User") and run.has_table(TARGET, "User")
    ):
        return []
    owned = sql.SQL(" UNION ALL ").join(
        sql.SQL('SELECT "OwnerId" AS id FROM {}').format(run.table(SOURCE, name))
        for name in LOADED
        if "OwnerId" in run.columns(SOURCE, name)
    )
    return run.db.rows(
        sql.SQL(
            """SELECT o.id, {name} AS name, {key} AS key, o.n::bigint AS records, t."Id" IS NOT NULL AS inactive,
                      {target} AS target
               FROM (SELECT id, count(*) AS n FROM ({owned}) x WHERE id LIKE '005%%' GROUP BY id) o
               LEFT JOIN {theirs} s ON s."Id" = o.id
               LEFT JOIN {map} m ON m.source_id = o.id
               LEFT JOIN {users} t ON t."Id" = m.target_id
               WHERE t."Id" IS NULL OR (t."IsActive" <> 'true' AND NOT {kept}) ORDER BY o.n DESC, o.id"""
        ).format(
            name=_called(run, SOURCE, "s", ("Name", "Email", "Username")),
            key=sql.SQL("COALESCE(NULLIF({}, ''), o.id)").format(
                _first(run, SOURCE, "s", ("Username", "Email"))
            ),
            target=_first(run, TARGET, "t", ("Username", "Email")),
            kept=sql.Literal(keeps_inactive_owners(run)),
            owned=owned,
            theirs=run.table(SOURCE, "User"),
            map=run.table(Table.MAP, "User"),
            users=run.table(TARGET, "User"),
        ),
    )


def _present(run: Run, kind: str, names: tuple[str, ...]) -> list[str]:
    columns = run.columns(kind, "User")
    return [name for name in names if name in columns]


def _called(run: Run, kind: str, alias: str, names: tuple[str, ...]) -> sql.Composable:
    """SQL: the first two of a user's names that there are and that are filled, the second one with a comma."""
    there = [
        sql.SQL("NULLIF({}, '')").format(sql.Identifier(alias, n)) for n in _present(run, kind, names)[:2]
    ]
    return sql.SQL("concat_ws(', ', {})").format(sql.SQL(", ").join([*there, sql.SQL("NULL::text")]))


def _first(run: Run, kind: str, alias: str, names: tuple[str, ...]) -> sql.Composable:
    there = [sql.SQL("NULLIF({}, '')").format(sql.Identifier(alias, n)) for n in _present(run, kind, names)]
    return sql.SQL("COALESCE({})").format(sql.SQL(", ").join([*there, sql.SQL("NULL::text")]))
