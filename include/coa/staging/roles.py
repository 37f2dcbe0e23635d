"""Who may do what in the embedded PostgreSQL: an administrator for our commands, a plain role for everything else.

    coa_admin   superuser; its password stays in the server's folder and is given to no process that we start.
                Commands make and drop databases by it.
    coa         owner of the databases, and no more: no superuser, no right to make databases or roles. Tasks,
                Airflow and the migration page have its password.

Up to version 0.1.0 `coa` was the superuser. The role that made a cluster can never lose that right, so it is renamed
to be the administrator, and a new, plain `coa` with the old password gets all that it owned.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing

import psycopg
from psycopg import sql

from coa.staging.sql_files import sql_file

ADMIN = "coa_admin"
ROLE = "coa"
HELPER = "coa_takeover"

Connection = psycopg.Connection[tuple[object, ...]]
Connect = Callable[[str, str, str], Connection]
"""(role, password, database) -> a connection in autocommit."""


def set_up(admin: Connection, password: str, databases: tuple[str, ...]) -> None:
    """The plain role and its databases, as far as they are missing. `password`: the plain role's."""
    if not admin.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [ROLE]).fetchone():
        _create_role(admin, password)
    known = {row[0] for row in admin.execute("SELECT datname FROM pg_database").fetchall()}
    for name in databases:
        if name not in known:
            admin.execute(
                sql.SQL("CREATE DATABASE {} OWNER {}").format(sql.Identifier(name), sql.Identifier(ROLE))
            )


def take_over(connect: Connect, password: str, admin_password: str) -> None:
    """Makes the superuser `coa` of an earlier version the administrator, and a plain `coa` beside it.

    Can be interrupted and called again, with the same passwords, at any point.
    """
    if not _can_log_in(connect, ADMIN, admin_password):
        _rename(connect, password, admin_password)
    with closing(connect(ADMIN, admin_password, "postgres")) as admin:
        for name in _owned_databases(admin):
            with closing(connect(ADMIN, admin_password, name)) as database:
                hand_over(database)
            # Last: a database that the plain role owns is one whose contents it owns.
            admin.execute(
                sql.SQL("ALTER DATABASE {} OWNER TO {}").format(sql.Identifier(name), sql.Identifier(ROLE))
            )
        admin.execute(sql.SQL("DROP ROLE IF EXISTS {}").format(sql.Identifier(HELPER)))


def hand_over(database: Connection) -> None:
    """Gives the plain role what the cluster's maker owns in this database."""
    # So that names come out with their schemas.
    database.execute("SET search_path = ''")
    for (statement,) in database.execute(sql_file(__package__, "owned_by_maker")).fetchall():
        # One at a time: a transaction over the tables of many runs would need more locks than the server has.
        database.execute(str(statement).encode())


def _rename(connect: Connect, password: str, admin_password: str) -> None:
    """In one transaction, by a role that is neither the one nor the other: nobody can rename himself."""
    helper = sql.Identifier(HELPER)
    with closing(connect(ROLE, password, "postgres")) as old:
        old.execute(sql.SQL("DROP ROLE IF EXISTS {}").format(helper))
        old.execute(
            sql.SQL("CREATE ROLE {} SUPERUSER LOGIN PASSWORD {}").format(
                helper, sql.Literal(_encrypted(old, HELPER, admin_password))
            )
        )
    with closing(connect(HELPER, admin_password, "postgres")) as admin, admin.transaction():
        admin.execute(
            sql.SQL("ALTER ROLE {} RENAME TO {}").format(sql.Identifier(ROLE), sql.Identifier(ADMIN))
        )
        admin.execute(
            sql.SQL("ALTER ROLE {} PASSWORD {}").format(
                sql.Identifier(ADMIN), sql.Literal(_encrypted(admin, ADMIN, admin_password))
            )
        )
        _create_role(admin, password)


def _create_role(admin: Connection, password: str) -> None:
    with admin.transaction():
        admin.execute(
            sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(
                sql.Identifier(ROLE), sql.Literal(_encrypted(admin, ROLE, password))
            )
        )
        # By default everybody may enter them, and make temporary tables there.
        admin.execute("REVOKE ALL ON DATABASE postgres, template1 FROM PUBLIC")


def _encrypted(connection: Connection, role: str, password: str) -> str:
    """The password as PostgreSQL keeps it: a statement that fails is written to the server's log."""
    return connection.pgconn.encrypt_password(password.encode(), role.encode(), b"scram-sha-256").decode()


def _can_log_in(connect: Connect, role: str, password: str) -> bool:
    try:
        connect(role, password, "postgres").close()
    except psycopg.OperationalError:
        return False
    return True


def _owned_databases(admin: Connection) -> list[str]:
    return [
        str(row[0])
        for row in admin.execute(
            "SELECT datname FROM pg_database WHERE datdba = 10 AND NOT datistemplate AND datname <> 'postgres' "
            "ORDER BY datname"
        ).fetchall()
    ]
