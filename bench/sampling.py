"""Where the threads of a Python process are, looked at a hundred times a second: a profile that slows nothing.

Each look at a thread counts for its innermost function of ours (`coa`), and for what that waits in.
"""

from __future__ import annotations

import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

GAP = 0.01
OURS = "/include/coa/"
WAITS = (
    ("/psycopg", "the database"),
    ("/ssl.py", "the org"),
    ("/socket.py", "the org"),
    ("/urllib3/", "the org"),
    ("/http/client.py", "the org"),
    ("/threading.py", "other threads"),
    ("/concurrent/futures/", "other threads"),
)


class Samples:
    """Counts by (place in our code, what it waits for)."""

    def __init__(self) -> None:
        self.counts: Counter[tuple[str, str]] = Counter()
        self.looks = 0
        self._done = threading.Event()

    def look(self) -> None:
        self.looks += 1
        me = threading.get_ident()
        for ident, frame in sys._current_frames().items():
            if ident != me and (place := self._place(frame)):
                self.counts[place] += 1

    def _place(self, frame: FrameType | None) -> tuple[str, str] | None:
        waits = ""
        while frame is not None:
            file = frame.f_code.co_filename
            if OURS in file:
                where = f"{file.split(OURS)[1]}:{frame.f_lineno} {frame.f_code.co_name}"
                return where, waits or "itself"
            waits = waits or next((told for part, told in WAITS if part in file), "")
            frame = frame.f_back
        return None

    def run(self) -> None:
        while not self._done.wait(GAP):
            self.look()

    def stop(self) -> None:
        self._done.set()


@contextmanager
def sampled() -> Iterator[Samples]:
    """Samples of all other threads for the length of a `with` block."""
    samples = Samples()
    thread = threading.Thread(target=samples.run, daemon=True)
    thread.start()
    try:
        yield samples
    finally:
        samples.stop()
        thread.join()
