"""The facts by which a run's end state is decided, read from what it left in staging."""

from __future__ import annotations

from collections.abc import Iterable

from coa.decide import Facts
from coa.load.canary_state import canary_of
from coa.model import LOADED
from coa.policies import Policies
from coa.staging.runs import Run
from coa.staging.tables import Table
from coa.states import RunState
from coa.verify.all_sources import proof_of


def facts_of(
    run: Run,
    *,
    crashed: bool,
    stopped_as: str | None,
    proof: Table = Table.EXPECTED,
    objects: Iterable[str] = tuple(LOADED),
) -> Facts:
    """What is known of a run that is over.

    `crashed`: it was ended by something other than one of our rules. `stopped_as`: the state of the
    `RunStopped` that ended it, None when nothing stopped it. `proof`: the table that shows for each of the
    `objects` that the proof is over.
    """
    refused = bool(run.db.value("SELECT EXISTS (SELECT FROM coa.rejection WHERE run_id = %s)", [run.run_id]))
    return Facts(
        crashed=crashed,
        # A canary that failed its proof ends a run as any proof does that finds differences.
        stopped_as=RunState(stopped_as) if stopped_as and stopped_as != RunState.DIFFERENCES else None,
        stopped_by_refusals=refused and Policies(run.params).stops_at_refused_rows,
        rows_refused=refused,
        different=bool(
            run.db.value(
                "SELECT EXISTS (SELECT FROM coa.difference WHERE run_id = %s AND kind <> 'explained')",
                [run.run_id],
            )
        )
        or not (proof_of(run) or {"equal": True})["equal"],
        proved=all(run.has_table(proof, name) for name in objects),
        dry_run=run.params.dry_run,
        canary_only=Policies(run.params).ends_with_canary and canary_of(run) is not None,
    )
