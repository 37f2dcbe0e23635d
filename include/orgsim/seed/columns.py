"""Columns of seeded records from arrays: dates and times in their storage form, choices, gaps."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


def stamps(seconds: Array) -> list[str]:
    """Storage form of seconds since 1970."""
    return [
        one + ".000Z" for one in np.datetime_as_string(seconds.astype("datetime64[s]"), unit="s").tolist()
    ]


def days(numbers: Array) -> list[str]:
    """Storage form of days since 1970."""
    listed: list[str] = np.datetime_as_string(numbers.astype("datetime64[D]"), unit="D").tolist()
    return listed


def pick(choices: list[Any], index: Array) -> list[Any]:
    """The choices at these places."""
    picked: list[Any] = np.array(choices, dtype=object)[index].tolist()
    return picked


def blank(values: list[Any], keep: Array) -> list[Any]:
    """The values where ``keep`` is true, None elsewhere."""
    return [value if wanted else None for value, wanted in zip(values, keep.tolist(), strict=True)]
