"""The evidence of a run holds what it says, stands on its own, and shows every changed byte."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path
from random import Random
from typing import Any
from uuid import uuid4

import pytest
from psycopg import sql

from coa import pipeline
from coa.errors import ConfigurationError
from coa.evidence import bundle as sealing
from coa.evidence import coa_verify_evidence as checker
from coa.evidence.signing import SETTING, check_key
from coa.fields.customers import COMPANY
from coa.model import CUSTOMER, DETAIL, LOADED, NS, ORDER, SOURCE_ID, STATUS
from coa.retention.purge import purge
from coa.staging.tables import Table
from tests.evidence.conftest import AWKWARD, Sealed, new_key
from tests.retention.planted import files_that_name, tables_that_name

KINDS = {"source": (Table.SOURCE, "Id"), "plan": (Table.DESIRED, "source_id"), "target": (Table.VERIFY, "Id")}


def leaves(bundle: Path) -> list[dict[str, str]]:
    lines = (bundle / checker.LEAVES).read_text("utf-8").split("\n")[1:-1]
    return [dict(zip(checker.COLUMNS, line.split("\t"), strict=True)) for line in lines]


def statement(bundle: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((bundle / checker.STATEMENT).read_text("utf-8"))
    return found


def alone(*arguments: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    """The checker as an auditor runs it: plain Python, isolated, nothing of ours on its path."""
    return subprocess.run(
        [sys.executable, "-I", "-S", "coa-verify-evidence", *map(str, arguments)],
        cwd=cwd,
        capture_output=True,
        text=True,
        env={"PATH": os.environ["PATH"]},
        timeout=60,
        check=False,
    )


@pytest.fixture
def copy(sealed: Sealed, tmp_path: Path) -> Path:
    """The bundle and the artifacts in a folder of their own, all on one level."""
    folder = tmp_path / "copy"
    shutil.copytree(sealed.migration.folder, folder, ignore=shutil.ignore_patterns("evidence"))
    shutil.copytree(sealed.bundle, folder, dirs_exist_ok=True)
    return folder


def test_the_bundle_verifies_in_an_empty_folder_with_plain_python(sealed: Sealed, tmp_path: Path) -> None:
    shutil.copytree(sealed.bundle, tmp_path / "evidence")
    shutil.copy(sealed.bundle / checker.PROGRAM, tmp_path)
    done = alone(".", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "not here, so not checked" in done.stdout
    assert "differences.csv" in done.stdout
    assert statement(sealed.bundle)["tree"]["root"] in done.stdout


def test_with_its_artifacts_and_the_signer_s_key_nothing_is_left_unchecked(
    sealed: Sealed, copy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert checker.main([str(copy), "--key", str(sealed.public)]) == 0
    told = capsys.readouterr().out
    assert "not here" not in told
    assert "signed by the key that was asked for" in told


def test_the_bundle_is_found_inside_the_folder_of_the_run(
    sealed: Sealed, capsys: pytest.CaptureFixture[str]
) -> None:
    for folder in (sealed.migration.folder, sealed.bundle):
        assert checker.main([str(folder)]) == 0
        assert "not here" not in capsys.readouterr().out


def test_the_manifest_names_every_artifact(sealed: Sealed) -> None:
    there = {
        str(p.relative_to(sealed.migration.folder))
        for p in sealed.migration.folder.rglob("*")
        if p.is_file() and p.parent != sealed.bundle
    }
    assert {a["name"] for a in statement(sealed.bundle)["artifacts"]} == there
    assert {"plan.json", "summary.json", "audit.json", "report.html", "mapping_template.yaml"} <= there


def test_the_statement_says_who_approved_what_and_how_it_was_done(sealed: Sealed) -> None:
    said, run = statement(sealed.bundle), sealed.migration.run
    run.refresh()
    assert said["plan_hash"] == run.record.plan_hash
    assert [(a["kind"], a["answered_by"], a["plan_hash"]) for a in said["approvals"]] == [
        ("waiver", "test", run.record.plan_hash)
    ]
    assert said["params"] == {n: v for n, v in run.record.params.items() if n != "orders_where"}
    assert {"reason", "form"}.isdisjoint(said["approvals"][0])
    assert said["run"]["state"] == "verified"
    assert said["source_org"]["id"] != said["target_org"]["id"]
    assert said["source_org"]["api_version"]
    assert said["observed"]["canary"]["orders"] == 10
    assert {row["effect"] for row in said["observed"]["observed"]} >= {"draft_reset", "price_copied"}


def test_every_source_record_has_one_leaf_in_the_stated_order(sealed: Sealed) -> None:
    found = leaves(sealed.bundle)
    order = list(LOADED)
    assert [order.index(r["sobject"]) for r in found] == sorted(order.index(r["sobject"]) for r in found)
    for sobject in LOADED:
        theirs = sorted(r["Id"] for r in sealed.migrator.source.control("GET", f"table/{sobject}"))
        assert [r["source_id"] for r in found if r["sobject"] == sobject] == theirs
    moved = {
        r[SOURCE_ID]: r["Id"] for r in sealed.migrator.target.control("GET", f"table/{ORDER}") if r[SOURCE_ID]
    }
    written = [r for r in found if r["sobject"] == ORDER and r["action"] == "insert"]
    assert {r["source_id"]: r["target_id"] for r in written} == moved
    assert {r["outcome"] for r in written} <= {"equal", "explained"}


def test_the_hashes_are_of_the_staged_values_with_the_salt_of_the_record(sealed: Sealed) -> None:
    """Python hashes what PostgreSQL hashed, awkward texts included."""
    run = sealed.migration.run
    salts = [line.split("\t") for line in (sealed.bundle / checker.SALTS).read_text().splitlines()]
    fields = statement(sealed.bundle)["fields"]
    texts: Counter[str] = Counter()
    for leaf, (owner, salt) in zip(leaves(sealed.bundle), salts, strict=True):
        assert owner == leaf["source_id"]
        for role, (kind, key) in KINDS.items():
            wanted = leaf["target_id"] if role == "target" else leaf["source_id"]
            row = run.db.row(
                sql.SQL("SELECT * FROM {} WHERE {} = %s").format(
                    run.table(kind, leaf["sobject"]), sql.Identifier(key)
                ),
                [wanted],
            )
            if row is None:
                assert leaf[role] == ""
                continue
            texts[str(row.get(NS + "Invoice_Description__c"))] += 1
            values = {name: row[name] for name in fields[role][leaf["sobject"]]}
            assert leaf[role] == checker.value_hash(bytes.fromhex(salt), role, values)
    assert texts[AWKWARD] == 3
    assert len({salt for _, salt in salts}) == len(salts)


def test_a_tree_of_before_keeps_its_form_when_it_is_sealed_again(sealed: Sealed) -> None:
    run, tree = sealed.migration.run, sealing._tree(sealed.migration.run)
    assert tree is not None
    assert sealing._statement(run, sealed.migration.folder, "verified", tree)["format"] == checker.FORMAT
    del tree["format"]
    assert sealing._statement(run, sealed.migration.folder, "verified", tree)["format"] == checker.EARLIER


def test_one_record_is_proved_by_its_path_and_by_its_values(sealed: Sealed, copy: Path) -> None:
    order = next(r for r in leaves(copy) if r["sobject"] == ORDER and r["action"] == "insert")
    run, fields = sealed.migration.run, statement(copy)["fields"]
    query = sql.SQL('SELECT * FROM {} WHERE "Id" = %s')
    row = run.db.row(query.format(run.table(Table.SOURCE, ORDER)), [order["source_id"]]) or {}
    values = copy.parent / "values.json"
    given = {"source": {name: row[name] for name in fields["source"][ORDER] if row[name] is not None}}
    values.write_text(json.dumps(given))
    for name in (order["number"], order["source_id"], order["source_id"][:15]):
        done = alone(".", name, "--values", values, cwd=copy)
        assert done.returncode == 0, done.stdout
        assert "the sealed one\n" in done.stdout
        assert "source values given: the sealed ones" in done.stdout
    given["source"][STATUS] += "x"
    values.write_text(json.dumps(given))
    assert alone(".", order["number"], "--values", values, cwd=copy).returncode == 1
    assert alone(".", "SO-99999999", cwd=copy).returncode == 1


def test_one_changed_byte_anywhere_fails_and_names_the_file(
    sealed: Sealed, copy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    random = Random(4)
    files = sorted(p for p in copy.rglob("*") if p.is_file())
    assert len(files) >= 15
    for path in files:
        good = path.read_bytes()
        # The last byte, a blank or line end if there is one, and some at random.
        places = {len(good) - 1, max(good.find(b" "), 0), max(good.find(b"\n"), 0)}
        for place in [p for p in places if p < len(good)] + [random.randrange(len(good)) for _ in range(2)]:
            path.write_bytes(good[:place] + bytes([good[place] ^ 1]) + good[place + 1 :])
            assert checker.main([str(copy)]) == 1, (path.name, place)
            assert f"FAILED {path.name}" in capsys.readouterr().out, (path.name, place)
        path.write_bytes(good[:-1])
        assert checker.main([str(copy)]) == 1
        assert f"FAILED {path.name}" in capsys.readouterr().out
        path.write_bytes(good)
    assert checker.main([str(copy)]) == 0


def test_every_byte_of_the_signature_file_counts(copy: Path) -> None:
    path = copy / checker.SIGNATURE
    good = path.read_bytes()
    for place in range(0, len(good), 3):
        for bit in (1, 32):
            path.write_bytes(good[:place] + bytes([good[place] ^ bit]) + good[place + 1 :])
            assert checker.main([str(copy)]) == 1, place


def test_a_file_that_was_made_again_with_another_key_is_told_by_the_key(
    sealed: Sealed, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, other = new_key(tmp_path)
    assert checker.main([str(sealed.bundle), "--key", str(other)]) == 1
    assert "FAILED signature.json: signed by another key" in capsys.readouterr().out


def test_a_missing_file_of_the_bundle_is_named(copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (copy / checker.LEAVES).unlink()
    assert checker.main([str(copy)]) == 1
    assert "FAILED leaves.tsv: is missing" in capsys.readouterr().out


def test_totals_that_do_not_follow_from_the_records_are_told(
    sealed: Sealed, copy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Who holds the key could sign a summary that says more than the records do."""
    summary = json.loads((copy / "summary.json").read_text())
    summary["objects"][DETAIL]["verified"] += 1
    (copy / "summary.json").write_text(json.dumps(summary))
    said = statement(copy)
    entry = next(a for a in said["artifacts"] if a["name"] == "summary.json")
    entry["bytes"] = (copy / "summary.json").stat().st_size
    entry["sha256"] = checker.hash_of(copy / "summary.json")
    (copy / checker.STATEMENT).write_text(json.dumps(said))
    told = checker.hash_of(copy / checker.STATEMENT)
    (copy / checker.SIGNATURE).write_bytes(
        checker.signature_document(
            {"algorithm": "none", "public_key": "", "signature": "", "statement_sha256": told}
        )
    )
    assert checker.main([str(copy)]) == 1
    printed = capsys.readouterr().out
    assert "FAILED summary.json" in printed
    assert "UNSIGNED" in printed


def test_the_summary_names_the_root(sealed: Sealed) -> None:
    tree = statement(sealed.bundle)["tree"]
    assert sealed.migration.summary["evidence"] == {"root": tree["root"], "leaves": tree["leaves"]}
    assert tree["leaves"] == sum(c["extracted"] for c in sealed.migration.summary["objects"].values())
    assert sealed.migration.summary["seconds"]["evidence"] > 0


def test_writing_it_again_gives_the_same_root_and_fits_the_new_artifacts(sealed: Sealed) -> None:
    run = sealed.migration.run
    before = statement(sealed.bundle)["tree"]
    sealed.migrator.finish(run)
    assert statement(sealed.bundle)["tree"] == before
    pipeline.report(run, sealed.migration.folder)
    assert checker.main([str(sealed.migration.folder)]) == 0


def test_a_key_that_cannot_be_used_is_told_before_anything_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(SETTING, raising=False)
    check_key()
    (tmp_path / "text.pem").write_text("no key")
    for path in (tmp_path / "none.pem", tmp_path / "text.pem", tmp_path):
        monkeypatch.setenv(SETTING, str(path))
        with pytest.raises(ConfigurationError, match=SETTING):
            check_key()


@pytest.mark.lane
def test_a_verification_has_evidence_of_its_own_and_a_stopped_run_has_none(sealed: Sealed) -> None:
    """One damaged status: the verification ends with differences, and its evidence says of which record."""
    migrator = sealed.migrator
    moved = next(
        o
        for o in migrator.target.control("GET", f"table/{ORDER}")
        if o[SOURCE_ID] and o[STATUS] == "Activated"
    )
    edit = migrator.target.control
    edit("PATCH", f"records/{ORDER}/{moved['Id']}", {STATUS: "Rejected"}, raw="true")
    run = pipeline.start(
        migrator.db,
        migrator.settings,
        dag_id="coa_verify",
        airflow_run_id=f"test-{uuid4().hex}",
        triggered_by="test",
        raw_params={"run_id": sealed.migration.run.run_id},
    )
    pipeline.verify_run(run, *migrator.orgs())
    ended = migrator.finish(run)
    assert ended.state == "differences"
    assert checker.main([str(ended.folder)]) == 0
    different = [r for r in leaves(ended.folder / "evidence") if r["outcome"] == "different"]
    assert [r["target_id"] for r in different] == [moved["Id"]]
    assert statement(ended.folder / "evidence")["run"]["state"] == "differences"
    # The same run, cleared and failed: what was sealed before is not left beside other artifacts.
    run.reopen()
    assert migrator.finish(run, "the org is gone").state in ("failed", "differences")
    dry = migrator.migrate(dry_run=True, mode="full")
    assert dry.state == "dry_run"
    assert not (dry.folder / "evidence").exists()


def test_a_purge_keeps_root_signature_and_leaves_and_takes_the_salts(
    sealed: Sealed, capsys: pytest.CaptureFixture[str]
) -> None:
    """Last of the module: its runs are purged."""
    run, folder = sealed.migration.run, sealed.migration.folder
    before = {p.name: p.read_bytes() for p in sealed.bundle.iterdir()}
    run.update(artifacts=str(folder))
    names = [
        r["name"]
        for r in run.db.rows(
            sql.SQL("SELECT DISTINCT {} AS name FROM {}").format(
                sql.Identifier(COMPANY), run.table(Table.SOURCE, CUSTOMER)
            )
        )
    ]
    assert any(list(files_that_name(folder, name)) for name in names)
    for other in run.db.rows("SELECT * FROM coa.run"):
        purge(run.db, other)
    for name in [*names, AWKWARD[:20]]:
        assert tables_that_name(run.db, name) == []
        assert list(files_that_name(folder, name)) == []
    assert {p.name for p in sealed.bundle.iterdir()} == set(before) - {checker.SALTS}
    assert all(p.read_bytes() == before[p.name] for p in sealed.bundle.iterdir())
    assert not run.has_table(Table.EVIDENCE)
    lines = (sealed.bundle / checker.LEAVES).read_bytes().split(b"\n")[1:-1]
    for number, line in enumerate(lines):
        tree = checker.Tree(followed=number)
        for one in lines:
            tree.add(one)
        root = tree.root()
        assert root.hex() == statement(sealed.bundle)["tree"]["root"]
        assert checker.climb(checker.leaf_hash(line), tree.path) == root
    customer = next(r for r in leaves(sealed.bundle) if r["sobject"] == CUSTOMER)
    assert checker.main([str(folder), customer["source_id"]]) == 0
    told = capsys.readouterr().out
    assert "salts.tsv is purged or was not copied" in told
    assert "report.html" in told.split("not here, so not checked:")[1]
