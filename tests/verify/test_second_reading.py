"""The second reading finds what the proof itself cannot: faults of the Bulk reader and of the canonical functions."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from unittest.mock import patch
from uuid import uuid4

import pytest
from psycopg import sql
from tests.engine.harness import Migration, Migrator
from tests.verify.damages import VALUES
from tests.verify.scene import Found, Scene, has

from coa import pipeline
from coa.extract import pages
from coa.mapping.store import mapping_of
from coa.model import CUSTOMER, DETAIL, NS, ORDER, QUANTITY, RECEIVED_AT, STATUS
from coa.staging.database import Database
from coa.staging.runs import Run
from coa.staging.tables import Table
from coa.verify import second_reading, verify_migrated
from coa.verify.second_reading import DISAGREEMENT, read_again
from orgsim.launch import running_pair

NOTE = NS + "Invoice_Description__c"
DAMAGES = {d.name: d for d in VALUES}


def listed(run: Run, *, second: bool) -> set[tuple[str, str, str]]:
    """(sObject, target id, field) of the unexplained differences of one of the two paths."""
    return {
        (r["sobject"], r["target_id"], r["field"])
        for r in run.db.rows(
            "SELECT * FROM coa.difference WHERE run_id = %s AND (kind = %s) = %s AND kind <> 'explained'",
            [run.run_id, DISAGREEMENT, second],
        )
    }


def put_texts(migrator: Migrator, texts: list[str]) -> None:
    """Notes of orders in the source that have something to lose."""
    planted = migrator.source.control("GET", "planted")
    orders = [
        o["Id"]
        for o in migrator.source.control("GET", f"table/{ORDER}")
        if o["Id"] not in planted["blocked_orders"]
    ]
    for order, text in zip(orders, texts, strict=False):
        migrator.source.control("PATCH", f"records/{ORDER}/{order}", {NOTE: text}, raw="true")


# ---- faults of canonical functions -----------------------------------------------------------------
CANONICAL = {
    "case changed": ("canon_text", "NULLIF(lower(v), '')"),
    "trailing blank trimmed": ("canon_text", "NULLIF(rtrim(v, ' '), '')"),
    "leading blank trimmed": ("canon_text", "NULLIF(ltrim(v, ' '), '')"),
    "line break lost": ("canon_text", r"NULLIF(replace(v, E'\n', ''), '')"),
    "two blanks become one": ("canon_text", "NULLIF(replace(v, '  ', ' '), '')"),
    "tab becomes a blank": ("canon_text", r"NULLIF(replace(v, E'\t', ' '), '')"),
    "emoji lost": ("canon_text", "NULLIF(regexp_replace(v, U&'[\\+01F300-\\+01FAFF]', '?', 'g'), '')"),
    "no-break space becomes a blank": ("canon_text", "NULLIF(replace(v, U&'\\00A0', ' '), '')"),
    "price sign turned": ("canon_number", "trim_scale(abs(NULLIF(v, '')::numeric))::text"),
    "quantity off by a hundredth": ("canon_number", "trim_scale(trunc(NULLIF(v, '')::numeric))::text"),
    "checkbox turned": ("canon_boolean", "'false'"),
    "start date a day off": ("canon_date", "left(NULLIF(v, ''), 4) || '-01-01'"),
    "received a second later": ("canon_datetime", "left(NULLIF(v, ''), 14) || '00:00.000Z'"),
    "submitted a second later": ("to_second", "left(v, 16)"),
}
"""Damage -> the function whose fault hides it, and what the faulty function returns."""


@dataclass
class Damaged:
    """A verification that has read a damaged target; compared as often as a test wants."""

    migrator: Migrator
    run: Run
    found: dict[str, set[Found]] = field(default_factory=dict)

    def compare(self) -> None:
        verify_migrated.compare_migrated(self.run, mapping_of(self.run), "")
        source, target = self.migrator.orgs()
        read_again(self.run, mapping_of(self.run), target, source)


@pytest.fixture(scope="module")
def damaged(module_database: Database, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Damaged]:
    with running_pair(orders=50, seed=23, job_delay=0.01, partner_fields=True) as (source, target):
        migrator = Migrator(module_database, source, target, tmp_path_factory.mktemp("artifacts"))
        put_texts(migrator, [DAMAGES[name].text for name in CANONICAL if DAMAGES[name].field == NOTE])
        migration = migrator.migrate()
        assert migration.state == "verified", migration.error
        assert migration.summary["second_reading"]["disagreements"] == 0
        scene = Scene.of(target)
        found = {
            name: DAMAGES[name].plant(scene) for name in sorted(CANONICAL, key=lambda n: not DAMAGES[n].text)
        }
        run = pipeline.start(
            module_database,
            migrator.settings,
            dag_id="coa_verify",
            airflow_run_id=uuid4().hex,
            triggered_by="test",
            raw_params={},
        )
        orgs = migrator.orgs()
        verify_migrated.begin(run, *orgs)
        verify_migrated.extract_both(run, *orgs, mapping_of(run))
        yield Damaged(migrator, run, found)


@contextmanager
def faulty(db: Database, function: str, returned: str) -> Iterator[None]:
    good = db.value("SELECT pg_get_functiondef(('coa.' || %s || '(text)')::regprocedure)", [function])
    db.execute(
        f"CREATE OR REPLACE FUNCTION coa.{function}(v text) RETURNS text "
        f"LANGUAGE sql IMMUTABLE PARALLEL SAFE RETURN {returned}".replace("%", "%%")
    )
    try:
        yield
    finally:
        db.execute(good.replace("%", "%%"))


def test_without_a_fault_the_two_readings_agree_on_every_damage(damaged: Damaged) -> None:
    damaged.compare()
    first = listed(damaged.run, second=False)
    assert {found[:3] for one in damaged.found.values() for found in one} <= first
    assert listed(damaged.run, second=True) == set()


@pytest.mark.parametrize(
    "damage",
    [pytest.param(name, marks=() if n % 5 == 0 else pytest.mark.lane) for n, name in enumerate(CANONICAL)],
)
def test_what_a_faulty_canonical_function_hides_is_found(damaged: Damaged, damage: str) -> None:
    with faulty(damaged.run.db, *CANONICAL[damage]):
        damaged.compare()
    (hidden,) = {found[:3] for found in damaged.found[damage]}
    assert hidden not in listed(damaged.run, second=False), "the fault hides nothing"
    assert hidden in listed(damaged.run, second=True)
    (finding,) = damaged.run.db.rows(
        "SELECT * FROM coa.finding WHERE run_id = %s AND code = 'readers_disagree' AND sobject = %s",
        [damaged.run.run_id, hidden[0]],
    )
    assert finding["count"] >= 1


# ---- faults of the Bulk reader --------------------------------------------------------------------
def other_day(value: str) -> str:
    return (datetime.fromisoformat(value) + timedelta(days=1)).strftime("%Y-%m-%d")


def other_hour(value: str) -> str:
    return value[:11] + f"{(int(value[11:13]) + 5) % 24:02}" + value[13:]


READER: dict[str, tuple[str, str, Callable[[str], str]]] = {
    "blanks at the end trimmed": (ORDER, NOTE, str.rstrip),
    "line breaks become blanks": (ORDER, NOTE, lambda v: v.replace("\n", " ")),
    "quotes lost": (ORDER, NOTE, lambda v: v.replace('"', "")),
    "read as Latin-1": (ORDER, NOTE, lambda v: v.encode().decode("latin-1")),
    "cut at 40 characters": (ORDER, NOTE, lambda v: v[:40]),
    "status of the row before": (ORDER, STATUS, lambda v: "Draft" if v != "Draft" else "Activated"),
    "date-time in another time zone": (
        ORDER,
        RECEIVED_AT,
        other_hour,
    ),
    "date of the next day": (ORDER, NS + "Service_Start_Date__c", other_day),
    "checkbox read as its opposite": (
        ORDER,
        NS + "Auto_Renew__c",
        lambda v: "false" if v == "true" else "true",
    ),
    "decimal point lost": (DETAIL, QUANTITY, lambda v: str(float(v) * 10)),
    "value lost": (CUSTOMER, NS + "Customer_City__c", lambda v: ""),
    "id of another record": (ORDER, "Id", lambda v: v[:8] + "zzz" + v[11:]),
}
READER_TEXTS = ["padded  ", "first\nsecond", 'he said "no"', "Müller", "x" * 60]


@contextmanager
def faulty_reader(faults: dict[tuple[str, str], Callable[[str], str]]) -> Iterator[None]:
    """Result pages of Bulk queries with wrong values: (record id, or '' for every record; field) -> fault."""
    good = pages.split_header

    def wrong(chunks: Iterator[bytes]) -> tuple[list[str], Iterator[bytes]]:
        columns, body = good(chunks)
        rows = [
            dict(zip(columns, row, strict=True))
            for row in csv.reader(io.StringIO(b"".join(body).decode(), newline=""))
        ]
        for row in rows:
            for (record, name), fault in faults.items():
                if (row.get("Id", "") == record or not record) and row.get(name):
                    row[name] = fault(row[name])
        text = io.StringIO(newline="")
        csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator="\n").writerows(r.values() for r in rows)
        return columns, iter([text.getvalue().encode()])

    with patch.object(pages, "split_header", wrong):
        yield


@dataclass
class Misread:
    run: Run
    planted: dict[str, tuple[str, str, str]]


@pytest.fixture(scope="module")
def misread(module_database: Database, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Misread]:
    """A good load whose proof is read with a reader that gets one value of each of some records wrong."""
    with running_pair(orders=40, seed=31, job_delay=0.01, partner_fields=True) as (source, target):
        migrator = Migrator(module_database, source, target, tmp_path_factory.mktemp("artifacts"))
        put_texts(migrator, READER_TEXTS)
        run = migrator.start()
        migrator.plan(run)
        migrator.waive(run)
        migrator.load(run)
        scene = Scene.of(target)
        planted, faults = {}, {}
        for name, (sobject, column, fault) in READER.items():

            def shows(record: dict[str, Any], column: str = column, fault: Any = fault) -> bool:
                value = record.get(column)
                text = str(bool(value)).lower() if column.endswith("Auto_Renew__c") else str(value or "")
                return bool(text) and fault(text) != text

            record = (
                scene.take(sobject, has(column), shows)
                if "Auto" not in column
                else scene.take(sobject, shows)
            )
            planted[name] = (sobject, record["Id"], "" if column == "Id" else column)
            faults[record["Id"], column] = fault
        with faulty_reader(faults):
            migrator.verify(run)
        yield Misread(run, planted)


@pytest.mark.parametrize("fault", READER)
def test_what_the_bulk_reader_gets_wrong_is_found(misread: Misread, fault: str) -> None:
    assert misread.planted[fault] in listed(misread.run, second=True)


def test_nothing_else_is_called_a_disagreement(misread: Misread) -> None:
    """The record under a wrong id is one that REST does not find, beside the one that Bulk has lost."""
    sobject, lost, _ = misread.planted["id of another record"]
    wrong = (sobject, READER["id of another record"][2](lost), "")
    assert listed(misread.run, second=True) == {*misread.planted.values(), wrong}


def test_there_are_at_least_twenty_faults() -> None:
    assert len(CANONICAL) + len(READER) >= 20


def test_a_reader_that_loses_the_same_on_both_ways_is_found_by_reading_the_source_again(
    database: Database, tmp_path: Path
) -> None:
    """What is lost on the way in is missing in plan and target alike: the proof alone is content with it."""
    with running_pair(orders=12, seed=3, job_delay=0.01) as (source, target):
        migrator = Migrator(database, source, target, tmp_path)
        put_texts(migrator, ["padded  ", "  both  "])
        with faulty_reader({("", NOTE): str.strip}):
            migration: Migration = migrator.migrate()
    assert migration.state == "differences"
    assert listed(migration.run, second=False) == set()
    assert {f for _, _, f in listed(migration.run, second=True)} == {NOTE}
    assert migration.summary["second_reading"]["source_read"] is True
    proved = database.value(
        """SELECT count(*) FROM coa.ledger l JOIN coa.difference x USING (sobject, source_id)
           WHERE x.run_id = %s AND x.kind = %s AND l.verified_hash IS NOT NULL""",
        [migration.run.run_id, DISAGREEMENT],
    )
    assert proved == 0


# ---- the sample -----------------------------------------------------------------------------------
def test_the_sample_has_its_share_every_difference_and_every_field(damaged: Damaged) -> None:
    damaged.compare()
    run = damaged.run
    with patch.object(second_reading, "AT_LEAST", 3):
        source, target = damaged.migrator.orgs()
        reading = read_again(run, mapping_of(run), target, source)
    rows = run.db.rows(sql.SQL("SELECT * FROM {}").format(run.table(Table.SAMPLE)))
    for sobject in (CUSTOMER, ORDER, DETAIL):
        assert sum(r["sobject"] == sobject and r["why"] == "drawn" for r in rows) == 3
    sampled = {(r["sobject"], r["target_id"]) for r in rows}
    assert {f[:2] for one in damaged.found.values() for f in one} <= sampled
    assert any(r["why"] == "field" for r in rows)
    assert reading.records == len(rows)
    assert reading.disagreements.total() == 0


def test_a_sample_of_zero_reads_nothing(damaged: Damaged) -> None:
    run = damaged.run
    run.params = run.params.parse({**run.record.params, "verify_sample": 0})
    calls = damaged.migrator.orgs()
    assert read_again(run, mapping_of(run), calls[1], calls[0]).records == 0
    run.params = run.params.parse({**run.record.params, "verify_sample": "1%"})


def test_a_source_that_is_gone_costs_the_source_s_half_only(
    damaged: Damaged, monkeypatch: pytest.MonkeyPatch
) -> None:
    from coa.errors import OrgUnavailable

    damaged.compare()
    source, target = damaged.migrator.orgs()

    def gone(*_: Any, **__: Any) -> Any:
        raise OrgUnavailable("coa_source does not answer.")

    monkeypatch.setattr(source, "data_json", gone)
    monkeypatch.setattr(source, "send_json", gone)
    reading = read_again(damaged.run, mapping_of(damaged.run), target, source)
    assert (reading.source_read, reading.disagreements.total()) == (False, 0)
    assert reading.records > 100


def test_a_record_that_somebody_changed_in_between_is_no_disagreement(damaged: Damaged) -> None:
    """Last of the module: it changes a record of the target as a user would."""
    damaged.compare()
    moved = Scene.of(damaged.migrator.target).records[CUSTOMER]
    changed = next(iter(moved))
    damaged.migrator.target.control(
        "PATCH", f"records/{CUSTOMER}/{changed}", {NS + "Customer_City__c": "Elsewhere"}
    )
    source, target = damaged.migrator.orgs()
    reading = read_again(damaged.run, mapping_of(damaged.run), target, source)
    assert reading.skipped == 1
    assert reading.disagreements.total() == 0
