"""The org's clock: real time plus an offset that tests move, so that expiry can be seen without waiting."""

from __future__ import annotations

import datetime as dt
import time

UTC = dt.UTC


def format_datetime(moment: dt.datetime) -> str:
    """Storage form of a dateTime: UTC, milliseconds, ``Z``; sorts as text."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"


class Clock:
    """Seconds since the epoch and UTC date-times, shifted by :attr:`offset` seconds."""

    def __init__(self) -> None:
        self.offset = 0.0

    def time(self) -> float:
        return time.time() + self.offset

    def now(self) -> dt.datetime:
        return dt.datetime.fromtimestamp(self.time(), UTC)

    def today(self) -> dt.date:
        return self.now().date()

    def stamp(self) -> str:
        """Now, to the second: Salesforce stores date-times without milliseconds."""
        return format_datetime(self.now().replace(microsecond=0))
