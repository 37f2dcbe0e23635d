"""Which values of a run are masked, and how. Everything that reads an org for a run asks this module.

Masked are all texts of both orgs, except what the app and the platform provide (contract terms, products,
record types) and what records are found by (ids, org ids, auto-numbers). In the target only accounts and users,
which are looked up there, are masked, by the same key: an account of the source finds its counterpart by the
masked name as it would by the real one. The target's customers, orders and details are its own, or were masked
when a run wrote them.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from typing import Any

from coa.errors import ConfigurationError, IncompleteExtract
from coa.fields.saved import saved_describes
from coa.mapping.store import mapping_of
from coa.masking.key import key_of
from coa.masking.masks import Mask, mask_for
from coa.model import COA_OBJECTS, CUSTOMER_ORG_ID, LOADED, MIGRATION_FIELDS, PRODUCT_ID
from coa.salesforce.describe import Field
from coa.staging.runs import SOURCE, TARGET, Run

UNMASKED = frozenset(COA_OBJECTS) - frozenset(LOADED) | {
    *("RecordType", "Group", "Product2", "Pricebook2", "PricebookEntry", "Profile", "CurrencyType"),
    *("sfLma__Package__c", "sfLma__Package_Version__c"),
}
"""sObjects that Salesforce provisions or that are set-up: they name no person and no customer."""
KEPT = frozenset({CUSTOMER_ORG_ID, PRODUCT_ID, *MIGRATION_FIELDS})
ORG_IDS = re.compile(r"Org_ID__c$", re.IGNORECASE)
LONGEST_VALUE = 1 << 24

Masks = dict[str, Mask]
"""Field -> its mask; fields that stay are not in it."""


def is_masked(run: Run) -> bool:
    """Whether the run is a rehearsal with masked values: a property of its pair, which has a ledger of its own."""
    if "masked" not in run.kept:
        found = run.db.value("SELECT masked FROM coa.org_pair WHERE pair_id = %s", [run.record.pair_id])
        if run.record.pair_id is None:
            return False
        run.kept["masked"] = bool(found)
    return bool(run.kept["masked"])


def masks_of(run: Run, kind: str, sobject: str) -> Masks:
    """The masks for what is read into a table of this kind (`source`, `target`, ...); empty where nothing is masked."""
    role = SOURCE if kind == SOURCE else TARGET
    if sobject in UNMASKED or (role == TARGET and (kind != TARGET or sobject in LOADED)):
        return {}
    if not is_masked(run):
        return {}
    mapping, key = mapping_of(run), key_of(run)
    keep = mapping.masking.keep if mapping.masking else {}
    kept = KEPT | set(keep.get(sobject, ())) | set(mapping.id_fields.get(sobject, {}))
    described = saved_describes(run, role).get(sobject)
    fields = {} if described is None else described.fields
    found = {name: mask_for(key, field.type) for name, field in fields.items() if not stays(field, kept)}
    return {name: mask for name, mask in found.items() if mask is not None}


def stays(field: Field, kept: frozenset[str] | set[str]) -> bool:
    """Whether a field's values are kept although they are texts: the platform numbers them,
    or records are found by them."""
    return field.name in kept or field.flag("autoNumber") or ORG_IDS.search(field.name) is not None


def masked_record(record: dict[str, Any], masks: Masks) -> dict[str, Any]:
    """A record of a REST answer. Related records in it are left alone: nothing masked is read that way."""
    return {
        name: masks[name](value) if name in masks and isinstance(value, str) else value
        for name, value in record.items()
    }


def masked_csv(
    org: str, sobject: str, columns: list[str], body: Iterator[bytes], masks: Masks
) -> Iterator[bytes]:
    """The lines of a CSV, without its header, with the values of `masks` masked; as a stream.

    Raises `IncompleteExtract` for a body that ends inside a value, `ConfigurationError` for bytes that are not UTF-8.
    """
    by_column = [masks.get(name) for name in columns]
    text = io.TextIOWrapper(io.BufferedReader(_Chunks(body), 1 << 16), "utf-8", newline="")
    csv.field_size_limit(LONGEST_VALUE)
    out = io.StringIO()
    # Every value in quotes, so that none is taken for COPY's end of data; an empty one is NULL all the same.
    writer = csv.writer(out, quoting=csv.QUOTE_ALL, lineterminator="\n")
    try:
        for row in csv.reader(text, strict=True):
            writer.writerow(
                [mask(value) if mask and value else value for mask, value in zip(by_column, row, strict=True)]
            )
            if out.tell() >= 1 << 16:
                yield _taken(out)
    except UnicodeDecodeError as error:
        raise ConfigurationError(
            f"{org}: the records of {sobject} hold bytes that are not UTF-8.",
            next_step="find the record in the org, correct its text, then run again.",
        ) from error
    except (csv.Error, ValueError) as error:
        raise IncompleteExtract(f"{org}: a page of {sobject} is broken CSV.") from error
    yield _taken(out)


def _taken(out: io.StringIO) -> bytes:
    data = out.getvalue().encode()
    out.seek(0)
    out.truncate()
    return data


class _Chunks(io.RawIOBase):
    """An iterator of bytes as a file."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks, self._left = chunks, b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._left:
            try:
                self._left = next(self._chunks)
            except StopIteration:
                return 0
        piece, self._left = self._left[: len(buffer)], self._left[len(buffer) :]
        buffer[: len(piece)] = piece
        return len(piece)
