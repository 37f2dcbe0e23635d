"""Runs a program without root's rights when root calls: PostgreSQL refuses to serve root.

Two ways, the first that this system allows:

- As an account that every system has and that owns nothing (`nobody`), with one single right of root
  left: CAP_DAC_OVERRIDE, to pass folders of mode 0700 on the way to its own files. So no folder has
  to be opened and no account has to be made for it.
- In a user namespace in which root's own uid goes by another number, where root may not become
  anybody else (a rootless container with a single uid).
"""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from coa.errors import ConfigurationError

ACCOUNTS = ("nobody", "postgres", "daemon")
STANDARD_PATH = "/usr/bin:/bin:/usr/sbin:/sbin"


@dataclass(frozen=True)
class Unprivileged:
    """How to run a program, and who must own its files (None: whoever makes them)."""

    prefix: tuple[str, ...] = ()
    owner: tuple[int, int] | None = None

    def command(self, command: list[str]) -> list[str]:
        return [*self.prefix, *command]

    def give(self, folder: Path) -> None:
        if self.owner:
            os.chown(folder, *self.owner)


@cache
def unprivileged() -> Unprivileged:
    """The way for this process. Raises `ConfigurationError` when root cannot drop its rights here."""
    if os.geteuid() != 0:
        return Unprivileged()
    problems: list[str] = []
    for way in _ways():
        tried = subprocess.run(
            way.command(["/bin/sh", "-c", ":"]), capture_output=True, text=True, check=False
        )
        if tried.returncode == 0:
            return way
        problems.append(tried.stderr.strip())
    raise ConfigurationError(
        "PostgreSQL does not run as root, and this system does not let root run it as another account: "
        + ("; ".join(problems) or "neither `setpriv` nor `unshare` (package util-linux) is here")
        + ".",
        next_step="run as an ordinary user, or define the connection coa_staging with a PostgreSQL of yours.",
    )


def _ways() -> Iterator[Unprivileged]:
    setpriv, unshare = _tool("setpriv"), _tool("unshare")
    account = _account()
    if setpriv and account:
        owner = (account.pw_uid, account.pw_gid)
        plain = (setpriv, f"--reuid={owner[0]}", f"--regid={owner[1]}", "--clear-groups")
        yield Unprivileged((*plain, "--inh-caps=+dac_override", "--ambient-caps=+dac_override"), owner)
        # A container may have taken CAP_DAC_OVERRIDE from root: the paths must be open by themselves.
        yield Unprivileged(plain, owner)
    if unshare:
        yield Unprivileged((unshare, "--user", "--map-user=65534", "--map-group=65534"))


def _account() -> pwd.struct_passwd | None:
    for name in ACCOUNTS:
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    return None


def _tool(name: str) -> str | None:
    return shutil.which(name) or shutil.which(name, path=STANDARD_PATH)
