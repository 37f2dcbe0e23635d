"""Values of a partner's own fields: each as far as its type allows, some left empty."""

from __future__ import annotations

import random
import string
from collections.abc import Callable
from typing import Any

from orgsim.org import Org
from orgsim.schema.model import NUMBERS, Field
from orgsim.schema.own import OBJECTS, own_fields
from orgsim.seed.nasty import NASTY
from orgsim.store import quote

EMPTY = 0.15
"""Share of values left empty where nothing else is asked for."""


def seed(org: Org) -> None:
    """Every record of the package's loaded objects, in an order that both orgs share."""
    accounts = [row[0] for row in org.store.all('SELECT "Id" FROM "Account" ORDER BY "Name"')]
    for name in OBJECTS:
        fields = own_fields(name, org.settings)
        draw = random.Random(f"own values {org.settings.own_fields_seed} {name}")
        assignments = ", ".join(f"{quote(one.name)} = ?" for one in fields)
        rows = org.store.all(f'SELECT "Id" FROM {quote(name)} ORDER BY _n')
        org.store.many(
            f'UPDATE {quote(name)} SET {assignments} WHERE "Id" = ?',
            (
                [*(_value(one, draw, accounts, org.settings.own_fields_full) for one in fields), row[0]]
                for row in rows
            ),
        )


def _value(one: Field, draw: random.Random, accounts: list[Any], full: bool) -> Any:
    if one.type == "boolean":
        return int(draw.random() < 0.5)
    if not full and draw.random() < EMPTY:
        return None
    if one.type in NUMBERS:
        whole = draw.randint(0, 10 ** (one.precision - one.scale) - 1)
        return float(
            f"{'-' if draw.random() < 0.2 else ''}{whole}.{draw.randint(0, 10**one.scale - 1):0{one.scale}d}"
        )
    return _text(one, draw, accounts, full)


def _text(one: Field, draw: random.Random, accounts: list[Any], full: bool) -> Any:
    makers: dict[str, Callable[[], Any]] = {
        "date": lambda: _day(draw),
        "datetime": lambda: f"{_day(draw)}T{_clock(draw)}.000Z",
        "time": lambda: f"{_clock(draw)}.000Z",
        "reference": lambda: draw.choice(accounts) if accounts else None,
        "picklist": lambda: draw.choice(one.picklist),
        "multipicklist": lambda: _several(one, draw),
        "email": lambda: f"{_letters(draw, 8)}@{_letters(draw, 5)}.example",
        "phone": lambda: f"+49 89 {draw.randint(100000, 9999999)}",
        "url": lambda: f"https://{_letters(draw, 7)}.example/{_letters(draw, 4)}?a=1&b=2",
    }
    if one.type in makers:
        return makers[one.type]()
    if full:
        return _letters(draw, min(one.length, 18))
    return draw.choice([value.strip() for value in NASTY if 0 < len(value.strip()) <= one.length])


def _several(one: Field, draw: random.Random) -> str:
    chosen = draw.sample(one.picklist, draw.randint(1, len(one.picklist)))
    return ";".join(value for value in one.picklist if value in chosen)


def _day(draw: random.Random) -> str:
    return f"{draw.randint(1990, 2040)}-{draw.randint(1, 12):02d}-{draw.randint(1, 28):02d}"


def _clock(draw: random.Random) -> str:
    return f"{draw.randint(0, 23):02d}:{draw.randint(0, 59):02d}:{draw.randint(0, 59):02d}"


def _letters(draw: random.Random, count: int) -> str:
    return "".join(draw.choices(string.ascii_lowercase, k=count))
