"""The artifacts of a run: complete, machine readable, safe to open, and what they say of one another is true."""

from __future__ import annotations

import csv
import json
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.engine.harness import Migration
from tests.engine.steps_seen import require_known_steps
from tests.report.conftest import HOSTILE, LICENSE

from coa.casework.topics import TOPICS
from coa.model import CUSTOMER, NS, ORDER, SOURCE_ID
from coa.report import data_loader
from coa.report.csv_files import DIFFERENCE_COLUMNS, ID_MAP_COLUMNS, REJECTED_COLUMNS, neutral, original
from coa.report.data_loader import error_name, success_name
from coa.report.page import markdown, record_link
from coa.report.relink import RELINK_COLUMNS

FILES = {
    "plan.json",
    "corrections.csv",
    "report.html",
    "summary.json",
    "casework.md",
    "id_map.csv",
    "rejected_rows.csv",
    "differences.csv",
    "relink.csv",
    "open_orders.csv",
    "references.csv",
    "observed.json",
    "license_coverage.csv",
    "totals.csv",
    "orders.csv",
    "gtm_readiness.csv",
    "license_gaps.csv",
    "orders.parquet",
    "audit.json",
    *data_loader.NAMES,
}


def rows(migration: Migration, name: str) -> list[dict[str, str]]:
    with (migration.folder / name).open(encoding="utf-8-sig", newline="") as file:
        return [{k: original(v) for k, v in row.items()} for row in csv.DictReader(file)]


def header(migration: Migration, name: str) -> list[str]:
    with (migration.folder / name).open(encoding="utf-8-sig", newline="") as file:
        return next(csv.reader(file))


def test_every_promised_file_is_there(reported: Migration) -> None:
    assert reported.state == "differences"
    assert {p.name for p in reported.folder.iterdir()} >= FILES


def test_the_success_and_error_files_are_those_of_data_loader(reported: Migration) -> None:
    left_out = rows(reported, "rejected_rows.csv")
    for sobject, counts in reported.summary["objects"].items():
        written = rows(reported, success_name(sobject))
        failed = rows(reported, error_name(sobject))

        assert header(reported, success_name(sobject)) == ["ID", SOURCE_ID, "STATUS"]
        assert {row["STATUS"] for row in written} == {"Item Created"}
        assert len(written) == counts["inserted"]
        names = header(reported, error_name(sobject))
        assert (names[0], names[-1]) == (SOURCE_ID, "ERROR")
        assert {row[SOURCE_ID] for row in failed} == {
            row["source_id"] for row in left_out if row["sobject"] == sobject
        }
        assert all(": " in row["ERROR"] for row in failed)
    new_ids = {row["source_id"]: row["target_id"] for row in rows(reported, "id_map.csv")}
    assert all(new_ids[row[SOURCE_ID]] == row["ID"] for row in rows(reported, success_name(ORDER)))
    [first, *_] = rows(reported, error_name(ORDER))
    assert first[NS + "Service_Order_Status__c"]


def test_csv_columns_begin_as_promised(reported: Migration) -> None:
    assert header(reported, "id_map.csv") == list(ID_MAP_COLUMNS)
    assert header(reported, "id_map.csv")[:4] == ["sobject", "source_id", "target_id", "action"]
    assert header(reported, "rejected_rows.csv") == list(REJECTED_COLUMNS)
    assert header(reported, "rejected_rows.csv")[:5] == [
        "sobject",
        "source_id",
        "reason_code",
        "reason",
        "next_step",
    ]
    assert header(reported, "differences.csv") == list(DIFFERENCE_COLUMNS)
    assert header(reported, "differences.csv")[:7] == [
        "sobject", "source_id", "target_id", "field", "source_value", "target_value", "kind"
    ]  # fmt: skip
    assert header(reported, "relink.csv") == list(RELINK_COLUMNS)


def test_csv_files_open_in_a_spreadsheet_without_running_anything(reported: Migration) -> None:
    for name in ("id_map.csv", "rejected_rows.csv", "differences.csv", "relink.csv", "license_coverage.csv"):
        assert (reported.folder / name).read_bytes().startswith(b"\xef\xbb\xbf")
        with (reported.folder / name).open(encoding="utf-8-sig", newline="") as file:
            for row in csv.reader(file):
                assert not [c for c in row if c.startswith(("=", "+", "@", "\t", "\r"))]
    assert {"=1+1", HOSTILE} <= {r["target_value"] for r in rows(reported, "differences.csv")}


@given(st.text())
def test_neutralising_loses_nothing(text: str) -> None:
    assert original(neutral(text)) == text


@given(st.from_regex(r"[A-Za-z0-9]{15}([A-Za-z0-9]{3})?", fullmatch=True))
def test_ids_pass_unchanged(record_id: str) -> None:
    assert neutral(record_id) == record_id


@pytest.mark.parametrize("number", ["-5", "-12.5", "+3", "0", "1200.00"])
def test_numbers_stay_numbers(number: str) -> None:
    assert neutral(number) == number


@pytest.mark.parametrize(
    "cell", ["=1+1", "+49 89 1", "-cmd", "@SUM(A1)", "\tx", "-1e5|calc", "＝1", "+inf", "-1_0"]
)
def test_formulas_are_neutralised(cell: str) -> None:
    assert neutral(cell) == "'" + cell


def test_hashes_are_those_of_the_files(reported: Migration) -> None:
    page = (reported.folder / "report.html").read_text()
    audit = json.loads((reported.folder / "audit.json").read_text())
    assert {a["name"] for a in audit["artifacts"]} == FILES - {"report.html", "audit.json"}
    for artifact in audit["artifacts"]:
        assert artifact["sha256"] == digest(reported.folder / artifact["name"])
        assert artifact["sha256"] in page
    assert digest(reported.folder / "audit.json") in page


def digest(path: Path) -> str:
    return sha256(path.read_bytes()).hexdigest()


def test_the_audit_trail_says_who_what_and_when(reported: Migration) -> None:
    audit = json.loads((reported.folder / "audit.json").read_text())
    assert audit["run"]["triggered_by"] == "test"
    assert audit["run"]["plan_hash"] == audit["approvals"][-1]["plan_hash"]
    assert audit["approvals"][-1]["answered_by"] == "test"
    assert audit["run"]["params"]["draft_orders"] == "load"
    assert {c["org"] for c in audit["api_calls"]} == {"source", "target"}
    assert sum(j["accepted"] for j in audit["jobs"]) > 0
    assert {"stage_started", "extracted", "plan_answered"} <= {e["event"] for e in audit["events"]}
    assert "secret" not in json.dumps(audit).replace("consumer_secret", "")


def test_the_page_is_self_contained_and_small(reported: Migration) -> None:
    page = (reported.folder / "report.html").read_text()
    assert len(page) < 2_000_000
    assert "<link" not in page
    assert 'src="' not in page.replace("img src=x", "")
    assert "@import" not in page


def test_hostile_text_is_only_text(reported: Migration) -> None:
    page = (reported.folder / "report.html").read_text()
    assert page.count("<script>") == 1
    assert "<img" not in page
    assert "&lt;img src=x onerror=alert(1)&gt;" in page


@pytest.mark.parametrize("base", ["javascript:alert(1)", "data:text/html,x", "", "file:///x"])
def test_links_lead_to_web_addresses_only(base: str) -> None:
    assert "href" not in record_link("a01000000000001AAA", base, "record")


def test_markdown_signs_of_an_org_take_no_effect() -> None:
    assert markdown("a|b\n# *x* <b>") == r"a\|b \# \*x\* \<b\>"


def test_case_work_has_the_figures(reported: Migration) -> None:
    text = (reported.folder / "casework.md").read_text()
    for role in ("source", "target"):
        assert reported.run.org_id(role) in text
    for topic in TOPICS:
        assert f". {topic.title}\n" in text
        assert f"| {topic.title} | open | – | nobody yet | {topic.late} |" in text
    assert "Enterprise Edition" in text
    assert "Acme Inspector (033000000000AcmAAA)" in text
    # Neither org has an Environment Hub that the user sees.
    assert "Members of the Environment Hub: (could not be read) in the former org" in text
    listed = rows(reported, "license_coverage.csv")
    licensed = sum(r["licensed"] == "yes" for r in listed)
    assert f"Of {len(listed)} customer orgs, {licensed} have a license" in text


def test_licenses_of_the_source_without_a_counterpart_are_listed(reported: Migration) -> None:
    """By the subscriber's org and package: the target has a license of the first customer, and no package's."""
    text = (reported.folder / "casework.md").read_text()
    gaps = rows(reported, "license_gaps.csv")

    assert [(g["package"], g["status"]) for g in gaps] == [("", "Trial"), *[("Acme Inspector", "Active")] * 4]
    assert "| (not known) | Active | 1 | 0 |" in text
    assert "| (not known) | Trial | 1 | 1 |" in text
    assert "| Acme Inspector | Active | 4 | 4 |" in text


def test_license_coverage_lists_each_customer(reported: Migration) -> None:
    listed = rows(reported, "license_coverage.csv")
    assert len(listed) == reported.summary["objects"][CUSTOMER]["extracted"]
    first = (reported.folder.parent / "first_customer").read_text()
    assert [r["licensed"] for r in listed if r["source_id"] == first] == ["yes"]
    assert {r["licensed"] for r in listed} == {"yes", "no"}
    assert all(r["target_id"] for r in listed)


def test_relink_names_the_new_id_and_the_license_there(reported: Migration) -> None:
    first = reported.folder.parent / "first_customer"
    one = next(r for r in rows(reported, "relink.csv") if r["source_id"] == first.read_text())
    new_ids = {r["source_id"]: r["target_id"] for r in rows(reported, "id_map.csv")}
    assert (one["sobject"], one["field"], one["points_at"]) == (LICENSE, "COA_Customer__c", CUSTOMER)
    assert one["target_id"] == new_ids[one["source_id"]]
    assert one["target_record_id"]
    assert one["field_in_target"] == "yes"


def test_the_summary_has_the_promised_keys_and_adds_up(reported: Migration) -> None:
    summary: dict[str, Any] = reported.summary
    assert {
        "run_id", "mode", "state", "plan_hash", "objects", "received_dates", "created_dates", "draft_exposure",
        "api_calls", "seconds",
    } <= set(summary)  # fmt: skip
    assert set(summary["received_dates"]) == {"expected", "equal", "different"}
    assert set(summary["created_dates"]) == {"expected", "equal", "different"}
    assert set(summary["draft_exposure"]) == {"max_seconds", "left_draft"}
    assert set(summary["api_calls"]) == {"source", "target"}
    assert summary["draft_exposure"]["left_draft"] == 1
    assert summary["objects"][ORDER]["different"] == 3


def test_however_many_differences_the_page_stays_small(reported: Migration) -> None:
    """The lists are cut; what grows is the CSV beside the page."""
    from coa.report.html import MOST_ROWS, report_html

    run = reported.run
    before = len(report_html(run, reported.summary, []))
    try:
        run.db.execute(
            """INSERT INTO coa.difference
                 (run_id, sobject, source_id, target_id, field, source_value, target_value, kind)
               SELECT %s, %s, 'a01' || n, 'a02' || n, 'Field__c', repeat('x', 400), repeat('y', 400), 'field'
               FROM generate_series(1, 20000) n""",
            [run.run_id, ORDER],
        )
        after = report_html(run, reported.summary, [])
        assert after.count('class="v">') < 3 * MOST_ROWS
        assert before < len(after) < 2_500_000
    finally:
        run.db.execute("DELETE FROM coa.difference WHERE run_id = %s AND field = 'Field__c'", [run.run_id])


def test_every_step_of_the_load_is_one_of_the_table_and_in_its_order(reported: Migration) -> None:
    seen = require_known_steps(reported.run)

    assert {"extract_source", "customers", "orders", "details", "statuses", "received_dates"} <= seen
