"""Salesforce record ids: 15 case-sensitive base-62 characters, 18 with the check characters (contract section G)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache

DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_CHECK = "ABCDEFGHIJKLMNOPQRSTUVWXYZ012345"
_ID = re.compile(r"[0-9A-Za-z]{15}(?:[0-9A-Za-z]{3})?\Z")
_VALUE = {char: position for position, char in enumerate(DIGITS)}
_PAIRS = [a + b for a in DIGITS for b in DIGITS]
_UPPER = [int("A" <= char <= "Z") for char in DIGITS]
_PAIR_BITS = [a + 2 * b for a in _UPPER for b in _UPPER]


def check_char(group: str) -> str:
    """One check character: bit i is set when character i of the five is upper case."""
    return _CHECK[sum(1 << bit for bit, char in enumerate(group) if "A" <= char <= "Z")]


@lru_cache(maxsize=1 << 17)
def to_18(record_id: str) -> str:
    """The 18-character form of a 15- or 18-character id; the check characters of the input are not trusted."""
    short = record_id[:15]
    return short + check_char(short[:5]) + check_char(short[5:10]) + check_char(short[10:15])


def looks_like_id(text: str) -> bool:
    return _ID.match(text) is not None


def serial_of(record_id: str) -> int:
    """The counter part (last nine characters) of an id made by :class:`IdSpace`."""
    number = 0
    for char in record_id[6:15]:
        number = number * 62 + _VALUE[char]
    return number


class IdSpace:
    """Ids of one object in one org: key prefix, two characters of pod, a zero, nine of counter."""

    def __init__(self, prefix: str, pod: str) -> None:
        self.prefix = prefix
        self._head = prefix + pod
        self._check_head = check_char(self._head)

    def make(self, serial: int) -> str:
        high, low = divmod(serial, 62**5)
        middle, middle_check = ("00000", "A") if not high else _middle(high)
        first, rest = divmod(low, 62**4)
        a, b = divmod(rest, 3844)
        check = _CHECK[_UPPER[first] + 2 * _PAIR_BITS[a] + 8 * _PAIR_BITS[b]]
        return f"{self._head}{middle}{DIGITS[first]}{_PAIRS[a]}{_PAIRS[b]}{self._check_head}{middle_check}{check}"

    def many(self, serials: Iterable[int]) -> Iterator[str]:
        return map(self.make, serials)


def _middle(high: int) -> tuple[str, str]:
    """The zero and the upper four counter characters, with their check character."""
    head, pair = divmod(high, 3844)
    middle = "0" + _PAIRS[head] + _PAIRS[pair]
    return middle, check_char(middle)
