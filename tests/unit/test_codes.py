"""Codes are closed sets: the database takes those of `coa.codes`, and the SQL of the engine names no others."""

from __future__ import annotations

import re
from enum import StrEnum

import pytest

from coa import codes
from coa.staging.schema import migrations
from coa.staging.tables import DECLARED, Table
from coa.states import RunState
from tests.unit.source_code import modules, text_of, where

PERMANENT: dict[str, type[StrEnum]] = {
    "run_state_check": RunState,
    "run_stopped_state_check": RunState,
    "event_level_check": codes.EventLevel,
    "finding_severity_check": codes.Severity,
    "plan_count_action_check": codes.Action,
    "job_state_check": codes.JobState,
    "ledger_origin_check": codes.LedgerOrigin,
    "ledger_step_check": codes.LedgerStep,
    "difference_kind_check": codes.DifferenceKind,
    "difference_cause_check": codes.DifferenceCause,
    "attached_state_check": codes.Passage,
    "case_work_topic_check": codes.CaseTopic,
    "case_work_state_check": codes.CaseState,
    "case_work_scenario_check": codes.Scenario,
}
OF_A_RUN: dict[tuple[Table, str], type[StrEnum]] = {
    (Table.PROBLEM, "reason_code"): codes.ReasonCode,
    (Table.PROBLEM, "verdict"): codes.Verdict,
    (Table.PLAN, "action"): codes.Action,
    (Table.PLAN, "reason_code"): codes.ReasonCode,
    (Table.DELETION, "action"): codes.Removal,
    (Table.WORK, "state"): codes.RowState,
    (Table.ROLLBACK, "action"): codes.Undo,
    (Table.RELINK, "action"): codes.Relink,
    (Table.RELINK, "reason_code"): codes.ReasonCode,
    (Table.ROLLBACK, "reason_code"): codes.ReasonCode,
    (Table.ATTACHED, "action"): codes.Carriage,
    (Table.ATTACHED, "reason"): codes.LeftBehind,
    (Table.ATTACHED_UNDO, "action"): codes.Undo,
    (Table.ATTACHED_UNDO, "reason_code"): codes.ReasonCode,
}
# Columns of these names, wherever they stand; some names are those of several tables.
BY_COLUMN: dict[str, tuple[type[StrEnum], ...]] = {
    "action": (codes.Action, codes.Undo, codes.Removal, codes.Carriage, codes.Relink),
    "reason_code": (codes.ReasonCode,),
    "verdict": (codes.Verdict,),
    "state": (RunState, codes.RowState, codes.JobState, codes.Passage),
    "stopped_state": (RunState,),
    "origin": (codes.LedgerOrigin,),
    "severity": (codes.Severity,),
    "cause": (codes.DifferenceCause,),
}
WRITTEN = re.compile(rf"\b({'|'.join(BY_COLUMN)})\s*(?:=|<>|!=|IN|NOT IN)\s*(\([^)(]*\)|'\w*')")


def listed(check: str) -> set[str]:
    return set(re.findall(r"'(\w+)'", check))


@pytest.mark.parametrize("constraint", PERMANENT)
def test_a_permanent_table_takes_the_codes_and_no_others(constraint: str) -> None:
    made = re.compile(rf"ADD CONSTRAINT {constraint}\s+CHECK \(\w+ IN \((.*?)\)\)", re.DOTALL)
    # A CHECK inside the CREATE TABLE of the baseline has the name that PostgreSQL gave it.
    column = constraint.removesuffix("_check").split("_", 1)[1].replace("severity", "grade")
    inline = re.compile(rf"{column}\s+text NOT NULL CHECK \({column} IN \((.*?)\)\)")
    found = [m for one in migrations() for m in made.findall(one.statements)]
    found = found or [m for one in migrations() for m in inline.findall(one.statements)]

    assert listed(found[-1]) == set(PERMANENT[constraint])


@pytest.mark.parametrize(("table", "column"), OF_A_RUN)
def test_a_table_of_a_run_takes_the_codes_and_no_others(table: Table, column: str) -> None:
    check = re.search(rf"CHECK \({column} IN \(([^)]*)\)\)", DECLARED[table].columns)

    assert check is not None
    assert listed(check[1]) == set(OF_A_RUN[table, column])


def test_sql_names_no_code_that_is_not_declared() -> None:
    strangers = {
        (where(path), column, value)
        for path in modules()
        for column, values in WRITTEN.findall(text_of(path))
        for value in listed(values)
        if value and not any(value in set(known) for known in BY_COLUMN[column])
    }

    assert strangers == set()


def test_a_misspelt_code_is_found() -> None:
    assert [listed(values) for _, values in WRITTEN.findall("p.action IN ('insert', 'updat')")] == [
        {"insert", "updat"}
    ]
