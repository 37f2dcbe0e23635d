"""Masks that look like the real values and reveal nothing of them: pure functions of a key and a text.

The same text has the same mask under the same key, in every record and org, so what could be joined by the text
can be joined by the mask. A letter becomes a letter of the same case, a digit a digit; everything else stays,
including line breaks and blanks, so lengths and shapes are kept. Without the key nobody can test names against
masks.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Callable, Iterator
from hashlib import blake2b
from itertools import count

LOWER, UPPER, DIGITS = "abcdefghijklmnopqrstuvwxyz", "ABCDEFGHIJKLMNOPQRSTUVWXYZ", "0123456789"
KEY_BYTES = 32
SCHEME = re.compile(r"^[A-Za-z][A-Za-z0-9+.\-]*://")

Mask = Callable[[str], str]


def stream(key: bytes, text: str) -> Iterator[int]:
    """Numbers below 256 that follow from key and text alone; HMAC-BLAKE2b in counter mode.

    Upper and lower case are one, as they are to Salesforce where it matches texts.
    """
    seed = hmac.new(key, text.casefold().encode("utf-8", "replace"), blake2b).digest()
    for block in count():
        yield from blake2b(block.to_bytes(8, "big"), key=seed).digest()


def shaped(key: bytes, text: str) -> str:
    """The text with other letters and digits.

    >>> shaped(b"k" * 32, "Ada-Lovelace 12") == shaped(b"k" * 32, "Ada-Lovelace 12"), len(shaped(b"k" * 32, "Zoë 12"))
    (True, 6)
    >>> shaped(b"k" * 32, "--- !") + shaped(b"k" * 32, "")
    '--- !'
    """
    numbers = stream(key, text)
    return "".join(_other(char, numbers) for char in text)


def _other(char: str, numbers: Iterator[int]) -> str:
    if char.isdigit():
        return DIGITS[next(numbers) % 10]
    if not char.isalpha():
        return char
    letters = UPPER if char.isupper() else LOWER
    return letters[next(numbers) % 26]


def email(key: bytes, text: str) -> str:
    """An address of the same shape, which no mail can reach: a top-level domain of z's was never given to anybody.

    >>> email(b"k" * 32, "ada@acme.example").rpartition(".")[2], email(b"k" * 32, "x@y.io").rpartition(".")[2]
    ('zzzzzzz', 'zz')
    """
    masked = shaped(key, text)
    head, dot, top = masked.rpartition(".")
    return head + dot + "z" * len(top) if "@" in head and top.isalpha() else masked


def url(key: bytes, text: str) -> str:
    """An address with the scheme as it is.

    >>> url(b"k" * 32, "https://acme.example/Ada")[:8]
    'https://'
    """
    found = SCHEME.match(text)
    scheme = found[0] if found else ""
    return scheme + shaped(key, text[len(scheme) :])


MASKS: dict[str, Callable[[bytes, str], str]] = {
    "string": shaped,
    "textarea": shaped,
    "encryptedstring": shaped,
    "phone": shaped,
    "email": email,
    "url": url,
}
"""Describe type of a field -> how its values are masked; values of other types stay."""


def mask_for(key: bytes, kind: str) -> Mask | None:
    """The mask of a field of this describe type; None where its values stay."""
    mask = MASKS.get(kind)
    return None if mask is None else lambda text: mask(key, text)
