"""One org's schema: package, standard objects, partner additions, field-level security, key prefixes."""

from __future__ import annotations

import random

from orgsim.content import schema as content
from orgsim.ids import DIGITS
from orgsim.schema import attached, coa, currencies, own, partner, standard
from orgsim.schema.model import Schema, SObject
from orgsim.settings import Settings


def build(settings: Settings) -> Schema:
    """The schema as these settings say. Custom objects get prefixes of this org's own (facts, section 1)."""
    hanging = (
        content.build(bool(settings.package_version), bool(settings.audit_fields))
        if settings.attachments
        else attached.build(bool(settings.package_version))
    )
    objects = standard.build(settings) + currencies.build(settings) + hanging
    custom = coa.build(settings) if settings.package_version else []
    if settings.partner_fields and custom:
        custom += partner.extend(custom, settings)
    if settings.own_fields:
        own.extend(custom, settings)
    for sobject in [*custom, *objects]:
        for field in sobject.fields:
            field.utf16 = settings.utf16_lengths
    _assign_prefixes(custom, settings)
    schema = Schema([*custom, *objects])
    for path in settings.hide_field:
        sobject, name = locate(schema, path)
        schema.hidden.add((sobject.name.lower(), name.lower()))
    for one in (one for sobject in custom for one in sobject.fields if settings.trim_text):
        one.trims = True
    for path in settings.encrypt_field:
        sobject, name = locate(schema, path)
        sobject[name].type, sobject[name].masked = "encryptedstring", not settings.view_encrypted
    for path in settings.read_only_field:
        sobject, name = locate(schema, path)
        sobject[name].createable = sobject[name].updateable = False
    return schema


def locate(schema: Schema, path: str) -> tuple[SObject, str]:
    """Object and field of ``Object.Field``; the package's namespace may be left out."""
    object_name, _, field_name = path.partition(".")
    sobject = schema.get(object_name) or schema.get(coa.NS + object_name)
    if sobject is None:
        raise ValueError(f"no object {object_name!r} in this org (from {path!r})")
    one = sobject.get(field_name) or sobject.get(coa.NS + field_name)
    if one is None:
        raise ValueError(f"no field {field_name!r} on {sobject.name} (from {path!r})")
    return sobject, one.name


def _assign_prefixes(custom: list[SObject], settings: Settings) -> None:
    shuffler = random.Random(f"prefix {settings.ids_of}")
    pool = [f"a{a}{b}" for a in DIGITS[:10] for b in DIGITS]
    for sobject, prefix in zip(custom, shuffler.sample(pool, len(custom)), strict=True):
        if not sobject.prefix:
            sobject.prefix = prefix
