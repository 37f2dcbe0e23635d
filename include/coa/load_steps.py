"""The steps of a load and of a roll-back, each once: name, label, order, what is sent, and after what.

The engine makes its `Step`s from these rows; the plan, the pages, the terminal and the report read names, labels
and order here. To add a step: a row here, the code that plans its rows, and `tests/unit/test_load_steps.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from coa.model import CUSTOMER, DETAIL, LOADED, ORDER

INSERT = "insert"
UPDATE = "update"
DELETE = "delete"
READ = ""
"""The operation of a step that only reads."""

# Work that belongs to no chunk of orders has a chunk number of its own, below zero.
CUSTOMERS_CHUNK = -1
"""Customers, before all orders."""
LINKS_CHUNK = -2
"""Links between records of different chunks, and what is corrected after them."""
REMOVAL_CHUNK = -3
"""Deletions, after all that is written."""
RESTORE_CHUNK = -4
"""Pre-images that a roll-back writes back."""
CANARY_CHUNK = -5
"""The canary, with its customers and its links, before all other chunks of orders."""
UNFINISHED_CHUNK = -6
"""What an earlier run left unfinished, before the canary."""
MENDING_CHUNK = -7
"""What the reading for the proof found different, after everything else."""
TRIAL_CHUNK = -8
"""The one order of the canary by which one pass is tried, before the others of it."""
RELINK_CHUNK = -9
"""Lookups of other records, which `coa_relink` sets."""
WATCHED_CHUNKS = (CANARY_CHUNK, UNFINISHED_CHUNK, TRIAL_CHUNK)


class Phase(StrEnum):
    """What a step does with an org's records."""

    READ = "read"
    WRITE = "write"
    PROVE = "prove"


@dataclass(frozen=True)
class Step:
    """One step for one sObject in a chunk; `name` is that of a `LoadStep`."""

    name: str
    sobject: str
    operation: str
    chunk_no: int


@dataclass(frozen=True)
class LoadStep:
    """A row of the table. Its place in `LOAD_STEPS` is its place wherever steps are shown.

    `name`: as `work`, `coa.job` and `coa.progress` have it. `operation`: that of its Bulk job. `after`: steps
    that are over for a record of the same chunk when this one begins. `chunk_no`: its pseudo-chunk; None for
    the chunk of the records. The canary's customers and links are sent in the canary's own.
    """

    name: str
    label: str
    phase: Phase
    sobjects: tuple[str, ...]
    operation: str = READ
    after: tuple[str, ...] = ()
    chunk_no: int | None = None

    def on(self, sobject: str, chunk_no: int | None = None) -> Step:
        """The step for one sObject; `chunk_no` only where the step has no pseudo-chunk of its own.

        Raises `ValueError` for an sObject or a chunk that the table does not allow.
        """
        if sobject not in self.sobjects:
            raise ValueError(f"Step {self.name} does not send {sobject}.")
        if self.chunk_no is not None and chunk_no not in (None, self.chunk_no, CANARY_CHUNK):
            raise ValueError(f"Step {self.name} has chunk {self.chunk_no}, not {chunk_no}.")
        number = self.chunk_no if chunk_no is None else chunk_no
        if number is None:
            raise ValueError(f"Step {self.name} needs a chunk.")
        return Step(self.name, sobject, self.operation, number)

    def on_other(self, sobject: str) -> Step:
        """The step for an sObject that is none of the app's, such as one that the mapping file names.

        Raises `ValueError` for a step without a pseudo-chunk.
        """
        if self.chunk_no is None:
            raise ValueError(f"Step {self.name} needs a chunk.")
        return Step(self.name, sobject, self.operation, self.chunk_no)


ALL = tuple(LOADED)

EXTRACT_SOURCE = LoadStep("extract_source", "Read from the source", Phase.READ, ())
EXTRACT_TARGET = LoadStep("extract_target", "Read from the target", Phase.READ, ())
CUSTOMERS = LoadStep(
    "customers", "Insert customers", Phase.WRITE, (CUSTOMER,), INSERT, chunk_no=CUSTOMERS_CHUNK
)
ORDERS_ONE_PASS = LoadStep(
    "orders_one_pass", "Insert orders with their status", Phase.WRITE, (ORDER,), INSERT
)
ORDERS = LoadStep(
    "orders", "Insert orders as Draft", Phase.WRITE, (ORDER,), INSERT, after=("orders_one_pass",)
)
DETAILS = LoadStep("details", "Insert details", Phase.WRITE, (DETAIL,), INSERT, after=("orders",))
# Orders of the canary, created released by this very run, of which the org refused details or changed something.
BACK_TO_DRAFT = LoadStep(
    "back_to_draft", "Set orders back to Draft", Phase.WRITE, (ORDER,), UPDATE, after=("details",)
)
# The package refuses changed special terms once the order has left Draft.
FROZEN_TERMS = LoadStep(
    "frozen_terms",
    "Correct special terms while Draft",
    Phase.WRITE,
    (DETAIL,),
    UPDATE,
    after=("details", "back_to_draft"),
)
FROZEN_TERMS_EXACT = LoadStep(
    "frozen_terms_exact",
    "Correct line breaks and blanks of special terms",
    Phase.WRITE,
    (DETAIL,),
    UPDATE,
    after=("frozen_terms",),
)
STATUSES = LoadStep(
    "statuses",
    "Set statuses",
    Phase.WRITE,
    (ORDER,),
    UPDATE,
    after=("orders", "details", "frozen_terms", "frozen_terms_exact"),
)
CORRECTIONS = LoadStep(
    "corrections",
    "Correct what automation changed",
    Phase.WRITE,
    ALL,
    UPDATE,
    after=("customers", "statuses"),
)
CORRECTIONS_EXACT = LoadStep(
    "corrections_exact", "Correct line breaks and blanks", Phase.WRITE, ALL, UPDATE, after=("corrections",)
)
# Going to Received stamps NOW(), an update of only the date does not: last, and alone.
RECEIVED_DATES = LoadStep(
    "received_dates",
    "Restore received dates",
    Phase.WRITE,
    (ORDER,),
    UPDATE,
    after=("corrections", "corrections_exact"),
)
LINKS = LoadStep("links", "Set clone links", Phase.WRITE, ALL, UPDATE, chunk_no=LINKS_CHUNK)
LINKS_IN_TEXTS = LoadStep(
    "links_in_texts",
    "Rewrite links in texts",
    Phase.WRITE,
    ALL,
    UPDATE,
    after=("links",),
    chunk_no=LINKS_CHUNK,
)
LINKS_IN_TEXTS_EXACT = LoadStep(
    "links_in_texts_exact",
    "Rewrite links in texts with line breaks and blanks",
    Phase.WRITE,
    ALL,
    UPDATE,
    after=("links_in_texts",),
    chunk_no=LINKS_CHUNK,
)
# Setting a link is an update like any other: a partner's trigger may have stamped the order again.
CORRECTIONS_AFTER_LINKS = LoadStep(
    "corrections_after_links",
    "Correct what changed with the links",
    Phase.WRITE,
    ALL,
    UPDATE,
    after=("links", "links_in_texts", "links_in_texts_exact"),
    chunk_no=LINKS_CHUNK,
)
CORRECTIONS_AFTER_LINKS_EXACT = LoadStep(
    "corrections_after_links_exact",
    "Correct line breaks and blanks after the links",
    Phase.WRITE,
    ALL,
    UPDATE,
    after=("corrections_after_links",),
    chunk_no=LINKS_CHUNK,
)
RECEIVED_DATES_AFTER_LINKS = LoadStep(
    "received_dates_after_links",
    "Restore received dates after the links",
    Phase.WRITE,
    (ORDER,),
    UPDATE,
    after=("corrections_after_links", "corrections_after_links_exact"),
    chunk_no=LINKS_CHUNK,
)
# What the canary could not show: found by the reading that the proof works on, before the proof.
MENDING = LoadStep(
    "mending", "Correct what differs", Phase.WRITE, ALL, UPDATE, after=("links",), chunk_no=MENDING_CHUNK
)
MENDING_EXACT = LoadStep(
    "mending_exact",
    "Correct line breaks and blanks",
    Phase.WRITE,
    ALL,
    UPDATE,
    after=("mending",),
    chunk_no=MENDING_CHUNK,
)
MENDING_DATES = LoadStep(
    "mending_dates",
    "Correct received dates",
    Phase.WRITE,
    (ORDER,),
    UPDATE,
    after=("mending", "mending_exact"),
    chunk_no=MENDING_CHUNK,
)
RESTORES = LoadStep("restores", "Put updated records back", Phase.WRITE, ALL, UPDATE, chunk_no=RESTORE_CHUNK)
RESTORES_EXACT = LoadStep(
    "restores_exact",
    "Put line breaks and blanks back",
    Phase.WRITE,
    ALL,
    UPDATE,
    after=("restores",),
    chunk_no=RESTORE_CHUNK,
)
RESTORES_DATES = LoadStep(
    "restores_dates",
    "Put received dates back",
    Phase.WRITE,
    (ORDER,),
    UPDATE,
    after=("restores", "restores_exact"),
    chunk_no=RESTORE_CHUNK,
)
# What hangs on the records; its kinds are those of `coa.hanging`, not sObjects of the plan.
ATTACHMENTS = LoadStep("attachments", "Carry files and activities", Phase.WRITE, (), INSERT, after=("links",))
UNDO_ATTACHMENTS = LoadStep("undo_attachments", "Delete files and activities", Phase.WRITE, (), DELETE)
# Of whatever sObjects the mapping file names: `coa.relink` makes its steps.
RELINKS = LoadStep("relinks", "Set lookups to moved records", Phase.WRITE, (), UPDATE, chunk_no=RELINK_CHUNK)
DELETIONS = LoadStep("deletions", "Delete records", Phase.WRITE, ALL, DELETE, chunk_no=REMOVAL_CHUNK)
EXTRACT_VERIFY = LoadStep("extract_verify", "Read back from the target", Phase.PROVE, ())

LOAD_STEPS: tuple[LoadStep, ...] = (
    EXTRACT_SOURCE,
    EXTRACT_TARGET,
    CUSTOMERS,
    ORDERS_ONE_PASS,
    ORDERS,
    DETAILS,
    BACK_TO_DRAFT,
    FROZEN_TERMS,
    FROZEN_TERMS_EXACT,
    STATUSES,
    CORRECTIONS,
    CORRECTIONS_EXACT,
    RECEIVED_DATES,
    LINKS,
    LINKS_IN_TEXTS,
    LINKS_IN_TEXTS_EXACT,
    CORRECTIONS_AFTER_LINKS,
    CORRECTIONS_AFTER_LINKS_EXACT,
    RECEIVED_DATES_AFTER_LINKS,
    ATTACHMENTS,
    MENDING,
    MENDING_EXACT,
    MENDING_DATES,
    RESTORES,
    RESTORES_EXACT,
    RESTORES_DATES,
    UNDO_ATTACHMENTS,
    RELINKS,
    DELETIONS,
    EXTRACT_VERIFY,
)
BY_NAME = {step.name: step for step in LOAD_STEPS}
PLACE = {step.name: place for place, step in enumerate(LOAD_STEPS)}
CREATING = tuple(step.name for step in LOAD_STEPS if step.operation == INSERT)
"""Names of the steps that create records: their accepted rows are the written records of an sObject."""
RESTORING = tuple(step.name for step in LOAD_STEPS if step.chunk_no == RESTORE_CHUNK)
"""Names of the steps by which a roll-back writes pre-images back."""


def extract_step(kind: str) -> LoadStep:
    """The step that reads an extract of this kind: `source`, `target` or `verify`."""
    return BY_NAME[f"extract_{kind}"]


def label_of(name: str) -> str:
    """As people read a step; of a name that the table does not have, the name itself in words.

    >>> label_of("received_dates")
    'Restore received dates'
    """
    step = BY_NAME.get(name)
    return step.label if step else name.replace("_", " ").capitalize()
