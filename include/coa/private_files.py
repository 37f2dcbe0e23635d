"""Files that we write can be read only by the user who runs us: artifacts and staging contain personal data."""

from __future__ import annotations

import os
from pathlib import Path

UMASK = 0o077


def keep_files_private() -> None:
    """Restricts what this process and its children create; every command and task calls it first.

    It only takes rights away: a stricter umask stays.
    """
    os.umask(os.umask(UMASK) | UMASK)


def private_folder(folder: Path) -> Path:
    """The folder, made if need be, closed to others even if an earlier version left it open."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if folder.stat().st_uid == os.geteuid() and folder.stat().st_mode & UMASK:
        folder.chmod(0o700)
    return folder
