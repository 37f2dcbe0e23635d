"""Tables as Parquet files: typed columns, written in bounded memory.

The writer is Apache Arrow's (`pyarrow`), which the extra `parquet` installs. It is no part of the runtime: it is larger
than all other packages of ours together, and each file that it writes is there as CSV as well.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from enum import Enum
from importlib.util import find_spec
from itertools import islice
from typing import Any

from coa.artifacts import Artifacts
from coa.errors import ConfigurationError

GROUP_ROWS = 50_000
"""Rows that are held in memory at a time, and that a reader can skip at once."""


class Kind(Enum):
    """What a column holds; an empty value of any kind but text is null."""

    TEXT = "text"
    WHOLE = "whole number"
    NUMBER = "number"
    """A double: sums and averages need no more, and the CSV has every digit."""
    MOMENT = "moment"
    """Milliseconds of UTC, from a `datetime` or from ISO 8601 text as Salesforce writes it."""


def can_write_parquet() -> bool:
    """Whether the extra `parquet` is installed."""
    return find_spec("pyarrow") is not None


def write_parquet(
    artifacts: Artifacts, name: str, columns: Mapping[str, Kind], rows: Iterable[Mapping[str, Any]]
) -> int:
    """Writes and lists one file; the number of its rows. Keys that are no column are left out, missing ones are null.

    Compressed by zstd, so that no file with rows can be read as text: who deletes one person's data
    (`coa.retention.person`) takes such files whole.
    Raises `ConfigurationError` without the extra, `ValueError` for a value that is none of its column's kind.
    """
    if not can_write_parquet():
        raise ConfigurationError(
            f"{name} cannot be written: pyarrow is not installed.",
            next_step='install the extra: pip install "coa-migration[parquet]".',
        )
    import pyarrow
    from pyarrow.parquet import ParquetWriter

    types = {
        Kind.TEXT: pyarrow.string(),
        Kind.WHOLE: pyarrow.int64(),
        Kind.NUMBER: pyarrow.float64(),
        Kind.MOMENT: pyarrow.timestamp("ms", tz="UTC"),
    }
    schema = pyarrow.schema([(column, types[kind]) for column, kind in columns.items()])
    count = 0
    with artifacts.binary(name) as file, ParquetWriter(file, schema, compression="zstd") as writer:
        for group in _groups(rows):
            cells = [[_cell(row.get(c), kind) for row in group] for c, kind in columns.items()]
            arrays = [_column(c, field.type) for c, field in zip(cells, schema, strict=True)]
            writer.write_batch(pyarrow.record_batch(arrays, schema=schema))
            count += len(group)
    artifacts.listed[-1]["rows"] = count
    return count


def _groups(rows: Iterable[Mapping[str, Any]]) -> Iterator[list[Mapping[str, Any]]]:
    left = iter(rows)
    while group := list(islice(left, GROUP_ROWS)):
        yield group


def _column(cells: list[str | None], kind: Any) -> Any:
    """The cells as Arrow reads their text.

    `pyarrow.array` imports pandas, where that is installed, to see whether it was given a thing of pandas: for a
    small run that takes longer than all its tables.
    """
    import pyarrow

    builder = pyarrow.lib.StringBuilder()
    builder.append_values(cells)
    texts = builder.finish()
    # Without a zone in the text Arrow wants none in the first type, and takes the time for UTC.
    return (texts.cast(pyarrow.timestamp(kind.unit)) if pyarrow.types.is_timestamp(kind) else texts).cast(
        kind
    )


def _cell(value: Any, kind: Kind) -> str | None:
    """A value as text from which Arrow reads exactly this value."""
    if value is None or (value == "" and kind is not Kind.TEXT):
        return None
    if kind is Kind.TEXT:
        return str(value)
    if kind is Kind.WHOLE:
        return str(int(value))
    if kind is Kind.NUMBER:
        return repr(float(value))
    moment = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
    if moment.tzinfo:
        moment = moment.astimezone(UTC).replace(tzinfo=None)
    return moment.isoformat(timespec="milliseconds")
