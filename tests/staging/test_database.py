"""What a caller may count on: a statement alone is whole or nothing, and so is a transaction after it."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest

from coa.staging.database import Database


def test_a_text_of_several_statements_is_carried_out_as_a_whole_or_not_at_all(database: Database) -> None:
    with pytest.raises(psycopg.errors.DivisionByZero):
        database.execute("CREATE TABLE public.half (id int); SELECT 1 / 0")

    assert database.value("SELECT to_regclass('public.half')") is None


def test_a_transaction_that_follows_statements_is_undone_by_its_error(database: Database) -> None:
    with pytest.raises(psycopg.errors.UndefinedTable):
        database.rows("SELECT * FROM public.nowhere")
    assert database.rows("SELECT 1 AS one") == [{"one": 1}]

    def half() -> None:
        with database.transaction() as connection:
            connection.execute("CREATE TABLE public.half (id int)")
            connection.execute("SELECT 1 / 0")

    with pytest.raises(psycopg.errors.DivisionByZero):
        half()

    assert database.value("SELECT to_regclass('public.half')") is None


def test_a_connection_that_the_server_ended_is_replaced(database: Database) -> None:
    with pytest.raises(psycopg.OperationalError):
        database.execute("SELECT pg_terminate_backend(pg_backend_pid())")

    assert database.value("SELECT 1") == 1


def test_connections_that_end_while_they_rest_are_replaced_whoever_notices(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server says so on the socket; of one that a firewall forgot only an answer that fails to come tells."""
    resting = "pid <> pg_backend_pid() AND datname = current_database()"
    with database.transaction():
        database.execute("SELECT 1")
        with database.transaction() as another:
            another.execute(
                f"SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE {resting} AND state = 'idle'"
            )
            assert database.value("SELECT 1") == 1

    with database.transaction() as one, database.transaction() as two:
        killed = [int(c.execute("SELECT pg_backend_pid() AS pid").fetchall()[0]["pid"]) for c in (one, two)]
    monkeypatch.setattr("coa.staging.database.IDLE_SECONDS", 0.0)
    monkeypatch.setattr("coa.staging.database._has_word", lambda _connection: False)
    with psycopg.connect(database.url.replace("+psycopg", "")) as beside:
        for pid in killed:
            beside.execute("SELECT pg_terminate_backend(%s, 5000)", [pid])

    assert database.value("SELECT 1") == 1


def test_a_busy_pool_asks_nobody_whether_he_lives(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    database.value("SELECT 1")
    monkeypatch.setattr("coa.staging.database._has_word", lambda _connection: False)
    sent: list[object] = []
    execute = psycopg.Cursor.execute

    def noted(self: psycopg.Cursor[Any], query: Any, *arguments: Any, **named: Any) -> Any:
        sent.append(query)
        return execute(self, query, *arguments, **named)

    monkeypatch.setattr(psycopg.Cursor, "execute", noted)

    database.value("SELECT 1")

    assert len(sent) == 1


def test_a_block_of_the_driver_ends_nothing_that_is_around_it(database: Database) -> None:
    """Results are landed in such a block, to be read again when they break off; they are applied after it."""

    def broken_off() -> None:
        with database.transaction() as connection:
            with connection.transaction():
                connection.execute("CREATE TABLE coa.landed ()")
            raise KeyError

    with pytest.raises(KeyError):
        broken_off()
    assert database.value("SELECT to_regclass('coa.landed')") is None
