"""Runs a program without root's rights when root calls: PostgreSQL refuses to run as root.

Two ways; the first that this system allows is used:

- As an account that every system has and that owns nothing (`nobody`), without any capability and without a way
  to get one. It cannot pass folders of mode 0700 on the way to its own files, so it is started inside its
  folder, before root's rights are dropped (`HERE`).
- In a user namespace in which root's own uid has another number, where root cannot become another user (a
  rootless container with a single uid). The program can still read what that uid owns.
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

from coa.child_environment import Child, child_environment
from coa.errors import ConfigurationError

ACCOUNTS = ("nobody", "postgres", "daemon")
STANDARD_PATH = "/usr/bin:/bin:/usr/sbin:/sbin"
HERE = "/proc/self/cwd"
"""A process's current folder, by a link that the kernel follows without asking for the rights on the way to it."""


@dataclass(frozen=True)
class Unprivileged:
    """How to run a program, and who must own its files (None: whoever makes them)."""

    prefix: tuple[str, ...] = ()
    owner: tuple[int, int] | None = None

    @property
    def uid(self) -> int:
        """As which user the program is seen from here."""
        return self.owner[0] if self.owner else os.geteuid()

    def command(self, command: list[str]) -> list[str]:
        """The command, run as the other user where this process is root."""
        return [*self.prefix, *command]

    def folder(self, folder: Path) -> str:
        """How the program must be told its folder, when it is started in there."""
        return HERE if self.owner else str(folder)

    def give(self, file: Path | int) -> None:
        """Makes a folder, or an open file or pipe, the program's own."""
        if self.owner:
            os.chown(file, *self.owner)

    def can_run(self, command: list[str]) -> bool:
        """Whether the program can be reached and ends well."""
        return _run(self, command).returncode == 0


@cache
def unprivileged() -> Unprivileged:
    """The way for this process. Raises `ConfigurationError` when root cannot drop its rights here."""
    if os.geteuid() != 0:
        return Unprivileged()
    problems: list[str] = []
    for way in _ways():
        tried = _run(way, ["/bin/sh", "-c", ":"])
        if tried.returncode == 0:
            return way
        problems.append(tried.stderr.strip())
    raise ConfigurationError(
        "PostgreSQL does not run as root, and this system does not let root run it as another account: "
        + ("; ".join(problems) or "neither `setpriv` nor `unshare` (package util-linux) is here")
        + ".",
        next_step="run as an ordinary user, or define the connection coa_staging with your own PostgreSQL.",
    )


def _ways() -> Iterator[Unprivileged]:
    setpriv, unshare = _tool("setpriv"), _tool("unshare")
    account = _account()
    if setpriv and account:
        owner = (account.pw_uid, account.pw_gid)
        plain = (setpriv, f"--reuid={owner[0]}", f"--regid={owner[1]}", "--clear-groups", "--no-new-privs")
        yield Unprivileged((*plain, "--inh-caps=-all", "--bounding-set=-all"), owner)
        # A container may have taken CAP_SETPCAP from root: the uid alone then drops what the process could use.
        yield Unprivileged(plain, owner)
    if unshare:
        yield Unprivileged((unshare, "--user", "--map-user=65534", "--map-group=65534"))


def _run(way: Unprivileged, command: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        way.command(command),
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
        # Some programs look at the folder that they are started in, and ours may be closed to them.
        cwd="/",
        env=child_environment(Child.SERVER),
    )


def _account() -> pwd.struct_passwd | None:
    for name in ACCOUNTS:
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    return None


def _tool(name: str) -> str | None:
    return shutil.which(name) or shutil.which(name, path=STANDARD_PATH)
