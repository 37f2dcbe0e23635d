"""REST and Bulk queries give the same table for the same org, whatever its schema and values."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import pytest
import requests
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st
from psycopg import sql

from coa.extract.bulk import ExtractSpec
from coa.extract.delta_query import changed_table
from coa.extract.pages import Into, land_page
from coa.extract.rest_values import keep_records
from coa.fields.saved import forget_saved
from coa.salesforce.describe import Describe
from coa.salesforce.session import Number
from coa.staging import tables
from coa.staging.database import Database, json_value
from coa.staging.runs import SOURCE, Run
from tests.engine.harness import FAST
from tests.kinds import kind

THING = "Thing__c"

TEXTS = st.text(
    st.characters(codec="utf-8", exclude_characters="\x00"), max_size=40
) | st.sampled_from(
    ["2024-01-01T00:00:00.000+0000", "2024-01-01T00:00:00.000Z", "true", "False", "1.0", "1E5", "null", "#N/A",
     "2024-01-01", '"', ",", "\r\n", "a\r\nb", "\\N", "\\.", " ", "10:00:00.000Z", "NaN", "0012"]
)  # fmt: skip
MOMENTS = st.datetimes().map(lambda d: d.strftime("%Y-%m-%dT%H:%M:%S.") + f"{d.microsecond // 1000:03d}")
NUMBERS = st.decimals(-(10**17), 10**17, places=2, allow_nan=False) | st.decimals(
    -1, 1, places=8, allow_nan=False
)
IDS = st.from_regex(r"\A[a-zA-Z0-9]{15}([A-Z0-5]{3})\Z")
VALUES: dict[str, st.SearchStrategy[Any]] = {
    **dict.fromkeys(
        ("string", "textarea", "picklist", "multipicklist", "combobox", "encryptedstring", "email", "phone", "url",
         "anyType"),
        TEXTS,
    ),
    **dict.fromkeys(("double", "currency", "percent"), NUMBERS),
    **dict.fromkeys(("int", "long"), st.integers(-(2**53), 2**53)),
    **dict.fromkeys(("id", "reference"), IDS),
    "boolean": st.booleans(),
    "datetime": MOMENTS,
    "date": st.dates().map(str),
    "time": st.times().map(lambda t: f"{t:%H:%M:%S}.{t.microsecond // 1000:03d}Z"),
}  # fmt: skip
"""Every describe type that a query returns, with what an org may hold in it."""

NUMERIC = ("double", "currency", "percent", "int", "long")


@dataclass
class Table:
    types: list[str]
    rows: list[list[Any]]

    @property
    def fields(self) -> list[str]:
        return ["Id", *(f"F{n}__c" for n in range(1, len(self.types)))]

    @property
    def describe(self) -> Describe:
        of_type = zip(self.fields, self.types, strict=True)
        return Describe({"name": THING, "fields": [{"name": name, "type": t} for name, t in of_type]})

    def as_rest(self) -> list[dict[str, Any]]:
        """Records of a query's JSON, as an org prints it, read as the session reads it."""
        records = [
            "{"
            + ", ".join(f'"{n}": {_json(t, v)}' for n, t, v in zip(self.fields, self.types, row, strict=True))
            + "}"
            for row in self.rows
        ]
        answer = requests.Response()
        answer._content = f"[{', '.join(records)}]".encode()
        found: list[dict[str, Any]] = answer.json(parse_float=Number)
        return found

    def as_bulk(self) -> bytes:
        out = io.StringIO()
        writer = csv.writer(out, quoting=csv.QUOTE_ALL, lineterminator="\n")
        writer.writerow(self.fields)
        for row in self.rows:
            writer.writerow([_csv(t, v) for t, v in zip(self.types, row, strict=True)])
        return out.getvalue().encode()


def _json(kind_of_field: str, value: Any) -> str:
    if value is None or value == "":
        return "null"
    if kind_of_field in NUMERIC:
        return str(value)
    return json.dumps(value + "+0000" if kind_of_field == "datetime" else value)


def _csv(kind_of_field: str, value: Any) -> str:
    if kind_of_field == "boolean":
        return "true" if value else "false"
    if value is None:
        return ""
    return f"{value}Z" if kind_of_field == "datetime" else str(value)


@st.composite
def any_table(draw: st.DrawFn) -> Table:
    types = draw(st.lists(st.sampled_from(sorted(VALUES)), min_size=1, max_size=12))
    columns = [st.none() | VALUES[t] for t in types]
    rows = draw(st.lists(st.tuples(*columns), max_size=8))
    return table(types, *rows)


def table(types: list[str], *rows: Iterable[Any]) -> Table:
    return Table(["id", *types], [[f"a0B{n:012d}AAA", *row] for n, row in enumerate(rows)])


class Pages:
    """What `land_page` asks for a page of a query that is over."""

    def __init__(self, body: bytes) -> None:
        self.body = body

    @contextmanager
    def page(self, *_: Any) -> Iterator[tuple[dict[str, str], Iterator[bytes]]]:
        yield {}, iter([self.body])


@pytest.fixture(scope="module")
def run(module_database: Database) -> Run:
    return Run.start(
        module_database,
        FAST,
        dag_id="test",
        airflow_run_id=uuid4().hex,
        triggered_by="test",
        raw_params={},
    )


def read_by_both(run: Run, made: Table) -> tuple[list[Any], list[Any]]:
    spec = ExtractSpec(SOURCE, THING, made.fields)
    run.db.execute("DELETE FROM coa.describe WHERE run_id = %s", [run.run_id])
    run.db.execute(
        "INSERT INTO coa.describe VALUES (%s, 'source', %s, %s)",
        [run.run_id, THING, json_value(made.describe.raw)],
    )
    forget_saved(run)
    found = []
    for by_rest in (True, False):
        with run.db.transaction() as connection:
            tables.drop(connection, run, changed_table(spec), THING)
            into = tables.create(connection, run, changed_table(spec), THING, fields=spec.fields)
        if by_rest:
            with run.db.transaction() as connection:
                keep_records(run, connection, spec, into, made.as_rest())
        else:
            land_page(Pages(made.as_bulk()), run.db, Into(into, {}), spec, "750", "", None)  # type: ignore[arg-type]
        columns = sql.SQL(", ").join(
            # Numbers by value: either reader may print one in its own way.
            sql.SQL("coa.canon_number({})" if t in NUMERIC else "{}").format(sql.Identifier(name))
            for name, t in zip(made.fields, made.types, strict=True)
        )
        rows = run.db.rows(
            sql.SQL("SELECT row_to_json(r)::text AS r FROM (SELECT {} FROM {}) r").format(columns, into)
        )
        found.append(sorted(r["r"] for r in rows))
    return found[0], found[1]


@kind
@settings(
    max_examples=60,
    deadline=None,
    phases=(Phase.explicit, Phase.generate, Phase.shrink),
    suppress_health_check=list(HealthCheck),
)
@given(any_table())
@example(table(["string", "datetime"], ["2024-01-01T00:00:00.000+0000", "2024-01-01T00:00:00.000"]))
@example(table(["double"], ["1.23456789012345675E15"]))
def test_rest_and_bulk_give_the_same_table(run: Run, made: Table) -> None:
    by_rest, by_bulk = read_by_both(run, made)
    assert by_rest == by_bulk
