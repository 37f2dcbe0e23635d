"""Statements of a fixed text, too long to be read inside of Python:
files `<name>.sql` beside the module that runs them."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

from psycopg import sql


@cache
def sql_file(package: str, name: str) -> sql.SQL:
    """The statement in `<name>.sql` of a package. Raises `FileNotFoundError`."""
    text = files(package).joinpath(f"{name}.sql").read_text("utf-8")
    # A file of ours is as literal as a string in the code.
    return sql.SQL(text)
