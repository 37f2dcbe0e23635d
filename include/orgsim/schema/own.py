"""Own fields of a partner by the hundred: every type that a custom field can have, drawn from a seed.

Both orgs of a pair have the same ones. Names go up to Salesforce's longest: 15 characters of a namespace, two
underscores, 40 of the field and `__c`.
"""

from __future__ import annotations

import random
from collections.abc import Callable

from orgsim.schema.coa import CUSTOMER, DETAIL, ORDER
from orgsim.schema.model import Field, SObject
from orgsim.schema.system import flag, picklist, reference, text
from orgsim.settings import Settings

OBJECTS = (CUSTOMER, ORDER, DETAIL)
NAMESPACE = "partnernamespac__"
LONGEST = 40
"""Characters of a field's own name, without namespace and suffix."""

Maker = Callable[[str, random.Random], Field]


def _numeric(kind: str) -> Maker:
    def make(name: str, draw: random.Random) -> Field:
        scale = draw.choice((0, 0, 2, 2, 4))
        return Field(name, name, kind, precision=draw.randint(scale + 3, 15), scale=scale)

    return make


def _plain(kind: str, length: int = 0) -> Maker:
    return lambda name, draw: Field(name, name, kind, length=length)


def _long_text(name: str, draw: random.Random) -> Field:
    one = Field(name, name, "textarea", length=draw.choice((1000, 32768, 131072)))
    one.long_text = True
    return one


def _choice(kind: str) -> Maker:
    def make(name: str, draw: random.Random) -> Field:
        values = tuple(f"Value {n}" for n in range(1, draw.randint(3, 9)))
        one = picklist(name, name, values, restricted=draw.random() < 0.5)
        one.type, one.length = kind, 255 if kind == "picklist" else 4099
        return one

    return make


def _lookup(name: str, draw: random.Random) -> Field:
    base = name.removesuffix("__c")
    return reference(name, name, "Account", relationship=base + "__r", children=base + "_s__r")


#: type -> how a field of it is made; `kind` of settings.own_field_types
MAKERS: dict[str, Maker] = {
    "boolean": lambda name, draw: flag(name, name, draw.random() < 0.3),
    "currency": _numeric("currency"),
    "date": _plain("date"),
    "datetime": _plain("datetime"),
    "double": _numeric("double"),
    "email": _plain("email", 80),
    "multipicklist": _choice("multipicklist"),
    "percent": _numeric("percent"),
    "phone": _plain("phone", 40),
    "picklist": _choice("picklist"),
    "reference": _lookup,
    "string": lambda name, draw: text(name, name, draw.choice((18, 80, 255))),
    "textarea": _plain("textarea", 255),
    "longtext": _long_text,
    "time": _plain("time"),
    "url": _plain("url", 255),
}


def own_fields(sobject: str, settings: Settings) -> list[Field]:
    """The own fields of an object: the types in turn, so that few fields have them all, in an order of the seed."""
    draw = random.Random(f"own fields {settings.own_fields_seed} {sobject}")
    kinds = [kind for kind in settings.own_field_types.split(",") if kind] or sorted(MAKERS)
    unknown = sorted(set(kinds) - set(MAKERS))
    if unknown:
        raise ValueError(f"own_field_types: {', '.join(unknown)} is none of {', '.join(sorted(MAKERS))}")
    draw.shuffle(kinds)
    return [MAKERS[kinds[n % len(kinds)]](_name(n, draw), draw) for n in range(settings.own_fields)]


def _name(number: int, draw: random.Random) -> str:
    """Some of them differ in their last characters only."""
    filler = "Own_field_of_the_partner_with_a_long_name"[: draw.choice((3, 9, LONGEST - 4))].rstrip("_")
    prefix = NAMESPACE if draw.random() < 0.3 else ""
    return f"{prefix}{filler}_{number:03d}__c"


def extend(custom: list[SObject], settings: Settings) -> None:
    for sobject in custom:
        if sobject.name in OBJECTS:
            sobject.add(*own_fields(sobject.name, settings))
