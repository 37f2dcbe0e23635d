"""What a caller may count on: a statement alone is whole or nothing, and so is a transaction after it."""

from __future__ import annotations

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
