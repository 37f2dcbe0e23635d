"""The plan of a run that was made already, under other params or another mapping file, as a difference.

    PARAMS='{"run_id": "...", "draft_orders": "load"}' python -m coa_airflow.what_if
    make what-if PARAMS='{"run_id": "...", "draft_orders": "load"}'                    the same for the local Airflow

It asks no org: the snapshots that the run staged are planned again. `what_if.json`, `what_if.csv` and `plan.json` are
put into a folder beside that of the run; the last line of the output names it. Without `run_id` the newest run with a
plan is meant. Exit status 0 where the plan could be carried out, 1 where it would stop its run, 2 without an answer.
"""

from __future__ import annotations

import getpass
import logging
import sys
from typing import TYPE_CHECKING, Any

from coa.config import Settings
from coa.errors import CoaError, ConfigurationError
from coa.model import LOADED, NS
from coa.private_files import keep_files_private
from coa.states import GOOD_STATES
from coa.wording import counted
from coa_airflow.environment import artifacts_root
from coa_airflow.local.headless import params_from_environment

if TYPE_CHECKING:
    from rich.console import Console

    from coa.artifacts import Folder
    from coa.staging.runs import Run
    from coa.what_if.plan_again import Answer

STOPPED = 1
FAILED = 2
LISTED = 20


def main() -> int:
    """The command; its exit status."""
    keep_files_private()
    # The findings are shown as a difference, and not as they are made.
    logging.getLogger("coa.staging.journal").setLevel(logging.CRITICAL)
    from rich.console import Console

    from coa.staging.database import Database
    from coa.what_if.plan_again import what_if
    from coa_airflow.ui.staging import find_url

    try:
        given = params_from_environment()
        db = Database(find_url())
        try:
            answer = what_if(
                db, Settings.from_environment(), given, asked_by=getpass.getuser(), folder_of=beside
            )
        finally:
            db.dispose()
    except CoaError as error:
        print(error, file=sys.stderr)
        return FAILED
    show(answer, Console(highlight=False, soft_wrap=True))
    return 0 if answer.state in GOOD_STATES else STOPPED


def beside(base: Run, run_id: str) -> Folder:
    """The folder of a run, where that of another one lies. Raises `ConfigurationError` where that is not known."""
    place = base.record.artifacts.rstrip("/")
    if not place.endswith(f"/{base.run_id}"):
        raise ConfigurationError(
            f"The artifacts folder of run {base.run_id} is not known.",
            next_step="name a run whose folder is there, or make one with make preflight.",
        )
    folder: Folder = artifacts_root(place.removesuffix(base.run_id)) / run_id
    return folder


def show(answer: Answer, console: Console) -> None:
    """The difference as tables of counts; values of records stand in `what_if.csv` alone."""
    from rich.markup import escape

    told = answer.document
    console.print(f"Run {told['of_run']}, planned again with the snapshots that it has; no org was asked.")
    for name, value in told["params"].items():
        console.print(f"  {name}: {escape(_word(value['was']))} -> {escape(_word(value['becomes']))}")
    if told["mapping"]["was"] != told["mapping"]["becomes"]:
        console.print(
            f"  mapping file: {escape(_word(told['mapping']['was']))} -> {escape(_word(told['mapping']['becomes']))}"
        )
    console.print(_records(told))
    _changes(told, console)
    estimate = told["estimate"]
    basis = "as measured on this pair" if estimate["measured"] else "assumed: no run has measured this pair"
    console.print(
        f"API calls on the target: about {estimate['api_calls']['was']:,} -> {estimate['api_calls']['becomes']:,}. "
        f"Bulk jobs: about {estimate['hours']['was']:.2f} -> {estimate['hours']['becomes']:.2f} hours "
        f"({estimate['rows_a_second']:g} rows a second, {basis})."
    )
    stops = told["stops"]["becomes"]
    if stops:
        console.print(f"[red]This plan would stop its run:[/red] {escape(stops)}")
    elif told["stops"]["was"]:
        console.print("[green]This plan would not stop its run, as the other did.[/green]")
    console.print(f"State: {answer.state.value}")
    console.print(str(answer.folder))


def _records(told: dict[str, Any]) -> Any:
    """The table of actions; those that no record has in either plan are left out."""
    from rich.table import Table

    objects = told["objects"]
    shown = [
        action
        for action in next(iter(objects.values()))
        if any(n for counts in objects.values() for n in counts[action].values())
    ]
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("", no_wrap=True)
    for action in shown:
        table.add_column(action, justify="right")
    for sobject in LOADED:
        cells = (_arrow(objects[sobject][action]) for action in shown)
        table.add_row(f"  {_label(sobject)}", *cells)
    return table


def _changes(told: dict[str, Any], console: Console) -> None:
    from rich.markup import escape

    lines = [
        f"{_label(r['sobject'])}: {r['records']:,} {_outcome(r, 'was')} -> {_outcome(r, 'becomes')}"
        for r in told["records"]
    ]
    lines += [f"{_place(v)}: another value in {counted(v['records'], 'record')}" for v in told["values"]]
    findings = told["findings"]
    lines += [f"new {f['severity']} {f['code']}: {f['message']}" for f in findings["gained"]]
    lines += [f"no more {f['severity']} {f['code']} ({_place(f)})" for f in findings["lost"]]
    lines += [
        f"{f['code']} ({_place(f)}): {_arrow(f['severity'])}, {_arrow(f['count'])}"
        for f in findings["changed"]
    ]
    for line in lines[:LISTED]:
        console.print(f"  {escape(line)}")
    if len(lines) > LISTED:
        console.print(f"  and {len(lines) - LISTED:,} more in what_if.json")
    if not lines:
        console.print("  No record, value or finding is another one.")


def _place(row: dict[str, Any]) -> str:
    field = row["field"].removeprefix(NS)
    return _label(row["sobject"]) + (f".{field}" if field else "")


def _outcome(row: dict[str, Any], which: str) -> str:
    reason = row["reason_was" if which == "was" else "reason_becomes"]
    return f"{row[which]} ({reason})" if reason else str(row[which])


def _arrow(pair: dict[str, Any]) -> str:
    was, becomes = (f"{n:,}" if isinstance(n, int) else str(n) for n in (pair["was"], pair["becomes"]))
    return was if was == becomes else f"{was} -> {becomes}"


def _word(value: Any) -> str:
    return "(none)" if value in ("", None) else str(value)


def _label(sobject: str) -> str:
    return sobject.removeprefix(NS).removesuffix("__c").replace("_", " ") or "run"


if __name__ == "__main__":
    sys.exit(main())
