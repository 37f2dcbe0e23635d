"""What the embedded PostgreSQL, its roles and its process may do, and clusters whose `coa` was a superuser."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import psycopg
import pytest
from tests.databases import CARELESS

from coa.errors import ConfigurationError
from coa.staging import postgres_programs, roles
from coa.staging.embedded import EmbeddedPostgres
from coa.staging.sql_files import sql_file
from coa.staging.unprivileged import Unprivileged, unprivileged

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root has rights to drop")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedPostgres]:
    """One that was made, not only started, by a process with a secret in its environment."""
    os.environ["SECRET_OF_ANOTHER_TOOL"] = "sesame"
    try:
        with EmbeddedPostgres(tmp_path_factory.mktemp("rights") / "postgres", CARELESS).in_use() as made:
            yield made
    finally:
        del os.environ["SECRET_OF_ANOTHER_TOOL"]


def connected(url: str) -> closing[psycopg.Connection[tuple[object, ...]]]:
    return closing(psycopg.connect(url, autocommit=True))


def said(connection: psycopg.Connection[tuple[object, ...]], command: str) -> list[str]:
    """The lines of a program that the server runs."""
    connection.execute("CREATE TEMPORARY TABLE IF NOT EXISTS said (line text)")
    connection.execute("TRUNCATE said")
    connection.execute(
        f"COPY said FROM PROGRAM $${command}$$ WITH (FORMAT csv, DELIMITER e'\\x01', QUOTE e'\\x02')"
    )
    return [str(row[0]) for row in connection.execute("SELECT line FROM said").fetchall()]


def test_the_role_that_everything_uses_has_no_right_but_that_of_an_owner(server: EmbeddedPostgres) -> None:
    with connected(server.url()) as connection:
        rights = connection.execute(
            "SELECT rolsuper, rolcreatedb, rolcreaterole, rolreplication, rolbypassrls, "
            "(SELECT count(*) FROM pg_auth_members WHERE member = r.oid) FROM pg_roles r WHERE rolname = current_user"
        ).fetchone()
        owned = connection.execute(
            "SELECT array_agg(datname::text ORDER BY datname) FROM pg_database d "
            "JOIN pg_roles r ON r.oid = datdba WHERE rolname = current_user"
        ).fetchone()

    assert rights == (False, False, False, False, False, 0)
    assert owned == (["airflow", "coa_staging"],)


@pytest.mark.parametrize(
    "statement",
    [
        "COPY (SELECT 1) TO PROGRAM 'cat > /tmp/coa_was_here'",
        "CREATE TEMPORARY TABLE line (l text); COPY line FROM PROGRAM 'id'",
        "CREATE TEMPORARY TABLE line (l text); COPY line FROM '/etc/passwd'",
        "SELECT pg_read_file('/etc/passwd')",
        "SELECT lo_import('/etc/passwd')",
        "ALTER SYSTEM SET log_statement = 'all'",
        "ALTER ROLE coa SUPERUSER",
        "CREATE ROLE another",
        "CREATE DATABASE another",
        "SET ROLE coa_admin",
        "CREATE FUNCTION run(text) RETURNS int AS 'libc.so.6', 'system' LANGUAGE c",
    ],
)
def test_it_reads_no_file_runs_no_program_and_makes_no_role(server: EmbeddedPostgres, statement: str) -> None:
    with connected(server.url()) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute(statement.encode())


def test_it_enters_no_database_but_its_own(server: EmbeddedPostgres) -> None:
    for name in ("postgres", "template1"):
        with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
            psycopg.connect(server.url(name))


def test_the_server_has_none_of_the_environment_of_who_started_it(server: EmbeddedPostgres) -> None:
    with connected(server.admin_url()) as admin:
        environment = said(admin, "env")

    assert not any("sesame" in line for line in environment)
    assert {line.partition("=")[0] for line in environment} <= {
        *("PATH", "HOME", "USER", "LOGNAME", "SHELL", "TMPDIR", "TZ", "LANG", "LANGUAGE", "TERM", "COLUMNS"),
        *("LD_LIBRARY_PATH", "NO_COLOR", "FORCE_COLOR", "PWD", "OLDPWD", "SHLVL", "_"),
        *(name for name in os.environ if name.startswith("LC_")),
        # Set by the server itself.
        *("PGLOCALEDIR", "PG_GRANDPARENT_PID", "PGDATA", "PGSYSCONFDIR"),
        *("LC_COLLATE", "LC_CTYPE", "LC_MESSAGES", "LC_MONETARY", "LC_NUMERIC", "LC_TIME"),
    }


@needs_root
def test_the_servers_process_keeps_no_capability_and_no_file_of_root_is_open_to_its_administrator(
    server: EmbeddedPostgres, tmp_path: Path
) -> None:
    secret = tmp_path / "of root"
    secret.write_text("sesame")
    secret.chmod(0o600)
    with connected(server.admin_url()) as admin:
        status = dict(line.split(":", 1) for line in said(admin, "cat /proc/self/status"))
        with pytest.raises(psycopg.errors.InsufficientPrivilege, match="Permission denied"):
            admin.execute("SELECT pg_read_file(%s)", [str(secret)])
        through_a_program = said(admin, f'cat "{secret}" 2>&1; true')

    none = f"{0:016x}"
    assert {name: status[name].strip() for name in ("CapInh", "CapPrm", "CapEff", "CapAmb")} == dict.fromkeys(
        ("CapInh", "CapPrm", "CapEff", "CapAmb"), none
    )
    assert "0" not in status["Uid"].split()
    assert status["Groups"].split() == []
    assert status["NoNewPrivs"].strip() == "1"
    assert "Permission denied" in through_a_program[0]


@needs_root
def test_root_follows_no_link_that_the_servers_account_laid_into_its_folder(tmp_path: Path) -> None:
    server = EmbeddedPostgres(tmp_path / "postgres", CARELESS)
    with server.in_use():
        pass
    victim = tmp_path / "victim"
    victim.write_text("as it was")
    for name in ("postgresql.auto.conf", "postmaster.pid", "postmaster.opts"):
        (server.data / name).unlink(missing_ok=True)
        (server.data / name).symlink_to(victim)
    # The server cannot read such a file either: that it does not start is as good.
    with suppress(ConfigurationError):
        server.start()
    server.stop()

    assert victim.read_text() == "as it was"


@needs_root
def test_programs_in_a_closed_folder_are_copied_for_the_server_and_the_copy_goes_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    own = postgres_programs.copy_programs(postgres_programs.binaries().parent, closed)
    closed.chmod(0o700)
    monkeypatch.setenv("COA_POSTGRES_BIN", str(own))
    server = EmbeddedPostgres(tmp_path / "postgres", CARELESS)

    with server.in_use(), connected(server.url()) as connection:
        copy = Path((server.folder / "programs").read_text())
        assert connection.execute("SELECT current_database()").fetchone() == ("coa_staging",)
        assert (copy.stat().st_uid, copy.stat().st_mode & 0o777) == (0, 0o755)
        assert all(not path.lstat().st_mode & 0o022 for path in copy.rglob("*") if not path.is_symlink())

    assert not copy.exists()


# ---- clusters of before ------------------------------------------------------------------------
FILLED = """
CREATE SCHEMA run_1;
CREATE TYPE run_1.colour AS ENUM ('red');
CREATE DOMAIN run_1.positive AS int CHECK (VALUE > 0);
CREATE TYPE run_1.pair AS (a int, b int);
CREATE SEQUENCE run_1.alone;
CREATE TABLE run_1.rows (id serial PRIMARY KEY, other int GENERATED ALWAYS AS IDENTITY, c run_1.colour, t text);
CREATE TABLE run_1.parts (id int) PARTITION BY RANGE (id);
CREATE TABLE run_1.part PARTITION OF run_1.parts FOR VALUES FROM (0) TO (9);
CREATE VIEW run_1.seen AS SELECT id FROM run_1.rows;
CREATE MATERIALIZED VIEW run_1.kept AS SELECT id FROM run_1.rows;
CREATE FUNCTION run_1.twice(n int) RETURNS int LANGUAGE sql AS 'SELECT 2 * n';
CREATE FUNCTION public.twice(n int) RETURNS int LANGUAGE sql AS 'SELECT 2 * n';
CREATE PROCEDURE run_1.nothing() LANGUAGE sql AS 'SELECT 1';
INSERT INTO run_1.rows (t) VALUES ('kept');
"""


@pytest.fixture
def earlier(tmp_path: Path) -> Iterator[EmbeddedPostgres]:
    """A running cluster as version 0.1.0 made it, with a little of everything in it, not yet taken over."""
    server = EmbeddedPostgres(tmp_path / "postgres", CARELESS)
    server.folder.mkdir(mode=0o700)
    new = server.folder / "new"
    new.mkdir(mode=0o700)
    unprivileged().give(new)
    server._write_private(server._password_file, "pass word")
    server._initdb(new, "pass word", superuser="coa")
    new.rename(server.data)
    server._launch()
    with connected(server.url("postgres")) as admin:
        for name in ("coa_staging", "airflow", "airflow_run_left"):
            admin.execute(f"CREATE DATABASE {name}")
    with connected(server.url()) as staging:
        staging.execute(FILLED)
    yield server
    server.stop()


def not_ours(server: EmbeddedPostgres) -> list[object]:
    """Statements that would still have to be run, and databases that `coa` does not own."""
    with connected(server.admin_url("coa_staging")) as admin:
        left = [row[0] for row in admin.execute(sql_file("coa.staging", "owned_by_maker")).fetchall()]
        others = admin.execute(
            "SELECT datname FROM pg_database WHERE datdba = 10 AND datname !~ '^(postgres|template)'"
        ).fetchall()
    return [*left, *others]


def test_the_superuser_of_an_earlier_version_becomes_a_plain_role_that_owns_what_it_owned(
    earlier: EmbeddedPostgres,
) -> None:
    password = earlier.url().partition("//coa:")[2].partition("@")[0]

    earlier.start()

    assert not_ours(earlier) == []
    with connected(earlier.url()) as connection:
        assert connection.execute("SELECT rolsuper FROM pg_roles WHERE rolname = 'coa'").fetchone() == (
            False,
        )
        assert connection.execute("SELECT t, run_1.twice(21) FROM run_1.rows").fetchone() == ("kept", 42)
        connection.execute("INSERT INTO run_1.rows (t) VALUES ('more')")
        connection.execute("REFRESH MATERIALIZED VIEW run_1.kept")
        connection.execute("ALTER TABLE run_1.rows ADD COLUMN more run_1.colour")
        connection.execute("ALTER TYPE run_1.colour ADD VALUE 'green'")
        connection.execute("DROP SCHEMA run_1 CASCADE")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("ALTER SYSTEM SET log_statement = 'all'")
    # Settings that were made with its address go on to work.
    assert earlier.url().partition("//coa:")[2].partition("@")[0] == password


def test_a_take_over_that_was_killed_at_any_point_is_finished_by_the_next_start(
    earlier: EmbeddedPostgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(Exception):
        pass

    def killed(*_: object) -> None:
        raise Killed

    real = roles._create_role
    for name in ("_rename", "_create_role", "hand_over"):
        with monkeypatch.context() as patch:
            patch.setattr(roles, name, killed)
            with pytest.raises(Killed):
                earlier.start()
    assert roles._create_role is real

    earlier.start()

    assert not_ours(earlier) == []
    with connected(earlier.admin_url()) as admin:
        made = admin.execute("SELECT rolname FROM pg_roles WHERE rolname ~ '^coa' ORDER BY 1").fetchall()
    assert made == [("coa",), ("coa_admin",)]
    assert not (earlier.folder / "admin_password.new").exists()


def test_the_command_for_nobody_leaves_nothing_to_regain() -> None:
    way = unprivileged()

    if os.geteuid() == 0 and way.owner:
        assert "--no-new-privs" in way.prefix
        assert not [word for word in way.prefix if "+" in word]
    else:
        assert way.owner is None
    assert subprocess.run(way.command(["true"]), check=False).returncode == 0
    assert Unprivileged().command(["true"]) == ["true"]
