"""Currencies of two orgs that have several: what is missing is found before anything is written, the rest arrives."""

from __future__ import annotations

from pathlib import Path

import pytest
from psycopg import sql

from coa.model import CURRENCY, DETAIL, DETAIL_ORDER, ORDER, ORDER_VALUE, SOURCE_ID
from coa.preflight.currencies import Currencies, check_currencies
from coa.staging.database import Database
from coa.staging.runs import SOURCE, TARGET
from orgsim.launch import running_pair
from tests.engine.harness import Migrator
from tests.reconcile.pairs import actions, edit, table

OF_SOURCE = ["USD=1", "EUR=0.9", "GBP=0.8", "JPY=150", "AUD=1.5", "SEK=10"]
OF_TARGET = ["USD=1.25", "EUR=1", "GBP=1:inactive", "JPY=187.5", "AUD=1.875"]


def codes(source: Currencies | None, target: Currencies | None) -> dict[str, str]:
    return {f.code: f.message for f in check_currencies({SOURCE: source, TARGET: target})}


def test_currencies_that_the_target_lacks_or_has_inactive_are_told_apart() -> None:
    found = codes(
        Currencies({"USD": 1.0, "EUR": 0.9, "SEK": 10.0}),
        Currencies({"USD": 1.0, "EUR": 0.9}, inactive=frozenset({"EUR"})),
    )

    assert list(found) == ["currencies_differ"]
    assert "EUR (inactive), SEK (missing)" in found["currencies_differ"]


def test_rates_are_compared_by_pairs_and_another_corporate_currency_is_no_difference() -> None:
    dollars = Currencies({"USD": 1.0, "EUR": 0.8, "GBP": 0.5})

    assert codes(dollars, Currencies({"USD": 1.25, "EUR": 1.0, "GBP": 0.625})) == {}
    found = codes(dollars, Currencies({"USD": 1.0, "EUR": 0.8, "GBP": 0.6}))
    assert list(found) == ["currency_rates_differ"]
    assert "GBP (0.5 to 1 USD in the source, 0.6 in the target)" in found["currency_rates_differ"]


@pytest.mark.parametrize("role", [SOURCE, TARGET])
def test_dated_rates_are_told_of_either_org(role: str) -> None:
    plain = Currencies({"USD": 1.0})
    orgs = {SOURCE: plain, TARGET: plain} | {role: Currencies({"USD": 1.0}, dated=True)}

    assert [f.code for f in check_currencies(orgs)] == [f"currency_rates_dated_{role}"]


def test_orgs_of_one_currency_have_nothing_to_compare() -> None:
    assert codes(None, None) == {}
    assert codes(Currencies({"USD": 1.0}), None) == {}


def test_amounts_arrive_in_their_currency_and_are_proved_in_both(database: Database, tmp_path: Path) -> None:
    seeded = {"orders": 10, "seed": 7, "job_delay": 0.0, "planted": False, "multi_currency": True}
    with running_pair(
        **seeded, currency=OF_SOURCE, dated_rates=True, target={"currency": OF_TARGET, "dated_rates": False}
    ) as (source, target):
        made = Migrator(database, source, target, tmp_path / "artifacts")
        details = table(source, DETAIL)
        by_order: dict[str, list[str]] = {}
        for i, detail in sorted(details.items()):
            by_order.setdefault(detail[DETAIL_ORDER], []).append(i)
        pounds, mixed, *_ = sorted(i for i, of in by_order.items() if len(of) > 1)
        edit(source, ORDER, pounds, **{CURRENCY: "GBP"})
        edit(source, ORDER, mixed, **{CURRENCY: "USD"})
        for i in by_order[mixed]:
            edit(source, DETAIL, i, **{CURRENCY: "EUR"})

        # Neither policy takes another currency in the place of one that is not there.
        migration = made.migrate(picklist_policy="blank", invalid_values="blank")

        assert migration.state == "verified", migration.error
        found = actions(migration.run)
        assert found[ORDER, pounds] == ("blocked", "currency_missing")
        orders = {r[SOURCE_ID]: r for r in table(target, ORDER).values() if r[SOURCE_ID]}
        expected = {i: r[CURRENCY] for i, r in table(source, ORDER).items() if i in orders}
        assert {i: r[CURRENCY] for i, r in orders.items()} == expected
        assert len(set(expected.values())) > 1
        told = {
            r["code"]: r["message"]
            for r in database.rows(
                "SELECT code, message FROM coa.finding WHERE run_id = %s AND code LIKE 'curren%%'",
                [migration.run.run_id],
            )
        }
        assert set(told) == {
            "currency_missing", "currencies_differ", "currency_rates_differ", "currency_rates_dated_source"
        }  # fmt: skip
        assert "GBP (inactive), SEK (missing)" in told["currencies_differ"]
        # The total of the mixed order follows the rates of its org, and is no error.
        total = orders[mixed][ORDER_VALUE]
        assert total != pytest.approx(table(source, ORDER)[mixed][ORDER_VALUE])
        explained = database.rows(
            "SELECT source_id, kind FROM coa.difference WHERE run_id = %s AND field = %s",
            [migration.run.run_id, ORDER_VALUE],
        )
        assert explained == [{"source_id": mixed, "kind": "explained"}]
        both = database.rows(
            sql.SQL(
                """SELECT label, sum(CASE side WHEN 'source' THEN value ELSE -value END) = 0 AS equal
                   FROM coa.total WHERE run_id = %s AND dimension = 'record_currency' AND currency <> '' GROUP BY 1"""
            ),
            [migration.run.run_id],
        )
        assert {r["label"] for r in both} == set(expected.values())
        assert all(r["equal"] for r in both)
