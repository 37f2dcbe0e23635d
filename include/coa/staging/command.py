"""How commands are told which staging database they work on."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError

from coa.config import Settings
from coa.errors import ConfigurationError
from coa.staging.embedded import EmbeddedPostgres

VARIABLE = "COA_STAGING_URL"


def add_staging(parser: argparse.ArgumentParser) -> None:
    """The option `--staging`."""
    parser.add_argument(
        "--staging",
        default="",
        metavar="URL",
        help=f"PostgreSQL URL without its password; or {VARIABLE}, which may hold one. "
        "Default: the embedded database of the project",
    )


@contextmanager
def staging_url(given: str) -> Iterator[str]:
    """URL of the database that the option, else the environment names; the embedded server runs meanwhile.

    Raises `ConfigurationError` for a password among the arguments: whoever lists processes reads them, and the
    shell's history keeps them.
    """
    if given and _password_in(given):
        raise ConfigurationError(
            "The URL of --staging contains a password, which everyone who can list processes can read.",
            next_step=f"put the URL into the environment variable {VARIABLE}, or leave the password out of it: "
            "PGPASSWORD and ~/.pgpass are read.",
        )
    named = given or Settings.from_environment("staging_url").staging_url
    if named:
        yield named
        return
    with EmbeddedPostgres().in_use() as server:
        yield server.url()


def _password_in(url: str) -> bool:
    try:
        parsed = make_url(url)
    except ArgumentError:
        return False
    return parsed.password is not None or "password" in parsed.query
