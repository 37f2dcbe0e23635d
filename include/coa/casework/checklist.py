"""How far each case is: owner, state and number, kept by pair of orgs in `coa.case_work`.

A topic that nobody has said anything about has no row and counts as open.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from coa.casework.topics import BY_CODE, TOPICS
from coa.codes import CaseState, CaseTopic, Scenario
from coa.errors import ConfigurationError

if TYPE_CHECKING:
    import psycopg

    from coa.staging.database import Row
    from coa.staging.runs import Run

    Connection = psycopg.Connection[Row]

LONGEST_OWNER = 80
NUMBER = re.compile(r"[A-Za-z0-9 ._#-]{0,40}")


@dataclass(frozen=True)
class Entry:
    """What is known of one case. `scenario` is of the consolidation alone."""

    topic: CaseTopic
    state: CaseState = CaseState.OPEN
    owner: str = ""
    case_number: str = ""
    scenario: Scenario | None = None

    @classmethod
    def read(cls, topic: str, said: dict[str, Any]) -> Entry:
        """From what a person typed. Raises `ConfigurationError` that names every field at fault."""
        faults = []
        if topic not in list(CaseTopic):
            faults.append(f"there is no topic {topic}")
        state = str(said.get("state") or CaseState.OPEN)
        if state not in list(CaseState):
            faults.append(f"state is one of {', '.join(CaseState)}")
        owner, number = (str(said.get(name) or "").strip() for name in ("owner", "case_number"))
        if len(owner) > LONGEST_OWNER or not owner.isprintable():
            faults.append(f"owner is a name of at most {LONGEST_OWNER} characters")
        if not NUMBER.fullmatch(number):
            faults.append("case_number is at most 40 letters, digits, blanks and . _ # -")
        if state == CaseState.LOGGED and not number:
            faults.append("a logged case has a number")
        scenario = str(said.get("scenario") or "")
        if scenario and (scenario not in list(Scenario) or topic != CaseTopic.CONSOLIDATION):
            faults.append(f"scenario is of the consolidation alone, one of {', '.join(Scenario)}")
        if faults:
            raise ConfigurationError(
                f"The case cannot be kept so: {'; '.join(faults)}.", next_step="correct it and save again."
            )
        return cls(
            CaseTopic(topic), CaseState(state), owner, number, Scenario(scenario) if scenario else None
        )


def checklist(connection: Connection, pair_id: int | None) -> list[dict[str, Any]]:
    """Every topic in its order: topic, title, late, field, state, owner, case_number, scenario, changed_by,
    changed_at."""
    known = {
        row["topic"]: row
        for row in connection.execute("SELECT * FROM coa.case_work WHERE pair_id = %s", [pair_id]).fetchall()
    }
    return [
        {
            "topic": topic.code.value,
            "title": topic.title,
            "late": topic.late,
            "field": topic.field,
            "state": CaseState.OPEN.value,
            **dict.fromkeys(("owner", "case_number", "scenario", "changed_by"), ""),
            "changed_at": None,
            **{
                k: v or "" for k, v in known.get(topic.code, {}).items() if k not in ("pair_id", "changed_at")
            },
            **({"changed_at": known[topic.code]["changed_at"]} if topic.code in known else {}),
        }
        for topic in TOPICS
    ]


def checklist_of(run: Run) -> list[dict[str, Any]]:
    """The checklist of the run's pair of orgs; all open before it has one."""
    with run.db.transaction() as connection:
        return checklist(connection, run.record.pair_id)


def save(connection: Connection, pair_id: int, entry: Entry, by: str) -> None:
    """Keeps what is said of a case, and who said it, in place of what was kept before."""
    connection.execute(
        """INSERT INTO coa.case_work (pair_id, topic, state, owner, case_number, scenario, changed_by)
           VALUES (%s, %s, %s, %s, %s, %s, %s)
           ON CONFLICT (pair_id, topic) DO UPDATE SET state = EXCLUDED.state, owner = EXCLUDED.owner,
             case_number = EXCLUDED.case_number, scenario = EXCLUDED.scenario, changed_by = EXCLUDED.changed_by,
             changed_at = clock_timestamp()""",
        [pair_id, entry.topic, entry.state, entry.owner, entry.case_number, entry.scenario, by],
    )


def carry_on(run: Run, form: dict[str, Any], by: str) -> list[str]:
    """Keeps the case numbers of an approval's form; titles of the topics whose number is another now.

    An open case becomes logged, and its owner and whatever else was said of it stay. A number that cannot be one is
    left to the approval, which keeps the form as it is.
    """
    changed = []
    with run.db.transaction() as connection:
        for row in checklist(connection, run.pair_id):
            number = str(form.get(row["field"]) or "").strip()
            if not number or number == row["case_number"] or not NUMBER.fullmatch(number):
                continue
            state = CaseState.LOGGED if row["state"] == CaseState.OPEN else row["state"]
            save(
                connection,
                run.pair_id,
                Entry.read(row["topic"], {**row, "state": state, "case_number": number}),
                by,
            )
            changed.append(BY_CODE[CaseTopic(row["topic"])].title)
    return changed


def checklist_markdown(rows: list[dict[str, Any]]) -> str:
    """The checklist as the approver's page shows it: what was typed is escaped."""
    lines = ["", "**Cases with Salesforce**", "", "| Case | State | Number | Owner |", "|---|---|---|---|"]
    lines += [
        f"| {row['title']} | {row['state'].replace('_', ' ')} | {_plain(row['case_number'])} | {_plain(row['owner'])} |"
        for row in rows
    ]
    return "\n".join(lines)


def _plain(text: str) -> str:
    return re.sub(r"([\\`*_{}\[\]<>()#|!~&])", r"\\\1", text)
