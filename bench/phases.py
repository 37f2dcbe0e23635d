"""How long reading and loading took, told by a client in `phases.json` of its folder."""

from __future__ import annotations

import json
import time
from pathlib import Path

FILE = "phases.json"


class Phases:
    """A stop watch that runs from its making; each `end` books the seconds since the one before."""

    def __init__(self) -> None:
        self._seconds: dict[str, float] = {}
        self._since = time.perf_counter()

    def end(self, name: str) -> None:
        now = time.perf_counter()
        self._seconds[name] = self._seconds.get(name, 0.0) + now - self._since
        self._since = now

    def write(self, folder: Path) -> None:
        rounded = {name: round(seconds, 2) for name, seconds in self._seconds.items()}
        (folder / FILE).write_text(json.dumps(rounded))


def read(folder: Path) -> dict[str, float]:
    """{} when the client told nothing."""
    file = folder / FILE
    return dict(json.loads(file.read_text())) if file.exists() else {}
