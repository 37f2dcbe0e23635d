"""Any text, number, date and date-time: source -> staging -> transform -> CSV -> target -> read again, equal.

Hypothesis makes the values; many travel in one migration, since a migration costs seconds and a value nothing.
Values are planted as the source stores them, and read back from the target as it stores them.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from coa.model import DETAIL, NS, ORDER, SOURCE_ID
from coa.salesforce.describe import Field
from coa.staging.database import Database
from tests.engine.harness import Migrator
from tests.preflight.pair import Pair, clean_pair

SPECIAL = [
    "#N/A", "null", "NULL", "\\N", "\\.", "a\r\nb", "a\rb", "a\nb", "\r\n", "x\u2028y", "x\u2029y", "x\x85y",
    " lead", "trail ", "\ttab\t", '"', '""', "'", ",", ";", "`", "^", "|", "=1+1", "@x", "+1", "-1", "0", "0012",
    "1E5", "true", "\ufeffbom", "\U0001f680", "e\u0301", "\u200b", "\x0b\x0c", "\x1a", "\u202e", "a\\nb",
]  # fmt: skip
"""What has broken CSV code before. A NUL cannot be planted: neither XML, JSON of Salesforce nor a text of
PostgreSQL can hold one, and Salesforce strips it on input."""

# Without surrogates and NUL; Salesforce turns other C0 characters that XML forbids into nothing.
CHARACTERS = st.characters(codec="utf-8", exclude_characters="\x00")
TEXTS = st.one_of(st.sampled_from(SPECIAL), st.text(CHARACTERS, min_size=1, max_size=60))
MONEY = st.decimals(
    min_value=Decimal("-99999999999.99"), max_value=Decimal("99999999999.99"), places=2, allow_nan=False
)
DATES = st.dates(date(1900, 1, 1), date(3999, 12, 31))
MOMENTS = st.integers(86_400, 7_258_118_400).map(lambda seconds: datetime.fromtimestamp(seconds, UTC))
BATCH = 60

TEXT_FIELD = NS + "Product_Special_Terms__c"
NUMBER_FIELD = NS + "Customer_Price_Per_Month__c"
PRICE_FIELD = NS + "SFDC_Price__c"
DATE_FIELD = NS + "Service_Start_Date__c"
MOMENT_FIELD = NS + "Order_Submitted__c"


class World:
    """One pair of orgs with values planted in the source."""

    def __init__(self, pair: Pair, migrator: Migrator) -> None:
        self.pair = pair
        self.migrator = migrator
        self.details = [r["Id"] for r in pair.table(pair.source, DETAIL)]
        self.orders = [r["Id"] for r in pair.table(pair.source, ORDER)]

    def plant(self, sobject: str, field: str, values: list[Any]) -> dict[str, Any]:
        ids = self.details if sobject == DETAIL else self.orders
        planted = dict(zip(ids, values, strict=False))
        for record_id, value in planted.items():
            self.pair.set(self.pair.source, sobject, record_id, **{field: value})
        return planted

    def arrived(self, sobject: str, field: str) -> dict[str, Any]:
        return {r[SOURCE_ID]: r[field] for r in self.pair.table(self.pair.target, sobject) if r[SOURCE_ID]}


@pytest.fixture(scope="module")
def world(module_database: Database, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with clean_pair(orders=BATCH) as pair:
        yield World(
            pair, Migrator(module_database, pair.source, pair.target, tmp_path_factory.mktemp("values"))
        )


def collect(strategy: st.SearchStrategy[Any], count: int) -> list[Any]:
    """That many different values, the odd ones that hypothesis likes among them."""
    values: list[Any] = []

    @given(strategy)
    @settings(max_examples=count * 3, deadline=None, database=None, derandomize=True, phases=[Phase.generate])
    def take(value: Any) -> None:
        if value not in values:
            values.append(value)

    take()
    return values[:count]


def test_any_value_arrives_as_it_left(world: World) -> None:
    numbers = collect(MONEY, len(world.details))
    dates = collect(DATES, len(world.orders))
    moments = collect(MOMENTS, len(world.orders))
    expected = {
        (DETAIL, TEXT_FIELD): world.plant(
            DETAIL, TEXT_FIELD, SPECIAL + collect(TEXTS, len(world.details) - len(SPECIAL))
        ),
        (DETAIL, NUMBER_FIELD): world.plant(DETAIL, NUMBER_FIELD, [float(n) for n in numbers]),
        (DETAIL, PRICE_FIELD): world.plant(DETAIL, PRICE_FIELD, [float(n) for n in reversed(numbers)]),
        (ORDER, DATE_FIELD): world.plant(ORDER, DATE_FIELD, [d.isoformat() for d in dates]),
        (ORDER, MOMENT_FIELD): world.plant(
            ORDER, MOMENT_FIELD, [m.strftime("%Y-%m-%dT%H:%M:%S.000Z") for m in moments]
        ),
    }
    # Without a canary: roll-ups of values that were set past them differ, and would end the run with it.
    done = world.migrator.migrate(canary=0)
    for (sobject, field), values in expected.items():
        found = world.arrived(sobject, field)
        wrong = {k: (v, found.get(k)) for k, v in values.items() if found.get(k) != v}
        assert wrong == {}, field
    assert done.error == ""
    # Values were set past the source's roll-ups, so these alone may differ.
    differences = done.run.db.rows(
        """SELECT sobject, field, source_value, target_value FROM coa.difference
           WHERE run_id = %s AND kind NOT IN ('rollup', 'explained') LIMIT 5""",
        [done.run.run_id],
    )
    assert differences == []
    assert len(set(expected[DETAIL, TEXT_FIELD].values())) > 150


def test_numbers_are_compared_by_value_however_they_are_printed(database: Database) -> None:
    for one, other in (("1E5", "100000.0"), ("1.50", "1.5"), ("-0.0", "0"), ("1.2E-3", "0.0012")):
        first, second = (database.value("SELECT coa.canon_number(%s)", [v]) for v in (one, other))
        assert first == second


@given(moment=MOMENTS, offset=st.integers(-14 * 60, 14 * 60))
@settings(max_examples=30, deadline=None, database=None, derandomize=True,
          suppress_health_check=[HealthCheck.function_scoped_fixture])  # fmt: skip
def test_date_times_are_compared_by_instant_whatever_their_zone(
    database: Database, moment: datetime, offset: int
) -> None:
    local = moment.astimezone(timezone(timedelta(minutes=offset)))
    texts = (moment.strftime("%Y-%m-%dT%H:%M:%S.000Z"), local.isoformat())
    first, second = (database.value("SELECT coa.to_second(coa.canon_datetime(%s))", [t]) for t in texts)
    assert first == second


@settings(max_examples=60, deadline=None, database=None, derandomize=True,
          suppress_health_check=[HealthCheck.function_scoped_fixture])  # fmt: skip
@given(
    st.lists(
        st.text(st.characters(exclude_characters=";\x00", exclude_categories=["Cs"]), min_size=1), max_size=6
    )
)
def test_a_set_of_values_is_equal_in_any_order_and_to_no_other_set(
    database: Database, values: list[str]
) -> None:
    def canonical(parts: list[str]) -> object:
        return database.value("SELECT coa.canon_multipicklist(%s)", [";".join(parts)])

    assert canonical(values) == canonical(values[::-1]) == canonical(sorted(values))
    assert canonical([*values, "another"]) != canonical(values)


def test_of_several_fields_only_a_multi_select_picklist_is_compared_as_a_set() -> None:
    functions = {
        kind: Field({"name": "F__c", "type": kind}).canonical_function
        for kind in ("multipicklist", "picklist", "string", "textarea")
    }

    assert functions == {
        "multipicklist": "canon_multipicklist",
        "picklist": "canon_text",
        "string": "canon_text",
        "textarea": "canon_text",
    }
