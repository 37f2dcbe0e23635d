"""The canary, from its first write to its proof, and what follows from it."""

from __future__ import annotations

from datetime import UTC, datetime

from coa.approval import record as approval
from coa.errors import RunStopped
from coa.fields.saved import saved_carried
from coa.load.canary_state import canary_of
from coa.load.learned import learn
from coa.load.load import load_canary as write_canary
from coa.load.observed import careful_objects, observed_hash, sum_up
from coa.load.prepare import check_again
from coa.mapping.model import Mapping
from coa.policies import Policies
from coa.salesforce.session import Org
from coa.staging.runs import Run
from coa.verify.canary_proof import forget_canary_proof, in_words, prove_canary, proved_orders


def load_canary(run: Run, target: Org, mapping: Mapping) -> bool:
    """Writes, observes and proves the canary; True if the rest is to be loaded. Does nothing in a run
    without a canary.

    Raises `RunStopped` (differences) when the proof finds a difference: then nothing else is written.
    """
    canary = canary_of(run)
    if canary is None:
        return True
    last = Policies(run.params).ends_with_canary
    if not canary["proved"]:
        write_canary(run, target, mapping)
        learnt = sum_up(run, saved_carried(run, mapping))
        careful = sorted({*careful_objects(learnt), *canary["careful"]})
        differences = prove_canary(run, target, mapping, last=last)
        run.db.execute(
            """UPDATE coa.canary SET verified = %s, careful = %s, learned = %s, observed_hash = %s, proved = %s,
                      ended_at = %s WHERE run_id = %s""",
            [
                proved_orders(run),
                careful,
                learn(run, careful),
                observed_hash(learnt),
                not differences,
                datetime.now(UTC),
                run.run_id,
            ],
        )
        run.events.add("canary_proved", differences=len(differences), surprises=careful_objects(learnt))
        if differences:
            raise RunStopped(
                f"The canary of {canary['orders']} orders failed its proof; nothing else was written. "
                f"{in_words(differences)}",
                state="differences",
                next_step="switch off in the target what changes these fields, or map them. These records are taken "
                f"""out again by make rollback PARAMS='{{"run_id": "{run.run_id}"}}'; then run again.""",
            )
    if not last:
        forget_canary_proof(run)
    return not last


def go_on(run: Run, source: Org, target: Org) -> None:
    """Checks everything once more after a person's answer to the canary, before the next write.

    Does nothing where nobody was to be asked, and on a retry that has already written: its own writes are
    not a change. Raises `RunStopped` (not_approved) without the answer, and as the checks before the first
    write do.
    """
    canary = canary_of(run)
    if canary is None or not Policies(run.params).asks_after_canary or canary["resumed_at"]:
        return
    approval.require_canary_answer(run, str(run.record.plan_hash), canary["observed_hash"])
    check_again(run, source, target)
    run.db.execute("UPDATE coa.canary SET resumed_at = clock_timestamp() WHERE run_id = %s", [run.run_id])
