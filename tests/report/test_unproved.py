"""The report's section on unproved facts: what a target has answered by a contract or by this run's canary."""

from __future__ import annotations

from typing import Any

import pytest

from coa import pipeline
from coa.config import Settings
from coa.contract.catalogue import BY_ID, FACTS
from coa.contract.fact import PROVED, Standing
from coa.load.observed import DID_NOT_HAPPEN
from coa.model import ORDER, RECEIVED_AT
from coa.plan.expected_corrections import RECEIVED_STAMPED
from coa.report.unproved import unproved_facts
from coa.staging.database import Database, json_value
from coa.staging.runs import Run

TARGET = "00D000000000002AAA"


@pytest.fixture
def run(database: Database) -> Run:
    made = pipeline.start(
        database, Settings(), dag_id="coa_migrate", airflow_run_id="one", triggered_by="op", raw_params={}
    )
    made.update(target_org={"id": TARGET})
    return made


def rows(run: Run) -> dict[str, dict[str, Any]]:
    return {str(row["id"]): row for row in unproved_facts(run)}


def keep(run: Run, org_id: str, answers: dict[str, str]) -> None:
    """A contract of an org, as `coa_contract` keeps it."""
    contract = pipeline.start(
        run.db,
        Settings(),
        dag_id="coa_contract",
        airflow_run_id=f"{org_id} {len(answers)}",
        triggered_by="op",
        raw_params={},
    )
    facts = [{"id": name, "state": "answered", "answer": one} for name, one in answers.items()]
    document = {"format": "coa-contract-cassette", "version": 1, "role": "target", "facts": facts}
    run.db.execute(
        """INSERT INTO coa.contract_cassette (run_id, org_id, role, cassette, made, deleted, in_recycle_bin, remaining)
           VALUES (%s, %s, 'target', %s, '{}', 0, 0, 0)""",
        [contract.run_id, org_id, json_value(document)],
    )


def prove_canary(run: Run, surprise: str) -> None:
    run.db.execute(
        "INSERT INTO coa.canary (run_id, orders, verified, proved) VALUES (%s, 5, 5, true)", [run.run_id]
    )
    run.db.execute(
        """INSERT INTO coa.observed (run_id, sobject, field, step, effect, surprise, records, example)
           VALUES (%s, %s, %s, 'statuses', %s, %s, 2, 'x')""",
        [run.run_id, ORDER, RECEIVED_AT, RECEIVED_STAMPED, surprise],
    )


def test_only_facts_that_nobody_proved_and_something_rests_on_are_listed(run: Run) -> None:
    found = rows(run)

    assert {BY_ID[name].standing for name in found} == {Standing.INFERRED, Standing.RECORDED}
    assert not {name for name in found if BY_ID[name].rests.startswith("nothing")}
    assert len(found) < sum(fact.standing not in PROVED for fact in FACTS)
    assert {row["by"] for row in found.values()} == {""}


def test_the_newest_contract_of_this_target_answers(run: Run) -> None:
    keep(run, TARGET, {"text.emoji": "kept", "order.update.date-only": "kept"})
    keep(run, TARGET, {"text.emoji": "changed"})
    keep(run, "00D000000000009AAA", {"text.rest.cr": "kept"})

    found = rows(run)

    assert (found["text.emoji"]["by"], found["text.emoji"]["holds"]) == ("contract", False)
    assert found["order.update.date-only"]["by"] == ""
    assert found["text.rest.cr"]["by"] == ""


def test_another_org_answers_where_this_target_was_not_asked_and_is_told_as_such(run: Run) -> None:
    keep(run, "00D000000000009AAA", {"text.rest.cr": "kept"})

    found = rows(run)

    assert (found["text.rest.cr"]["by"], found["text.rest.cr"]["holds"]) == ("contract in another org", True)


@pytest.mark.parametrize(
    ("surprise", "stamp", "date_only"),
    [("", ("canary", "stamped_over"), ("canary", "kept")), (DID_NOT_HAPPEN, ("canary", "kept"), ("", ""))],
)
def test_a_proved_canary_answers_what_it_has_seen(
    run: Run, surprise: str, stamp: tuple[str, str], date_only: tuple[str, str]
) -> None:
    prove_canary(run, surprise)

    found = rows(run)

    assert (
        found["order.update.received-stamp"]["by"],
        found["order.update.received-stamp"]["answer"],
    ) == stamp
    assert (found["order.update.date-only"]["by"], found["order.update.date-only"]["answer"]) == date_only
    assert found["load.order"]["holds"] is True


def test_a_canary_that_was_not_proved_answers_nothing(run: Run) -> None:
    prove_canary(run, "")
    run.db.execute("UPDATE coa.canary SET proved = false WHERE run_id = %s", [run.run_id])

    assert {row["by"] for row in rows(run).values()} == {""}


def test_the_page_has_the_section(run: Run) -> None:
    from coa.report.page import environment

    keep(run, TARGET, {"text.emoji": "changed"})
    template = environment().get_template("report.html.j2")
    block = template.environment.loader.get_source(template.environment, "report.html.j2")[0]  # type: ignore[union-attr]
    part = '<section aria-labelledby="unproved">' + block.partition('<section aria-labelledby="unproved">')[2]
    shown = template.environment.from_string(part.partition("</section>")[0]).render(
        unproved=unproved_facts(run)
    )

    assert "1 of them were answered" in shown
    assert "1 do not hold" in shown
    assert BY_ID["text.emoji"].change in shown
