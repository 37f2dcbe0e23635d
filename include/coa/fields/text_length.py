"""How many characters of a field a text takes, as the org counts them: `Settings.text_length`."""

from __future__ import annotations

from psycopg import sql

from coa.config import Settings

_FIRST_PLANE = r"[^\U00010000-\U0010FFFF]"
"""All but the characters that UTF-16 writes as two. (`regexp_count` came with PostgreSQL 15.)"""


def text_length(value: sql.Composable, settings: Settings) -> sql.Composed:
    """SQL for the length of a text."""
    if settings.text_length == "code_points":
        return sql.SQL("char_length({})").format(value)
    return sql.SQL("(char_length({v}) + char_length(regexp_replace({v}, {others}, '', 'g')))").format(
        v=value, others=sql.Literal(_FIRST_PLANE)
    )


def cut(value: sql.Composable, length: int, settings: Settings) -> sql.Composed:
    """SQL for as much of a text as fits; no character is cut in two."""
    if settings.text_length == "code_points":
        return sql.SQL("left({}, {})").format(value, sql.Literal(length))
    return sql.SQL(
        """CASE WHEN {whole} <= {n} THEN {v} ELSE left({v}, (
             SELECT max(k) FROM generate_series({half}, {n}) k WHERE {part} <= {n})) END"""
    ).format(
        whole=text_length(value, settings),
        part=text_length(sql.SQL("left({}, k)").format(value), settings),
        n=sql.Literal(length),
        half=sql.Literal(length // 2),
        v=value,
    )
