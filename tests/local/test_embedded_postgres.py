"""The embedded PostgreSQL: starts anywhere, survives what happens to servers, changes nothing around it."""

from __future__ import annotations

import os
import pwd
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psycopg
import pytest

from coa.errors import ConfigurationError
from coa.staging import embedded
from coa.staging.embedded import EmbeddedPostgres


@pytest.fixture
def server(tmp_path: Path) -> Iterator[EmbeddedPostgres]:
    made = EmbeddedPostgres(tmp_path / "closed" / "to others" / ("deep" * 30) / "postgres")
    yield made
    made.stop()


def query(server: EmbeddedPostgres, statement: str) -> object:
    with closing(psycopg.connect(server.url(), autocommit=True)) as connection:
        cursor = connection.execute(statement)
        return cursor.fetchone() if cursor.description else None


def pid_of(server: EmbeddedPostgres) -> int:
    running = server.postmaster()
    assert running is not None
    return running.pid


def test_it_runs_below_a_closed_folder_and_leaves_all_folders_above_as_they_are(
    server: EmbeddedPostgres, tmp_path: Path
) -> None:
    above = tmp_path / "closed"
    above.mkdir(mode=0o700)
    accounts = [account.pw_name for account in pwd.getpwall()]
    before = [(p, p.stat().st_mode, p.stat().st_uid) for p in [above, *above.parents]]

    server.start()

    assert query(server, "SELECT current_database()") == ("coa_staging",)
    assert [(p, p.stat().st_mode, p.stat().st_uid) for p in [above, *above.parents]] == before
    assert [account.pw_name for account in pwd.getpwall()] == accounts


def test_nobody_else_can_read_the_password_or_the_data(server: EmbeddedPostgres) -> None:
    server.start()

    modes = {
        p.name: p.stat().st_mode & 0o777
        for p in (server.folder, server.data, server.folder / "password", server.folder / "admin_password")
    }

    assert modes == {"postgres": 0o700, "data": 0o700, "password": 0o600, "admin_password": 0o600}
    with pytest.raises(psycopg.OperationalError, match="password"):
        psycopg.connect(server.url().replace("coa:", "coa:wrong"))


def test_a_second_start_keeps_the_server_and_a_stop_ends_it(server: EmbeddedPostgres) -> None:
    server.start()
    first = pid_of(server)

    server.start()

    assert pid_of(server) == first
    assert server.stop() is True
    assert server.stop() is False
    with pytest.raises(ConfigurationError, match="does not run"):
        server.url()


def test_data_survives_a_killed_server(server: EmbeddedPostgres) -> None:
    server.start()
    query(server, "CREATE TABLE kept AS SELECT 42 AS answer")
    killed = pid_of(server)

    os.kill(killed, signal.SIGKILL)
    wait_for_end(killed)
    server.start()

    assert query(server, "SELECT answer FROM kept") == (42,)


def test_a_pid_file_from_before_a_reboot_does_not_matter(server: EmbeddedPostgres) -> None:
    server.start()
    content = (server.data / "postmaster.pid").read_text()
    server.stop()
    # After a reboot the pid in the file may belong to any process: here, to this test.
    (server.data / "postmaster.pid").write_text(content.replace(content.splitlines()[0], str(os.getpid()), 1))

    assert server.postmaster() is None
    server.start()

    assert pid_of(server) != os.getpid()


def test_a_kill_in_the_middle_of_the_first_start_leaves_nothing_in_the_way(server: EmbeddedPostgres) -> None:
    half = server.folder / "new"
    half.mkdir(parents=True)
    (half / "PG_VERSION").write_text("18\n")

    server.start()

    assert query(server, "SELECT 1") == (1,)


def test_concurrent_starts_give_one_server(server: EmbeddedPostgres) -> None:
    failures: list[BaseException] = []

    def start() -> None:
        try:
            EmbeddedPostgres(server.folder).start()
        except BaseException as error:  # noqa: BLE001  # a thread has no other way to tell
            failures.append(error)

    threads = [threading.Thread(target=start) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert failures == []
    assert query(server, "SELECT 1") == (1,)


def test_the_last_user_stops_the_server_and_a_killed_user_does_not_count(server: EmbeddedPostgres) -> None:
    with server.in_use():
        script = (
            "import sys, pathlib; from coa.staging.embedded import EmbeddedPostgres\n"
            f"with EmbeddedPostgres(pathlib.Path({str(server.folder)!r})).in_use():\n"
            "    print('in', flush=True); sys.stdin.read()\n"
        )
        other = subprocess.Popen(
            [sys.executable, "-c", script],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": str(Path(embedded.__file__).parents[2])},
        )
        assert other.stdout is not None
        assert other.stdout.readline() == b"in\n"

        assert server.stop_if_unused() is False

        other.kill()
        other.wait()
    assert server.postmaster() is None


def test_an_error_inside_stops_it_too(server: EmbeddedPostgres) -> None:
    with pytest.raises(RuntimeError), server.in_use():
        raise RuntimeError
    assert server.postmaster() is None


def test_a_missing_program_folder_says_what_to_set(
    server: EmbeddedPostgres, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("COA_POSTGRES_BIN", str(tmp_path))

    with pytest.raises(ConfigurationError, match="COA_POSTGRES_BIN"):
        server.start()


def test_the_command_line_tells_whether_it_runs(tmp_path: Path) -> None:
    environment = {
        **os.environ,
        "COA_LOCAL_FOLDER": str(tmp_path),
        "PYTHONPATH": str(Path(embedded.__file__).parents[2]),
    }

    def command(name: str) -> tuple[int, str]:
        done = subprocess.run(
            [sys.executable, "-m", "coa.staging.embedded", name],
            capture_output=True,
            text=True,
            env=environment,
            check=False,
        )
        return done.returncode, done.stdout.strip()

    assert command("status") == (3, "does not run")
    assert command("start")[0] == 0
    assert command("status")[1].startswith("runs on 127.0.0.1:")
    assert command("url")[1].startswith("postgresql://coa:")
    assert command("stop") == (0, "does not run")


def wait_for_end(pid: int) -> None:
    import psutil

    try:
        psutil.Process(pid).wait(10)
    except psutil.NoSuchProcess:
        return


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has rights to drop")
def test_it_runs_in_a_container_where_root_cannot_become_anybody_else(tmp_path: Path) -> None:
    script = (
        "from coa.staging.embedded import EmbeddedPostgres as E, Path; import sys\n"
        "with E(Path(sys.argv[1])).in_use() as server: print(server.postmaster().ready)"
    )
    done = subprocess.run(
        ["unshare", "--user", "--map-root-user", sys.executable, "-c", script, str(tmp_path / "postgres")],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(Path(embedded.__file__).parents[2])},
    )
    if "unshare" in done.stderr:
        pytest.skip("no user namespaces on this system")
    assert (done.stdout.strip(), done.stderr) == ("True", "")


def test_a_server_that_was_killed_comes_back_on_the_same_port(server: EmbeddedPostgres) -> None:
    server.start()
    before = server.postmaster()
    assert before is not None
    os.kill(before.pid, signal.SIGKILL)
    wait_for_end(before.pid)

    server.start()

    after = server.postmaster()
    assert after is not None
    assert (after.port, after.pid != before.pid) == (before.port, True)


def test_a_server_that_takes_its_time_is_left_to_go_on(
    server: EmbeddedPostgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a long recovery does: what ended it would make it begin anew."""
    monkeypatch.setattr(embedded, "START_SECONDS", 0)

    with pytest.raises(ConfigurationError, match="is still starting"):
        server.start()

    monkeypatch.setattr(embedded, "START_SECONDS", 60)
    wait_until_it_is_there(server)
    first = pid_of(server)
    server.start()
    assert pid_of(server) == first
    assert query(server, "SELECT 1") == (1,)


def wait_until_it_is_there(server: EmbeddedPostgres) -> None:
    until = time.monotonic() + 60
    while server.postmaster() is None:
        assert time.monotonic() < until, server.log_tail()
        time.sleep(0.02)


def test_a_port_that_somebody_else_has_by_now_is_given_up(server: EmbeddedPostgres) -> None:
    server.start()
    before = server.postmaster()
    assert before is not None
    server.stop()
    with closing(socket.socket()) as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(("127.0.0.1", before.port))
        taken.listen()

        server.start()

        after = server.postmaster()
    assert after is not None
    assert after.port != before.port
