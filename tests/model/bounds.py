"""How far the model is walked: a little in every test run, further by `make model`; and how each sabotage shows."""

from __future__ import annotations

from tests.model.beginning import BeginningBounds, BeginningSabotage
from tests.model.protocol import Bounds, Sabotage

CALM = Bounds(kills=0, lost=0, partial=0)

SMALL: dict[str, Bounds] = {
    "one run, a kill, a lost answer, a partial result": Bounds(),
    "two jobs a step": Bounds(orders=2, rows_per_job=1, kills=1, lost=0, partial=0),
    "a second process of a run": CALM._replace(seconds=1),
    "two runs, the first stands still": CALM._replace(runs=2, stalls=1),
    "two runs, a kill": CALM._replace(runs=2, kills=1),
    "approval, another org, an undo": Bounds(kills=1, lost=0, partial=0, repointed=1, replanned=1, undo=True),
}
"""What a test run walks through."""

FULL: dict[str, Bounds] = {
    "one run, much bad luck": Bounds(orders=2, kills=2, lost=2, partial=2),
    "two jobs a step": Bounds(orders=2, rows_per_job=1, kills=1, lost=1, partial=1),
    "a second process of a run, and a lost answer": CALM._replace(seconds=1, lost=1),
    "two runs, the first stands still, a lost answer": CALM._replace(runs=2, stalls=1, lost=1),
    "two runs, a kill, a partial result": CALM._replace(runs=2, kills=1, partial=1),
    "approval, another org, an undo": Bounds(kills=2, lost=1, partial=1, repointed=1, replanned=1, undo=True),
}
"""What `make model` walks through."""

SHOWN_BY: dict[Sabotage, tuple[Bounds, str]] = {
    Sabotage.LOOK_UP: (CALM._replace(partial=1), "a record is in the org and counts as refused"),
    Sabotage.JOB_FIRST: (CALM, "a job is in the org that nobody has written down"),
    Sabotage.ORG_CHECK: (
        CALM._replace(repointed=1),
        "a write went to an org that the plan was not approved for",
    ),
    Sabotage.RENEWAL: (CALM._replace(runs=2), "a run that never stood still has lost its pair"),
    Sabotage.LEASE_CHECK: (
        CALM._replace(runs=2, stalls=1),
        "an older plan has overwritten what a newer one wrote",
    ),
    Sabotage.OTHERS_JOBS: (
        CALM._replace(runs=2, kills=1),
        "an older plan has overwritten what a newer one wrote",
    ),
    Sabotage.KEPT_ROWS: (
        CALM._replace(orders=2, rows_per_job=1, seconds=1),
        "a record counts as moved and is not in the org",
    ),
    Sabotage.ONCE: (CALM._replace(seconds=1), "the outcome of a row was counted twice"),
    Sabotage.DETAILS_FIRST: (CALM, "an order is released and its detail is not there"),
    Sabotage.APPROVAL: (CALM, "a write was made whose plan nobody approved"),
    Sabotage.PLAN_HASH: (CALM._replace(replanned=1), "a write was made whose plan nobody approved"),
    Sabotage.OWN_ONLY: (CALM._replace(undo=True), "an undo has deleted what is not ours"),
}
"""Each sabotage: the bounds within which it shows, and the promise that it breaks."""


BEGINNING_SMALL = BeginningBounds(kills=2)
BEGINNING_FULL = BeginningBounds(orders=6, canary=3, kills=4)

BEGINNING_SHOWN_BY: dict[BeginningSabotage, tuple[BeginningBounds, str]] = {
    BeginningSabotage.SELECTION: (
        BeginningBounds(switches=0),
        "something beside the canary was written before its proof",
    ),
    BeginningSabotage.GO_ON: (
        BeginningBounds(kills=0),
        "an order was sent with its status after the rule was seen to be on",
    ),
    BeginningSabotage.LOOK: (
        BeginningBounds(kills=0),
        "a canary fails although nothing but the rule and the details was in its way",
    ),
    BeginningSabotage.UNIT: (
        BeginningBounds(kills=0, switches=0),
        "a canary fails although nothing but the rule and the details was in its way",
    ),
}
"""The same for the beginning of a load."""
