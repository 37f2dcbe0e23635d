"""What we write is for the user who runs us and for nobody else: artifacts and staging hold personal data."""

from __future__ import annotations

import os
from pathlib import Path

UMASK = 0o077


def keep_files_private() -> None:
    """The first call of every command and every task: holds for all that this process and its children make.

    It may only take bits away: where the umask of the surroundings is stricter, that stays.
    """
    os.umask(os.umask(UMASK) | UMASK)


def private_folder(folder: Path) -> Path:
    """The folder, made if need be, closed to others even if an earlier version left it open."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if folder.stat().st_uid == os.geteuid() and folder.stat().st_mode & UMASK:
        folder.chmod(0o700)
    return folder
