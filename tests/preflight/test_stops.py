"""What ends a run at once, what only warns, and that an org which tells little is no reason to fail."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from coa.model import NS, ORDER
from coa.preflight.capacity import Volume, _storage
from coa.preflight.jobs import SUBMIT_NAME
from coa.salesforce.session import Org
from coa.staging.database import Database
from orgsim.launch import running_org
from tests.engine.harness import Migrator

from .outcome import Outcome, preflight
from .pair import Pair, clean_pair


@pytest.fixture(scope="module")
def pair() -> Iterator[Pair]:
    with clean_pair(orders=12) as made:
        yield made


@pytest.fixture
def migrator(pair: Pair, module_database: Database, tmp_path: Path) -> Migrator:
    return Migrator(module_database, pair.source, pair.target, tmp_path)


def codes(outcome: Outcome, severity: str = "blocker") -> list[str]:
    return sorted(code for (code, _, _), f in outcome.findings.items() if f["severity"] == severity)


def test_one_org_for_both_connections_stops(migrator: Migrator) -> None:
    outcome = preflight(replace(migrator, target=migrator.source))
    # What else is missing there follows from it, and would hide it.
    assert codes(outcome) == ["same_org"]
    assert outcome.error.startswith("(1) The connections coa_source and coa_target lead to the same org")


def test_swapped_connections_are_told_as_what_they_are(migrator: Migrator) -> None:
    outcome = preflight(replace(migrator, source=migrator.target, target=migrator.source))
    assert codes(outcome) == ["orgs_swapped"]
    assert "look swapped" in outcome.error


def test_an_extra_that_nobody_reads_is_named_and_never_its_value(
    migrator: Migrator, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect = Migrator.orgs

    def with_extra(self: Migrator) -> tuple[Org, Org]:
        source, target = connect(self)
        source.connection = replace(source.connection, unknown_extras=("versoin (is version meant?)",))
        return source, target

    monkeypatch.setattr(Migrator, "orgs", with_extra)
    outcome = preflight(migrator)
    found = outcome.findings["connection_extra_unknown_source", "", ""]
    assert (found["severity"], "versoin (is version meant?)" in found["message"]) == ("warning", True)


def test_a_refused_login_is_a_finding_that_names_the_connection(migrator: Migrator) -> None:
    stranger = copy.copy(migrator.target)
    stranger.settings = replace(stranger.settings, consumer_secret="wrong")
    outcome = preflight(replace(migrator, target=stranger))
    assert codes(outcome) == ["connection_target"]
    assert "coa_target" in outcome.error
    assert "wrong" not in outcome.error


def test_an_org_without_the_app_is_named(migrator: Migrator) -> None:
    with running_org(role="target", seed=11, package_version="", orders=0) as bare:
        outcome = preflight(replace(migrator, target=bare))
    assert codes(outcome) == ["coa_missing_target"]
    assert "install or update the Channel Order App" in outcome.error


@pytest.mark.parametrize("where", ["Nonsense__c = 1", "CreatedDate > 'yesterday'"])
def test_a_filter_that_the_org_refuses_names_the_param(where: str, migrator: Migrator) -> None:
    outcome = preflight(migrator, orders_where=where)
    assert codes(outcome) == ["orders_where_refused"]
    assert "orders_where" in outcome.error


def test_a_filter_that_leaves_no_order_is_a_warning(migrator: Migrator) -> None:
    outcome = preflight(migrator, orders_where="CreatedDate > 2100-01-01T00:00:00Z")
    assert codes(outcome, "warning") == ["orders_where_empty"]


def test_what_a_mapping_file_names_has_to_exist(migrator: Migrator, tmp_path: Path) -> None:
    file = tmp_path / "mapping.yaml"
    file.write_text(
        f"""fields:
  Service_Order__c:
    Order_Type__c: {{default: Initial}}
    {NS}Order_Type__c: {{default: Nonsense}}
    {NS}Contract_Length__c: {{constant: twelve}}
    {NS}Order_Total_Value__c: {{constant: 1}}
    {NS}Service_Start_Date__c: {{default: 1.1.2020}}
    {NS}Send_Order__c: {{constant: true}}
    {NS}Error_Comment__c: {{source: Nobody__c}}
lookups: {{Account: Unknown__c, Nothing__c: Name}}
"""
    )
    outcome = preflight(migrator, mapping=str(file))
    assert set(codes(outcome)) == {"mapping_wrong"}
    for said in (
        f"line 3: the target's {ORDER} has no field Order_Type__c (is {NS}Order_Type__c meant?)",
        f"line 4: the default of {NS}Order_Type__c is missing in the target's picklist",
        f"line 5: the constant of {NS}Contract_Length__c is no number",
        f"line 6: the target computes {NS}Order_Total_Value__c",
        f"line 7: the default of {NS}Service_Start_Date__c is no date",
        f"line 8: {NS}Send_Order__c is not for a mapping file to set",
        f"line 9: the source's {ORDER} has no field Nobody__c",
        "line 10: the source's Account has no field Unknown__c",
        "line 10: the source has no object Nothing__c",
    ):
        assert said in outcome.error


def test_a_used_up_allowance_stops(migrator: Migrator, pair: Pair) -> None:
    used = pair.target.control("GET", "stats")["calls"].get("api", 0)
    pair.target.control("PATCH", "settings", {"api_limit": used + 150})
    outcome = preflight(migrator)
    pair.target.control("PATCH", "settings", {"api_limit": 100000})
    assert codes(outcome) == ["api_allowance_target"]


def test_too_little_storage_stops() -> None:
    (finding,) = _storage({"DataStorageMB": {"Max": 1000, "Remaining": 3}}, Volume(1000, 4500, 100))
    assert (finding.severity, finding.code, finding.count) == ("blocker", "data_storage", 11)
    assert _storage({"DataStorageMB": {"Max": 1000, "Remaining": 11}}, Volume(1000, 4500, 100)) == []
    assert _storage({}, Volume(1000, 4500, 100)) == []


@pytest.mark.lane
def test_accepted_submit_jobs_are_a_warning(migrator: Migrator, pair: Pair) -> None:
    apex = pair.add(pair.target, "ApexClass", Name="SubmitDraftOrders")
    job = pair.add(pair.target, "AsyncApexJob", JobType="ScheduledApex", Status="Queued", ApexClassId=apex)
    refused = preflight(migrator)
    accepted = preflight(migrator, accept_submit_jobs=True)
    pair.set(pair.target, "AsyncApexJob", job, Status="Aborted")
    assert codes(refused) == ["submit_jobs"]
    assert "SubmitDraftOrders" in refused.error
    assert codes(accepted) == []
    assert codes(accepted, "warning") == ["submit_jobs"]


@pytest.mark.parametrize(
    ("name", "suspect"),
    [
        ("SubmitDraftServiceOrders", True),
        ("Send draft orders nightly", True),
        ("COA_SubmitBatch", True),
        ("OrderSubmitScheduler", True),
        ("NightlyCleanup", False),
        ("AccountScoreBatch", False),
        ("OrderExportToWarehouse", False),
    ],
)
def test_a_name_tells_what_a_hidden_class_may_do(name: str, suspect: bool) -> None:
    assert bool(SUBMIT_NAME.search(name)) is suspect


def test_an_org_that_offers_the_core_api_only_gives_notes(pair: Pair, migrator: Migrator) -> None:
    """No Tooling API, no limits, setup objects without the fields that are asked for."""
    hidden = ("ApexTrigger.Status", "FlowDefinitionView.IsActive", "AsyncApexJob.Status", "CronTrigger.State",
              "Note.ParentId", "Task.WhatId", "ContentDocumentLink.LinkedEntityId")  # fmt: skip
    for org in (pair.source, pair.target):
        org.control("POST", "faults", [
            {"kind": "status", "status": 404, "path": "/tooling/", "times": -1,
             "body": '[{"errorCode":"NOT_FOUND","message":"The requested resource does not exist"}]'},
            {"kind": "status", "status": 404, "path": "/limits", "times": -1, "body": "<html></html>"},
        ])  # fmt: skip
        for field in hidden:
            pair.field(org, field, hidden=True)
    outcome = preflight(migrator)
    for org in (pair.source, pair.target):
        org.control("DELETE", "faults")
        for field in hidden:
            pair.field(org, field, hidden=False)
    assert outcome.error == ""
    assert codes(outcome) == []
    assert codes(outcome, "warning") == ["submit_jobs_not_checked"]
    assert codes(outcome, "note") == ["not_checked_source", "not_checked_target"]


@pytest.mark.parametrize(
    ("source", "target", "code"),
    [(True, False, "currency_not_carried"), (False, True, "currency_unknown")],
)
def test_orgs_that_differ_in_multi_currency_do_not_go_unnoticed(
    source: bool, target: bool, code: str, module_database: Database, tmp_path: Path
) -> None:
    with clean_pair(orders=10, multi_currency=source, target={"multi_currency": target}) as made:
        if source:
            made.change(ORDER, 2, CurrencyIsoCode="EUR")
            made.change(ORDER, 1, CurrencyIsoCode="USD")
        outcome = preflight(Migrator(module_database, made.source, made.target, tmp_path))
    assert (code, ORDER, "CurrencyIsoCode") in outcome.findings
    assert outcome.findings[code, ORDER, "CurrencyIsoCode"]["severity"] == "blocker"


@pytest.mark.lane
def test_a_constant_currency_answers_the_question(module_database: Database, tmp_path: Path) -> None:
    lines = "".join(
        f"  {name}: {{CurrencyIsoCode: {{constant: USD}}}}\n"
        for name in ("Customer__c", "Service_Order__c", "Service_Order_Detail__c")
    )
    (tmp_path / "m.yaml").write_text("fields:\n" + lines)
    with clean_pair(orders=10, target={"multi_currency": True}) as made:
        outcome = preflight(
            Migrator(module_database, made.source, made.target, tmp_path), mapping=str(tmp_path / "m.yaml")
        )
    assert codes(outcome) == []
