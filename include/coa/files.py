"""Reads a file that a setting, a param or a connection names: a regular file, of bounded size, in an allowed
place.

A path from outside may name anything: a FIFO that never ends, a device, a link that leads elsewhere. So links
are resolved first, the file is opened along exactly that path, and nothing larger than the limit is read into
memory.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

THROUGH = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW
"""A part of a resolved path is no link; if it is one by now, somebody swapped it."""
PASS = getattr(os, "O_PATH", os.O_RDONLY) | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_DIRECTORY
"""On Linux a folder needs to be entered only, not listed."""

MOST_KEY_BYTES = 64 * 1024
"""A private key of 16,384 bits takes 13 KB as PEM."""


class NotReadable(Exception):
    """Why a file is not read: a few words, nothing that stands in it."""


class OutsideFolder(NotReadable):
    """It does not lie below the folder that it has to lie in, whether it is there or not."""


def read_regular(path: Path, most_bytes: int, below: Path | None = None) -> bytes:
    """What a file holds. Raises `NotReadable`; `OutsideFolder` for one that does not lie `below` (links resolved)."""
    try:
        where = path.resolve()
        inside = below is None or where.is_relative_to(below.resolve())
    except (OSError, RuntimeError, ValueError):
        # A circle of links, or a character that no path can have.
        raise NotReadable("it is not the path of a file") from None
    if not inside:
        raise OutsideFolder("it is elsewhere")
    try:
        descriptor = _open(where)
        with open(descriptor, "rb", closefd=True) as file:
            about = os.fstat(descriptor)
            if not stat.S_ISREG(about.st_mode):
                raise NotReadable("it is not a regular file")
            content = file.read(most_bytes + 1)
    except OSError as error:
        raise NotReadable(error.strerror or type(error).__name__) from None
    if len(content) > most_bytes:
        raise NotReadable(f"it is larger than {most_bytes:,} bytes")
    return content


def _open(where: Path) -> int:
    """Opens a resolved path part by part, so that no link is followed that was put there since; waits for nothing."""
    here = os.open(where.anchor, PASS)
    try:
        for part in where.parts[1:-1]:
            inner = os.open(part, PASS, dir_fd=here)
            os.close(here)
            here = inner
        # Without O_NONBLOCK the opening of a FIFO waits for whoever writes to it.
        return os.open(where.name or ".", THROUGH | os.O_NONBLOCK, dir_fd=here)
    finally:
        os.close(here)
