"""A run as the terminal shows it: live bars, or one line a finished step where no person looks."""

from __future__ import annotations

import time
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from coa.codes import RunMode
from coa.explanations import told
from coa.load_steps import label_of
from coa.stages import BY_NAME
from coa.staging.database import Database

NOT_SHOWN = frozenset({"load_customers", "load_lanes"})
"""Stages whose steps are shown one by one."""


def step_name(step: str) -> str:
    """Title of a stage, or label of a load step."""
    stage = BY_NAME.get(step)
    return stage.title if stage else label_of(step)


class RunView:
    """Follows one run in the staging database and draws it. Use as a context manager around the wait."""

    def __init__(self, db: Database, console: Console) -> None:
        self.db = db
        self.console = console
        self.live = console.is_terminal
        self.run_id = ""
        self._progress = Progress(
            TextColumn("  {task.description:<34}"),
            BarColumn(bar_width=32),
            MofNCompleteColumn(),
            TextColumn("{task.fields[note]}"),
            TimeElapsedColumn(),
            console=console,
            transient=False,
        )
        self._bars: dict[str, Any] = {}
        self._told: set[str] = set()

    def __enter__(self) -> RunView:
        return self

    def __exit__(self, *_: object) -> None:
        self.pause()

    def pause(self) -> None:
        """Leaves the terminal to others; the next `update` goes on below."""
        if self.live:
            self._progress.stop()

    def update(self) -> None:
        """Reads the run's progress and shows what is new."""
        if not self.run_id:
            return
        stages = self.db.rows(
            """SELECT stage, sum(seconds) AS seconds FROM coa.stage_time WHERE run_id = %s
               GROUP BY stage ORDER BY min(started_at)""",
            [self.run_id],
        )
        steps = self.db.rows(
            """SELECT step, sum(total)::bigint AS total, sum(done)::bigint AS done, sum(rejected)::bigint AS rejected
               FROM coa.progress WHERE run_id = %s GROUP BY step ORDER BY min(started_at)""",
            [self.run_id],
        )
        if self.live:
            self._draw(stages, steps)
        else:
            self._tell(stages, steps)

    def _draw(self, stages: list[dict[str, Any]], steps: list[dict[str, Any]]) -> None:
        if not self._progress.live.is_started:
            self._progress.start()
        rows = {step["step"]: step for step in steps}
        for stage in stages:
            if stage["stage"] not in rows and stage["stage"] not in NOT_SHOWN:
                rows[stage["stage"]] = {"total": 1, "done": 1, "rejected": 0}
        for name, row in rows.items():
            total = max(row["total"], row["done"] + row["rejected"])
            if name not in self._bars:
                self._bars[name] = self._progress.add_task(step_name(name), total=total, note="")
            note = f"[red]{row['rejected']} refused[/red]" if row["rejected"] else ""
            self._progress.update(
                self._bars[name], total=total or 1, completed=row["done"] if total else 1, note=note
            )

    def _tell(self, stages: list[dict[str, Any]], steps: list[dict[str, Any]]) -> None:
        rows = {step["step"]: step for step in steps}
        ended = {stage["stage"]: stage["seconds"] for stage in stages}
        for name, row in rows.items():
            # The totals of an extract come in one sObject after the other: only its end says that it is whole.
            whole = (
                name in ended
                if name.startswith("extract")
                else row["done"] + row["rejected"] >= row["total"] > 0
            )
            if whole and name not in self._told:
                self._told.add(name)
                refused = f", {row['rejected']:,} refused" if row["rejected"] else ""
                took = f", {ended[name]:.1f} s" if name in ended else ""
                self._line(f"{step_name(name)}: {row['done']:,} rows{refused}{took}")
        for name, seconds in ended.items():
            if name not in self._told and name not in rows and name not in NOT_SHOWN:
                self._told.add(name)
                self._line(f"{step_name(name)}: {seconds:.1f} s")

    def _line(self, text: str) -> None:
        self.console.print(f"  {time.strftime('%H:%M:%S')}  {escape(text)}", highlight=False)


def show_findings(
    db: Database, run_id: str, console: Console, severities: tuple[str, ...] = ("blocker", "warning")
) -> None:
    """What a person should read: blockers first, each with its next step."""
    findings = db.rows(
        """SELECT severity, message, next_step FROM coa.finding WHERE run_id = %s AND severity = ANY(%s)
           ORDER BY severity, code, sobject, field""",
        [run_id, list(severities)],
    )
    for finding in findings:
        colour = "red" if finding["severity"] == "blocker" else "yellow"
        console.print(
            f"  [{colour}]{finding['severity']}[/{colour}]  {escape(finding['message'])}", highlight=False
        )
        if finding["next_step"]:
            console.print(f"           Next step: {escape(finding['next_step'])}", highlight=False)


COUNTS = (
    "extracted",
    "inserted",
    "updated",
    "unchanged",
    "matched",
    "blocked",
    "held",
    "rejected",
    "verified",
    "different",
    "missing",
    "duplicated",
)
"""Of a migration; those of the other modes have names of their own."""


def show_totals(summary: dict[str, Any] | None, console: Console) -> None:
    """The table of counts an sObject; columns that are zero everywhere are left out."""
    # Here, because the terminal shows its first line before it imports the engine.
    from coa.report.summary import RELINK_COUNTS, UNDO_COUNTS

    objects = (summary or {}).get("objects") or {}
    by_mode: dict[str, tuple[str, ...]] = {RunMode.ROLLBACK: UNDO_COUNTS, RunMode.RELINK: RELINK_COUNTS}
    of_mode = by_mode.get(str((summary or {}).get("mode")))
    looked_at = of_mode or ("extracted",)
    if not any((counts or {}).get(name) for counts in objects.values() for name in looked_at):
        return
    dry = (summary or {}).get("state") not in ("verified", "canary_verified", "differences", "rows_rejected")
    names = [
        ("to_insert" if n == "inserted" else "to_update" if n == "updated" else n) if dry else n
        for n in of_mode or COUNTS
    ]
    shown = [
        n for n in names if any((counts or {}).get(n) for counts in objects.values()) or n == "extracted"
    ]
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("", no_wrap=True)
    for name in shown:
        table.add_column(name.replace("_", " "), justify="right")
    for sobject, counts in objects.items():
        label = sobject.removeprefix("CHANNEL_ORDERS__").removesuffix("__c").replace("_", " ")
        table.add_row(f"  {label}", *(f"{(counts or {}).get(name) or 0:,}" for name in shown))
    console.print(table)
    on_purpose = (summary or {}).get("explained") or {}
    if on_purpose:
        console.print(
            f"  In addition, {sum(on_purpose.values()):,} values differ on purpose: {escape(told(on_purpose))}.",
            highlight=False,
        )


def show_answers(summary: dict[str, Any] | None, console: Console) -> None:
    """What a contract was told: counts, each fact that the org answers otherwise, and what became of the records."""
    facts = (summary or {}).get("facts")
    if not summary or not facts:
        return
    console.print(
        f"  {facts['hold']} hold, {facts['differ']} differ; {facts['not_askable']} cannot be asked, "
        f"{facts['not_asked']} were not asked."
    )
    for one in summary["differ"]:
        harmless = "  (the product works with it)" if one["harmless"] else ""
        console.print(
            f"  {escape(one['id'])}: {escape(one['answer'])}, not {escape(one['expected'])}{harmless}"
        )
    records = summary["records"]
    left = "not known whether any is left" if records["left"] is None else f"{records['left']} left"
    console.print(
        f"  Records: {sum(records['made'].values())} made, {records['deleted']} deleted, {left}, "
        f"{records['in_recycle_bin']} in the recycle bin."
    )
