"""A rehearsal with masked values: nothing of a source name is left in target, staging, artifacts and logs."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
from psycopg import sql

from coa.model import CUSTOMER, CUSTOMER_ORG_ID, LOADED, NS, SOURCE_ID
from coa.staging.database import Database
from tests.engine.harness import Migrator
from tests.reconcile.pairs import table, two_orgs

COMPANY, STREET = NS + "Customer_Company_Name__c", NS + "Customer_Street__c"


@pytest.fixture
def pair(database: Database, tmp_path: Path) -> Iterator[Migrator]:
    with two_orgs(database, tmp_path, orders=10, target={"sandbox": True}) as migrator:
        yield migrator


@pytest.fixture
def mapping(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    file = tmp_path / "mapping.yaml"
    file.write_text("masking:\n", "utf-8")
    monkeypatch.setenv("COA_MAPPING", str(file))
    return str(file)


def names_of(pair: Migrator) -> set[str]:
    """Every text of the source's customers, orders, accounts and users that names somebody, if it is long enough."""
    found: set[str] = set()
    for sobject, fields in {
        CUSTOMER: (COMPANY, STREET),
        "Account": ("Name",),
        "User": ("Name", "Email", "LastName", "Username"),
    }.items():
        for record in table(pair.source, sobject).values():
            found |= {str(record[name]) for name in fields if record.get(name) and len(str(record[name])) > 5}
    theirs = {
        str(value)
        for sobject in (CUSTOMER, "Account", "User")
        for record in table(pair.target, sobject).values()
        for value in record.values()
    }
    return found - theirs


def staging_texts(db: Database) -> str:
    """All rows of all tables of the staging database."""
    texts = []
    for row in db.rows(
        "SELECT table_schema AS s, table_name AS t FROM information_schema.tables "
        "WHERE (table_schema LIKE 'run\\_%%' OR table_schema = 'coa') AND table_type = 'BASE TABLE'",
        [],
    ):
        name = sql.Identifier(row["s"], row["t"])
        texts += [r["r"] for r in db.rows(sql.SQL("SELECT x::text AS r FROM {} x").format(name))]
    return "\n".join(texts)


def test_no_name_of_the_source_is_left_anywhere_and_the_proof_is_of_the_masked_values(
    pair: Migrator, mapping: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    planted = names_of(pair)
    assert len(planted) > 20

    run = pair.migrate(verify_sample="100%")

    assert run.state == "verified", (run.error, (run.folder / "differences.csv").read_text()[:3000])
    places = {
        "target": str([table(pair.target, name) for name in (*LOADED, "Account", "User")]),
        "staging": staging_texts(pair.db),
        "artifacts": "\n".join(
            p.read_bytes().decode("utf-8", "replace") for p in run.folder.rglob("*") if p.is_file()
        ),
        "logs": caplog.text,
    }
    assert {place: sorted(n for n in planted if n in text) for place, text in places.items()} == {
        place: [] for place in places
    }
    source, moved = table(pair.source, CUSTOMER), table(pair.target, CUSTOMER)
    for record in (r for r in moved.values() if r[SOURCE_ID]):
        real = source[record[SOURCE_ID]]
        assert record[CUSTOMER_ORG_ID] == real[CUSTOMER_ORG_ID]
        assert len(record[COMPANY] or "") == len(real[COMPANY] or "")

    # A real run never takes the rehearsal's records for its own.
    pytest.MonkeyPatch().delenv("COA_MAPPING")
    real_run = pair.migrate()
    assert real_run.state == "blocked"
    assert "rehearsal_in_target" in staging_texts(pair.db)
    assert {r["masked"] for r in pair.db.rows("SELECT masked FROM coa.org_pair")} == {True, False}


def test_a_target_that_is_no_sandbox_is_refused_before_anything_is_read(
    database: Database, tmp_path: Path, mapping: str
) -> None:
    with two_orgs(database, tmp_path, orders=0) as pair:
        run = pair.migrate(attachments="carry")

    assert run.state == "blocked"
    codes = {r["code"] for r in database.rows("SELECT code FROM coa.finding")}
    assert codes == {"masking_needs_sandbox", "masking_not_of_files"}
    assert database.value("SELECT count(*) FROM coa.org_pair") == 0
